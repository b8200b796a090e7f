//! OpenAI's batches: a job that answers the lines of a file, told in OpenAI's words.

mod routes;
mod shape;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(routes::get))
        .routes(routes!(routes::cancel))
}
