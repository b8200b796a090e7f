//! A response's request as one of chat completions.

use rixin_base::{Code, Fault};
use rixin_protocol::{
    chat::{
        ChatMessage, ChatRequest, Content, FunctionCall, FunctionDef, FunctionName, JsonSchema, NamedChoice,
        Part, ResponseFormat, Role, StreamOptions, Tool, ToolCall, ToolChoice as ChatToolChoice,
    },
    responses::{Input, Item, ResponsesRequest, TextFormat, ToolChoice, ToolDef},
};
use serde_json::{Value, json};

/// The items of the request itself.
pub(super) fn own_items(request: &ResponsesRequest) -> Vec<Item> {
    let mut items = match &request.input {
        None => Vec::new(),
        Some(Input::Text(text)) => {
            let part =
                Part { kind: "input_text".into(), text: Some(text.clone()), rest: serde_json::Map::new() };
            vec![Item {
                role: Some(Role::User),
                content: Some(Content::Parts(vec![part])),
                ..Item::default()
            }]
        }
        Some(Input::Items(items)) => items.clone(),
    };
    for item in &mut items {
        item.kind.get_or_insert_with(|| "message".into());
        item.id.get_or_insert_with(|| super::answer::new_id("msg"));
    }
    items
}

fn unsupported(param: &str, what: &str) -> Fault {
    Fault::new(
        Code::Unsupported,
        format!("'{param}' is wrong: {what:?} is not supported here"),
        format!("'{param}' 有误：此处不支持 {what:?}"),
    )
    .with_param(param)
}

fn missing(param: String) -> Fault {
    Fault::new(Code::MissingField, format!("the field '{param}' is missing"), format!("缺少字段 '{param}'"))
        .with_param(param)
}

/// The whole request: instructions, what went before, the own items, and how to answer.
///
/// # Errors
/// An item, a tool or a part of a kind that can't be translated.
pub(super) fn chat(request: &ResponsesRequest, history: &[Item], own: &[Item]) -> Result<ChatRequest, Fault> {
    let mut messages = Vec::new();
    if let Some(instructions) = &request.instructions {
        messages.push(ChatMessage::new(Role::System, instructions));
    }
    for item in history {
        add(&mut messages, item, "previous_response_id")?;
    }
    for (i, item) in own.iter().enumerate() {
        add(&mut messages, item, &format!("input[{i}]"))?;
    }
    let tools = request
        .tools
        .iter()
        .flatten()
        .enumerate()
        .map(|(i, def)| tool(i, def))
        .collect::<Result<Vec<_>, _>>()?;
    let chat = ChatRequest {
        model: request.model.clone(),
        messages,
        stream: request.stream,
        stream_options: (request.stream == Some(true)).then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: request.max_output_tokens,
        sampling: request.sampling.clone(),
        tools: (!tools.is_empty()).then_some(tools),
        tool_choice: request.tool_choice.as_ref().map(choice),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: request.text.as_ref().and_then(|text| text.format.as_ref()).map(format),
        truncation: request.truncation,
        chat_template_kwargs: request.chat_template_kwargs.clone(),
        user: request.user.clone(),
        ..ChatRequest::default()
    };
    chat.check()?;
    Ok(chat)
}

fn add(messages: &mut Vec<ChatMessage>, item: &Item, param: &str) -> Result<(), Fault> {
    match item.kind.as_deref().unwrap_or("message") {
        "message" => {
            let role = item.role.ok_or_else(|| missing(format!("{param}.role")))?;
            let content = item.content.as_ref().ok_or_else(|| missing(format!("{param}.content")))?;
            messages.push(ChatMessage {
                role,
                content: Some(parts(content, param)?),
                ..ChatMessage::default()
            });
        }
        "function_call" => {
            let field = |value: &Option<String>, name: &str| {
                value.clone().ok_or_else(|| missing(format!("{param}.{name}")))
            };
            let call = ToolCall {
                index: None,
                id: Some(field(&item.call_id, "call_id")?),
                kind: Some("function".into()),
                function: FunctionCall {
                    name: Some(field(&item.name, "name")?),
                    arguments: field(&item.arguments, "arguments")?,
                },
            };
            // Calls of one turn are items of their own here and one message there.
            match messages.last_mut() {
                Some(last) if last.role == Role::Assistant => {
                    last.tool_calls.get_or_insert_default().push(call)
                }
                _ => messages.push(ChatMessage {
                    role: Role::Assistant,
                    tool_calls: Some(vec![call]),
                    ..ChatMessage::default()
                }),
            }
        }
        "function_call_output" => {
            let output = item.output.as_ref().ok_or_else(|| missing(format!("{param}.output")))?;
            messages.push(ChatMessage {
                role: Role::Tool,
                content: Some(parts(output, param)?),
                tool_call_id: Some(item.call_id.clone().ok_or_else(|| missing(format!("{param}.call_id")))?),
                ..ChatMessage::default()
            });
        }
        // What a model thought in earlier turns is not shown to it again, as its own template would do.
        "reasoning" => {}
        other => return Err(unsupported(&format!("{param}.type"), other)),
    }
    Ok(())
}

