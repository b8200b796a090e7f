//! `/v1/messages`: Anthropic's protocol, translated to chat completions and back, piece by piece.

mod answer;
mod events;
mod prompt;
mod routes;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(routes::create)).routes(routes!(routes::count_tokens))
}
