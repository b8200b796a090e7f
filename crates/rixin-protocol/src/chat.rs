//! `/v1/chat/completions` (OpenAI API reference, "Chat"), with the sampling fields that llama.cpp's and vLLM's servers add.

use std::collections::BTreeMap;

use rixin_base::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{parse::out_of_range, usage::Usage};

/// A request. Fields that are not listed are ignored, as OpenAI's clients send more than any engine knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// The model's name.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Whether the answer comes as an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Options of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of the answer (older name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// How many answers, 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// How the next token is drawn.
    #[serde(flatten)]
    pub sampling: SamplingFields,
    /// Log probabilities of the answer's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many alternatives each token shows, 0 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// Texts that end the answer and are not part of it, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required`, or one function by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one answer; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The answer's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// A GBNF grammar that the answer follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// `disabled` (a prompt that does not fit is an error) or `auto` (the oldest messages are left out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    /// Values handed to the model's chat template, such as `enable_thinking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<BTreeMap<String, Value>>,
    /// The caller's name for the end user; recorded, not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// How the next token is drawn. Absent fields have llama.cpp's server's defaults.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SamplingFields {
    /// 0 (greedy) to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Smallest set of tokens with this probability, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// The k likeliest tokens; 0: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Tokens at least this likely, relative to the likeliest, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Penalty of tokens already there; 1: none.
    #[serde(default, alias = "repeat_penalty", skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// OpenAI's presence penalty, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// OpenAI's frequency penalty, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Same seed, same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Token ids (as text) and what is added to their logits, -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
}

impl SamplingFields {
    /// Checks ranges.
    ///
    /// # Errors
    /// The first field that is out of range, by name.
    pub fn check(&self) -> Result<(), Fault> {
        fn within(name: &str, value: Option<f32>, low: f32, high: f32) -> Result<(), Fault> {
            match value {
                Some(v) if !(low..=high).contains(&v) => Err(out_of_range(
                    name,
                    &format!("{v} is not from {low} to {high}"),
                    &format!("{v} 不在 {low} 到 {high} 之间"),
                )),
                _ => Ok(()),
            }
        }
        within("temperature", self.temperature, 0.0, 5.0)?;
        within("top_p", self.top_p, 0.0, 1.0)?;
        within("min_p", self.min_p, 0.0, 1.0)?;
        within("repetition_penalty", self.repetition_penalty, 0.01, 10.0)?;
        within("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        for (token, bias) in self.logit_bias.iter().flatten() {
            let param = format!("logit_bias.{token}");
            if token.parse::<u32>().is_err() {
                return Err(out_of_range(&param, "keys are token ids", "键必须是词元编号"));
            }
            within(&param, Some(*bias), -100.0, 100.0)?;
        }
        Ok(())
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Stop {
    /// As a list.
    pub fn list(&self) -> &[String] {
        match self {
            Stop::One(text) => std::slice::from_ref(text),
            Stop::Many(texts) => texts,
        }
    }

    /// Checks number and content.
    ///
    /// # Errors
    /// More than 16, an empty one, or one of over 1,000 bytes.
    pub fn check(&self) -> Result<(), Fault> {
        let list = self.list();
        if list.len() > 16 || list.iter().any(|text| text.is_empty() || text.len() > 1000) {
            return Err(out_of_range(
                "stop",
                "at most 16 texts of 1 to 1000 bytes",
                "最多 16 个，每个 1 到 1000 字节",
            ));
        }
        Ok(())
    }
}

/// Options of a stream.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(default)]
    pub include_usage: bool,
}

/// What to do with a prompt that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// Leave out the oldest messages.
    Auto,
    /// Refuse.
    Disabled,
}

/// One turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: Role,
    /// What was said.
    #[serde(default)]
    pub content: Option<Content>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Calls that the assistant made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a `tool` message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The model's thinking, where it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

impl ChatMessage {
    /// A plain message.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: Some(Content::Text(text.into())), ..Self::default() }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions (OpenAI's newer name).
    Developer,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A function's result.
    Tool,
}

impl Role {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// A text, or parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Parts.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// `text`; other kinds are refused by models that can't read them.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Fields of other kinds, passed on to engines that know them.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub rest: serde_json::Map<String, Value>,
}

impl Content {
    /// All text, parts joined by a line break; `Err` holds the kind of the first part that is not text.
    pub fn text(&self) -> Result<String, &str> {
        match self {
            Content::Text(text) => Ok(text.clone()),
            Content::Parts(parts) => {
                let mut texts = Vec::with_capacity(parts.len());
                for part in parts {
                    match (&part.text, part.kind.as_str()) {
                        (Some(text), "text" | "input_text" | "output_text") => texts.push(text.as_str()),
                        (_, kind) => return Err(kind),
                    }
                }
                Ok(texts.join("\n"))
            }
        }
    }
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub function: FunctionDef,
}

/// A function's name and parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionDef {
    /// 1 to 64 of `a-z`, `A-Z`, `0-9`, `_`, `-`.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether arguments follow the schema exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Which function the model calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ToolChoice {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// This one.
    Function(NamedChoice),
}

