//! Asking a replica: the rate limit, the lease, the headers that go along, the deadline.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use rixin_base::{Code, Fault};
use rixin_control::{AcquireRequest, Lease, UpstreamBody};
use rixin_protocol::headers;
use tokio::time::Instant;

use super::meter::Meter;
use crate::{AppState, auth::Caller, error::ApiError, request::Info};

/// A request to a replica.
pub(crate) struct Ask<'a> {
    pub state: &'a AppState,
    pub caller: &'a Caller,
    pub info: &'a Info,
    /// OpenAI's path.
    pub path: &'static str,
    /// The model as the caller named it.
    pub model: &'a str,
    pub affinity: Option<u64>,
    /// The caller's headers: a deadline may be among them.
    pub headers: &'a HeaderMap,
}

/// A replica that answers.
pub(crate) struct Upstream {
    pub response: Response<UpstreamBody>,
    pub lease: Lease,
    pub meter: Meter,
    pub deadline: Instant,
}

impl Ask<'_> {
    /// Gets a lease. The body may depend on it, so sending is a second step.
    pub async fn acquire(&self) -> Result<Acquired, ApiError> {
        self.check_rate()?;
        let limit = self.state.settings.request_timeout;
        let asked = self.headers.get(headers::DEADLINE_MS).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let deadline = Instant::from_std(self.info.arrived) + asked.unwrap_or(limit).min(limit);
        let request = AcquireRequest { model: self.model, affinity: self.affinity, lang: self.info.lang };
        let lease = tokio::time::timeout_at(deadline, self.state.control.acquire(&request))
            .await
            .map_err(|_| ApiError(deadline_passed()))??;
        let meter = Meter::new(self.state, self.caller.scope, lease.model(), self.info.arrived);
        Ok(Acquired { lease, meter, deadline })
    }

    fn check_rate(&self) -> Result<(), ApiError> {
        let Some(rate) = &self.state.rate else { return Ok(()) };
        rate.check_key(&self.caller.key_id).map_err(|not_until| {
            use governor::clock::{Clock as _, DefaultClock};
            let after = not_until.wait_time_from(DefaultClock::default().now());
            let limit = self.state.settings.requests_per_minute;
            let secs = after.as_millis().div_ceil(1000).max(1);
            ApiError(
                Fault::new(
                    Code::RateLimited,
                    format!("this key may make {limit} requests a minute: try again in {secs} s"),
                    format!("该密钥每分钟最多 {limit} 个请求：请在 {secs} 秒后重试"),
                )
                .with_retry_after(after),
            )
        })
    }
}

/// A lease and what counts it.
pub(crate) struct Acquired {
    pub lease: Lease,
    meter: Meter,
    deadline: Instant,
}

impl Acquired {
    /// Sends a JSON body and waits for the head of the answer.
    pub async fn send(self, ask: &Ask<'_>, body: Bytes) -> Result<Upstream, ApiError> {
        let Self { lease, mut meter, deadline } = self;
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static(ask.path);
        let map = request.headers_mut();
        map.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        map.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(ask.info.lang.tag()));
        map.insert(headers::USAGE_COMMENT, HeaderValue::from_static("1"));
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        for (name, value) in [
            (headers::FAIRNESS, ask.caller.key_id.to_string()),
            (headers::REQUEST_ID, ask.info.id.to_string()),
            (headers::DEADLINE_MS, left.to_string()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                map.insert(name, value);
            }
        }
        let sent = tokio::select! {
            sent = lease.send(request) => sent.map_err(ApiError::from),
            () = tokio::time::sleep_until(deadline) => Err(ApiError(deadline_passed())),
            () = ask.state.ending.cancelled() => Err(ApiError(going_down())),
        };
        match sent {
            Ok(response) => Ok(Upstream { response, lease, meter, deadline }),
            Err(error) => {
                meter.failed();
                Err(error)
            }
        }
    }
}

/// The deadline's fault.
pub(crate) fn deadline_passed() -> Fault {
    Fault::new(
        Code::DeadlineExceeded,
        "the deadline passed before the answer was done: ask for less, or raise RIXIN_REQUEST_TIMEOUT",
        "回答完成前已超时：请减少请求内容，或调高 RIXIN_REQUEST_TIMEOUT",
    )
}

/// The fault of a stream that outlived the draining.
pub(crate) fn going_down() -> Fault {
    Fault::new(
        Code::ShuttingDown,
        "the server is shutting down: send the request again in a moment",
        "服务器正在关闭：请稍后重新发送请求",
    )
    .with_retry_after(Duration::from_secs(2))
}

/// An answer that ended before its end.
pub(crate) fn cut_short() -> Fault {
    Fault::new(
        Code::ReplicaLost,
        "the answer ended before it was whole: send the request again",
        "回答未完成即中断：请重新发送请求",
    )
}