/// Texts become one text, as every template takes that; pictures become parts in chat's own words.
fn parts(content: &Content, param: &str) -> Result<Content, Fault> {
    let Content::Parts(list) = content else { return Ok(content.clone()) };
    if let Ok(text) = content.text() {
        return Ok(Content::Text(text));
    }
    let mut out = Vec::with_capacity(list.len());
    for part in list {
        let mut rest = serde_json::Map::new();
        match (part.kind.as_str(), &part.text) {
            ("input_text" | "output_text" | "text", Some(text)) => {
                out.push(Part { kind: "text".into(), text: Some(text.clone()), rest });
            }
            ("refusal", _) => {
                let text = part.rest.get("refusal").and_then(Value::as_str).unwrap_or_default().to_owned();
                out.push(Part { kind: "text".into(), text: Some(text), rest });
            }
            ("input_image", _) => {
                let url = part
                    .rest
                    .get("image_url")
                    .cloned()
                    .ok_or_else(|| missing(format!("{param}.image_url")))?;
                rest.insert("image_url".into(), json!({"url": url}));
                out.push(Part { kind: "image_url".into(), text: None, rest });
            }
            (other, _) => return Err(unsupported(&format!("{param}.content"), other)),
        }
    }
    Ok(Content::Parts(out))
}

fn tool(i: usize, def: &ToolDef) -> Result<Tool, Fault> {
    if def.kind != "function" {
        return Err(unsupported(&format!("tools[{i}].type"), &def.kind));
    }
    let name = def.name.clone().ok_or_else(|| missing(format!("tools[{i}].name")))?;
    let (description, parameters, strict) = (def.description.clone(), def.parameters.clone(), def.strict);
    Ok(Tool { kind: "function".into(), function: FunctionDef { name, description, parameters, strict } })
}

fn choice(choice: &ToolChoice) -> ChatToolChoice {
    match choice {
        ToolChoice::Mode(mode) => ChatToolChoice::Mode(*mode),
        ToolChoice::Function(named) => ChatToolChoice::Function(NamedChoice {
            kind: "function".into(),
            function: FunctionName { name: named.name.clone() },
        }),
    }
}

fn format(format: &TextFormat) -> ResponseFormat {
    match format {
        TextFormat::Text => ResponseFormat::Text,
        TextFormat::JsonObject => ResponseFormat::JsonObject { schema: None },
        TextFormat::JsonSchema { name, schema, description, strict } => ResponseFormat::JsonSchema {
            json_schema: JsonSchema {
                name: name.clone(),
                schema: Some(schema.clone()),
                strict: *strict,
                description: description.clone(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(request: Value) -> Value {
        let request: ResponsesRequest = serde_json::from_value(request).expect("a request");
        let own = own_items(&request);
        serde_json::to_value(chat(&request, &[], &own).expect("translates")).expect("JSON")
    }

    #[test]
    fn a_tool_turn() {
        let chat = translated(json!({
            "model": "m", "instructions": "brief", "tool_choice": {"type": "function", "name": "f"},
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}],
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "天气"}]},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "晴"},
            ],
            "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}}, "max_output_tokens": 9
        }));
        insta::assert_json_snapshot!(chat);
    }

    #[test]
    fn what_can_not_be_done_is_named() {
        for (request, param) in [
            (json!({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}), "input[0].type"),
            (json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]}), "tools[0].type"),
            (
                json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file"}]}]}),
                "input[0].content",
            ),
            (json!({"model": "m", "input": [{"role": "user"}]}), "input[0].content"),
        ] {
            let request: ResponsesRequest = serde_json::from_value(request).expect("a request");
            let fault = chat(&request, &[], &own_items(&request)).expect_err("not possible");
            assert_eq!(fault.param.as_deref(), Some(param));
        }
    }
}
