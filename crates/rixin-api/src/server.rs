//! Connections: accepted, timed, counted, drained.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rixin_base::Cancel;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::{AppState, request::Peer, timed_io::TimedIo, unread::Shared};

/// The longest time until a request's head is there, on a fresh connection and between requests on a kept one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that a client may refuse to take bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Where hyper itself stops reading a head; smaller ones over our own limit are refused in our own shape.
const HEAD_BUFFER: usize = 64 << 10;
/// Connections at the same time; fewer where the system's limit of open files is low.
const MAX_CONNECTIONS: usize = 4096;
/// Open files beside connections: databases, logs, listeners.
const OTHER_FILES: u64 = 128;
/// Streams that were told to end have this long to say so.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Samples are sorted into their buckets this often.
const UPKEEP: Duration = Duration::from_secs(15);

/// Serves until `shutdown` fires, then drains: no more connections, running requests get `settings.drain`, and what still
/// streams after that ends with an error event. Replicas and the store are the caller's to close.
///
/// # Errors
/// The listener has no address.
pub async fn serve(state: AppState, listener: TcpListener, shutdown: Cancel) -> io::Result<()> {
    let address = listener.local_addr()?;
    let router = crate::router(state.clone());
    let room = Arc::new(Semaphore::new(max_connections()));
    let connections = TaskTracker::new();
    let upkeep = tokio::spawn(upkeep(state.clone()));
    tracing::info!(%address, "the gateway is ready");
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (router, stopping) = (router.clone(), state.stopping.clone());
        connections.spawn(async move {
            connection(stream, peer, router, stopping).await;
            drop(permit);
        });
    }
    drop(listener);
    state.stopping.cancel();
    connections.close();
    let drain = state.settings.drain;
    if timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), drain_secs = drain.as_secs(), "ending what still streams");
        state.ending.cancel();
        if timeout(LAST_WORDS, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "some clients did not take the end of their streams");
        }
    }
    upkeep.abort();
    Ok(())
}

/// Raises the limit of open files as far as this user may. A request takes two of them: the client's connection and the replica's.
fn max_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = 2 * MAX_CONNECTIONS as u64 + OTHER_FILES;
    let reachable = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let mut files = limit.current.unwrap_or(wanted);
    if files < reachable {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: limit.maximum }) {
            Ok(()) => files = reachable,
            Err(error) => tracing::warn!(%error, files, "the limit of open files could not be raised"),
        }
    }
    let room = usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(MAX_CONNECTIONS);
    room.clamp(16, MAX_CONNECTIONS)
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<Accepted> {
    // Without room new connections wait in the system's queue.
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Out of file descriptors, most likely: some are freed when connections end.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stopping: Cancel) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (head, body) = request.into_parts();
        let asked_first = head.headers.contains_key(http::header::EXPECT);
        let body = Shared::new(body);
        let mut request = http::Request::from_parts(head, Body::new(body.clone()));
        request.extensions_mut().insert(Peer(peer));
        let router = router.clone();
        async move {
            let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            body.settle(asked_first, &mut response).await;
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(TimedIo::new(stream, WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BUFFER)
        .max_headers(256)
        // A client that closes its side is gone: what it asked for is dropped at once.
        .half_close(false)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended");
    }
}

async fn upkeep(state: AppState) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        state.metrics.upkeep();
        if let Some(rate) = &state.rate {
            rate.retain_recent();
        }
    }
}
