//! Downloads of models.

use std::convert::Infallible;

use axum::{
    Json as Reply,
    extract::{Path, State},
    response::Response,
};
use bytes::Bytes;
use http::StatusCode;
use rixin_base::{Cancel, IdError, ModelId, PullId};
use rixin_control::{PullRequest, PullView};
use rixin_models::PullPreview;
use rixin_protocol::sse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::{Admin, Caller},
    error::{ApiError, ApiResult, no_such},
    extract::Json,
    request::Info,
    v1::sse_response,
};

/// What to look at.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PreviewRequest {
    /// A name of the catalogue, or a source such as `hf:OWNER/NAME`.
    pub target: String,
}

/// What to pull.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewPull {
    /// A name of the catalogue, or a source such as `hf:OWNER/NAME`.
    pub target: String,
    /// The name to install it under; chosen where absent.
    #[serde(default)]
    pub id: Option<String>,
    /// That the licence of the preview is accepted.
    #[serde(default)]
    pub accept_licence: bool,
    /// The licence, as an SPDX id such as `Apache-2.0` or a name: it counts where neither the source nor the file names one.
    #[serde(default)]
    pub licence: Option<String>,
}

/// The longest name of a licence, in bytes.
const MAX_LICENCE: usize = 200;

/// A licence that somebody typed.
fn licence(text: String) -> ApiResult<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LICENCE || text.chars().any(char::is_control) {
        return Err(ApiError(rixin_protocol::parse::out_of_range(
            "licence",
            &format!("a licence has 1 to {MAX_LICENCE} bytes on one line"),
            &format!("许可为 1 到 {MAX_LICENCE} 字节的单行文本"),
        )));
    }
    Ok(text.to_owned())
}

/// What a pull would bring: licence, files, size, and whether it fits. Asks the source, fetches nothing.
#[utoipa::path(post, path = "/api/pulls/preview", tag = "models", request_body = PreviewRequest,
    responses((status = 200, description = "What it would bring", body = PullPreview)))]
pub(crate) async fn preview(
    State(state): State<AppState>,
    _: Admin,
    Json(request): Json<PreviewRequest>,
) -> ApiResult<Reply<PullPreview>> {
    let cancel = Cancel::new();
    let guard = cancel.clone().drop_guard();
    let preview = state.puller.preview(&request.target, &cancel).await?;
    drop(guard);
    Ok(Reply(preview.with_free_memory(state.control.memory().free_bytes)))
}

/// Starts a pull.
#[utoipa::path(post, path = "/api/pulls", tag = "models", request_body = NewPull,
    responses((status = 202, description = "The pull", body = PullView)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    admin: Admin,
    info: Info,
    Json(new): Json<NewPull>,
) -> ApiResult<(StatusCode, Reply<PullView>)> {
    let id = new.id.map(|id| id.parse::<ModelId>()).transpose().map_err(|error: IdError| {
        ApiError(rixin_protocol::parse::out_of_range(
            "id",
            &error.to_string(),
            "模型编号为 1 到 96 个 a-z、0-9、'.'、'_'、'-'，以字母或数字开头，且不含 '..'",
        ))
    })?;
    let request = PullRequest {
        target: new.target,
        id,
        accept_licence: new.accept_licence,
        licence: new.licence.map(licence).transpose()?,
        by: admin.name.clone(),
    };
    let pull = state.control.pulls().start(request)?;
    Ok((StatusCode::ACCEPTED, Reply(pull.view(info.lang))))
}

/// The pulls that run or ended lately, newest first.
#[utoipa::path(get, path = "/api/pulls", tag = "models", responses((status = 200, description = "The pulls", body = List<PullView>)))]
pub(crate) async fn list(State(state): State<AppState>, _: Caller, info: Info) -> Reply<List<PullView>> {
    Reply(List { data: state.control.pulls().list().iter().map(|pull| pull.view(info.lang)).collect() })
}

fn pull_id(id: &str) -> ApiResult<PullId> {
    id.parse().map_err(|error| no_such("pull", "拉取任务", &error))
}

/// One pull.
#[utoipa::path(get, path = "/api/pulls/{id}", tag = "models", params(("id" = String, Path, description = "The pull's id")),
    responses((status = 200, description = "The pull", body = PullView)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    _: Caller,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<PullView>> {
    Ok(Reply(state.control.pulls().get(pull_id(&id)?)?.view(info.lang)))
}

/// Cancels a pull. What was fetched stays for the next try.
#[utoipa::path(delete, path = "/api/pulls/{id}", tag = "models", params(("id" = String, Path, description = "The pull's id")),
    responses((status = 200, description = "The pull", body = PullView)))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    _: Admin,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<PullView>> {
    Ok(Reply(state.control.pulls().cancel(pull_id(&id)?)?.view(info.lang)))
}

/// A pull as it goes on: an event stream of its states that ends when it does.
#[utoipa::path(get, path = "/api/pulls/{id}/events", tag = "models", params(("id" = String, Path, description = "The pull's id")),
    responses((status = 200, description = "Event stream; the data of each event is a pull", body = PullView, content_type = "text/event-stream")))]
pub(crate) async fn events(
    State(state): State<AppState>,
    _: Caller,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let mut watch = state.control.pulls().watch(pull_id(&id)?)?;
    Ok(sse_response(async_stream::stream! {
        loop {
            let pull = watch.borrow_and_update().clone();
            let json = serde_json::to_string(&pull.view(info.lang)).unwrap_or_default();
            yield Ok::<Bytes, Infallible>(sse::event("", &json));
            if pull.state.is_over() {
                break;
            }
            tokio::select! {
                changed = watch.changed() => if changed.is_err() { break },
                () = state.stopping.cancelled() => break,
            }
        }
    }))
}
