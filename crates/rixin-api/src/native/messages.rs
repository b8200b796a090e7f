//! Messages of a conversation.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_store::{Message, NewMessage};

use super::conversations::conversation_id;
use crate::{AppState, auth::Caller, error::ApiResult, extract::Json};

/// Adds a message and makes it the conversation's head. A second child of one parent begins a branch.
#[utoipa::path(post, path = "/api/conversations/{id}/messages", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id")), request_body = NewMessage,
    responses((status = 201, description = "The message", body = Message)))]
pub(crate) async fn add(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewMessage>,
) -> ApiResult<(StatusCode, Reply<Message>)> {
    let message = state.store.add_message(&caller.scope, conversation_id(&id)?, new).await?;
    Ok((StatusCode::CREATED, Reply(message)))
}
