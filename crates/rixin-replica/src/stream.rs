//! Event streams: a bounded buffer between an answer and its reader.
//!
//! A reader that does not keep up fills the buffer; then only its own answer's events wait. One that takes nothing for the stall limit
//! loses its slot and finds an error at the end of what it has. Until then the engine writes on: what waits with it is bounded by the
//! limit and by the answer's own length.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use rixin_base::{Code, Fault, Lang};
use rixin_protocol::{
    error::ErrorBody,
    sse::{self, DONE},
    usage::Usage,
};
use tokio::sync::mpsc;

use crate::{choices::Choices, context::RequestContext};

/// What a slow reader is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Events that wait for a reader.
    pub events: usize,
    /// How long a full buffer may stay full.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { events: 64, stall: Duration::from_secs(30) }
    }
}

/// A silent stream shows this often that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// So long a stream's status waits for the first event, so that an error at the start has its own.
const FIRST_EVENT: Duration = Duration::from_secs(5);

type Event = (usize, Result<rixin_chat::Event, Fault>);

/// What turns engine events into the protocol's chunks.
pub(crate) trait Chunks: Send + 'static {
    /// Chunks before the first event.
    fn opening(&mut self) -> Vec<Bytes>;
    /// The chunks of an event of an answer.
    fn event(&mut self, index: usize, event: rixin_chat::Event) -> Result<Vec<Bytes>, Fault>;
    /// The chunk with the usage, where the request asks for one.
    fn usage(&mut self, usage: Usage) -> Option<Bytes>;
}

/// Answers with a stream. An error that comes before anything else is an error of the whole reply.
pub(crate) async fn reply(
    mut choices: Choices,
    mut chunks: impl Chunks,
    context: RequestContext,
    patience: Patience,
) -> Result<Response, Fault> {
    let first = match tokio::time::timeout(FIRST_EVENT, choices.next()).await {
        Ok(Some((_, Err(fault)))) => return Err(fault),
        Ok(first) => Some(first),
        Err(_) => None,
    };
    let (sender, receiver) = mpsc::channel(patience.events);
    let sender = Sender { sender, stall: patience.stall };
    tokio::spawn(async move {
        let lang = context.lang;
        let closed = sender.sender.clone();
        let pump = pump(&mut choices, &mut chunks, first, &sender, context.usage_comment);
        let outcome = tokio::select! {
            outcome = pump => outcome,
            () = closed.closed() => Ok(()),
        };
        // The slots are free before the last words wait for the reader.
        drop(choices);
        if let Err(fault) = outcome {
            tracing::debug!(request = %context.request_id, code = fault.code.as_str(), "a stream ended early");
            let _ = sender.sender.send(error_event(&fault, lang)).await;
        }
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver).map_ok());
    let mut reply = Response::new(body);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(reply)
}

/// `Body::from_stream` wants results.
trait MapOk: futures::Stream<Item = Bytes> + Sized {
    fn map_ok(self) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
        futures::StreamExt::map(self, Ok)
    }
}

impl<S: futures::Stream<Item = Bytes>> MapOk for S {}

async fn pump(
    choices: &mut Choices,
    chunks: &mut impl Chunks,
    first: Option<Option<Event>>,
    sender: &Sender,
    usage_comment: bool,
) -> Result<(), Fault> {
    for chunk in chunks.opening() {
        sender.send(chunk).await?;
    }
    let mut next = first;
    loop {
        let event = match next.take() {
            Some(event) => event,
            None => match tokio::time::timeout(KEEP_ALIVE, choices.next()).await {
                Ok(event) => event,
                Err(_) => {
                    sender.send(sse::comment("working")).await?;
                    continue;
                }
            },
        };
        let Some((index, event)) = event else { break };
        for chunk in chunks.event(index, event?)? {
            sender.send(chunk).await?;
        }
    }
    let usage = choices.usage();
    if let Some(chunk) = chunks.usage(usage) {
        sender.send(chunk).await?;
    }
    if usage_comment && let Ok(json) = serde_json::to_string(&usage) {
        sender.send(sse::comment(&format!("usage {json}"))).await?;
    }
    sender.send(sse::event("", DONE)).await
}

/// The way to the reader.
struct Sender {
    sender: mpsc::Sender<Bytes>,
    stall: Duration,
}

impl Sender {
    async fn send(&self, chunk: Bytes) -> Result<(), Fault> {
        match self.sender.send_timeout(chunk, self.stall).await {
            Ok(()) => Ok(()),
            // Nobody reads on: not worth a word.
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(Fault::new(Code::Cancelled, "the client left", "客户端已断开"))
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                let secs = self.stall.as_secs_f64();
                Err(Fault::new(
                    Code::Cancelled,
                    format!("the answer was stopped: its reader took nothing for {secs} s"),
                    format!("回答已停止：接收方 {secs} 秒内没有读取数据"),
                ))
            }
        }
    }
}

/// A chunk as an event.
pub(crate) fn data<T: serde::Serialize>(value: &T) -> Result<Bytes, Fault> {
    serde_json::to_string(value).map(|json| sse::event("", &json)).map_err(Fault::internal)
}

fn error_event(fault: &Fault, lang: Lang) -> Bytes {
    let json = String::from_utf8(ErrorBody::new(fault, lang).to_json()).unwrap_or_default();
    sse::event("", &json)
}

#[cfg(test)]
mod tests;
