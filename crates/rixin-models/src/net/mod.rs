//! Requests to hubs: retries with back-off, rate limits, redirects followed by hand so that a token never leaves its own hub.
//!
//! Knows HTTP as a client, no hub's layout and no files.

mod answer;
mod refusal;
mod tuning;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rand::RngExt;
use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use rixin_base::{Cancel, Message};
use url::Url;

pub use answer::Answer;
pub(crate) use refusal::refusal;
pub use tuning::Tuning;

use crate::source::SourceError;

/// The most redirects that one request follows.
const MAX_REDIRECTS: usize = 8;

/// How a hub wants its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStyle {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Bearer` and ModelScope's session cookie.
    BearerAndCookie,
}

/// A hub: its name for people, its address, and the token that only it may see.
#[derive(Clone)]
pub struct Hub {
    /// The name.
    pub name: &'static str,
    /// The address, with a path that ends in `/`.
    pub endpoint: Url,
    /// The setting that holds its token.
    pub token_setting: &'static str,
    token: Option<Vec<(HeaderName, HeaderValue)>>,
}

impl Hub {
    /// A hub at an address from the settings.
    ///
    /// # Errors
    /// The address is no http or https address, or the token has characters that no header may have.
    pub fn new(
        name: &'static str,
        endpoint: &str,
        token: Option<&str>,
        style: TokenStyle,
        token_setting: &'static str,
    ) -> Result<Self, SourceError> {
        let wrong = |what: &str, en: &str, zh: &str| SourceError::BadUri {
            text: what.to_owned(),
            why: Message::new(en, zh),
            form: "https://host".into(),
        };
        let mut url = Url::parse(endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| wrong(endpoint, "it is no http(s) address", "不是 http(s) 地址"))?;
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        let secret = |text: String| {
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| wrong(token_setting, "the token has invalid characters", "令牌含有无效字符"))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let token = match token {
            None => None,
            Some(token) => {
                let mut headers = vec![(AUTHORIZATION, secret(format!("Bearer {token}"))?)];
                if style == TokenStyle::BearerAndCookie {
                    headers.push((COOKIE, secret(format!("m_session_id={token}"))?));
                }
                Some(headers)
            }
        };
        Ok(Self { name, endpoint: url, token_setting, token })
    }

    /// Whether a token is set.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// An address on this hub: segments are percent-encoded.
    pub fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments.iter().flat_map(|piece| piece.split('/')));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({} at {})", self.name, self.endpoint)
    }
}

/// The client of all hubs; clones of the reference share its connections and what it knows about rate limits.
pub struct Net {
    client: reqwest::Client,
    /// Times and sizes.
    pub tuning: Tuning,
    /// Hosts that asked to wait, and until when.
    held: Mutex<HashMap<String, Instant>>,
}

impl Net {
    /// A client.
    ///
    /// # Errors
    /// The system's certificates can't be read.
    pub fn new(tuning: Tuning) -> Result<Self, SourceError> {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(tuning.connect_timeout)
            // One connection a range: HTTP/2 would put all ranges on one TCP stream and its congestion window.
            .http1_only()
            .build()
            .map_err(|error| SourceError::Unreachable { host: "TLS".into(), why: reason(&error) })?;
        Ok(Self { client, tuning, held: Mutex::default() })
    }

