//! Bodies and queries, with limits and with errors in our own shape.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request::Parts};
use http_body_util::BodyExt as _;
use rixin_base::{Code, Fault, bytes_text};
use serde::de::DeserializeOwned;

use crate::{AppState, error::ApiError};

/// The longest pause between two pieces of a body.
const PIECE_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time that a whole body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// A JSON body as it came.
pub(crate) struct Raw(pub Bytes);

impl FromRequest<AppState> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let limit = state.settings.body_limit.0;
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        if length > limit {
            return Err(ApiError(too_large(limit)));
        }
        match tokio::time::timeout(BODY_TIMEOUT, read(body, length, limit)).await {
            Ok(bytes) => bytes.map(Self).map_err(ApiError),
            Err(_) => Err(ApiError(too_slow(BODY_TIMEOUT))),
        }
    }
}

async fn read(mut body: Body, length: u64, limit: u64) -> Result<Bytes, Fault> {
    // A length is only a promise: memory grows with what really comes.
    let mut whole = BytesMut::with_capacity(length.min(64 << 10) as usize);
    loop {
        let frame =
            tokio::time::timeout(PIECE_TIMEOUT, body.frame()).await.map_err(|_| too_slow(PIECE_TIMEOUT))?;
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let frame = frame.map_err(|error| {
            Fault::new(
                Code::Cancelled,
                format!("the body broke off: {error}"),
                format!("请求体传输中断：{error}"),
            )
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if (whole.len() + data.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        if whole.is_empty() && data.len() as u64 == length {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
}

/// `application/json` and `+json`; an absent type too, as no browser sends a body across sites without one.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let given = value.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError(Fault::new(
        Code::UnsupportedMediaType,
        format!("the body is sent as {given:?}: send JSON with 'Content-Type: application/json'"),
        format!("请求体类型为 {given:?}：请以 'Content-Type: application/json' 发送 JSON"),
    )))
}

fn too_large(limit: u64) -> Fault {
    let limit = bytes_text(limit);
    Fault::new(
        Code::BodyTooLarge,
        format!("the body is over the limit of {limit}: send less, or raise RIXIN_BODY_LIMIT"),
        format!("请求体超过 {limit} 的上限：请减小，或调高 RIXIN_BODY_LIMIT"),
    )
}

fn too_slow(limit: Duration) -> Fault {
    let secs = limit.as_secs();
    Fault::new(
        Code::DeadlineExceeded,
        format!("the body did not arrive within {secs} s: send it faster"),
        format!("请求体未在 {secs} 秒内到达：请加快发送"),
    )
}

/// A JSON body of a type.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let Raw(bytes) = Raw::from_request(request, state).await?;
        Ok(Self(rixin_protocol::parse::body(&bytes)?))
    }
}

/// The query of a type.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|error| {
            let why = error.body_text();
            let why = why.strip_prefix("Failed to deserialize query string: ").unwrap_or(&why).to_owned();
            let (name, why) =
                why.split_once(": ").map_or((None, why.as_str()), |(name, why)| (Some(name), why));
            let shown = name.unwrap_or("query");
            let mut fault = Fault::new(
                Code::InvalidValue,
                format!("'{shown}' is wrong: {why}"),
                format!("'{shown}' 有误：{why}"),
            );
            fault.param = name.map(str::to_owned);
            ApiError(fault)
        })
    }
}
