//! Asking a replica: the quotas, the lease, the headers that go along, the deadline.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use rixin_base::{Code, Fault};
use rixin_control::{AcquireRequest, Lease, UpstreamBody};
use rixin_protocol::headers;
use rixin_store::{Error, Holder, Reservation};
use tokio::time::Instant;

use super::{meter::Meter, quota::Size};
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
    /// What it may take at most.
    pub size: Size,
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
        let reservation = self.reserve().await?;
        let limit = self.state.settings.request_timeout;
        let asked = self.headers.get(headers::DEADLINE_MS).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let deadline = Instant::from_std(self.info.arrived) + asked.unwrap_or(limit).min(limit);
        let request = AcquireRequest { model: self.model, affinity: self.affinity, lang: self.info.lang };
        let lease = tokio::time::timeout_at(deadline, self.state.control.acquire(&request))
            .await
            .map_err(|_| ApiError(deadline_passed()))??;
        let meter = Meter::new(self.state, self.caller, self.info, self.kind(), lease.model(), reservation);
        Ok(Acquired { lease, meter, deadline })
    }

    /// Sets aside what the request may take; a quota that does not allow it refuses.
    async fn reserve(&self) -> Result<Reservation, ApiError> {
        let holder = Holder::new(&self.caller.scope, None);
        let wants = self.size.wants(self.state.settings.context_length);
        match self.state.store.reserve(&holder, &wants, self.caller.job.is_some()).await {
            Ok((reservation, limits)) => {
                self.info.tell_limits(limits);
                Ok(reservation)
            }
            Err(error) => {
                if let Error::Quota(exceeded) = &error {
                    self.state.metrics.quota_refused(&exceeded.quota);
                    self.info.tell_limits(exceeded.limit().into_iter().collect());
                }
                Err(error.into())
            }
        }
    }

    /// What the ledger calls it.
    fn kind(&self) -> &'static str {
        match self.path {
            "/v1/embeddings" => "embedding",
            "/v1/completions" => "completion",
            _ => "chat",
        }
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
