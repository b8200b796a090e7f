//! Quotas of the tenant, and what is used of them.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_store::{NewQuota, Quota, QuotaUse, Right};

use super::List;
use crate::{AppState, auth::by, error::ApiResult, extract::Json};

/// The quotas and what is used of them: all of the tenant for an admin, those that are about the own key for a member.
#[utoipa::path(get, path = "/api/quotas", tag = "keys", responses((status = 200, description = "The quotas", body = List<QuotaUse>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::OwnUsage,
) -> ApiResult<Reply<List<QuotaUse>>> {
    let data = state.store.quota_use(&caller.scope, caller.may(Right::Usage)).await?;
    Ok(Reply(List { data }))
}

/// Sets a quota. The one that there is for the same subject, measure and window gets the new amount, and keeps what was used.
#[utoipa::path(post, path = "/api/quotas", tag = "keys", request_body = NewQuota,
    responses((status = 200, description = "The quota", body = Quota)))]
pub(crate) async fn set(
    State(state): State<AppState>,
    caller: by::Quotas,
    Json(new): Json<NewQuota>,
) -> ApiResult<Reply<Quota>> {
    Ok(Reply(state.store.set_quota(&caller.scope, &new).await?))
}

/// Removes a quota: what it limited is free.
#[utoipa::path(delete, path = "/api/quotas/{id}", tag = "keys", params(("id" = String, Path, description = "The quota's id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: by::Quotas,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    state.store.remove_quota(&caller.scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
