//! The gateway: OpenAI-compatible, Anthropic-compatible and native routes, authentication, metering, metrics, console files.
//!
//! Takes what the other crates have opened ([`Parts`]) and a listener; gives HTTP until it is told to stop. A request is
//! authenticated, checked, and its body passed to a replica as it came; the answer passes back as it comes. The newer protocols
//! (`/v1/responses`, `/v1/messages`) are translated to chat completions piece by piece.
//!
//! It loads no weights, starts no process, and knows neither chat templates nor tokens. It never acts as the store's operator:
//! every row of a tenant is reached through the scope of an authenticated key.

mod auth;
mod chunks;
mod console;
mod error;
mod extract;
mod guard;
mod messages;
mod metrics;
mod native;
mod openapi;
mod request;
mod responses;
mod server;
mod state;
mod timed_io;
mod unread;
mod v1;

use axum::{
    Router,
    extract::Request,
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_http::compression::{
    CompressionLayer, Predicate as _,
    predicate::{DefaultPredicate, NotForContentType},
};

pub use openapi::openapi_json;
pub use server::serve;
pub use state::{AppState, Inner, Parts};

/// Everything that is served.
pub fn router(state: AppState) -> Router {
    let (documented, _) = openapi::router().split_for_parts();
    // Streams and answers of models are not compressed: it would hold events back, and cost more than it saves on one machine.
    let pages = Router::new()
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(console::docs))
        .route("/docs/docs.js", get(console::docs_js))
        .route("/docs/docs.css", get(console::docs_css))
        .fallback(fallback)
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(NotForContentType::SSE)));
    documented
        .merge(pages)
        .method_not_allowed_fallback(request::wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), request::layer))
        .with_state(state)
}

/// A file of the console, or nothing.
async fn fallback(info: request::Info, request: Request) -> Response {
    match console::file(request.method(), request.uri(), request.headers(), &info) {
        Some(file) => file,
        None => request::not_found(request).await.into_response(),
    }
}
