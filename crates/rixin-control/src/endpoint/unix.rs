//! The client of our own replicas: HTTP/1.1 on a unix socket, one request at a time on each connection, connections kept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::HOST};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rixin_base::Message;
use tokio::{net::UnixStream, sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::UpstreamBody;
use crate::{Error, Result};

/// Idle connections that are kept.
const MOST_IDLE: usize = 64;
/// How often, and after what time, a full backlog of the replica's socket is tried again.
const BACKLOG_TRIES: u32 = 200;
const BACKLOG_PAUSE: Duration = Duration::from_millis(10);
/// How long a broken connection waits for the supervisor to know why the process ended.
const CAUSE_WAIT: Duration = Duration::from_millis(300);

/// A connection; dropping it closes it at once, whatever is under way.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// A replica of ours.
#[derive(Debug)]
pub(crate) struct Local {
    model: String,
    socket: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// Why its process ended, once it has.
    died: watch::Receiver<Option<Message>>,
}

impl Local {
    /// The client of a socket.
    pub fn new(model: String, socket: PathBuf, died: watch::Receiver<Option<Message>>) -> Self {
        Self { model, socket, idle: Mutex::new(Vec::new()), died }
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn send(self: &Arc<Self>, mut request: Request<Bytes>) -> Result<Response<UpstreamBody>> {
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        let mut request = request.map(Full::new);
        loop {
            let (mut connection, kept) = match self.kept().await {
                Some(connection) => (connection, true),
                None => (self.connect().await?, false),
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| UpstreamBody::local(body, connection, self.clone())));
                }
                Err(mut error) => match error.take_message() {
                    // not a byte has left: a connection that the replica had closed
                    Some(back) if kept => request = back,
                    _ => return Err(self.lost(error.error()).await),
                },
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    /// The error of a broken connection, with the cause if the process has ended.
    pub async fn lost(&self, error: &hyper::Error) -> Error {
        let mut died = self.died.clone();
        let cause = match timeout(CAUSE_WAIT, died.wait_for(Option::is_some)).await {
            Ok(Ok(cause)) => cause.clone(),
            // the supervisor is gone, or the process lives
            _ => None,
        };
        let why = cause.unwrap_or_else(|| {
            Message::new(format!("its connection broke ({error})"), format!("与它的连接中断（{error}）"))
        });
        Error::ReplicaLost { model: self.model.clone(), why }
    }

    /// A kept connection that is still open.
    async fn kept(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().pop()?;
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let mut tries = 0;
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => break stream,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && tries < BACKLOG_TRIES => {
                    tries += 1;
                    tokio::time::sleep(BACKLOG_PAUSE).await;
                }
                Err(error) => return Err(self.unreachable(&error).await),
            }
        };
        let (sender, driver) = match http1::handshake(TokioIo::new(stream)).await {
            Ok(both) => both,
            Err(error) => return Err(self.lost(&error).await),
        };
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to a replica ended");
            }
        }));
        Ok(Connection { sender, _driver: driver })
    }

    async fn unreachable(&self, error: &std::io::Error) -> Error {
        let mut died = self.died.clone();
        let cause = match timeout(CAUSE_WAIT, died.wait_for(Option::is_some)).await {
            Ok(Ok(cause)) => cause.clone(),
            _ => None,
        };
        let why = cause.unwrap_or_else(|| {
            Message::new(
                format!("its socket can't be reached ({error})"),
                format!("无法连接它的套接字（{error}）"),
            )
        });
        Error::ReplicaLost { model: self.model.clone(), why }
    }
}
