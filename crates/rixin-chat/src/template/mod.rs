//! Chat templates: the Jinja text in a model's file, rendered as Hugging Face's transformers renders it
//! (`apply_chat_template`, chat_template_utils.py), with bounded work.
//!
//! A model without a template is refused rather than given somebody else's: such a file is a base model, which answers foreign chat
//! tags with junk, while `/v1/completions` does what it is good for.

mod caps;
mod jinja;
mod message;
mod python;

use std::sync::Arc;

use minijinja::{Environment, Value};
use rixin_base::{Code, Explain, Message as Text};
use serde_json::{Map, Value as Json};

pub use caps::Caps;
pub use message::{Call, Message};

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 256 << 10;
/// The longest rendered prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 32 << 20;

/// A model's template, compiled, with what a trial of it showed.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    env: Arc<Environment<'static>>,
    source: Arc<str>,
    bos: String,
    eos: String,
    caps: Caps,
}

/// What a template is rendered with.
#[derive(Clone, Debug, Default)]
pub struct RenderInput<'a> {
    /// The messages, as templates see them.
    pub messages: &'a [Json],
    /// The tools in OpenAI's shape; `None` where there are none.
    pub tools: Option<&'a [Json]>,
    /// `chat_template_kwargs`: set beside the others, and over them.
    pub kwargs: Option<&'a Map<String, Json>>,
    /// Whether the prompt ends with the start of the assistant's turn.
    pub add_generation_prompt: bool,
    /// The time that `strftime_now` shows; the machine's if absent.
    pub now: Option<jiff::civil::DateTime>,
}

/// Why a template gave no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The file has none.
    #[error("the model has no chat template")]
    Missing,
    /// It is too long.
    #[error("the chat template has {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It can't be compiled.
    #[error("the chat template is not valid: {why}")]
    Syntax {
        /// The reason and the line.
        why: String,
    },
    /// The template refused these messages by `raise_exception`.
    #[error("the chat template refuses these messages: {why}")]
    Refused {
        /// Its own words.
        why: String,
    },
    /// It failed while it ran.
    #[error("the chat template failed: {why}")]
    Failed {
        /// The reason and the line.
        why: String,
    },
    /// It took too many steps or gave too much.
    #[error("the chat template takes too much work for these messages")]
    TooMuch,
}

impl Explain for TemplateError {
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::TooLong { .. } | Self::Syntax { .. } => Code::Unsupported,
            Self::Refused { .. } | Self::Failed { .. } | Self::TooMuch => Code::InvalidValue,
        }
    }

    fn message(&self) -> Text {
        match self {
            Self::Missing => Text::new(
                "this model can't chat: it is a base model, its file has no chat template: use /v1/completions, or choose an instruct model",
                "该模型不能对话：它是基座模型，文件中没有对话模板。请改用 /v1/completions，或选择指令（instruct）模型",
            ),
            Self::TooLong { bytes } => Text::new(
                format!(
                    "this model can't chat: its chat template has {bytes} bytes, at most {MAX_TEMPLATE_BYTES} are possible"
                ),
                format!("该模型不能对话：对话模板有 {bytes} 字节，最多 {MAX_TEMPLATE_BYTES} 字节"),
            ),
            Self::Syntax { why } => Text::new(
                format!(
                    "this model can't chat: its chat template is not valid ({why}): use /v1/completions, or another conversion of the model"
                ),
                format!("该模型不能对话：对话模板无效（{why}）。请改用 /v1/completions，或换用其他转换版本"),
            ),
            Self::Refused { why } => Text::new(
                format!("the model's chat template refuses these messages: {why}"),
                format!("该模型的对话模板不接受这些消息：{why}"),
            ),
            Self::Failed { why } => Text::new(
                format!("the model's chat template failed on these messages: {why}"),
                format!("该模型的对话模板处理这些消息时出错：{why}"),
            ),
            Self::TooMuch => Text::new(
                "the conversation is too long for the model's chat template: send fewer or shorter messages",
                "对话过长，超出该模型对话模板的处理上限：请减少或缩短消息",
            ),
        }
    }

    fn param(&self) -> Option<String> {
        (self.code() == Code::InvalidValue).then(|| "messages".to_owned())
    }
}

impl ChatTemplate {
    /// Compiles a template and tries what it can.
    ///
    /// # Errors
    /// [`TemplateError::TooLong`] and [`TemplateError::Syntax`].
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong { bytes: source.len() });
        }
        let mut template = Self {
            env: Arc::new(jinja::environment(source)?),
            source: source.into(),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            caps: Caps::default(),
        };
        template.caps = Caps::probe(&template);
        Ok(template)
    }

    /// The Jinja text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the template can do.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Renders messages as they are.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn render(&self, input: &RenderInput<'_>) -> Result<String, TemplateError> {
        let mut context: Vec<(String, Value)> = vec![
            ("messages".into(), list(input.messages)),
            ("tools".into(), input.tools.map_or(Value::from(()), list)),
            ("documents".into(), Value::from(())),
            ("add_generation_prompt".into(), input.add_generation_prompt.into()),
            ("bos_token".into(), self.bos.as_str().into()),
            ("eos_token".into(), self.eos.as_str().into()),
        ];
        if let Some(now) = input.now {
            context.push((jinja::NOW.into(), now.to_string().into()));
        }
        for (name, value) in input.kwargs.into_iter().flatten() {
            context.push((name.clone(), jinja::value(value)));
        }
        let template = self.env.get_template(jinja::NAME).map_err(|e| jinja::explain(&e))?;
        let prompt = template.render(Value::from_pairs(context)).map_err(|e| jinja::explain(&e))?;
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(TemplateError::TooMuch);
        }
        Ok(prompt)
    }

    /// Fits messages to the template and renders them with the start of the assistant's turn. Where the tokenizer puts the begin token
    /// first itself, the caller takes it off the text.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn prompt(
        &self,
        messages: &[Message],
        tools: &[Json],
        kwargs: &Map<String, Json>,
    ) -> Result<String, TemplateError> {
        let messages = message::fit(messages, &self.caps);
        let input = RenderInput {
            messages: &messages,
            tools: (!tools.is_empty()).then_some(tools),
            kwargs: Some(kwargs),
            add_generation_prompt: true,
            now: None,
        };
        self.render(&input)
    }
}

fn list(items: &[Json]) -> Value {
    items.iter().map(jinja::value).collect()
}

#[cfg(test)]
mod tests;
