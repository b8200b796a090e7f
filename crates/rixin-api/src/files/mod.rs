//! OpenAI's files: what callers upload for jobs to read, and what jobs make for them. Bytes pass through; no file is held in memory.

pub(crate) mod form;
mod routes;
mod shape;

pub(crate) use routes::{disposition, file_id, missing, twice};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(routes::get, routes::remove))
        .routes(routes!(routes::content))
}
