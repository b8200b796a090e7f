//! The stream of an engine as typed chunks, for the protocols that the gateway translates.

use http_body_util::BodyExt as _;
use rixin_base::{Code, Fault};
use rixin_control::{Lease, UpstreamBody};
use rixin_protocol::{
    chat::ChatChunk,
    error::ErrorBody,
    sse::{DONE, Item, Parser},
    usage::Usage,
};
use tokio::time::Instant;

use crate::{
    AppState,
    v1::{Meter, Upstream, cut_short, deadline_passed, going_down},
};

/// Chunks of one answer. Dropping it drops the request at the engine.
pub(crate) struct Chunks {
    state: AppState,
    body: UpstreamBody,
    parser: Parser,
    pub meter: Meter,
    deadline: Instant,
    done: bool,
    _lease: Lease,
}

impl Chunks {
    /// Of an answer whose status was checked.
    pub fn new(state: AppState, upstream: Upstream) -> Self {
        let Upstream { response, lease, meter, deadline } = upstream;
        Self {
            state,
            body: response.into_body(),
            parser: Parser::new(),
            meter,
            deadline,
            done: false,
            _lease: lease,
        }
    }

    /// What the engine counted; zeros where it did not say.
    pub fn usage(&self) -> Usage {
        self.meter.counted().unwrap_or_default()
    }

    /// The next chunk; `Ok(None)` at the end of a whole answer, whose usage is known by then.
    ///
    /// # Errors
    /// The engine's own error, or that the answer broke off.
    pub async fn next(&mut self) -> Result<Option<ChatChunk>, Fault> {
        let chunk = self.read().await;
        match &chunk {
            Ok(Some(_)) => {}
            Ok(None) => self.meter.done(),
            Err(fault) => {
                self.meter.failed();
                tracing::warn!(%fault, model = self.meter.model(), "a stream broke off");
            }
        }
        chunk
    }

    async fn read(&mut self) -> Result<Option<ChatChunk>, Fault> {
        loop {
            while let Some(item) = self.parser.next().map_err(|error| bad_stream(&error.to_string()))? {
                match item {
                    // The usage comment stands behind [DONE]: read on to the end of the body.
                    Item::Event(event) if event.data == DONE => self.done = true,
                    Item::Event(event) => {
                        if let Some(chunk) = self.chunk(&event.data)? {
                            return Ok(Some(chunk));
                        }
                    }
                    Item::Comment(comment) => {
                        if let Some(json) = comment.strip_prefix("usage ")
                            && let Ok(usage) = serde_json::from_str(json)
                        {
                            self.meter.usage(usage);
                        }
                    }
                }
            }
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = tokio::time::sleep_until(self.deadline) => return Err(deadline_passed()),
                () = self.state.ending.cancelled() => return Err(going_down()),
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.parser.push(&data);
                    }
                }
                Some(Err(_)) | None if self.done => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(cut_short()),
            }
        }
    }

    fn chunk(&mut self, data: &str) -> Result<Option<ChatChunk>, Fault> {
        if data.starts_with("{\"error\"")
            && let Ok(body) = serde_json::from_str::<ErrorBody>(data)
        {
            let code = body.error.code.as_deref().and_then(Code::from_word).unwrap_or(Code::BadUpstream);
            return Err(Fault::new(code, body.error.message.clone(), body.error.message));
        }
        let chunk: ChatChunk = serde_json::from_str(data).map_err(|error| bad_stream(&error.to_string()))?;
        if let Some(usage) = chunk.usage {
            self.meter.usage(usage);
        }
        let delta = chunk.choices.first().map(|choice| &choice.delta);
        let text = delta.is_some_and(|delta| {
            delta.tool_calls.is_some()
                || [&delta.content, &delta.reasoning_content]
                    .iter()
                    .any(|text| text.as_ref().is_some_and(|t| !t.is_empty()))
        });
        if text {
            self.meter.piece();
        }
        Ok(Some(chunk))
    }
}

fn bad_stream(why: &str) -> Fault {
    Fault::new(
        Code::BadUpstream,
        format!("the engine's stream can't be read: {why}"),
        format!("无法读取引擎的流：{why}"),
    )
}
