//! External engines.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_control::{ExternalView, NewEngine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::Admin,
    error::{ApiResult, no_such},
    extract::Json,
    request::Info,
};

/// What is needed to add an engine.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct NewExternal {
    /// A name for a person.
    pub name: String,
    /// The address that `/chat/completions` is appended to, such as `http://gpu1:8000/v1`.
    pub base_url: String,
    /// The key that it asks for.
    #[serde(default)]
    pub api_key: Option<String>,
    /// The models to offer: `name`, or `alias=name`; all that it lists if absent.
    #[serde(default)]
    pub models: Vec<String>,
}

/// The external engines, without their keys.
#[utoipa::path(get, path = "/api/externals", tag = "replicas",
    responses((status = 200, description = "The engines", body = List<ExternalView>)))]
pub(crate) async fn list(State(state): State<AppState>, _: Admin, info: Info) -> Reply<List<ExternalView>> {
    Reply(List { data: state.control.externals().iter().map(|engine| engine.view(info.lang)).collect() })
}

/// Adds an OpenAI-compatible engine; its health is checked from now on.
#[utoipa::path(post, path = "/api/externals", tag = "replicas", request_body = NewExternal,
    responses((status = 201, description = "The engine", body = ExternalView)))]
pub(crate) async fn add(
    State(state): State<AppState>,
    _: Admin,
    info: Info,
    Json(new): Json<NewExternal>,
) -> ApiResult<(StatusCode, Reply<ExternalView>)> {
    let NewExternal { name, base_url, api_key, models } = new;
    let engine = state.control.add_external(NewEngine { name, base_url, api_key, models }).await?;
    tracing::info!(id = %engine.id, url = %engine.base_url, "an external engine was added");
    Ok((StatusCode::CREATED, Reply(engine.view(info.lang))))
}

/// Removes an engine.
#[utoipa::path(delete, path = "/api/externals/{id}", tag = "replicas", params(("id" = String, Path, description = "The engine's id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = id.parse().map_err(|error| no_such("external engine", "外部引擎", &error))?;
    state.control.remove_external(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
