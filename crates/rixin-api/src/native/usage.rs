//! What keys took, and what it costs.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rixin_store::{GroupBy, Price, Right, UsageQuery, UsageSum, usage_csv};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::List;
use crate::{
    AppState,
    auth::by,
    error::ApiResult,
    extract::{Json as Body, Query},
};

/// What sums are made by where nothing is asked for.
const BY: &str = "day,key,model";

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReportFormat {
    /// A list of sums.
    Json,
    /// A table for a spreadsheet.
    Csv,
}

/// Which use, and how it is summed up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// So many days back, today among them; 30 if absent.
    #[serde(default = "month")]
    #[param(required = false)]
    days: u32,
    /// The first day, such as `2026-01-31` (UTC), in place of `days`.
    from: Option<String>,
    /// The last day; today if absent.
    to: Option<String>,
    /// What sums are made by: some of day, month, model, key, project, kind, with commas, or `all`; `day,key,model` if absent.
    by: Option<String>,
    /// Only the own key's, for an admin too.
    #[serde(default)]
    #[param(required = false)]
    own: bool,
    /// `json` or `csv`; by `Accept` if absent.
    #[param(inline)]
    format: Option<ReportFormat>,
}

fn month() -> u32 {
    30
}

/// Sums of requests, tokens, images and job seconds with what they cost: of all keys with the right `usage`, else of the own key.
#[utoipa::path(get, path = "/api/usage", tag = "keys", params(ReportQuery),
    responses((status = 200, description = "The sums, latest first",
        content((List<UsageSum> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::OwnUsage,
    headers: HeaderMap,
    Query(query): Query<ReportQuery>,
) -> ApiResult<Response> {
    // What is still in memory belongs to the answer.
    state.store.flush().await?;
    let by = GroupBy::list(query.by.as_deref().unwrap_or(BY))?;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let csv = match query.format {
        Some(format) => format == ReportFormat::Csv,
        None => accepted.split(',').any(|kind| kind.trim().starts_with("text/csv")),
    };
    let everyone = caller.may(Right::Usage) && !query.own;
    let ReportQuery { days, from, to, .. } = query;
    let data = state
        .store
        .usage_report(&caller.scope, &UsageQuery { by: by.clone(), from, to, days, everyone })
        .await?;
    if !csv {
        return Ok(Json(List { data }).into_response());
    }
    let heads = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"usage.csv\"")),
    ];
    Ok((heads, usage_csv(&by, &data)).into_response())
}

/// The price list.
#[utoipa::path(get, path = "/api/prices", tag = "keys", responses((status = 200, description = "The prices", body = List<Price>)))]
pub(crate) async fn prices(
    State(state): State<AppState>,
    caller: by::OwnUsage,
) -> ApiResult<Json<List<Price>>> {
    Ok(Json(List { data: state.store.prices(&caller.scope).await? }))
}

/// Sets the price of a model from a day on.
#[utoipa::path(post, path = "/api/prices", tag = "keys", request_body = Price,
    responses((status = 200, description = "The price", body = Price)))]
pub(crate) async fn set_price(
    State(state): State<AppState>,
    caller: by::Prices,
    Body(price): Body<Price>,
) -> ApiResult<Json<Price>> {
    state.store.set_price(&caller.scope, &price).await?;
    Ok(Json(price))
}

/// Which price.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PriceQuery {
    /// The model, or `*`.
    model: String,
    /// The day from which it counts.
    valid_from: String,
}

/// Removes a price.
#[utoipa::path(delete, path = "/api/prices", tag = "keys", params(PriceQuery), responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove_price(
    State(state): State<AppState>,
    caller: by::Prices,
    Query(query): Query<PriceQuery>,
) -> ApiResult<StatusCode> {
    state.store.remove_price(&caller.scope, &query.model, &query.valid_from).await?;
    Ok(StatusCode::NO_CONTENT)
}
