//! A request of Anthropic's protocol as one of chat completions.

use rixin_base::{Code, Fault};
use rixin_protocol::{
    anthropic::{Block, Blocks, InputMessage, InputRole, MessagesRequest, ToolChoice, ToolDef},
    chat::{
        ChatMessage, ChatRequest, Content, FunctionCall, FunctionDef, FunctionName, JsonSchema, NamedChoice,
        Part, ResponseFormat, Role, SamplingFields, Stop, StreamOptions, Tool, ToolCall,
        ToolChoice as ChatToolChoice, ToolMode,
    },
};
use serde_json::{Map, Value, json};

fn unsupported(param: &str, what: &str) -> Fault {
    Fault::new(
        Code::Unsupported,
        format!("'{param}' is wrong: {what:?} is not supported here"),
        format!("'{param}' 有误：此处不支持 {what:?}"),
    )
    .with_param(param)
}

fn missing(param: &str) -> Fault {
    Fault::new(Code::MissingField, format!("the field '{param}' is missing"), format!("缺少字段 '{param}'"))
        .with_param(param)
}

/// The whole request.
///
/// # Errors
/// A block or a tool of a kind that can't be translated.
pub(super) fn chat(request: &MessagesRequest) -> Result<ChatRequest, Fault> {
    let mut messages = Vec::new();
    if let Some(system) = &request.system {
        messages.push(ChatMessage::new(Role::System, texts(system, "system")?));
    }
    for (i, message) in request.messages.iter().enumerate() {
        add(&mut messages, message, &format!("messages[{i}].content"))?;
    }
    let tools = request
        .tools
        .iter()
        .flatten()
        .enumerate()
        .map(|(i, def)| tool(i, def))
        .collect::<Result<Vec<_>, _>>()?;
    let choice = request.tool_choice.as_ref();
    let format = request.output_config.as_ref().and_then(|config| config.format.as_ref());
    let format = format.map(|format| ResponseFormat::JsonSchema {
        json_schema: JsonSchema {
            name: "output".into(),
            schema: Some(format.schema.clone()),
            strict: Some(true),
            description: None,
        },
    });
    let thinking = request.thinking.as_ref().map(|thinking| {
        [("enable_thinking".to_owned(), Value::Bool(thinking.kind != "disabled"))].into_iter().collect()
    });
    let stop = request.stop_sequences.clone().filter(|list| !list.is_empty());
    let chat = ChatRequest {
        model: request.model.clone(),
        messages,
        stream: request.stream,
        stream_options: (request.stream == Some(true)).then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: Some(request.max_tokens),
        sampling: SamplingFields {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            ..SamplingFields::default()
        },
        stop: stop.map(Stop::Many),
        tools: (!tools.is_empty()).then_some(tools),
        tool_choice: choice.map(tool_choice).transpose()?,
        parallel_tool_calls: choice.and_then(|choice| choice.disable_parallel_tool_use).map(|off| !off),
        response_format: format,
        chat_template_kwargs: thinking,
        ..ChatRequest::default()
    };
    chat.check()?;
    Ok(chat)
}

