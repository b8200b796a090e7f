//! The answer of chat completions as a response object.

use rixin_protocol::{
    chat::{ChatMessage, Content, Part, Role, ToolCall, ToolMode, Truncation},
    responses::{
        IncompleteDetails, InputDetails, Item, ResponseObject, ResponseUsage, ResponsesRequest, TextConfig,
        TextFormat, ToolChoice,
    },
    usage::Usage,
};
use serde_json::{Map, Value, json};

/// An id that no other item has.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(rixin_store::now_ms() / 1000).unwrap_or(0)
}

/// The object at its beginning, with what was asked.
pub(super) fn begin(request: &ResponsesRequest, model: &str) -> ResponseObject {
    let text = request.text.clone().unwrap_or_default();
    ResponseObject {
        id: new_id("resp"),
        object: "response".into(),
        created_at: now(),
        status: "in_progress".into(),
        background: false,
        error: None,
        incomplete_details: None,
        instructions: request.instructions.clone(),
        max_output_tokens: request.max_output_tokens,
        model: model.to_owned(),
        output: Vec::new(),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        previous_response_id: request.previous_response_id.clone(),
        reasoning: request.reasoning.clone(),
        store: request.store.unwrap_or(true),
        temperature: request.sampling.temperature,
        text: TextConfig { format: Some(text.format.unwrap_or(TextFormat::Text)) },
        tool_choice: request.tool_choice.clone().unwrap_or(ToolChoice::Mode(ToolMode::Auto)),
        tools: request.tools.clone().unwrap_or_default(),
        top_p: request.sampling.top_p,
        truncation: request.truncation.unwrap_or(Truncation::Disabled),
        usage: None,
        user: request.user.clone(),
        metadata: request.metadata.clone().unwrap_or_default(),
    }
}

/// The object at its end.
pub(super) fn finish(
    object: &mut ResponseObject,
    output: Vec<Item>,
    reason: Option<&str>,
    usage: Option<Usage>,
) {
    object.output = output;
    object.usage = usage.map(|usage| ResponseUsage {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: InputDetails {
            cached_tokens: usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens),
        },
        output_tokens: usage.completion_tokens,
        total_tokens: usage.total_tokens,
        ..ResponseUsage::default()
    });
    if reason == Some("length") {
        object.status = "incomplete".into();
        object.incomplete_details = Some(IncompleteDetails { reason: "max_output_tokens".into() });
    } else {
        object.status = "completed".into();
    }
}

/// A text part of the output.
pub(super) fn text_part(text: &str) -> Part {
    let mut rest = Map::new();
    rest.insert("annotations".into(), json!([]));
    rest.insert("logprobs".into(), json!([]));
    Part { kind: "output_text".into(), text: Some(text.to_owned()), rest }
}

pub(super) fn message_item(id: String, text: Option<&str>, status: &str) -> Item {
    Item {
        kind: Some("message".into()),
        id: Some(id),
        status: Some(status.into()),
        role: Some(Role::Assistant),
        content: Some(Content::Parts(text.map(text_part).into_iter().collect())),
        ..Item::default()
    }
}

pub(super) fn call_item(id: String, call_id: &str, name: &str, arguments: &str, status: &str) -> Item {
    Item {
        kind: Some("function_call".into()),
        id: Some(id),
        status: Some(status.into()),
        call_id: Some(call_id.to_owned()),
        name: Some(name.to_owned()),
        arguments: Some(arguments.to_owned()),
        ..Item::default()
    }
}

pub(super) fn reasoning_item(id: String, text: Option<&str>, status: &str) -> Item {
    let part =
        |text: &str| Part { kind: "reasoning_text".into(), text: Some(text.to_owned()), rest: Map::new() };
    Item {
        kind: Some("reasoning".into()),
        id: Some(id),
        status: Some(status.into()),
        content: Some(Content::Parts(text.map(part).into_iter().collect())),
        summary: Some(Vec::new()),
        ..Item::default()
    }
}

/// The items of a whole answer.
pub(super) fn items(message: &ChatMessage) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(thought) = message.reasoning_content.as_deref().filter(|text| !text.is_empty()) {
        items.push(reasoning_item(new_id("rs"), Some(thought), "completed"));
    }
    let calls: &[ToolCall] = message.tool_calls.as_deref().unwrap_or_default();
    let text = message.content.as_ref().and_then(|content| content.text().ok()).unwrap_or_default();
    if !text.is_empty() || calls.is_empty() {
        items.push(message_item(new_id("msg"), Some(&text), "completed"));
    }
    for call in calls {
        let call_id = call.id.clone().unwrap_or_else(|| new_id("call"));
        let name = call.function.name.as_deref().unwrap_or_default();
        items.push(call_item(new_id("fc"), &call_id, name, &call.function.arguments, "completed"));
    }
    items
}

/// The object's JSON.
pub(super) fn to_value(object: &ResponseObject) -> Value {
    serde_json::to_value(object).unwrap_or(Value::Null)
}
