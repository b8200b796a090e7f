//! A conversation as a Markdown document.

use std::{collections::HashMap, fmt::Write as _};

use rixin_base::{Lang, MessageId};

use crate::{Conversation, Message, MessageRole};

/// The branch of the head, as Markdown; the JSON form holds all branches.
pub fn markdown(conversation: &Conversation, messages: &[Message], lang: Lang) -> String {
    let mut text = String::new();
    let title =
        if conversation.title.is_empty() { lang.pick("Conversation", "会话") } else { &conversation.title };
    // Writing to a String can't fail.
    let _ = writeln!(text, "# {title}\n\n{}{}", lang.pick("Model: ", "模型："), conversation.model);
    if let Some(system) = &conversation.system {
        let _ = writeln!(text, "\n## {}\n\n{}", lang.pick("System prompt", "系统提示"), system.trim_end());
    }
    for message in branch(conversation.head_id, messages) {
        let who = match message.role {
            MessageRole::System => lang.pick("System", "系统"),
            MessageRole::User => lang.pick("User", "用户"),
            MessageRole::Assistant => lang.pick("Assistant", "助手"),
            MessageRole::Tool => lang.pick("Tool", "工具"),
        };
        let _ = writeln!(text, "\n## {who}\n\n{}", message.content.trim_end());
    }
    text
}

/// From the first message to the head; without a head the newest message is it.
fn branch(head: Option<MessageId>, messages: &[Message]) -> Vec<&Message> {
    let by_id: HashMap<MessageId, &Message> = messages.iter().map(|message| (message.id, message)).collect();
    let mut path = Vec::new();
    let mut at = head.and_then(|id| by_id.get(&id).copied()).or(messages.last());
    while let Some(message) = at {
        path.push(message);
        at =
            message.parent_id.and_then(|id| by_id.get(&id).copied()).filter(|_| path.len() <= messages.len());
    }
    path.reverse();
    path
}
