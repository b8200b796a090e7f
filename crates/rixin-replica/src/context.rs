//! What a request's headers say, and replies in the caller's language.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rixin_base::{Fault, Lang};
use rixin_protocol::{error::ErrorBody, headers};

/// The longest fairness key that is kept, in bytes.
const MAX_KEY: usize = 256;

/// What came with a request besides its body.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub lang: Lang,
    pub fairness: String,
    pub deadline: Option<Instant>,
    pub usage_comment: bool,
    pub request_id: String,
}

impl RequestContext {
    pub(crate) fn read(map: &HeaderMap, default: Lang) -> Self {
        let text = |name: &str| map.get(name).and_then(|value| value.to_str().ok());
        let cut = |value: &str| value.chars().take(MAX_KEY).collect::<String>();
        Self {
            lang: text(header::ACCEPT_LANGUAGE.as_str()).and_then(Lang::from_accept).unwrap_or(default),
            fairness: text(headers::FAIRNESS).map(cut).unwrap_or_default(),
            deadline: text(headers::DEADLINE_MS)
                .and_then(|value| value.trim().parse::<u64>().ok())
                .and_then(|millis| Instant::now().checked_add(Duration::from_millis(millis))),
            usage_comment: map.contains_key(headers::USAGE_COMMENT),
            request_id: text(headers::REQUEST_ID).map(cut).unwrap_or_default(),
        }
    }
}

/// A fault as an HTTP reply.
pub(crate) fn error_reply(fault: &Fault, lang: Lang) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = json_bytes(status, ErrorBody::new(fault, lang).to_json());
    if let Some(after) = fault.retry_after {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds as u64));
    }
    reply
}

/// A value as an HTTP reply.
pub(crate) fn json_reply<T: serde::Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => json_bytes(StatusCode::OK, bytes),
        Err(error) => error_reply(&Fault::internal(error), Lang::default()),
    }
}

fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(bytes))
        .into_response()
}
