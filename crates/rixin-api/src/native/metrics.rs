//! Prometheus metrics.

use axum::{
    extract::{FromRequestParts as _, Request, State},
    response::{IntoResponse as _, Response},
};
use http::header;

use crate::{AppState, auth::Admin, error::ApiResult, request::Peer, state::is_loopback};

/// A scraper on this machine needs no key. A request that came through a proxy says so, and its real origin is unknown.
fn is_from_here(request: &Request) -> bool {
    let peer = request.extensions().get::<Peer>();
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    peer.is_some_and(|peer| is_loopback(peer.0.ip()))
        && forwarded.iter().all(|name| !request.headers().contains_key(*name))
}

/// Prometheus metrics, for an admin or for a scraper on this machine.
#[utoipa::path(get, path = "/metrics", tag = "suite",
    responses((status = 200, description = "The text format", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(state): State<AppState>, request: Request) -> ApiResult<Response> {
    if !is_from_here(&request) {
        let (mut parts, _) = request.into_parts();
        Admin::from_request_parts(&mut parts, &state).await?;
    }
    let text = state.metrics.render(&state.control.replicas(), &state.control.memory());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
