//! The suite's own routes under `/api`.

mod catalog;
mod conversations;
mod externals;
mod health;
mod keys;
mod messages;
mod metrics;
mod models;
mod pulls;
mod replicas;
mod usage;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::AppState;

/// A list that is whole.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct List<T> {
    /// The entries.
    pub data: Vec<T>,
}

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Paged<T> {
    /// The entries.
    pub data: Vec<T>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::me))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(catalog::list))
        .routes(routes!(models::list))
        .routes(routes!(models::get, models::remove))
        .routes(routes!(models::verify))
        .routes(routes!(pulls::preview))
        .routes(routes!(pulls::list, pulls::start))
        .routes(routes!(pulls::get, pulls::cancel))
        .routes(routes!(pulls::events))
        .routes(routes!(replicas::list, replicas::start))
        .routes(routes!(replicas::stop))
        .routes(routes!(externals::list, externals::add))
        .routes(routes!(externals::remove))
        .routes(routes!(conversations::list, conversations::create))
        .routes(routes!(conversations::get, conversations::update, conversations::remove))
        .routes(routes!(conversations::export))
        .routes(routes!(messages::add))
        .routes(routes!(usage::list))
        .routes(routes!(metrics::metrics))
}
