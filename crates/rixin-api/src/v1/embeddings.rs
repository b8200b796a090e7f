//! `POST /v1/embeddings`.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use rixin_protocol::embedding::{EmbeddingRequest, EmbeddingResponse};

use super::{Ask, pass::pass_whole};
use crate::{AppState, auth::Caller, error::ApiResult, extract::Raw, request::Info};

/// Turns texts into vectors.
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = EmbeddingRequest,
    responses((status = 200, description = "One vector an input", body = EmbeddingResponse)))]
pub(crate) async fn embeddings(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Raw(body): Raw,
) -> ApiResult<Response> {
    let request: EmbeddingRequest = rixin_protocol::parse::body(&body)?;
    request.check()?;
    let ask = Ask {
        state: &state,
        caller: &caller,
        info: &info,
        path: "/v1/embeddings",
        model: &request.model,
        affinity: None,
        headers: &headers,
    };
    let upstream = ask.acquire().await?.send(&ask, body).await?;
    pass_whole(&state, upstream).await
}
