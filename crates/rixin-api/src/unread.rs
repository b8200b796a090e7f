//! What a request still sends after its answer is known.
//!
//! A refusal (no such key, no such model) can be ready before the body is. HTTP/1.1 then leaves two honest ways: take the rest
//! of the body, so that the connection can carry the next request, or say `Connection: close`. Closing without a word makes
//! a client with a connection pool lose the request that it sends next.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// The most that is taken of a body that nobody wants.
const MOST: u64 = 256 << 10;
/// The longest wait for it.
const WAIT: Duration = Duration::from_secs(1);

/// A request's body that stays at hand when its reader lets go of it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    pub fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    fn body(&self) -> std::sync::MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is left of a small body, or says in the answer that the connection ends with it.
    pub async fn settle(mut self, asked_first: bool, response: &mut Response<Body>) {
        if self.is_end_stream() || Arc::strong_count(&self.0) > 1 {
            return;
        }
        // A client that waits for `100 Continue` was not told to send: nothing is on its way.
        let small = !asked_first && self.size_hint().lower() <= MOST;
        if !(small && tokio::time::timeout(WAIT, self.drain()).await.unwrap_or(false)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Whether the body came to its end within the limit.
    async fn drain(&mut self) -> bool {
        let mut taken = 0;
        while let Some(frame) = self.frame().await {
            let Ok(frame) = frame else { return false };
            taken += frame.data_ref().map_or(0, |data| data.len() as u64);
            if taken > MOST {
                return false;
            }
        }
        true
    }
}

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
