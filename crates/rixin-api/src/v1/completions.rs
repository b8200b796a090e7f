//! `POST /v1/completions`.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use rixin_protocol::completion::{CompletionRequest, CompletionResponse};

use super::{
    Ask, affinity,
    chat::with_usage,
    pass::{pass_stream, pass_whole},
};
use crate::{AppState, auth::Caller, error::ApiResult, extract::Raw, request::Info};

/// Continues a text, without a chat template.
#[utoipa::path(post, path = "/v1/completions", tag = "openai", request_body = CompletionRequest,
    responses((status = 200, description = "The continuation, or an event stream of chunks of the same shape", body = CompletionResponse)))]
pub(crate) async fn completions(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Raw(body): Raw,
) -> ApiResult<Response> {
    let request: CompletionRequest = rixin_protocol::parse::body(&body)?;
    request.check()?;
    let ask = Ask {
        state: &state,
        caller: &caller,
        info: &info,
        path: "/v1/completions",
        model: &request.model,
        affinity: Some(affinity::of_prompt(&request.prompt)),
        headers: &headers,
    };
    let wants_usage = request.stream_options.is_some_and(|options| options.include_usage);
    let streamed = request.stream == Some(true);
    let acquired = ask.acquire().await?;
    let external = acquired.lease.is_external();
    let body = if streamed && !wants_usage && external { with_usage(body) } else { body };
    let upstream = acquired.send(&ask, body).await?;
    if streamed {
        pass_stream(state, info, upstream, external && !wants_usage).await
    } else {
        pass_whole(&state, upstream).await
    }
}
