//! Artifacts: what was made and what was brought, where it came from, and checking files of anybody.

mod bom;
mod content;
mod graph;
mod policy;
mod routes;
mod shape;
mod verify;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(routes::get, routes::remove))
        .routes(routes!(graph::graph))
        .routes(routes!(content::content))
        .routes(routes!(content::sidecar))
        .routes(routes!(policy::get, policy::set))
        .routes(routes!(verify::verify))
        .routes(routes!(bom::all))
        .routes(routes!(bom::one))
}