fn texts(blocks: &Blocks, param: &str) -> Result<String, Fault> {
    match blocks {
        Blocks::Text(text) => Ok(text.clone()),
        Blocks::List(list) => {
            let texts = list.iter().map(|block| match (block.kind.as_str(), &block.text) {
                ("text", Some(text)) => Ok(text.as_str()),
                (kind, _) => Err(unsupported(param, kind)),
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
    }
}

/// One message may become several: a tool's results stand beside the text in one user message here, and are messages of their
/// own there.
fn add(messages: &mut Vec<ChatMessage>, message: &InputMessage, param: &str) -> Result<(), Fault> {
    let role = match message.role {
        InputRole::User => Role::User,
        InputRole::Assistant => Role::Assistant,
        InputRole::System => Role::System,
    };
    let list = match &message.content {
        Blocks::Text(text) => {
            messages.push(ChatMessage::new(role, text));
            return Ok(());
        }
        Blocks::List(list) => list,
    };
    let (mut parts, mut calls, mut thought) = (Vec::new(), Vec::new(), String::new());
    for (i, block) in list.iter().enumerate() {
        let param = format!("{param}[{i}]");
        match block.kind.as_str() {
            "text" => {
                parts.push(text_part(block.text.as_ref().ok_or_else(|| missing(&format!("{param}.text")))?))
            }
            "image" => parts.push(image(block, &param)?),
            "tool_use" => calls.push(call(block, &param)?),
            "tool_result" => messages.push(ChatMessage {
                role: Role::Tool,
                content: Some(Content::Text(result(block, &param)?)),
                tool_call_id: Some(
                    block.tool_use_id.clone().ok_or_else(|| missing(&format!("{param}.tool_use_id")))?,
                ),
                ..ChatMessage::default()
            }),
            "thinking" => thought.push_str(block.thinking.as_deref().unwrap_or_default()),
            // Sealed by another engine; only that one could read it.
            "redacted_thinking" => {}
            other => return Err(unsupported(&format!("{param}.type"), other)),
        }
    }
    if parts.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let only_text = parts.iter().all(|part| part.kind == "text");
    let content = match only_text {
        true => Content::Text(parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n")),
        false => Content::Parts(parts),
    };
    let empty = matches!(&content, Content::Text(text) if text.is_empty());
    messages.push(ChatMessage {
        role,
        content: (!empty || calls.is_empty()).then_some(content),
        tool_calls: (!calls.is_empty()).then_some(calls),
        reasoning_content: (!thought.is_empty()).then_some(thought),
        ..ChatMessage::default()
    });
    Ok(())
}

fn text_part(text: &str) -> Part {
    Part { kind: "text".into(), text: Some(text.to_owned()), rest: Map::new() }
}

fn image(block: &Block, param: &str) -> Result<Part, Fault> {
    let source = block.source.as_ref().ok_or_else(|| missing(&format!("{param}.source")))?;
    let url = match (source.kind.as_str(), &source.url, &source.media_type, &source.data) {
        ("url", Some(url), ..) => url.clone(),
        ("base64", _, Some(media_type), Some(data)) => format!("data:{media_type};base64,{data}"),
        (kind, ..) => return Err(unsupported(&format!("{param}.source"), kind)),
    };
    let mut rest = Map::new();
    rest.insert("image_url".into(), json!({"url": url}));
    Ok(Part { kind: "image_url".into(), text: None, rest })
}

fn call(block: &Block, param: &str) -> Result<ToolCall, Fault> {
    let field =
        |value: &Option<String>, name: &str| value.clone().ok_or_else(|| missing(&format!("{param}.{name}")));
    let input = block.input.clone().unwrap_or_default();
    Ok(ToolCall {
        index: None,
        id: Some(field(&block.id, "id")?),
        kind: Some("function".into()),
        function: FunctionCall {
            name: Some(field(&block.name, "name")?),
            arguments: Value::Object(input).to_string(),
        },
    })
}

fn result(block: &Block, param: &str) -> Result<String, Fault> {
    let text = match &block.content {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            let blocks: Blocks = serde_json::from_value(other.clone())
                .map_err(|_| unsupported(&format!("{param}.content"), "content"))?;
            texts(&blocks, &format!("{param}.content"))?
        }
    };
    Ok(if block.is_error == Some(true) { format!("Error: {text}") } else { text })
}

fn tool(i: usize, def: &ToolDef) -> Result<Tool, Fault> {
    if let Some(kind) = def.kind.as_deref().filter(|kind| *kind != "custom") {
        return Err(unsupported(&format!("tools[{i}].type"), kind));
    }
    let parameters = def.input_schema.clone().ok_or_else(|| missing(&format!("tools[{i}].input_schema")))?;
    Ok(Tool {
        kind: "function".into(),
        function: FunctionDef {
            name: def.name.clone(),
            description: def.description.clone(),
            parameters: Some(parameters),
            strict: None,
        },
    })
}

fn tool_choice(choice: &ToolChoice) -> Result<ChatToolChoice, Fault> {
    Ok(match choice.kind.as_str() {
        "auto" => ChatToolChoice::Mode(ToolMode::Auto),
        "any" => ChatToolChoice::Mode(ToolMode::Required),
        "none" => ChatToolChoice::Mode(ToolMode::None),
        "tool" => ChatToolChoice::Function(NamedChoice {
            kind: "function".into(),
            function: FunctionName { name: choice.name.clone().ok_or_else(|| missing("tool_choice.name"))? },
        }),
        other => return Err(unsupported("tool_choice.type", other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_turn() {
        let request: MessagesRequest = serde_json::from_value(json!({
            "model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "简短", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "stop_sequences": ["x"], "thinking": {"type": "disabled"},
            "messages": [
                {"role": "user", "content": "天气"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "看看"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "北京"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "21"}], "is_error": true},
                    {"type": "text", "text": "然后？"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]}
            ]
        }))
        .expect("a request");
        insta::assert_json_snapshot!(chat(&request).expect("translates"));
    }

    #[test]
    fn what_can_not_be_done_is_named() {
        for (messages, param) in [
            (json!([{"role": "user", "content": [{"type": "document"}]}]), "messages[0].content[0].type"),
            (
                json!([{"role": "user", "content": [{"type": "tool_result"}]}]),
                "messages[0].content[0].tool_use_id",
            ),
            (
                json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "x"}]}]),
                "messages[0].content[0].name",
            ),
        ] {
            let request = json!({"model": "m", "max_tokens": 1, "messages": messages});
            let request: MessagesRequest = serde_json::from_value(request).expect("a request");
            assert_eq!(chat(&request).expect_err("not possible").param.as_deref(), Some(param));
        }
    }
}
