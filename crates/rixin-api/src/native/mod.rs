//! The suite's own routes under `/api`.

mod catalog;
mod cluster;
mod conversations;
mod externals;
mod health;
mod keys;
mod members;
mod messages;
mod metrics;
mod models;
mod organisations;
mod outbound;
mod projects;
mod pulls;
mod quotas;
mod replicas;
mod sessions;
mod usage;

use serde::{Deserialize, Serialize};
pub(crate) use sessions::SignIns;
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
        .routes(routes!(members::list, members::create))
        .routes(routes!(members::get, members::update, members::remove))
        .routes(routes!(members::invite))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::update, projects::close))
        .routes(routes!(organisations::list, organisations::create))
        .routes(routes!(organisations::update))
        .routes(routes!(sessions::sign_in, sessions::sign_out))
        .routes(routes!(sessions::accept))
        .routes(routes!(sessions::change_password))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(catalog::list))
        .routes(routes!(cluster::show))
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
        .routes(routes!(quotas::list, quotas::set))
        .routes(routes!(quotas::remove))
        .routes(routes!(outbound::list))
        .routes(routes!(usage::list))
        .routes(routes!(usage::prices, usage::set_price, usage::remove_price))
        .routes(routes!(metrics::metrics))
}
