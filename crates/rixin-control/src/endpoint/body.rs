//! The body of an answer: passed on as it comes; an end before its time is an error that says what happened to the replica.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    remote::Remote,
    unix::{Connection, Local},
};
use crate::{Error, lease::Hold};

/// The body of a replica's answer. While it lives, its lease counts; dropping it before its end cancels the request.
pub struct UpstreamBody {
    source: Source,
    hold: Option<Hold>,
}

enum Source {
    Local {
        body: Incoming,
        connection: Option<Connection>,
        local: Arc<Local>,
    },
    Remote {
        body: reqwest::Body,
        remote: Arc<Remote>,
    },
    /// The connection broke; the supervisor is about to know why.
    Broken(Pin<Box<dyn Future<Output = Error> + Send>>),
    Ended,
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamBody")
    }
}

impl UpstreamBody {
    pub(super) fn local(body: Incoming, connection: Connection, local: Arc<Local>) -> Self {
        let mut this =
            Self { source: Source::Local { body, connection: Some(connection), local }, hold: None };
        this.give_back();
        this
    }

    pub(super) fn remote(body: reqwest::Body, remote: Arc<Remote>) -> Self {
        Self { source: Source::Remote { body, remote }, hold: None }
    }

    /// Keeps the lease counted for as long as the body lives.
    pub(crate) fn holding(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }

    /// The connection of a body that has been read to its end can carry the next request.
    fn give_back(&mut self) {
        if let Source::Local { body, connection, local } = &mut self.source
            && body.is_end_stream()
            && let Some(connection) = connection.take()
        {
            local.keep(connection);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            match &mut this.source {
                Source::Local { body, connection, local } => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        this.give_back();
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    None => {
                        if let Some(connection) = connection.take() {
                            local.keep(connection);
                        }
                        this.source = Source::Ended;
                        this.hold = None;
                    }
                    Some(Err(error)) => {
                        let local = local.clone();
                        this.source = Source::Broken(Box::pin(async move { local.lost(&error).await }));
                    }
                },
                Source::Remote { body, remote } => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                    None => {
                        this.source = Source::Ended;
                        this.hold = None;
                    }
                    Some(Err(error)) => {
                        let error = remote.broken(&error);
                        this.source = Source::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Source::Broken(reason) => {
                    let error = ready!(reason.as_mut().poll(cx));
                    this.source = Source::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                Source::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Local { body, .. } => body.is_end_stream(),
            Source::Remote { body, .. } => body.is_end_stream(),
            Source::Broken(_) => false,
            Source::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Local { body, .. } => body.size_hint(),
            Source::Remote { body, .. } => body.size_hint(),
            Source::Broken(_) => SizeHint::new(),
            Source::Ended => SizeHint::with_exact(0),
        }
    }
}
