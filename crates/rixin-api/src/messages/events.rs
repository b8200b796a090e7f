//! Chunks of chat completions as events of Anthropic's protocol. A block opens with its first piece and closes when another begins.

use bytes::Bytes;
use rixin_base::{Fault, Lang};
use rixin_protocol::{
    anthropic::MessagesError,
    chat::{ChatChunk, ToolCall},
    sse,
    usage::Usage,
};
use serde_json::{Value, json};

use super::answer::{message, new_id, stop_reason, usage};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    Tool(u32),
}

/// The translator of one answer.
pub(super) struct Events {
    open: Option<Open>,
    blocks: usize,
    reason: Option<String>,
    out: Vec<Bytes>,
}

impl Events {
    /// Begins with `message_start`. Engines count the prompt at the end, so its figure comes with `message_delta`.
    pub fn new(model: &str) -> Self {
        let mut events = Self { open: None, blocks: 0, reason: None, out: Vec::new() };
        let message = message(model, Vec::new(), None, Usage::default());
        events.emit("message_start", &json!({"type": "message_start", "message": message}));
        events
    }

    /// The events since the last call.
    pub fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.out)
    }

    fn emit(&mut self, kind: &str, event: &Value) {
        self.out.push(sse::event(kind, &event.to_string()));
    }

    fn begin(&mut self, open: Open, block: &Value) {
        self.close();
        self.open = Some(open);
        let event = json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        self.emit("content_block_start", &event);
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            if open == Open::Thinking {
                self.delta(&json!({"type": "signature_delta", "signature": ""}));
            }
            self.emit("content_block_stop", &json!({"type": "content_block_stop", "index": self.blocks}));
            self.blocks += 1;
        }
    }

    fn delta(&mut self, delta: &Value) {
        let event = json!({"type": "content_block_delta", "index": self.blocks, "delta": delta});
        self.emit("content_block_delta", &event);
    }

    /// Takes a chunk.
    pub fn push(&mut self, chunk: &ChatChunk) {
        let Some(choice) = chunk.choices.first() else { return };
        if let Some(piece) = choice.delta.reasoning_content.as_deref().filter(|text| !text.is_empty()) {
            if self.open != Some(Open::Thinking) {
                self.begin(Open::Thinking, &json!({"type": "thinking", "thinking": "", "signature": ""}));
            }
            self.delta(&json!({"type": "thinking_delta", "thinking": piece}));
        }
        if let Some(piece) = choice.delta.content.as_deref().filter(|text| !text.is_empty()) {
            if self.open != Some(Open::Text) {
                self.begin(Open::Text, &json!({"type": "text", "text": ""}));
            }
            self.delta(&json!({"type": "text_delta", "text": piece}));
        }
        for call in choice.delta.tool_calls.iter().flatten() {
            self.call(call);
        }
        if let Some(reason) = &choice.finish_reason {
            self.reason = Some(reason.clone());
        }
    }

    fn call(&mut self, call: &ToolCall) {
        let at = call.index.unwrap_or(0);
        if self.open != Some(Open::Tool(at)) || call.id.is_some() {
            let id = call.id.clone().unwrap_or_else(|| new_id("toolu"));
            let name = call.function.name.clone().unwrap_or_default();
            self.begin(Open::Tool(at), &json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
        }
        let piece = &call.function.arguments;
        if !piece.is_empty() {
            self.delta(&json!({"type": "input_json_delta", "partial_json": piece}));
        }
    }

    /// The end of a whole answer.
    pub fn end(&mut self, counted: Usage) {
        self.close();
        let reason = stop_reason(self.reason.as_deref());
        let event = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": usage(counted),
        });
        self.emit("message_delta", &event);
        self.emit("message_stop", &json!({"type": "message_stop"}));
    }

    /// The end of an answer that broke off.
    pub fn fail(&mut self, fault: &Fault, lang: Lang, request_id: &str) {
        let (status, text) = (fault.code.status(), fault.text(lang).to_owned());
        let code = Some(fault.code.as_str().to_owned());
        let error = MessagesError::new(status, text, code, Some(request_id.to_owned()));
        self.emit("error", &serde_json::to_value(error).unwrap_or(Value::Null));
    }
}
