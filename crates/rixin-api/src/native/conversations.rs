//! Conversations of the caller's key.

use axum::{
    Json as Reply,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use rixin_base::ConversationId;
use rixin_store::{Conversation, ConversationPatch, ConversationQuery, Message, NewConversation};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Paged;
use crate::{
    AppState,
    auth::Caller,
    error::{ApiResult, no_such},
    extract::{Json, Query},
    request::Info,
};

/// Which conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Words that all occur in the title or in messages.
    q: Option<String>,
    /// Conversations on a page, at most 200; 50 if absent.
    #[serde(default)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A conversation and all its messages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WholeConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// Its messages, in the order in which they were made.
    pub messages: Vec<Message>,
}

/// The id of a path.
pub(super) fn conversation_id(id: &str) -> ApiResult<ConversationId> {
    id.parse().map_err(|error| no_such("conversation", "会话", &error))
}

/// A page of the caller's conversations, the latest change first.
#[utoipa::path(get, path = "/api/conversations", tag = "conversations", params(ListQuery),
    responses((status = 200, description = "The conversations", body = Paged<Conversation>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<Paged<Conversation>>> {
    let ListQuery { q, limit, after } = query;
    let page = state.store.conversations(&caller.scope, &ConversationQuery { text: q, limit, after }).await?;
    Ok(Reply(Paged { data: page.items, next: page.next }))
}

/// Begins a conversation.
#[utoipa::path(post, path = "/api/conversations", tag = "conversations", request_body = NewConversation,
    responses((status = 201, description = "The conversation", body = Conversation)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewConversation>,
) -> ApiResult<(StatusCode, Reply<Conversation>)> {
    Ok((StatusCode::CREATED, Reply(state.store.create_conversation(&caller.scope, new).await?)))
}

/// A conversation with its messages.
#[utoipa::path(get, path = "/api/conversations/{id}", tag = "conversations", params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, description = "The conversation", body = WholeConversation)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Reply<WholeConversation>> {
    let id = conversation_id(&id)?;
    let conversation = state.store.conversation(&caller.scope, id).await?;
    let messages = state.store.messages(&caller.scope, id).await?;
    Ok(Reply(WholeConversation { conversation, messages }))
}

/// Changes a conversation.
#[utoipa::path(patch, path = "/api/conversations/{id}", tag = "conversations", params(("id" = String, Path, description = "The conversation's id")),
    request_body = ConversationPatch, responses((status = 200, description = "The conversation", body = Conversation)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(patch): Json<ConversationPatch>,
) -> ApiResult<Reply<Conversation>> {
    Ok(Reply(state.store.update_conversation(&caller.scope, conversation_id(&id)?, patch).await?))
}

/// Removes a conversation and its messages.
#[utoipa::path(delete, path = "/api/conversations/{id}", tag = "conversations", params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    state.store.delete_conversation(&caller.scope, conversation_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    /// The shown branch, for reading.
    #[default]
    Markdown,
    /// Everything.
    Json,
}

/// How to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `markdown` (the shown branch) or `json` (all branches).
    #[serde(default)]
    #[param(inline, required = false)]
    format: ExportFormat,
}

/// A conversation as a file.
#[utoipa::path(get, path = "/api/conversations/{id}/export", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id"), ExportQuery),
    responses((status = 200, description = "The file",
        content((String = "text/markdown"), (WholeConversation = "application/json")))))]
pub(crate) async fn export(
    State(state): State<AppState>,
    caller: Caller,
    info: Info,
    Path(id): Path<String>,
    Query(query): Query<ExportQuery>,
) -> ApiResult<Response> {
    let id = conversation_id(&id)?;
    let conversation = state.store.conversation(&caller.scope, id).await?;
    let messages = state.store.messages(&caller.scope, id).await?;
    let (mut response, ending) = match query.format {
        ExportFormat::Markdown => {
            let text = rixin_store::markdown(&conversation, &messages, info.lang);
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"))];
            ((kind, text).into_response(), "md")
        }
        ExportFormat::Json => (Reply(WholeConversation { conversation, messages }).into_response(), "json"),
    };
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{id}.{ending}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
