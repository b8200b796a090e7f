//! An answer: its status, the headers of the first hop and the last, and a body that is read with limits.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use rixin_base::Cancel;
use serde::de::DeserializeOwned;
use url::Url;

use super::{host, reason};
use crate::source::SourceError;

/// The largest body that is not a file.
const MAX_TEXT: usize = 64 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status of the last hop.
    pub status: StatusCode,
    /// The address of the last hop.
    pub url: Url,
    /// Headers of the last hop.
    pub headers: HeaderMap,
    /// Headers of the first hop where there were redirects: a hub says there what the storage behind it does not know.
    pub first: Option<HeaderMap>,
    response: reqwest::Response,
}

impl Answer {
    pub(super) fn new(response: reqwest::Response, url: Url, first: Option<HeaderMap>) -> Self {
        Self { status: response.status(), url, headers: response.headers().clone(), first, response }
    }

    /// A header of the last hop, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header of the hub itself, as text.
    pub fn hub_header(&self, name: &str) -> Option<&str> {
        self.first.as_ref().unwrap_or(&self.headers).get(name)?.to_str().ok()
    }

    /// The body's length, where it is told.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Whether a person was meant to read it: a login page, a captive portal, an error page.
    pub fn is_web_page(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// When to come back: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), else the reset of `RateLimit`.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Some(text) = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) {
            if let Ok(secs) = text.trim().parse::<u64>() {
                return Some(Duration::from_secs(secs));
            }
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            return Some(date.duration_since(SystemTime::now()).unwrap_or_default());
        }
        let limit = self.header("ratelimit")?;
        let reset = limit.split(';').find_map(|part| part.trim().strip_prefix("t="))?;
        reset.parse().ok().map(Duration::from_secs)
    }

    /// The next bytes of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        let host = host(&self.url);
        self.response.chunk().await.map_err(|error| SourceError::Unreachable { host, why: reason(&error) })
    }

    /// The whole body, at most 64 MiB.
    ///
    /// # Errors
    /// A longer or broken one; [`SourceError::Cancelled`].
    pub async fn bytes(mut self, stall: Duration, cancel: &Cancel) -> Result<Vec<u8>, SourceError> {
        let host = host(&self.url);
        let path = self.url.path().to_owned();
        let mut body = Vec::new();
        loop {
            let chunk = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SourceError::Cancelled),
                chunk = tokio::time::timeout(stall, self.chunk()) => match chunk {
                    Ok(chunk) => chunk?,
                    Err(_) => return Err(SourceError::Stalled { host, file: path, after: stall }),
                },
            };
            let Some(chunk) = chunk else { return Ok(body) };
            if body.len() + chunk.len() > MAX_TEXT {
                return Err(SourceError::answer(
                    &host,
                    &path,
                    "more than 64 MiB of text",
                    "超过 64 MiB 的文本",
                ));
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is not the JSON that was expected.
    pub async fn json<T: DeserializeOwned>(self, stall: Duration, cancel: &Cancel) -> Result<T, SourceError> {
        let (host, path, page) = (host(&self.url), self.url.path().to_owned(), self.is_web_page());
        let body = self.bytes(stall, cancel).await?;
        serde_json::from_slice(&body).map_err(|error| {
            if page {
                SourceError::answer(
                    &host,
                    &path,
                    "a web page instead of JSON: a login page or a proxy stands in between",
                    "网页而不是 JSON：中间可能有登录页或代理",
                )
            } else {
                SourceError::answer(
                    &host,
                    &path,
                    format!("JSON that can't be used: {error}"),
                    format!("无法使用的 JSON：{error}"),
                )
            }
        })
    }

    /// The error of a status that is no success, with the server's own words where it has some.
    pub async fn into_status_error(self) -> SourceError {
        let (host, path, status) = (host(&self.url), self.url.path().to_owned(), self.status);
        let page = self.is_web_page();
        let told = self.hub_header("x-error-message").map(str::to_owned);
        let body = match told {
            Some(told) => told,
            None if page => String::new(),
            None => {
                let body = self.bytes(Duration::from_secs(5), &Cancel::new()).await.unwrap_or_default();
                words(&body)
            }
        };
        let text = if body.is_empty() { status.to_string() } else { format!("{status}: {body}") };
        SourceError::answer(&host, &path, text.clone(), text)
    }
}

/// What an error body says: `error`, `message` or `Message` of a JSON object, else the start of the text.
fn words(body: &[u8]) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|value| {
        ["error", "message", "Message"].iter().find_map(|key| value.get(key)?.as_str().map(str::to_owned))
    });
    let text = said.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect::<String>().trim().to_owned()
}
