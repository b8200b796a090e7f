//! Keys of the caller's tenant.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::KeyId;
use rixin_store::{CreatedKey, Key, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::Admin,
    error::{ApiResult, no_such},
    extract::Json,
};

/// What is needed to make a key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewKey {
    /// What its holder or use is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// All keys, without their secrets; revoked ones too.
#[utoipa::path(get, path = "/api/keys", tag = "keys", responses((status = 200, description = "The keys", body = List<Key>)))]
pub(crate) async fn list(State(state): State<AppState>, admin: Admin) -> ApiResult<Reply<List<Key>>> {
    Ok(Reply(List { data: state.store.keys(&admin.scope).await? }))
}

/// Makes a key. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, description = "The key with its secret", body = CreatedKey)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Json(new): Json<NewKey>,
) -> ApiResult<(StatusCode, Reply<CreatedKey>)> {
    let created = state.store.create_key(&admin.scope, &new.name, new.role).await?;
    tracing::info!(id = %created.key.id, role = %created.key.role, "a key was made");
    Ok((StatusCode::CREATED, Reply(created)))
}

/// Ends a key. The last admin key can't be ended.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key, revoked", body = Key)))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Key>> {
    let id: KeyId = id.parse().map_err(|error| no_such("key", "密钥", &error))?;
    let key = state.store.revoke_key(&admin.scope, id).await?;
    tracing::info!(%id, "a key was revoked");
    Ok(Reply(key))
}
