//! Where the state of a prompt may be cached: requests that begin alike get the same number and so, if they can, the same replica.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rixin_protocol::{
    chat::{ChatMessage, ChatRequest, Content, Role},
    completion::Prompt,
};

/// As much of a text as is looked at.
const PREFIX: usize = 512;

fn head(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(PREFIX)]
}

fn add(hasher: &mut DefaultHasher, message: &ChatMessage) {
    message.role.hash(hasher);
    match &message.content {
        Some(Content::Text(text)) => head(text).hash(hasher),
        Some(Content::Parts(parts)) => {
            for text in parts.iter().filter_map(|part| part.text.as_deref()) {
                head(text).hash(hasher);
            }
        }
        None => {}
    }
}

/// Over the messages up to the first one of the user: all turns of a conversation have them in common.
pub(crate) fn of_chat(request: &ChatRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in &request.messages {
        add(&mut hasher, message);
        if message.role == Role::User {
            break;
        }
    }
    hasher.finish()
}

/// Over the start of the first prompt.
pub(crate) fn of_prompt(prompt: &Prompt) -> u64 {
    let mut hasher = DefaultHasher::new();
    match prompt {
        Prompt::Text(text) => head(text).hash(&mut hasher),
        Prompt::Texts(texts) => texts.first().map_or(&[][..], |text| head(text)).hash(&mut hasher),
        Prompt::Tokens(tokens) => tokens[..tokens.len().min(PREFIX)].hash(&mut hasher),
        Prompt::TokenLists(lists) => {
            let tokens = lists.first().map_or(&[][..], Vec::as_slice);
            tokens[..tokens.len().min(PREFIX)].hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_of_a_conversation_go_together() {
        let turn = |texts: &[(Role, &str)]| ChatRequest {
            messages: texts.iter().map(|(role, text)| ChatMessage::new(*role, *text)).collect(),
            ..ChatRequest::default()
        };
        let first = turn(&[(Role::System, "s"), (Role::User, "你好")]);
        let second =
            turn(&[(Role::System, "s"), (Role::User, "你好"), (Role::Assistant, "a"), (Role::User, "b")]);
        let other = turn(&[(Role::System, "s"), (Role::User, "再见")]);
        assert_eq!(of_chat(&first), of_chat(&second));
        assert_ne!(of_chat(&first), of_chat(&other));
    }
}
