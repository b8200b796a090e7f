//! What comes back: a stream of text with its tokens, and the end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{Error, Token};

/// A token with its log probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenInfo {
    /// The token.
    pub id: Token,
    /// Its bytes; a character may be spread over several tokens.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability in the model's own distribution, before any filter; only where logprobs were asked for.
    pub logprob: Option<f32>,
    /// The likeliest tokens at this place, likeliest first.
    pub top: Vec<TopToken>,
}

/// An alternative at a place of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TopToken {
    /// The token.
    pub id: Token,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model's end token.
    Stop,
    /// One of the request's stop strings.
    StopString(String),
    /// `max_tokens`, or the end of the context.
    Length,
}

/// How long the parts took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// From the request to its slot.
    pub queued: Duration,
    /// From the slot to the first token.
    pub prompt: Duration,
    /// From the first token to the end.
    pub decode: Duration,
}

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// More of the answer: whole characters alone, and nothing that could be the start of a stop string.
    Text {
        /// The text; may be empty where only `tokens` has news.
        text: String,
        /// The tokens that it was made of; only where logprobs were asked for, else empty.
        tokens: Vec<TokenInfo>,
    },
    /// The end.
    Done {
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt as computed (after truncation).
        prompt_tokens: u32,
        /// Tokens of the answer, the end token included.
        completion_tokens: u32,
        /// Tokens of the prompt that the cache held.
        cached_tokens: u32,
        /// How long the parts took.
        timing: Timing,
    },
}

/// An answer being written. Dropping it gives its slot to the next within one step.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::UnboundedReceiver<Result<Event, Error>>,
    ended: bool,
}

impl Generation {
    pub(crate) fn new(events: mpsc::UnboundedReceiver<Result<Event, Error>>) -> Self {
        Self { events, ended: false }
    }

    /// The next piece; `None` after [`Event::Done`] or an error.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Generation::next`] for callers without an async runtime; must not be called inside one.
    pub fn blocking_next(&mut self) -> Option<Result<Event, Error>> {
        if self.ended {
            return None;
        }
        let event = self.events.blocking_recv();
        self.note(event)
    }

    /// The whole answer as one text, with its end.
    ///
    /// # Errors
    /// Whatever ended the answer early.
    pub async fn collect(mut self) -> Result<(String, Event), Error> {
        let mut whole = String::new();
        while let Some(event) = self.next().await {
            match event? {
                Event::Text { text, .. } => whole.push_str(&text),
                done => return Ok((whole, done)),
            }
        }
        Err(Error::Stopped)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.events.poll_recv(cx).map(|event| self.note(event))
    }

    /// A closed channel without an end means that the owner thread is gone.
    fn note(&mut self, event: Option<Result<Event, Error>>) -> Option<Result<Event, Error>> {
        let event = event.unwrap_or(Err(Error::Stopped));
        self.ended = matches!(event, Err(_) | Ok(Event::Done { .. }));
        Some(event)
    }
}

impl futures::Stream for Generation {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Generation::poll_next(self.get_mut(), cx)
    }
}
