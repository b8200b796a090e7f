//! `POST /v1/chat/completions`.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use rixin_protocol::chat::{ChatRequest, ChatResponse};
use serde_json::Value;

use super::{
    Ask, affinity,
    pass::{pass_stream, pass_whole},
};
use crate::{AppState, auth::Caller, error::ApiResult, extract::Raw, request::Info};

/// Answers a conversation. With `stream` the answer is an event stream of chunks that ends with `[DONE]`.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatRequest,
    responses((status = 200, description = "The answer, or an event stream of `ChatChunk`", body = ChatResponse)))]
pub(crate) async fn chat_completions(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Raw(body): Raw,
) -> ApiResult<Response> {
    let request: ChatRequest = rixin_protocol::parse::body(&body)?;
    request.check()?;
    let ask = Ask {
        state: &state,
        caller: &caller,
        info: &info,
        path: "/v1/chat/completions",
        model: &request.model,
        affinity: Some(affinity::of_chat(&request)),
        headers: &headers,
    };
    let wants_usage = request.stream_options.is_some_and(|options| options.include_usage);
    let streamed = request.streamed();
    let acquired = ask.acquire().await?;
    let body = if streamed && !wants_usage && acquired.lease.is_external() { with_usage(body) } else { body };
    let hide = acquired.lease.is_external() && !wants_usage;
    let upstream = acquired.send(&ask, body).await?;
    if streamed { pass_stream(state, info, upstream, hide).await } else { pass_whole(&state, upstream).await }
}

/// The same body, with usage in the stream: an external engine does not know the usage comment.
pub(super) fn with_usage(body: Bytes) -> Bytes {
    let Ok(Value::Object(mut map)) = serde_json::from_slice(&body) else { return body };
    let options = map.entry("stream_options").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if !options.is_object() {
        *options = Value::Object(serde_json::Map::new());
    }
    options["include_usage"] = Value::Bool(true);
    Bytes::from(Value::Object(map).to_string())
}