/// Whether the model calls functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// Never.
    None,
    /// If it wants.
    Auto,
    /// At least one.
    Required,
}

/// `{"type": "function", "function": {"name": ...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NamedChoice {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub function: FunctionName,
}

/// A function's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    /// The place in the list; only in streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The call's id; in streams only in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Always `function`; in streams only in the first piece.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function and its arguments.
    pub function: FunctionCall,
}

/// A function's name and arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionCall {
    /// The name; in streams only in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The arguments as JSON text; in streams a piece of it.
    #[serde(default)]
    pub arguments: String,
}

/// The answer's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Some JSON object.
    JsonObject {
        /// A schema, where one is wanted (llama.cpp's extension).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<Value>,
    },
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema,
    },
}

/// A named JSON schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JsonSchema {
    /// Its name.
    pub name: String,
    /// The schema.
    #[serde(default)]
    pub schema: Option<Value>,
    /// Accepted; the grammar is always strict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// For the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl ChatRequest {
    /// Checks what the types can't: counts and ranges.
    ///
    /// # Errors
    /// The first field at fault, by name.
    pub fn check(&self) -> Result<(), Fault> {
        if self.messages.is_empty() {
            return Err(out_of_range("messages", "at least one message is needed", "至少需要一条消息"));
        }
        self.sampling.check()?;
        if let Some(stop) = &self.stop {
            stop.check()?;
        }
        if self.n.is_some_and(|n| !(1..=8).contains(&n)) {
            return Err(out_of_range("n", "1 to 8 answers are possible", "可取 1 到 8"));
        }
        if self.max_tokens == Some(0) || self.max_completion_tokens == Some(0) {
            return Err(out_of_range("max_tokens", "at least 1", "至少为 1"));
        }
        if self.top_logprobs.is_some_and(|n| n > 20) {
            return Err(out_of_range("top_logprobs", "at most 20", "最多 20"));
        }
        if self.top_logprobs.is_some() && self.logprobs != Some(true) {
            return Err(out_of_range(
                "top_logprobs",
                "it needs \"logprobs\": true",
                "需要同时设置 \"logprobs\": true",
            ));
        }
        for (i, tool) in self.tools.iter().flatten().enumerate() {
            let name = &tool.function.name;
            let fits = (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !fits || tool.kind != "function" {
                return Err(out_of_range(
                    &format!("tools[{i}]"),
                    "a tool is a function whose name has 1 to 64 of a-z, A-Z, 0-9, '_' and '-'",
                    "工具必须是函数，名称为 1 到 64 个 a-z、A-Z、0-9、'_'、'-'",
                ));
            }
        }
        if let Some(ToolChoice::Function(choice)) = &self.tool_choice {
            let known = self.tools.iter().flatten().any(|tool| tool.function.name == choice.function.name);
            if !known {
                return Err(out_of_range(
                    "tool_choice",
                    "it names a function that is not in 'tools'",
                    "指定的函数不在 'tools' 中",
                ));
            }
        }
        if self.grammar.is_some() && !matches!(self.response_format, None | Some(ResponseFormat::Text)) {
            return Err(out_of_range(
                "grammar",
                "it excludes 'response_format'",
                "不能与 'response_format' 同用",
            ));
        }
        Ok(())
    }

    /// The limit of the answer, in tokens, under either name.
    pub fn answer_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Whether the answer is streamed.
    pub fn streamed(&self) -> bool {
        self.stream == Some(true)
    }
}

/// The whole answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChatResponse {
    /// The answer's id, `chatcmpl-...`.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The answers.
    pub choices: Vec<ChatChoice>,
    /// Tokens taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// Its place.
    pub index: u32,
    /// What was said.
    pub message: ChatMessage,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: Option<String>,
    /// Log probabilities, where asked for.
    #[serde(default)]
    pub logprobs: Option<ChoiceLogprobs>,
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChatChunk {
    /// The answer's id, the same in all its chunks.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answers.
    pub model: String,
    /// Pieces; empty in the chunk with the usage.
    pub choices: Vec<ChunkChoice>,
    /// Tokens taken, in the last chunk where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A piece of one answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// Its place.
    pub index: u32,
    /// What is new.
    pub delta: Delta,
    /// In the last piece: `stop`, `length` or `tool_calls`.
    pub finish_reason: Option<String>,
    /// Log probabilities, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<ChoiceLogprobs>,
}

/// What is new in a chunk.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    /// `assistant`, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The model's thinking, where it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Pieces of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// Log probabilities of the answer's tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ChoiceLogprobs {
    /// One entry a token.
    pub content: Vec<TokenLogprob>,
}

/// A token and its alternatives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprob {
    /// The token's text; a part of a character shows as U+FFFD.
    pub token: String,
    /// Natural logarithm of its probability before sampling's filters.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens here.
    #[serde(default)]
    pub top_logprobs: Vec<TopLogprob>,
}

/// An alternative.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Option<Vec<u8>>,
}
