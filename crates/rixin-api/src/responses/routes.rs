//! The routes of `/v1/responses`.

use axum::{
    Json as Reply,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::HeaderMap;
use rixin_base::{Code, Fault};
use rixin_protocol::{
    chat::ChatResponse,
    responses::{Deleted, Item, ItemList, ResponseObject, ResponsesRequest},
};
use rixin_store::{NewResponse, Store, TenantScope};

use super::{answer, events::Events, prompt};
use crate::{
    AppState,
    auth::Caller,
    chunks::Chunks,
    error::{ApiError, ApiResult},
    extract::Json,
    request::Info,
    v1::{Ask, Upstream, of_chat, refusal, sse_response, whole},
};

/// What the conversation held before: the items of every stored response of the chain, and their answers.
async fn history(store: &Store, scope: &TenantScope, id: &str) -> Result<Vec<Item>, Fault> {
    let broken =
        |error: serde_json::Error| Fault::internal(format!("a stored response can't be read: {error}"));
    let mut items = Vec::new();
    for stored in store.response_chain(scope, id).await? {
        items.extend(serde_json::from_str::<Vec<Item>>(&stored.input).map_err(broken)?);
        items.extend(serde_json::from_str::<ResponseObject>(&stored.response).map_err(broken)?.output);
    }
    Ok(items)
}

async fn keep(
    store: &Store,
    scope: &TenantScope,
    object: &ResponseObject,
    own: &[Item],
) -> Result<(), Fault> {
    let new = NewResponse {
        id: object.id.clone(),
        previous_id: object.previous_response_id.clone(),
        input: serde_json::to_string(own).unwrap_or_default(),
        response: serde_json::to_string(object).unwrap_or_default(),
    };
    Ok(store.put_response(scope, new).await?)
}

/// Answers, and stores the answer unless `store` is false. With `stream` the answer is an event stream.
#[utoipa::path(post, path = "/v1/responses", tag = "openai", request_body = ResponsesRequest,
    responses((status = 200, description = "The response, or an event stream of `response.*` events", body = ResponseObject)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    headers: HeaderMap,
    Json(request): Json<ResponsesRequest>,
) -> ApiResult<Response> {
    request.check()?;
    let before = match &request.previous_response_id {
        Some(id) => history(&state.store, &caller.scope, id).await.map_err(|mut fault| {
            fault.param = Some("previous_response_id".into());
            fault
        })?,
        None => Vec::new(),
    };
    let own = prompt::own_items(&request);
    let chat = prompt::chat(&request, &before, &own)?;
    let ask = Ask {
        state: &state,
        caller: &caller,
        info: &info,
        path: "/v1/chat/completions",
        model: &request.model,
        affinity: Some(of_chat(&chat)),
        headers: &headers,
    };
    let acquired = ask.acquire().await?;
    let object = answer::begin(&request, acquired.lease.model());
    let body = serde_json::to_vec(&chat).map_err(Fault::internal)?;
    let upstream = acquired.send(&ask, Bytes::from(body)).await?;
    if !upstream.response.status().is_success() {
        return Err(refusal(&state, upstream).await);
    }
    if request.stream == Some(true) {
        return Ok(streamed(state, caller, info, upstream, object, own));
    }
    let mut object = object;
    let (bytes, _) = whole(&state, upstream).await?;
    let reply: ChatResponse = serde_json::from_slice(&bytes).map_err(bad_answer)?;
    let choice = reply.choices.first();
    let items = choice.map(|choice| answer::items(&choice.message)).unwrap_or_default();
    answer::finish(
        &mut object,
        items,
        choice.and_then(|choice| choice.finish_reason.as_deref()),
        reply.usage,
    );
    if object.store {
        keep(&state.store, &caller.scope, &object, &own).await?;
    }
    Ok(Reply(object).into_response())
}

/// An engine's answer that is not the protocol.
pub(crate) fn bad_answer(error: serde_json::Error) -> ApiError {
    ApiError(Fault::new(
        Code::BadUpstream,
        format!("the engine's answer is not a chat completion: {error}"),
        format!("引擎的回答不符合 chat completion 格式：{error}"),
    ))
}

fn streamed(
    state: AppState,
    caller: Caller,
    info: Info,
    upstream: Upstream,
    object: ResponseObject,
    own: Vec<Item>,
) -> Response {
    let mut chunks = Chunks::new(state.clone(), upstream);
    let mut events = Events::new(object);
    sse_response(async_stream::stream! {
        loop {
            for event in events.take() {
                yield Ok(event);
            }
            match chunks.next().await {
                Ok(Some(chunk)) => events.push(&chunk),
                Ok(None) => {
                    let object = events.end(chunks.usage());
                    // Before the last event, so that a client can go on from the answer as soon as it has it.
                    let kept = if object.store { keep(&state.store, &caller.scope, object, &own).await } else { Ok(()) };
                    match kept {
                        Ok(()) => events.last(),
                        Err(fault) => events.fail(&fault, info.lang),
                    }
                    break;
                }
                Err(fault) => {
                    events.fail(&fault, info.lang);
                    break;
                }
            }
        }
        for event in events.take() {
            yield Ok(event);
        }
    })
}

/// A stored response.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path, description = "The response's id")),
    responses((status = 200, description = "The response", body = ResponseObject)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Reply<ResponseObject>> {
    let stored = state.store.response(&caller.scope, &id).await?;
    let object = serde_json::from_str(&stored.response).map_err(Fault::internal)?;
    Ok(Reply(object))
}

/// Removes a stored response.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path, description = "The response's id")),
    responses((status = 200, description = "It is gone", body = Deleted)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Reply<Deleted>> {
    state.store.delete_response(&caller.scope, &id).await?;
    Ok(Reply(Deleted { id, object: "response".into(), deleted: true }))
}

/// The items that a stored response was asked with.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "openai", params(("id" = String, Path, description = "The response's id")),
    responses((status = 200, description = "The items", body = ItemList)))]
pub(crate) async fn input_items(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Reply<ItemList>> {
    let stored = state.store.response(&caller.scope, &id).await?;
    let data: Vec<Item> = serde_json::from_str(&stored.input).map_err(Fault::internal)?;
    let id_of = |item: Option<&Item>| item.and_then(|item| item.id.clone());
    let (first_id, last_id) = (id_of(data.first()), id_of(data.last()));
    Ok(Reply(ItemList { object: "list".into(), data, first_id, last_id, has_more: false }))
}
