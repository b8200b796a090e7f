//! Messages, and how they are fitted to what a template can take.

use serde_json::{Map, Value as Json, json};

use super::Caps;
use crate::tools;

/// A call that the assistant made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// The function.
    pub name: String,
    /// Its arguments, as JSON text.
    pub arguments: String,
}

/// A turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said; empty where it was calls alone.
    pub content: String,
    /// The assistant's calls.
    pub calls: Vec<Call>,
    /// The call that a `tool` message answers.
    pub call_id: Option<String>,
    /// Who speaks, or the function that a `tool` message comes from.
    pub name: Option<String>,
    /// What the assistant thought.
    pub reasoning: Option<String>,
}

impl Message {
    /// A plain message.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), ..Self::default() }
    }
}

/// The messages as the template takes them: roles that it lacks become ones that it has, and nothing that was said is lost.
pub(super) fn fit(messages: &[Message], caps: &Caps) -> Vec<Json> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    for (i, message) in messages.iter().enumerate() {
        let mut message = message.clone();
        if message.role == "developer" && !caps.developer {
            message.role = "system".into();
        }
        if message.role == "tool" && message.name.is_none() {
            message.name = name_of_call(&messages[..i], message.call_id.as_deref());
        }
        if !caps.tool_calls && !message.calls.is_empty() {
            message.content = tools::calls_as_text(&message.content, &std::mem::take(&mut message.calls));
        }
        if !caps.tool_role && message.role == "tool" {
            message = Message::new("user", tools::result_as_text(message.name.as_deref(), &message.content));
        }
        out.push(message);
    }
    if !caps.system {
        out = without_system(out);
    }
    if caps.alternates {
        out = alternate(out);
    }
    out.iter().map(|message| to_json(message, caps)).collect()
}

fn name_of_call(before: &[Message], id: Option<&str>) -> Option<String> {
    let id = id?;
    before.iter().rev().flat_map(|m| &m.calls).find(|call| call.id == id).map(|call| call.name.clone())
}

/// The system's words go in front of the next user's.
fn without_system(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut held = String::new();
    for mut message in messages {
        if message.role == "system" {
            join(&mut held, &message.content);
            continue;
        }
        if message.role == "user" && !held.is_empty() {
            let mut content = std::mem::take(&mut held);
            join(&mut content, &message.content);
            message.content = content;
        }
        out.push(message);
    }
    if !held.is_empty() {
        out.push(Message::new("user", held));
    }
    out
}

/// For templates that insist on user, assistant, user, ...: a system message that comes later speaks as the user, and neighbours of
/// one role become one.
fn alternate(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    for mut message in messages {
        if message.role == "system" && out.iter().any(|m| m.role != "system") {
            message.role = "user".into();
        }
        match out.last_mut() {
            Some(last) if last.role == message.role && last.role != "tool" => {
                join(&mut last.content, &message.content);
                last.calls.append(&mut message.calls);
            }
            _ => out.push(message),
        }
    }
    out
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

fn to_json(message: &Message, caps: &Caps) -> Json {
    let mut out = Map::new();
    out.insert("role".into(), message.role.as_str().into());
    let content = if message.content.is_empty() && !message.calls.is_empty() && caps.null_content {
        Json::Null
    } else if caps.typed_content {
        json!([{"type": "text", "text": message.content}])
    } else {
        message.content.as_str().into()
    };
    out.insert("content".into(), content);
    if let Some(reasoning) = &message.reasoning {
        out.insert("reasoning_content".into(), reasoning.as_str().into());
    }
    if !message.calls.is_empty() {
        let calls: Vec<Json> = message.calls.iter().map(|call| call_json(call, caps)).collect();
        out.insert("tool_calls".into(), calls.into());
    }
    if let Some(id) = &message.call_id {
        out.insert("tool_call_id".into(), call_id(id, caps).into());
    }
    if let Some(name) = &message.name {
        out.insert("name".into(), name.as_str().into());
    }
    out.into()
}

fn call_json(call: &Call, caps: &Caps) -> Json {
    let arguments = if caps.object_arguments {
        match serde_json::from_str::<Json>(&call.arguments) {
            Ok(value @ Json::Object(_)) => value,
            _ if call.arguments.trim().is_empty() => json!({}),
            _ => call.arguments.as_str().into(),
        }
    } else {
        call.arguments.as_str().into()
    };
    json!({
        "id": call_id(&call.id, caps),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

/// Mistral's templates insist on ids of nine letters and digits.
fn call_id(id: &str, caps: &Caps) -> String {
    let fits = id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !caps.short_ids || fits {
        return id.to_owned();
    }
    // FNV-1a: the same id must give the same text in the call and in its result.
    let hash =
        id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    tools::short_id(hash)
}
