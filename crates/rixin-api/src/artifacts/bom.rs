//! Bills of materials.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use rixin_base::ModelId;
use serde_json::Value;

use crate::{
    AppState,
    auth::by,
    error::{ApiResult, no_such},
};

/// The bill of every installed model, in CycloneDX 1.6.
#[utoipa::path(get, path = "/api/bom", tag = "models",
    responses((status = 200, description = "The bill", body = Object)))]
pub(crate) async fn all(State(state): State<AppState>, _: by::Browse) -> ApiResult<Reply<Value>> {
    Ok(Reply(rixin_artifacts::bom(&state.registry, None).await?))
}

/// The bill of one model, in CycloneDX 1.6.
#[utoipa::path(get, path = "/api/models/{id}/bom", tag = "models", params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, description = "The bill", body = Object)))]
pub(crate) async fn one(
    State(state): State<AppState>,
    _: by::Browse,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    let id = id.parse::<ModelId>().map_err(|error| no_such("model", "模型", &error))?;
    Ok(Reply(rixin_artifacts::bom(&state.registry, Some(&id)).await?))
}
