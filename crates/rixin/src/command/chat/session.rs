//! A conversation in the terminal: what was said, and how the next answer is drawn.

use std::path::Path;

use rixin_base::{Code, Fault};
use rixin_protocol::{
    chat::{ChatMessage, ChatRequest, Role, SamplingFields, StreamOptions},
    usage::Usage,
};
use serde::{Deserialize, Serialize};

/// The conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The model that answers.
    pub model: String,
    /// Instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// How the next token is drawn.
    #[serde(default)]
    pub sampling: SamplingFields,
    /// Longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What was said, oldest first.
    #[serde(default)]
    pub messages: Vec<ChatMessage>,
    /// Tokens of the last answer.
    #[serde(skip)]
    pub usage: Option<Usage>,
}

/// The parameters that `/set` knows.
pub const PARAMS: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "max_tokens",
];

impl Session {
    /// An empty one.
    pub fn new(model: String) -> Self {
        Self {
            model,
            system: None,
            sampling: SamplingFields::default(),
            max_tokens: None,
            messages: Vec::new(),
            usage: None,
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// The first one that is out of range.
    pub fn check(&self) -> Result<(), Fault> {
        self.sampling.check()?;
        if self.max_tokens == Some(0) {
            return Err(Fault::new(Code::InvalidValue, "max_tokens is at least 1", "max_tokens 至少为 1"));
        }
        Ok(())
    }

    /// The request for the next answer.
    pub fn request(&self) -> ChatRequest {
        let system = self.system.iter().map(|text| ChatMessage::new(Role::System, text.as_str()));
        ChatRequest {
            model: self.model.clone(),
            messages: system.chain(self.messages.iter().cloned()).collect(),
            stream: Some(true),
            stream_options: Some(StreamOptions { include_usage: true }),
            max_tokens: self.max_tokens,
            sampling: self.sampling.clone(),
            ..ChatRequest::default()
        }
    }

    /// Sets a parameter by name; `default` takes it back.
    ///
    /// # Errors
    /// A name that does not exist, or a value out of range; nothing changes then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let mut next = self.clone();
        let fields = &mut next.sampling;
        match name {
            "temperature" => fields.temperature = number(name, value)?,
            "top_p" => fields.top_p = number(name, value)?,
            "top_k" => fields.top_k = number(name, value)?,
            "min_p" => fields.min_p = number(name, value)?,
            "repetition_penalty" => fields.repetition_penalty = number(name, value)?,
            "presence_penalty" => fields.presence_penalty = number(name, value)?,
            "frequency_penalty" => fields.frequency_penalty = number(name, value)?,
            "seed" => fields.seed = number(name, value)?,
            "max_tokens" => next.max_tokens = number(name, value)?,
            _ => {
                let known = PARAMS.join(", ");
                return Err(Fault::new(
                    Code::InvalidValue,
                    format!("there is no parameter {name:?}; there are {known}"),
                    format!("没有参数 {name:?}；可用的有 {known}"),
                ));
            }
        }
        next.check()?;
        *self = next;
        Ok(())
    }

    /// Every parameter and its value; `None`: the model's own default.
    pub fn params(&self) -> Vec<(&'static str, Option<String>)> {
        fn text<T: std::fmt::Display>(value: Option<T>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        let fields = &self.sampling;
        let values = [
            text(fields.temperature),
            text(fields.top_p),
            text(fields.top_k),
            text(fields.min_p),
            text(fields.repetition_penalty),
            text(fields.presence_penalty),
            text(fields.frequency_penalty),
            text(fields.seed),
            text(self.max_tokens),
        ];
        PARAMS.iter().copied().zip(values).collect()
    }

    /// Takes back the last answer; `false` if there is no question to ask again.
    pub fn drop_answer(&mut self) -> bool {
        while self.messages.last().is_some_and(|message| message.role == Role::Assistant) {
            self.messages.pop();
        }
        !self.messages.is_empty()
    }

    /// Writes it: Markdown for a name that ends in `.md`, else JSON that [`Session::load`] reads.
    ///
    /// # Errors
    /// Those of the file.
    pub fn save(&self, path: &Path) -> Result<(), Fault> {
        let markdown = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("md"));
        let mut text =
            if markdown { self.markdown() } else { serde_json::to_string_pretty(self).unwrap_or_default() };
        text.push('\n');
        std::fs::write(path, text).map_err(|error| {
            Fault::new(
                Code::ReadOnly,
                format!("can't write {}: {error}", path.display()),
                format!("无法写入 {}：{error}", path.display()),
            )
        })
    }

    fn markdown(&self) -> String {
        let mut text = format!("# {}\n", self.model);
        if let Some(system) = &self.system {
            text.push_str(&format!("\n> {}\n", system.replace('\n', "\n> ")));
        }
        for message in &self.messages {
            let content =
                message.content.as_ref().and_then(|content| content.text().ok()).unwrap_or_default();
            text.push_str(&format!("\n## {}\n\n{}\n", message.role.as_str(), content.trim_end()));
        }
        text.trim_end().to_owned()
    }

    /// Reads what [`Session::save`] wrote as JSON.
    ///
    /// # Errors
    /// A file that can't be read or holds something else.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let bytes =
            std::fs::read(path).map_err(|error| super::unreadable(&path.display().to_string(), &error))?;
        let session: Session = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::new(
                Code::InvalidJson,
                format!("{} is no saved conversation: {error}", path.display()),
                format!("{} 不是保存的会话：{error}", path.display()),
            )
        })?;
        session.check()?;
        Ok(session)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<Option<T>, Fault> {
    if value == "default" || value == "默认" {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| {
        Fault::new(
            Code::InvalidValue,
            format!("{value:?} is no value for {name}: write a number, or default"),
            format!("{value:?} 不能作为 {name} 的值：请写数字，或写 default"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked_before_they_hold() {
        let mut session = Session::new("m".into());
        session.set("temperature", "0.2").expect("in range");
        assert_eq!(session.sampling.temperature, Some(0.2));
        assert!(session.set("temperature", "9").is_err());
        assert!(session.set("temprature", "1").is_err());
        assert_eq!(session.sampling.temperature, Some(0.2));
        session.set("temperature", "default").expect("takes it back");
        assert_eq!(session.sampling.temperature, None);
    }

    #[test]
    fn a_saved_conversation_is_read_back() {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut session = Session::new("m".into());
        session.system = Some("简短".into());
        session.set("seed", "7").expect("a number");
        session.messages.push(ChatMessage::new(Role::User, "你好"));
        let path = dir.path().join("talk.json");
        session.save(&path).expect("writes");
        let back = Session::load(&path).expect("reads");
        assert_eq!(
            (back.model, back.system, back.messages),
            (session.model.clone(), session.system.clone(), session.messages.clone())
        );
        assert_eq!(back.sampling.seed, Some(7));
        let path = dir.path().join("talk.md");
        session.save(&path).expect("writes");
        assert_eq!(std::fs::read_to_string(path).expect("reads"), "# m\n\n> 简短\n\n## user\n\n你好\n");
    }

    #[test]
    fn retry_keeps_the_question() {
        let mut session = Session::new("m".into());
        assert!(!session.drop_answer());
        session.messages.push(ChatMessage::new(Role::User, "q"));
        session.messages.push(ChatMessage::new(Role::Assistant, "a"));
        assert!(session.drop_answer());
        assert_eq!(session.messages.len(), 1);
    }
}
