//! Answers that pass through: whole ones, streams, and refusals.

use std::convert::Infallible;

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use rixin_base::{Code, Fault};
use rixin_control::UpstreamBody;
use rixin_protocol::{
    error::{ErrorBody, ErrorObject},
    usage::Usage,
};
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    Upstream,
    ask::{cut_short, deadline_passed, going_down},
    filter::Filter,
};
use crate::{AppState, error::ApiError, request::Info};

/// The longest whole answer that is taken from an engine.
const MAX_ANSWER: usize = 256 << 20;
/// The longest error that is taken from one.
const MAX_ERROR: usize = 64 << 10;

#[derive(Deserialize)]
struct Metered {
    #[serde(default)]
    usage: Option<Usage>,
}

/// Reads a body to its end.
async fn collect(
    state: &AppState,
    body: &mut UpstreamBody,
    deadline: Instant,
    limit: usize,
) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = tokio::time::sleep_until(deadline) => return Err(deadline_passed()),
            () = state.ending.cancelled() => return Err(going_down()),
        };
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let Ok(data) = frame?.into_data() else { continue };
        if whole.is_empty() && http_body::Body::is_end_stream(body) {
            return Ok(data);
        }
        if whole.len() + data.len() > limit {
            return Err(bad_upstream("it is too long", "内容过长"));
        }
        whole.extend_from_slice(&data);
    }
}

fn bad_upstream(en: &str, zh: &str) -> Fault {
    Fault::new(
        Code::BadUpstream,
        format!("the engine's answer can't be used: {en}"),
        format!("引擎的回答无法使用：{zh}"),
    )
}

/// The bytes of a whole answer, metered. A refusal becomes an error.
pub(crate) async fn whole(state: &AppState, mut upstream: Upstream) -> Result<(Bytes, Upstream), ApiError> {
    if !upstream.response.status().is_success() {
        return Err(refusal(state, upstream).await);
    }
    match collect(state, upstream.response.body_mut(), upstream.deadline, MAX_ANSWER).await {
        Ok(bytes) => {
            if let Ok(Metered { usage: Some(usage) }) = serde_json::from_slice(&bytes) {
                upstream.meter.usage(usage);
            }
            upstream.meter.done();
            Ok((bytes, upstream))
        }
        Err(fault) => {
            upstream.meter.failed();
            Err(ApiError(fault))
        }
    }
}

/// What an engine refused with, as an error of ours. The engine has worded it in the caller's language.
pub(crate) async fn refusal(state: &AppState, mut upstream: Upstream) -> ApiError {
    upstream.meter.failed();
    let status = upstream.response.status();
    let external = upstream.lease.is_external();
    let after = upstream.response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.parse().ok()).map(std::time::Duration::from_secs);
    let bytes = match collect(state, upstream.response.body_mut(), upstream.deadline, MAX_ERROR).await {
        Ok(bytes) => bytes,
        Err(fault) => return ApiError(fault),
    };
    let error = serde_json::from_slice::<ErrorBody>(&bytes).map(|body| body.error).ok();
    let mut fault = of_object(status, error.unwrap_or_else(|| unknown(status, &bytes)), external);
    fault.retry_after = after;
    ApiError(fault)
}

/// What can be said of an error that is not in OpenAI's shape.
fn unknown(status: StatusCode, bytes: &[u8]) -> ErrorObject {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(300).collect();
    ErrorObject { message: format!("{status} {text}"), kind: String::new(), param: None, code: None }
}

fn of_object(status: StatusCode, error: ErrorObject, external: bool) -> Fault {
    let known = error.code.as_deref().and_then(Code::from_word);
    let code = match known {
        Some(code) if !external || code.status() == status.as_u16() => code,
        _ => match status.as_u16() {
            400 | 422 => Code::InvalidValue,
            404 => Code::ModelNotFound,
            413 => Code::BodyTooLarge,
            429 => Code::QueueFull,
            504 => Code::DeadlineExceeded,
            // Its key is not the caller's: a caller must not look for the mistake there.
            _ => Code::BadUpstream,
        },
    };
    let mut fault = if external && code == Code::BadUpstream {
        let message = &error.message;
        Fault::new(
            code,
            format!("the external engine refused with status {status}: {message}"),
            format!("外部引擎返回错误状态 {status}：{message}"),
        )
    } else {
        Fault::new(code, error.message.clone(), error.message)
    };
    fault.param = error.param;
    fault
}

/// The head of an event stream.
pub(crate) fn sse_response(
    stream: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A proxy in between must not collect events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A whole answer with its bytes as they came.
pub(crate) async fn pass_whole(state: &AppState, upstream: Upstream) -> Result<Response, ApiError> {
    let (bytes, _) = whole(state, upstream).await?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A stream with its events as they came.
pub(crate) async fn pass_stream(
    state: AppState,
    info: Info,
    upstream: Upstream,
    hide_usage_chunk: bool,
) -> Result<Response, ApiError> {
    if !upstream.response.status().is_success() {
        return Err(refusal(&state, upstream).await);
    }
    let Upstream { response, lease, mut meter, deadline } = upstream;
    let mut body = response.into_body();
    let mut filter = Filter::new(hide_usage_chunk);
    let stream = async_stream::stream! {
        let late = tokio::time::sleep_until(deadline);
        tokio::pin!(late);
        let failed = loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                () = &mut late => break Some(deadline_passed()),
                () = state.ending.cancelled() => break Some(going_down()),
            };
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                Some(Err(error)) => break Some(Fault::from(error)),
                None => break (!filter.ended).then(cut_short),
            };
            let Some(passed) = filter.push(data) else {
                break Some(bad_upstream("an event of its stream is too long", "流中的事件过长"));
            };
            if passed.pieces > 0 {
                (0..passed.pieces).for_each(|_| meter.piece());
            }
            if let Some(usage) = filter.usage {
                meter.usage(usage);
            }
            if filter.ended {
                // Whatever happens to the connection now, the client may already be satisfied.
                meter.done();
            }
            if !passed.bytes.is_empty() {
                yield Ok(passed.bytes);
            }
        };
        if let Some(fault) = failed && !filter.ended {
            meter.failed();
            tracing::warn!(%fault, model = meter.model(), "a stream broke off");
            yield Ok(error_event(&fault, &info));
        }
        drop(lease);
    };
    Ok(sse_response(stream))
}

/// The event that tells a client of a broken answer.
fn error_event(fault: &Fault, info: &Info) -> Bytes {
    let body = ErrorBody::new(fault, info.lang).to_json();
    rixin_protocol::sse::event("", &String::from_utf8_lossy(&body))
}
