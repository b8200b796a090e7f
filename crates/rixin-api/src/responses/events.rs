//! Chunks of chat completions as events of a response. An item opens with its first piece and closes when another begins.

use bytes::Bytes;
use rixin_base::{Fault, Lang};
use rixin_protocol::{
    chat::{ChatChunk, ToolCall},
    error::ErrorBody,
    responses::{Item, ResponseObject},
    sse,
    usage::Usage,
};
use serde_json::{Value, json};

use super::answer::{call_item, finish, message_item, new_id, reasoning_item, text_part, to_value};

/// The item that is being written.
enum Open {
    Reasoning { id: String, text: String },
    Message { id: String, text: String },
    Call { id: String, call_id: String, name: String, arguments: String, index: u32 },
}

/// The translator of one answer.
pub(super) struct Events {
    object: ResponseObject,
    items: Vec<Item>,
    open: Option<Open>,
    reason: Option<String>,
    sequence: u64,
    out: Vec<Bytes>,
}

impl Events {
    /// Begins with `response.created`.
    pub fn new(object: ResponseObject) -> Self {
        let mut events =
            Self { object, items: Vec::new(), open: None, reason: None, sequence: 0, out: Vec::new() };
        let response = to_value(&events.object);
        events.emit("response.created", json!({"response": response}));
        events.emit("response.in_progress", json!({"response": response}));
        events
    }

