//! The answer of chat completions as a message of Anthropic's protocol.

use rixin_protocol::{
    anthropic::{Block, MessagesResponse, MessagesUsage},
    chat::ChatMessage,
    usage::Usage,
};
use serde_json::{Map, Value};

/// An id that no other thing has.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// Tokens from the prefix cache are among the input: Anthropic tells them apart because it bills them apart, and a client that
/// adds the three figures must not count them twice.
pub(super) fn usage(usage: Usage) -> MessagesUsage {
    MessagesUsage {
        input_tokens: usage.prompt_tokens,
        output_tokens: usage.completion_tokens,
        ..MessagesUsage::default()
    }
}

/// Anthropic's word for the end of an answer.
pub(super) fn stop_reason(reason: Option<&str>) -> &'static str {
    match reason {
        Some("length") => "max_tokens",
        Some("tool_calls" | "function_call") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

/// Arguments as an object; what an engine wrote and is none stays visible under one name.
pub(super) fn arguments(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        _ if text.trim().is_empty() => Map::new(),
        _ => [("_raw".to_owned(), Value::String(text.to_owned()))].into_iter().collect(),
    }
}

/// The blocks of a whole answer.
pub(super) fn blocks(message: &ChatMessage) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(thought) = message.reasoning_content.as_ref().filter(|text| !text.is_empty()) {
        blocks.push(Block {
            kind: "thinking".into(),
            thinking: Some(thought.clone()),
            signature: Some(String::new()),
            ..Block::default()
        });
    }
    let text = message.content.as_ref().and_then(|content| content.text().ok()).unwrap_or_default();
    if !text.is_empty() {
        blocks.push(Block::text(text));
    }
    for call in message.tool_calls.iter().flatten() {
        blocks.push(Block {
            kind: "tool_use".into(),
            id: Some(call.id.clone().unwrap_or_else(|| new_id("toolu"))),
            name: call.function.name.clone(),
            input: Some(arguments(&call.function.arguments)),
            ..Block::default()
        });
    }
    blocks
}

/// The message.
pub(super) fn message(
    model: &str,
    content: Vec<Block>,
    reason: Option<&str>,
    counted: Usage,
) -> MessagesResponse {
    MessagesResponse {
        id: new_id("msg"),
        kind: "message".into(),
        role: "assistant".into(),
        model: model.to_owned(),
        content,
        stop_reason: reason.map(|reason| stop_reason(Some(reason)).to_owned()),
        stop_sequence: None,
        usage: usage(counted),
    }
}
