//! Models are asked through the gateway, as any client does; the attempt's token says on whose behalf.

use std::time::Duration;

use bytes::Bytes;
use rixin_base::{Cancel, Code, Fault};
use serde_json::Value;

use crate::work::{Failure, Outcome};

/// The longest answer that is read.
const ANSWER_MOST: usize = 64 << 20;
/// How often an answer that promises another one is asked for again.
const TRIES: u32 = 6;
/// How long a gateway that does not answer is waited for: it may be starting again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a quota's renewal is waited for, which is a batch's window.
const RENEWAL: Duration = Duration::from_secs(86_400);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An answer of the gateway, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub request_id: String,
    /// JSON; an object with `error` where the answer was none.
    pub body: Value,
}

/// The gateway's address and the right to ask it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway {
    client: reqwest::Client,
    base: String,
    token: String,
}

enum Try {
    Answer(Answer),
    /// Ask again after this pause at the earliest.
    Again(Option<Duration>, Answer),
    Unreachable(String),
}

impl Gateway {
    pub fn new(base: &str, token: &str) -> Result<Self, Fault> {
        let client = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(Fault::internal)?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// Asks a route. A busy or starting gateway is asked again; what it says for good is given back, whatever its status.
    ///
    /// # Errors
    /// It does not answer for two minutes, does not accept the token, or the job was cancelled.
    pub async fn post(&self, path: &str, body: &Value, cancel: &Cancel) -> Outcome<Answer> {
        let begun = tokio::time::Instant::now();
        let (mut tries, mut pause) = (0, FIRST_PAUSE);
        loop {
            let attempt = tokio::select! {
                () = cancel.cancelled() => return Err(Failure::cancelled()),
                attempt = self.ask(path, body) => attempt,
            };
            let wait = match attempt {
                Try::Answer(answer) if answer.status == 401 => {
                    // the token works exactly as long as the attempt is the latest
                    return Err(Failure::GivenUp);
                }
                Try::Answer(answer) => return Ok(answer),
                Try::Again(after, answer) => {
                    tries += 1;
                    // a full queue is no fault of the line
                    let patient = answer.status == 429 && begun.elapsed() < 10 * PATIENCE;
                    match quota(&answer, after) {
                        // It renews in time: the job waits, and asks now and then, as somebody may raise it.
                        Some(Some(renews)) if begun.elapsed() + renews <= RENEWAL => {}
                        // It does not: the line says so.
                        Some(_) => return Ok(answer),
                        None if tries >= TRIES && !patient => return Ok(answer),
                        None => {}
                    }
                    after.unwrap_or(pause).min(6 * LONGEST_PAUSE)
                }
                Try::Unreachable(why) => {
                    if begun.elapsed() > PATIENCE {
                        return Err(Failure::unavailable(Fault::new(
                            Code::BadUpstream,
                            format!(
                                "the gateway {} did not answer for {} s: {why}",
                                self.base,
                                PATIENCE.as_secs()
                            ),
                            format!("网关 {} 在 {} 秒内没有响应：{why}", self.base, PATIENCE.as_secs()),
                        )));
                    }
                    pause
                }
            };
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = cancel.cancelled() => return Err(Failure::cancelled()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn ask(&self, path: &str, body: &Value) -> Try {
        let sent =
            self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body).send().await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return Try::Unreachable(told(&error)),
        };
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let request_id = header("x-request-id").unwrap_or_default().to_owned();
        let after = header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_MOST => {
                    bytes.extend_from_slice(&chunk)
                }
                Ok(Some(_)) => return Try::Unreachable("its answer is over 64 MiB".into()),
                Ok(None) => break,
                Err(error) => return Try::Unreachable(told(&error)),
            }
        }
        let body = read(&Bytes::from(bytes));
        let answer = Answer { status, request_id, body };
        match status {
            // a replica that died, or one that could not be started just now
            429 | 500 | 502 | 503 | 504 => Try::Again(after, answer),
            _ => Try::Answer(answer),
        }
    }
}

/// Whether a quota refused it; then when that renews, if ever.
fn quota(answer: &Answer, after: Option<Duration>) -> Option<Option<Duration>> {
    let code = answer.body["error"]["code"].as_str();
    let quota = [Code::QuotaExceeded.as_str(), Code::RateLimited.as_str()];
    (answer.status == 429 && code.is_some_and(|code| quota.contains(&code))).then_some(after)
}

fn read(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let text: String = String::from_utf8_lossy(bytes).chars().take(500).collect();
        serde_json::json!({ "error": { "message": text, "code": Code::BadUpstream.as_str() } })
    })
}

fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}
