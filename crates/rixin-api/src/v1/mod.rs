//! The OpenAI-compatible routes whose bodies pass through as they are.

mod affinity;
mod ask;
mod chat;
mod completions;
mod embeddings;
mod filter;
mod meter;
mod models;
mod pass;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use affinity::of_chat;
pub(crate) use ask::{Ask, Upstream, cut_short, deadline_passed, going_down};
pub(crate) use meter::Meter;
pub(crate) use pass::{refusal, sse_response, whole};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(chat::chat_completions))
        .routes(routes!(completions::completions))
        .routes(routes!(embeddings::embeddings))
        .routes(routes!(models::list))
        .routes(routes!(models::get))
}
