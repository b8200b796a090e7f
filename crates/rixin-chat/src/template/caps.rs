//! What a template can take, found by trying: templates do not say.

use serde_json::{Value as Json, json};

use super::{ChatTemplate, RenderInput};

/// What a template can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// It shows a system message.
    pub system: bool,
    /// It knows the role `developer`.
    pub developer: bool,
    /// Two messages of one role in a row are refused.
    pub alternates: bool,
    /// It shows the tools.
    pub tools: bool,
    /// It shows the assistant's calls.
    pub tool_calls: bool,
    /// It shows results of tools.
    pub tool_role: bool,
    /// Arguments of calls must be objects (else JSON text).
    pub object_arguments: bool,
    /// A message of calls alone has `null` as its content (else an empty text).
    pub null_content: bool,
    /// Ids of calls must have nine letters and digits.
    pub short_ids: bool,
    /// Contents must be lists of parts.
    pub typed_content: bool,
    /// It speaks of `<think>`.
    pub thinks: bool,
}

const NEEDLE: &str = "needle7f3a";

fn user(text: &str) -> Json {
    json!({"role": "user", "content": text})
}

fn calls(content: &Json, arguments: &Json, id: &str) -> Vec<Json> {
    let call =
        json!({"id": id, "type": "function", "function": {"name": "probe_call", "arguments": arguments}});
    vec![user("u"), json!({"role": "assistant", "content": content, "tool_calls": [call]})]
}

impl Caps {
    pub(super) fn probe(template: &ChatTemplate) -> Self {
        let try_out = |messages: &[Json], tools: Option<&[Json]>| {
            template.render(&RenderInput {
                messages,
                tools,
                add_generation_prompt: true,
                ..RenderInput::default()
            })
        };
        let shows = |messages: &[Json], tools: Option<&[Json]>, needle: &str| {
            try_out(messages, tools).is_ok_and(|text| text.contains(needle))
        };
        let source = template.source();
        let typed_content = !shows(&[user(NEEDLE)], None, NEEDLE)
            && shows(&[json!({"role": "user", "content": [{"type": "text", "text": NEEDLE}]})], None, NEEDLE);
        let tool = json!({"type": "function", "function": {"name": NEEDLE, "description": "d",
            "parameters": {"type": "object", "properties": {"a": {"type": "string", "description": "d"}}, "required": ["a"]}}});
        let tools = shows(&[user("u")], Some(std::slice::from_ref(&tool)), NEEDLE);
        let mut caps = Self {
            system: shows(&[json!({"role": "system", "content": NEEDLE}), user("u")], None, NEEDLE)
                || typed_content,
            developer: source.contains("developer"),
            alternates: try_out(&[user("u"), user("v")], None).is_err(),
            tools,
            typed_content,
            thinks: source.contains("<think>") || source.contains("</think>"),
            ..Self::default()
        };
        let object = json!({"probe_key": NEEDLE});
        let text: Json = object.to_string().into();
        // In the order of preference: the first that shows name and arguments, and not as Python's repr or JSON inside JSON.
        for (null_content, object_arguments) in [(true, true), (true, false), (false, true), (false, false)] {
            let content = if null_content { Json::Null } else { "".into() };
            let arguments = if object_arguments { &object } else { &text };
            let shown = try_out(&calls(&content, arguments, "abcdefghi"), None).is_ok_and(|out| {
                ["probe_call", "probe_key", NEEDLE].iter().all(|word| out.contains(word))
                    && !out.contains("'probe_key'")
                    && !out.contains("\\\"probe_key")
            });
            if shown {
                caps.tool_calls = true;
                caps.null_content = null_content;
                caps.object_arguments = object_arguments;
                caps.short_ids = try_out(&calls(&content, arguments, "call_12345678"), None).is_err();
                break;
            }
        }
        let result =
            |id: &str| json!({"role": "tool", "content": NEEDLE, "tool_call_id": id, "name": "probe_call"});
        let mut conversation = calls(
            &if caps.null_content { Json::Null } else { "".into() },
            if caps.object_arguments { &object } else { &text },
            "abcdefghi",
        );
        conversation.push(result("abcdefghi"));
        // ChatML's loop prints any role; only a template that names the role was trained with it.
        caps.tool_role = caps.tool_calls && source.contains("tool") && shows(&conversation, None, NEEDLE);
        caps
    }
}
