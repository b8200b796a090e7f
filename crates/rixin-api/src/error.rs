//! Faults on their way to the caller. A handler gives the fault; the outermost layer, which knows the caller's language and
//! the protocol of the route, writes it.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use rixin_base::{Code, Fault, IdError, Lang};
use rixin_protocol::{anthropic::MessagesError, error::ErrorBody};

/// What a handler fails with.
#[derive(Debug)]
pub(crate) struct ApiError(pub Fault);

impl<E> From<E> for ApiError
where
    Fault: From<E>,
{
    fn from(error: E) -> Self {
        Self(Fault::from(error))
    }
}

/// The result of a handler.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// The fault of a response that still has to be written.
#[derive(Clone)]
pub(crate) struct Unwritten(pub Fault);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code).into_response();
        response.extensions_mut().insert(Unwritten(self.0));
        response
    }
}

/// The HTTP status of a code.
pub(crate) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An id in a path that can't be one names nothing.
pub(crate) fn no_such(what_en: &str, what_zh: &str, error: &IdError) -> ApiError {
    let id = &error.text;
    ApiError(Fault::new(
        Code::NotFound,
        format!("there is no {what_en} {id:?}"),
        format!("{what_zh} {id:?} 不存在"),
    ))
}

/// How a route words its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// OpenAI's `{"error": {...}}`.
    OpenAi,
    /// Anthropic's `{"type": "error", "error": {...}}`.
    Anthropic,
}

impl Style {
    /// By the path.
    pub fn of(path: &str) -> Self {
        if path.starts_with("/v1/messages") { Style::Anthropic } else { Style::OpenAi }
    }
}

/// The body of an error.
pub(crate) fn body(fault: &Fault, lang: Lang, style: Style, request_id: &str) -> Vec<u8> {
    match style {
        Style::OpenAi => ErrorBody::new(fault, lang).to_json(),
        Style::Anthropic => {
            let error = MessagesError::new(
                fault.code.status(),
                fault.text(lang).to_owned(),
                Some(fault.code.as_str().to_owned()),
                Some(request_id.to_owned()),
            );
            serde_json::to_vec(&error).unwrap_or_default()
        }
    }
}

/// Writes the fault of a response, where it has one.
pub(crate) fn write(mut response: Response, lang: Lang, style: Style, request_id: &str) -> Response {
    let Some(Unwritten(fault)) = response.extensions_mut().remove() else { return response };
    *response.body_mut() = body(&fault, lang, style, request_id).into();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.tag()));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(after) = fault.retry_after {
        let secs = after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&secs.to_string()) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
    match fault.code {
        Code::MissingKey | Code::InvalidKey => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rixin\""));
        }
        // The rest of the body is not read, so the connection can't be used again.
        Code::BodyTooLarge => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}