    /// Gets an address of a hub, following redirects; the token goes with requests to the hub's own origin alone.
    /// Broken connections, 408, 429 and 5xx are tried again; every other answer is given back as it is.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`], [`SourceError::Busy`], [`SourceError::BadAnswer`] after the last try, [`SourceError::Cancelled`].
    pub async fn get(
        &self,
        hub: &Hub,
        url: &Url,
        headers: &HeaderMap,
        cancel: &Cancel,
    ) -> Result<Answer, SourceError> {
        let mut tries = 0;
        loop {
            self.wait_while_held(url, cancel).await?;
            let (error, wait) = match self.follow(hub, url, headers, cancel).await {
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                    let wait = answer.retry_after().unwrap_or_else(|| self.backoff(tries));
                    let error = SourceError::Busy { hub: hub.name.to_owned(), wait };
                    if wait > self.tuning.busy_limit {
                        return Err(error);
                    }
                    // Jitter, so that the ranges of a pull do not come back as one herd.
                    let wait = wait + self.jitter(wait);
                    self.hold(&answer.url, wait);
                    self.hold(url, wait);
                    (error, wait)
                }
                Ok(answer)
                    if answer.status.is_server_error() || answer.status == StatusCode::REQUEST_TIMEOUT =>
                {
                    let wait = answer.retry_after().filter(|wait| *wait <= self.tuning.busy_limit);
                    (answer.into_status_error().await, wait.unwrap_or_else(|| self.backoff(tries)))
                }
                Ok(answer) => return Ok(answer),
                Err(error @ SourceError::Unreachable { .. }) => (error, self.backoff(tries)),
                Err(error) => return Err(error),
            };
            tries += 1;
            if tries > self.tuning.retries {
                return Err(error);
            }
            tracing::debug!(%url, %error, tries, "trying again");
            pause(wait, cancel).await?;
        }
    }

    /// One try: the request and its redirects.
    async fn follow(
        &self,
        hub: &Hub,
        start: &Url,
        headers: &HeaderMap,
        cancel: &Cancel,
    ) -> Result<Answer, SourceError> {
        let mut url = start.clone();
        let mut first: Option<HeaderMap> = None;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if url.origin() == hub.endpoint.origin() {
                for (name, value) in hub.token.iter().flatten() {
                    request = request.header(name, value);
                }
            }
            let host = host(&url);
            let sent = tokio::time::timeout(self.tuning.stall_timeout, request.send());
            let response = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SourceError::Cancelled),
                sent = sent => match sent {
                    Ok(Ok(response)) => response,
                    Ok(Err(error)) => return Err(SourceError::Unreachable { host, why: reason(&error) }),
                    Err(_) => return Err(SourceError::Unreachable { host, why: "no answer in time".into() }),
                },
            };
            let status = response.status();
            let target = response.headers().get(LOCATION).filter(|_| status.is_redirection());
            let Some(target) = target else {
                return Ok(Answer::new(response, url, first));
            };
            let next = target.to_str().ok().and_then(|target| url.join(target).ok());
            let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
            let Some(next) = next else {
                return Err(SourceError::answer(&host, url.path(), "a redirect to nowhere", "无效的重定向"));
            };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(SourceError::answer(
                    &host,
                    url.path(),
                    "a redirect from https to http, which is refused",
                    "从 https 到 http 的重定向（已拒绝）",
                ));
            }
            first.get_or_insert_with(|| response.headers().clone());
            url = next;
        }
        Err(SourceError::answer(&host(&url), start.path(), "endless redirects", "无尽的重定向"))
    }

    /// Exponential, with full jitter over its upper half.
    pub(crate) fn backoff(&self, tries: u32) -> Duration {
        let full = self.tuning.backoff.saturating_mul(1 << tries.min(10)).min(self.tuning.backoff_limit);
        full / 2 + self.jitter(full * 5)
    }

    /// Up to a tenth.
    fn jitter(&self, of: Duration) -> Duration {
        of.mul_f64(rand::rng().random_range(0.0..0.1))
    }

    fn hold(&self, url: &Url, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held = self.held.lock();
        let entry = held.entry(host(url)).or_insert(until);
        *entry = (*entry).max(until);
    }

    async fn wait_while_held(&self, url: &Url, cancel: &Cancel) -> Result<(), SourceError> {
        let until = self.held.lock().get(&host(url)).copied();
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) => pause(wait, cancel).await,
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("tuning", &self.tuning).finish_non_exhaustive()
    }
}

/// Waits, unless cancelled.
pub(crate) async fn pause(wait: Duration, cancel: &Cancel) -> Result<(), SourceError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(SourceError::Cancelled),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

/// Host and port, for messages and for the table of held hosts.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The innermost reason of a failed request, without its address: signed addresses are secrets.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    if std::ptr::addr_eq(source, error) {
        return if error.is_timeout() { "timed out".into() } else { "the connection failed".into() };
    }
    source.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_addresses_are_encoded_and_keep_a_mirrors_path() {
        let hub =
            Hub::new("x", "https://mirror.example/hf", None, TokenStyle::Bearer, "hf_token").expect("valid");
        let url = hub.url(&["a/b", "resolve", "refs/pr/1", "x y#1?.gguf"], &[("q", "1&2")]);
        assert_eq!(url.as_str(), "https://mirror.example/hf/a/b/resolve/refs/pr/1/x%20y%231%3F.gguf?q=1%262");
    }

    #[test]
    fn a_hub_is_an_http_address() {
        for bad in ["", "huggingface.co", "ftp://x", "https://"] {
            assert!(Hub::new("x", bad, None, TokenStyle::Bearer, "hf_token").is_err(), "{bad}");
        }
        assert!(Hub::new("x", "https://h", Some("a\nb"), TokenStyle::Bearer, "hf_token").is_err());
        let hub = Hub::new("x", "https://h", Some("secret"), TokenStyle::Bearer, "hf_token").expect("valid");
        assert!(!format!("{hub:?}").contains("secret"));
    }
}