    /// The events since the last call.
    pub fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.out)
    }

    fn emit(&mut self, kind: &str, mut fields: Value) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        if let (Some(event), Some(fields)) = (event.as_object_mut(), fields.as_object_mut()) {
            event.append(fields);
        }
        self.sequence += 1;
        self.out.push(sse::event(kind, &event.to_string()));
    }

    /// The place of the open item.
    fn place(&self) -> usize {
        self.items.len()
    }

    fn added(&mut self, item: &Item) {
        let place = self.place();
        self.emit("response.output_item.added", json!({"output_index": place, "item": item}));
    }

    fn begin_reasoning(&mut self) {
        self.close("completed");
        let id = new_id("rs");
        self.added(&reasoning_item(id.clone(), None, "in_progress"));
        let part = json!({"type": "reasoning_text", "text": ""});
        let place = self.place();
        self.emit(
            "response.content_part.added",
            json!({"item_id": id, "output_index": place, "content_index": 0, "part": part}),
        );
        self.open = Some(Open::Reasoning { id, text: String::new() });
    }

    fn begin_message(&mut self) {
        self.close("completed");
        let id = new_id("msg");
        self.added(&message_item(id.clone(), None, "in_progress"));
        let place = self.place();
        self.emit(
            "response.content_part.added",
            json!({"item_id": id, "output_index": place, "content_index": 0, "part": text_part("")}),
        );
        self.open = Some(Open::Message { id, text: String::new() });
    }

    /// Takes a chunk.
    pub fn push(&mut self, chunk: &ChatChunk) {
        let Some(choice) = chunk.choices.first() else { return };
        if let Some(piece) = choice.delta.reasoning_content.as_deref().filter(|text| !text.is_empty()) {
            if !matches!(self.open, Some(Open::Reasoning { .. })) {
                self.begin_reasoning();
            }
            self.text("response.reasoning_text.delta", piece, json!({}));
        }
        if let Some(piece) = choice.delta.content.as_deref().filter(|text| !text.is_empty()) {
            if !matches!(self.open, Some(Open::Message { .. })) {
                self.begin_message();
            }
            self.text("response.output_text.delta", piece, json!({"logprobs": []}));
        }
        for call in choice.delta.tool_calls.iter().flatten() {
            self.call(call);
        }
        if let Some(reason) = &choice.finish_reason {
            self.reason = Some(reason.clone());
        }
    }

    fn text(&mut self, kind: &str, piece: &str, mut more: Value) {
        let place = self.place();
        let Some(Open::Reasoning { id, text } | Open::Message { id, text }) = &mut self.open else { return };
        text.push_str(piece);
        let mut fields = json!({"item_id": id, "output_index": place, "content_index": 0, "delta": piece});
        if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object_mut()) {
            fields.append(more);
        }
        self.emit(kind, fields);
    }

    fn call(&mut self, call: &ToolCall) {
        let at = call.index.unwrap_or(0);
        let same = matches!(&self.open, Some(Open::Call { index, .. }) if *index == at && call.id.is_none());
        if !same {
            self.close("completed");
            let id = new_id("fc");
            let call_id = call.id.clone().unwrap_or_else(|| new_id("call"));
            let name = call.function.name.clone().unwrap_or_default();
            self.added(&call_item(id.clone(), &call_id, &name, "", "in_progress"));
            self.open = Some(Open::Call { id, call_id, name, arguments: String::new(), index: at });
        }
        let place = self.place();
        let Some(Open::Call { id, arguments, .. }) = &mut self.open else { return };
        let piece = &call.function.arguments;
        if !piece.is_empty() {
            arguments.push_str(piece);
            let fields = json!({"item_id": id, "output_index": place, "delta": piece});
            self.emit("response.function_call_arguments.delta", fields);
        }
    }

    /// Closes the open item.
    fn close(&mut self, status: &str) {
        let place = self.place();
        let Some(open) = self.open.take() else { return };
        let item = match open {
            Open::Reasoning { id, text } => {
                let part = json!({"type": "reasoning_text", "text": text});
                self.emit(
                    "response.reasoning_text.done",
                    json!({"item_id": id, "output_index": place, "content_index": 0, "text": text}),
                );
                self.emit(
                    "response.content_part.done",
                    json!({"item_id": id, "output_index": place, "content_index": 0, "part": part}),
                );
                reasoning_item(id, Some(&text), status)
            }
            Open::Message { id, text } => {
                self.emit(
                    "response.output_text.done",
                    json!({"item_id": id, "output_index": place, "content_index": 0, "text": text, "logprobs": []}),
                );
                self.emit(
                    "response.content_part.done",
                    json!({"item_id": id, "output_index": place, "content_index": 0, "part": text_part(&text)}),
                );
                message_item(id, Some(&text), status)
            }
            Open::Call { id, call_id, name, arguments, .. } => {
                self.emit(
                    "response.function_call_arguments.done",
                    json!({"item_id": id, "output_index": place, "name": name, "arguments": arguments}),
                );
                call_item(id, &call_id, &name, &arguments, status)
            }
        };
        self.emit("response.output_item.done", json!({"output_index": place, "item": item}));
        self.items.push(item);
    }

    /// Closes what is open, so that the object is whole; the last event comes with [`Events::last`].
    pub fn end(&mut self, usage: Usage) -> &ResponseObject {
        let reason = self.reason.take();
        if self.open.is_none() && self.items.is_empty() {
            self.begin_message();
        }
        self.close(if reason.as_deref() == Some("length") { "incomplete" } else { "completed" });
        let items = std::mem::take(&mut self.items);
        finish(&mut self.object, items, reason.as_deref(), Some(usage));
        &self.object
    }

    /// `response.completed` or `response.incomplete`.
    pub fn last(&mut self) {
        let kind = format!("response.{}", self.object.status);
        let response = to_value(&self.object);
        self.emit(&kind, json!({"response": response}));
    }

    /// The end of an answer that broke off: `error`, then `response.failed`.
    pub fn fail(&mut self, fault: &Fault, lang: Lang) {
        let error = ErrorBody::new(fault, lang).error;
        self.emit("error", json!({"code": error.code, "message": error.message, "param": error.param}));
        // What was said until then is worth keeping, and says itself that it is not whole.
        if let Some(open) = self.open.take() {
            self.items.push(match open {
                Open::Reasoning { id, text } => reasoning_item(id, Some(&text), "incomplete"),
                Open::Message { id, text } => message_item(id, Some(&text), "incomplete"),
                Open::Call { id, call_id, name, arguments, .. } => {
                    call_item(id, &call_id, &name, &arguments, "incomplete")
                }
            });
        }
        self.object.output = std::mem::take(&mut self.items);
        self.object.status = "failed".into();
        self.object.error = Some(error);
        let response = to_value(&self.object);
        self.emit("response.failed", json!({"response": response}));
    }
}
