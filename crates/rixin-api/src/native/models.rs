//! Installed models.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::{Cancel, ModelId, Progress};
use rixin_models::{Manifest, ModelKind, ModelQuery, Origin, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    AppState,
    auth::{Admin, Caller},
    error::{ApiResult, no_such},
    extract::Query,
    request::Info,
};

/// Which models.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Words that all occur.
    q: Option<String>,
    /// Only this kind.
    kind: Option<ModelKind>,
    /// Only this origin.
    origin: Option<Origin>,
    /// Models on a page, at most 500; 50 if absent.
    #[serde(default)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of the installed models.
#[utoipa::path(get, path = "/api/models", tag = "models", params(ListQuery),
    responses((status = 200, description = "The manifests", body = Page)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page>> {
    let ListQuery { q, kind, origin, limit, after } = query;
    let text = q.filter(|text| !text.trim().is_empty());
    Ok(Json(state.registry.list(&ModelQuery { text, kind, origin, limit, after }).await?))
}

fn model_id(id: &str) -> ApiResult<ModelId> {
    id.parse().map_err(|error| no_such("model", "模型", &error))
}

/// The manifest of an installed model.
#[utoipa::path(get, path = "/api/models/{id}", tag = "models", params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, description = "The manifest", body = Manifest)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    _: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Manifest>> {
    Ok(Json(state.registry.get(&model_id(&id)?).await?))
}

/// Stops the replicas of a model and removes it.
#[utoipa::path(delete, path = "/api/models/{id}", tag = "models", params(("id" = String, Path, description = "The model's name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = model_id(&id)?;
    state.registry.get(&id).await?;
    state.control.stop_model(&id).await;
    state.registry.remove(&id).await?;
    tracing::info!(model = %id, "a model was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// What was found of all files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Verification {
    /// Whether every file is as it should be.
    pub ok: bool,
    /// One entry a file.
    pub files: Vec<VerifiedFile>,
}

/// What was found of one file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VerifiedFile {
    /// The file.
    pub path: String,
    /// Whether size and SHA-256 are those of the manifest.
    pub ok: bool,
    /// Why not, in the caller's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Reads every file of a model and compares size and SHA-256 with its manifest.
#[utoipa::path(post, path = "/api/models/{id}/verify", tag = "models", params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, description = "What was found", body = Verification)))]
pub(crate) async fn verify(
    State(state): State<AppState>,
    _: Admin,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Json<Verification>> {
    // A caller that goes away drops this future, and the guard ends the reading.
    let cancel = Cancel::new();
    let guard = cancel.clone().drop_guard();
    let report = state.registry.verify(&model_id(&id)?, &Progress::none(), &cancel).await?;
    drop(guard);
    let files = report.files.into_iter().map(|file| VerifiedFile {
        path: file.path,
        ok: file.ok,
        reason: file.reason.map(|reason| reason.text(info.lang).to_owned()),
    });
    Ok(Json(Verification { ok: report.ok, files: files.collect() }))
}
