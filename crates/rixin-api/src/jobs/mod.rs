//! The suite's jobs under `/api/jobs`: what everything that takes longer than a request runs as.

mod events;
mod routes;
mod submit;
mod view;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(submit::kinds))
        .routes(routes!(routes::list, submit::submit))
        .routes(routes!(routes::get, routes::remove))
        .routes(routes!(routes::cancel))
        .routes(routes!(routes::retry))
        .routes(routes!(events::events))
        .routes(routes!(events::log))
}
