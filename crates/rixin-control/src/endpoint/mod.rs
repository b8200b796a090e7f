//! Requests to replicas: over pooled connections on a unix socket for our own, over http or https for engines elsewhere.
//!
//! Nothing is sent twice: a request goes to another connection only where not a byte of it had left.

mod body;
mod remote;
mod unix;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

pub use body::UpstreamBody;
pub(crate) use remote::{Remote, good_name, is_this_machine, parse_base};
pub(crate) use unix::Local;

use crate::Result;

/// Where the requests of a lease go.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// A replica of ours.
    Local(Arc<Local>),
    /// An engine elsewhere, and the name that the model has there.
    Remote(Arc<Remote>, Arc<str>),
    /// A replica of ours on a cluster's node.
    Cluster(Arc<Remote>, Arc<str>),
}

impl Endpoint {
    /// Sends a request; its path is OpenAI's, such as `/v1/chat/completions`.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<UpstreamBody>> {
        match self {
            Endpoint::Local(local) => local.send(request).await,
            Endpoint::Remote(remote, name) | Endpoint::Cluster(remote, name) => remote.send(request, name).await,
        }
    }
}
