//! The outermost layer: request id, language, the log's span, metrics, panics, and the writing of faults.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use rixin_base::{Code, Fault, Lang, RequestId};
use rixin_protocol::headers;
use tracing::Instrument as _;

use crate::{
    AppState,
    error::{self, ApiError, Style},
    guard,
};

/// The address of the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// Most headers of a request, and their size together.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 32 << 10;

/// What is known of a request before its handler runs.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Its id, the caller's or ours.
    pub id: Arc<str>,
    /// The language of its errors.
    pub lang: Lang,
    pub arrived: Instant,
}

impl<S: Sync> FromRequestParts<S> for Info {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = || ApiError(Fault::internal("a route outside of the request layer"));
        parts.extensions.get::<Info>().cloned().ok_or_else(missing)
    }
}

/// A caller's id is taken if it is short and plain, so that it can't forge lines of a log.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(headers::REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id)
            if (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b)) =>
        {
            id.into()
        }
        _ => RequestId::new().to_string().into(),
    }
}

fn too_large(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES
}

/// The layer.
pub(crate) async fn layer(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let id = request_id(request.headers());
    let accept = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let lang = accept.and_then(Lang::from_accept).unwrap_or(state.lang);
    let style = Style::of(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = &*id, %method, path = request.uri().path(), key = tracing::field::Empty);
    request.extensions_mut().insert(Info { id: Arc::clone(&id), lang, arrived });

    let work = async {
        if too_large(request.headers()) {
            return ApiError(headers_too_large()).into_response();
        }
        if let Err(fault) = guard::check(&state, &request) {
            return ApiError(fault).into_response();
        }
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                ApiError(Fault::internal(format!("panic: {text}"))).into_response()
            }
        }
    };
    let response = work.instrument(span.clone()).await;
    let mut response = error::write(response, lang, style, &id);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static(headers::REQUEST_ID), value.clone());
        if style == Style::Anthropic {
            headers.insert(HeaderName::from_static("request-id"), value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status().as_u16();
    state.metrics.request(&route, method.as_str(), status, arrived.elapsed());
    span.in_scope(|| tracing::info!(status, elapsed_ms = arrived.elapsed().as_secs_f64() * 1e3, "answered"));
    response
}

fn headers_too_large() -> Fault {
    Fault::new(
        Code::HeadersTooLarge,
        format!("the request's headers are over {MAX_HEADERS} or {} KiB: send fewer", MAX_HEADER_BYTES >> 10),
        format!("请求头超过 {MAX_HEADERS} 个或 {} KiB：请减少请求头", MAX_HEADER_BYTES >> 10),
    )
}

/// No such route.
pub(crate) async fn not_found(request: Request) -> ApiError {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    ApiError(Fault::new(
        Code::RouteNotFound,
        format!("there is no route {method} {path}: /openapi.json lists them all"),
        format!("没有 {method} {path} 这个接口：/openapi.json 列出了全部接口"),
    ))
}

/// The route has other methods.
pub(crate) async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    ApiError(Fault::new(
        Code::MethodNotAllowed,
        format!("{path} does not take {method}: /openapi.json lists its methods"),
        format!("{path} 不接受 {method} 方法：/openapi.json 列出了可用方法"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &str) -> Arc<str> {
        let mut map = HeaderMap::new();
        map.insert("x-request-id", HeaderValue::from_str(given).expect("header"));
        request_id(&map)
    }

    #[test]
    fn only_plain_ids_are_taken() {
        assert_eq!(&*id_of("trace-1:2.3_x"), "trace-1:2.3_x");
        for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert!(id_of(bad).starts_with("req_"), "{bad}");
        }
    }
}
