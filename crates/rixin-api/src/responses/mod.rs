//! `/v1/responses`: OpenAI's newer protocol, translated to chat completions and back, piece by piece.

mod answer;
mod events;
mod prompt;
mod routes;

pub(crate) use routes::bad_answer;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(routes::create))
        .routes(routes!(routes::get, routes::delete))
        .routes(routes!(routes::input_items))
}
