//! What keys took.

use axum::{Json, extract::State};
use rixin_store::{Role, UsageRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::List;
use crate::{AppState, auth::Caller, error::ApiResult, extract::Query};

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// So many days back, today among them; 30 if absent.
    #[serde(default = "month")]
    #[param(required = false)]
    days: u32,
}

fn month() -> u32 {
    30
}

/// Requests and tokens by day (UTC), key and model: of all keys for an admin, of the own key for a member.
#[utoipa::path(get, path = "/api/usage", tag = "keys", params(UsageQuery),
    responses((status = 200, description = "The rows, newest day first", body = List<UsageRow>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> ApiResult<Json<List<UsageRow>>> {
    // What is still in memory belongs to the answer.
    state.store.flush().await?;
    let data = state.store.usage(&caller.scope, query.days, caller.role == Role::Admin).await?;
    Ok(Json(List { data }))
}
