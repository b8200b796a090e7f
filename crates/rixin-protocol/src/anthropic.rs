//! `/v1/messages` (Anthropic API reference, "Messages"), as far as an engine behind OpenAI's protocol can do it.

use rixin_base::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::parse::out_of_range;

/// A request. Fields that are not listed are ignored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MessagesRequest {
    /// The model's name.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<InputMessage>,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// Instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Blocks>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// Whether the answer comes as an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// 0 (greedy) to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Smallest set of tokens with this probability, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// The k likeliest tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDef>>,
    /// Which of them it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model thinks before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// The answer's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
}

/// `/v1/messages/count_tokens`: the same without what concerns the answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesCountRequest)]
pub struct CountRequest {
    /// The model's name.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<InputMessage>,
    /// Instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Blocks>,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDef>>,
    /// Which of them it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model thinks before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
}

impl From<CountRequest> for MessagesRequest {
    fn from(count: CountRequest) -> Self {
        Self {
            model: count.model,
            messages: count.messages,
            max_tokens: 1,
            system: count.system,
            stop_sequences: None,
            stream: None,
            temperature: None,
            top_p: None,
            top_k: None,
            tools: count.tools,
            tool_choice: count.tool_choice,
            thinking: count.thinking,
            output_config: None,
        }
    }
}

/// The answer of `/v1/messages/count_tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesTokenCount)]
pub struct TokenCount {
    /// Tokens of the prompt.
    pub input_tokens: u32,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesInputMessage)]
pub struct InputMessage {
    /// Who speaks.
    pub role: InputRole,
    /// What was said.
    pub content: Blocks,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessagesRole)]
pub enum InputRole {
    /// The person, or a function's result.
    User,
    /// The model.
    Assistant,
    /// Instructions in mid-conversation.
    System,
}

/// A text, or blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MessagesBlocks)]
pub enum Blocks {
    /// A text.
    Text(String),
    /// Blocks.
    List(Vec<Block>),
}

/// A block of content: `text`, `image`, `tool_use`, `tool_result`, `thinking`; others are refused when the request is translated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesBlock)]
pub struct Block {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// `text`: the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `thinking`: the model's thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// `thinking`: a seal that other engines put on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// `image`: where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImageSource>,
    /// `tool_use`: the call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `tool_use`: the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `tool_use`: its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Map<String, Value>>,
    /// `tool_result`: the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// `tool_result`: the result, a text or blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub content: Option<Value>,
    /// `tool_result`: whether the call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
}

impl Block {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: "text".into(), text: Some(text.into()), ..Self::default() }
    }
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesImageSource)]
pub struct ImageSource {
    /// `base64` or `url`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `base64`: such as `image/png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// `base64`: the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `url`: the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesTool)]
pub struct ToolDef {
    /// Absent or `custom`; tools that Anthropic runs itself are not here.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// 1 to 64 of `a-z`, `A-Z`, `0-9`, `_`, `-`.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
}

/// Which function the model calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesToolChoice)]
pub struct ToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `tool`: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most one call an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesThinking)]
pub struct Thinking {
    /// `enabled`, `adaptive` or `disabled`; handed to the chat template as `enable_thinking`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The answer's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesOutputConfig)]
pub struct OutputConfig {
    /// Absent: free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
}

/// A JSON schema that the answer follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesOutputFormat)]
pub struct OutputFormat {
    /// Always `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The schema.
    pub schema: Value,
}

impl MessagesRequest {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The first field at fault, by name.
    pub fn check(&self) -> Result<(), Fault> {
        if self.max_tokens == 0 {
            return Err(out_of_range("max_tokens", "at least 1", "至少为 1"));
        }
        if self.messages.is_empty() {
            return Err(out_of_range("messages", "at least one message is needed", "至少需要一条消息"));
        }
        if self.temperature.is_some_and(|t| !(0.0..=1.0).contains(&t)) {
            return Err(out_of_range("temperature", "it is from 0 to 1", "应在 0 到 1 之间"));
        }
        if self.top_p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(out_of_range("top_p", "it is from 0 to 1", "应在 0 到 1 之间"));
        }
        Ok(())
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesResponse {
    /// The answer's id, `msg_...`.
    pub id: String,
    /// Always `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always `assistant`.
    pub role: String,
    /// The model that answered.
    pub model: String,
    /// What it said and called.
    pub content: Vec<Block>,
    /// `end_turn`, `max_tokens`, `tool_use`; absent while a stream runs.
    pub stop_reason: Option<String>,
    /// The stop sequence, where the engine says which.
    pub stop_sequence: Option<String>,
    /// Tokens taken.
    pub usage: MessagesUsage,
}

/// Tokens taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesUsage {
    /// Tokens of the prompt, those from the prefix cache among them.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// 0: no cache is asked for by the caller here.
    #[serde(default)]
    pub cache_creation_input_tokens: u32,
    /// 0, since `input_tokens` holds all.
    #[serde(default)]
    pub cache_read_input_tokens: u32,
}

/// Anthropic's error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesError {
    /// Always `error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The error.
    pub error: MessagesErrorObject,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesErrorObject {
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `request_too_large`,
    /// `rate_limit_error`, `api_error`, `overloaded_error` or `timeout_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The thing, the reason and the mend, in the caller's language.
    pub message: String,
    /// The stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl MessagesError {
    /// An error of a status, in Anthropic's words for it.
    pub fn new(status: u16, message: String, code: Option<String>, request_id: Option<String>) -> Self {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            504 => "timeout_error",
            400..500 => "invalid_request_error",
            _ => "api_error",
        };
        let error = MessagesErrorObject { kind: kind.into(), message, code };
        Self { kind: "error".into(), error, request_id }
    }
}
