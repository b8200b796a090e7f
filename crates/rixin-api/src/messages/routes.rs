//! The routes of `/v1/messages`.

use axum::{
    Json as Reply,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::HeaderMap;
use rixin_base::Fault;
use rixin_protocol::{
    anthropic::{CountRequest, MessagesError, MessagesRequest, MessagesResponse, TokenCount},
    chat::{ChatRequest, ChatResponse},
};

use super::{answer, events::Events, prompt};
use crate::{
    AppState,
    auth::Caller,
    chunks::Chunks,
    error::ApiResult,
    extract::Json,
    request::Info,
    responses::bad_answer,
    v1::{Ask, Upstream, of_chat, refusal, sse_response, whole},
};

async fn ask(
    state: &AppState,
    caller: &Caller,
    info: &Info,
    headers: &HeaderMap,
    chat: &ChatRequest,
) -> ApiResult<Upstream> {
    let ask = Ask {
        state,
        caller,
        info,
        path: "/v1/chat/completions",
        model: &chat.model,
        affinity: Some(of_chat(chat)),
        headers,
    };
    let body = serde_json::to_vec(chat).map_err(Fault::internal)?;
    let upstream = ask.acquire().await?.send(&ask, Bytes::from(body)).await?;
    if !upstream.response.status().is_success() {
        return Err(refusal(state, upstream).await);
    }
    Ok(upstream)
}

/// Answers a conversation in Anthropic's protocol. With `stream` the answer is an event stream.
#[utoipa::path(post, path = "/v1/messages", tag = "anthropic", request_body = MessagesRequest,
    responses((status = 200, description = "The message, or an event stream of `message_start` ... `message_stop`", body = MessagesResponse),
        (status = "default", description = "What went wrong", body = MessagesError)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Json(request): Json<MessagesRequest>,
) -> ApiResult<Response> {
    request.check()?;
    let chat = prompt::chat(&request)?;
    let upstream = ask(&state, &caller, &info, &headers, &chat).await?;
    let model = upstream.lease.model().to_owned();
    if request.stream == Some(true) {
        return Ok(streamed(state, info, upstream, &model));
    }
    let (bytes, _) = whole(&state, upstream).await?;
    let reply: ChatResponse = serde_json::from_slice(&bytes).map_err(bad_answer)?;
    let choice = reply.choices.first();
    let blocks = choice.map(|choice| answer::blocks(&choice.message)).unwrap_or_default();
    let reason = choice.and_then(|choice| choice.finish_reason.as_deref()).or(Some("stop"));
    Ok(Reply(answer::message(&model, blocks, reason, reply.usage.unwrap_or_default())).into_response())
}

fn streamed(state: AppState, info: Info, upstream: Upstream, model: &str) -> Response {
    let mut events = Events::new(model);
    let mut chunks = Chunks::new(state, upstream);
    sse_response(async_stream::stream! {
        loop {
            for event in events.take() {
                yield Ok(event);
            }
            match chunks.next().await {
                Ok(Some(chunk)) => events.push(&chunk),
                Ok(None) => {
                    events.end(chunks.usage());
                    break;
                }
                Err(fault) => {
                    events.fail(&fault, info.lang, &info.id);
                    break;
                }
            }
        }
        for event in events.take() {
            yield Ok(event);
        }
    })
}

/// Counts the tokens of a prompt. Only the engine knows its chat template, so it is asked for an answer of one token: exact for
/// every engine, and the prompt is in its prefix cache afterwards.
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "anthropic", request_body = CountRequest,
    responses((status = 200, description = "The count", body = TokenCount),
        (status = "default", description = "What went wrong", body = MessagesError)))]
pub(crate) async fn count_tokens(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Json(request): Json<CountRequest>,
) -> ApiResult<Reply<TokenCount>> {
    let request = MessagesRequest::from(request);
    request.check()?;
    let chat = prompt::chat(&request)?;
    let upstream = ask(&state, &caller, &info, &headers, &chat).await?;
    let (bytes, _) = whole(&state, upstream).await?;
    let reply: ChatResponse = serde_json::from_slice(&bytes).map_err(bad_answer)?;
    Ok(Reply(TokenCount { input_tokens: reply.usage.unwrap_or_default().prompt_tokens }))
}
