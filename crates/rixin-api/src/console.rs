//! The console's files, embedded; and the page that stands in for them where they were not built.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::request::Info;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Dist;

/// Nothing from elsewhere is loaded, framed or called. Styles come from files alone: those that the console sets on
/// elements go through the DOM, which needs no exception.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = include_str!("../assets/not-built.html");
const DOCS: &str = include_str!("../assets/docs.html");
const DOCS_JS: &str = include_str!("../assets/docs.js");
const DOCS_CSS: &str = include_str!("../assets/docs.css");

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Every page and script of ours has these.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

fn page(kind: &'static str, text: &'static str) -> Response {
    guarded(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response())
}

/// `GET /docs`.
pub(crate) async fn docs() -> Response {
    page("text/html; charset=utf-8", DOCS)
}

/// The script of `/docs`.
pub(crate) async fn docs_js() -> Response {
    page("text/javascript; charset=utf-8", DOCS_JS)
}

/// The styles of `/docs`.
pub(crate) async fn docs_css() -> Response {
    page("text/css; charset=utf-8", DOCS_CSS)
}

/// A file of the console for a path that is no route: the file of that name, or the console itself where a browser asks for one
/// of its pages. `None`: it is nothing of the console's.
pub(crate) fn file(method: &Method, uri: &Uri, headers: &HeaderMap, info: &Info) -> Option<Response> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") || path.starts_with("v1/") {
        return None;
    }
    if let Some(found) = Dist::get(path) {
        return Some(embedded(path, found, headers));
    }
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !path.is_empty() && (!wants_page || path.rsplit('/').next().is_some_and(|last| last.contains('.'))) {
        return None;
    }
    if !path.is_empty() {
        // The console's pages lie behind '#': this address leads nowhere, and the console says so in its own words.
        let index = Dist::get("index.html")?;
        let mut response = embedded("index.html", index, &HeaderMap::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Some(response);
    }
    Some(match Dist::get("index.html") {
        Some(index) => embedded("index.html", index, headers),
        None => {
            let text = NOT_BUILT.replace("{lang}", info.lang.tag());
            let kind =
                [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
            guarded((kind, text).into_response())
        }
    })
}

fn embedded(path: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    use std::fmt::Write as _;
    let mut etag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a String can't fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let known =
        known.is_some_and(|list| list.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = Response::new(if known { Body::empty() } else { Body::from(bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    // The builder puts a hash into every name under assets/.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    guarded(response)
}
