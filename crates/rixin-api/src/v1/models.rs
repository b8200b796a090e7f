//! `GET /v1/models`.

use axum::{
    Json,
    extract::{Path, State},
};
use rixin_base::{Code, Fault};
use rixin_control::ServedModel;
use rixin_protocol::model::{Model, ModelList};

use crate::{
    AppState,
    auth::Caller,
    error::{ApiError, ApiResult},
};

fn shown(model: ServedModel) -> Model {
    Model { id: model.id, object: "model".into(), created: model.created, owned_by: model.owned_by }
}

/// The models that can be asked: installed ones and those of external engines.
#[utoipa::path(get, path = "/v1/models", tag = "openai",
    responses((status = 200, description = "The models", body = ModelList)))]
pub(crate) async fn list(State(state): State<AppState>, _: Caller) -> ApiResult<Json<ModelList>> {
    let data = state.control.models().await?.into_iter().map(shown).collect();
    Ok(Json(ModelList { object: "list".into(), data }))
}

/// One of them.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "openai", params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, description = "The model", body = Model)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    _: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Model>> {
    let found = state.control.models().await?.into_iter().find(|model| model.id == id);
    found.map(|model| Json(shown(model))).ok_or_else(|| {
        ApiError(
            Fault::new(
                Code::ModelNotFound,
                format!("there is no model {id:?}: GET /v1/models lists them"),
                format!("没有名为 {id:?} 的模型：GET /v1/models 列出了全部模型"),
            )
            .with_param("model"),
        )
    })
}
