//! A lease: the right to ask one replica, counted for as long as it or an answer's body lives.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{ACCEPT_LANGUAGE, CONNECTION, TRANSFER_ENCODING, UPGRADE},
};
use rixin_base::Lang;

use crate::{Result, UpstreamBody, endpoint::Endpoint};

/// The count itself: the last clone that is dropped gives the lease back.
#[derive(Clone)]
pub(crate) struct Hold(#[allow(dead_code, reason = "it works by being dropped")] Arc<GiveBack>);

struct GiveBack(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Hold {
    /// Calls `give_back` once, when nothing holds any more.
    pub fn new(give_back: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Arc::new(GiveBack(Some(Box::new(give_back)))))
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}

impl Drop for GiveBack {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

/// The right to send requests to one replica. Its load counts until the lease and the bodies of its answers are dropped.
#[derive(Debug)]
pub struct Lease {
    pub(crate) model: Arc<str>,
    pub(crate) replica: Arc<str>,
    pub(crate) lang: Lang,
    pub(crate) endpoint: Endpoint,
    pub(crate) hold: Hold,
}

impl Lease {
    /// The resolved name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The id of the replica or external engine.
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// Whether an external engine answers.
    pub fn is_external(&self) -> bool {
        matches!(self.endpoint, Endpoint::Remote(..))
    }

    /// Sends a request and waits for the head of the answer. The path is OpenAI's, such as `/v1/chat/completions`.
    ///
    /// To an external engine go its own key instead of the caller's, none of this suite's own headers, and the name that the model
    /// has there.
    ///
    /// # Errors
    /// The replica went away or can't be reached. An answer with an error status is an answer.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<UpstreamBody>> {
        request
            .headers_mut()
            .entry(ACCEPT_LANGUAGE)
            .or_insert_with(|| HeaderValue::from_static(self.lang.tag()));
        let mut response = self.endpoint.send(request).await?;
        // these concern the connection to the replica and not the answer (RFC 9110, 7.6.1)
        for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
            response.headers_mut().remove(name);
        }
        Ok(response.map(|body| body.holding(self.hold.clone())))
    }
}
