//! `/v1/responses` (OpenAI API reference, "Responses"), as far as an engine behind chat completions can do it.

use std::collections::BTreeMap;

use rixin_base::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    chat::{Content, SamplingFields, ToolMode, Truncation},
    error::ErrorObject,
    parse::out_of_range,
};

/// A request. Fields that are not listed are ignored, but for those that would change the answer and can't be done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ResponsesRequest {
    /// The model's name.
    pub model: String,
    /// A text, or items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Instructions; they are not carried over by `previous_response_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// A stored response to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    /// Whether to store the answer; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Whether the answer comes as an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// How the next token is drawn.
    #[serde(flatten)]
    pub sampling: SamplingFields,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDef>>,
    /// Which of them it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one answer; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The text's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// What to do with a prompt that is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    /// The caller's own notes; given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// How much the model thinks; given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Value>,
    /// Values handed to the model's chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<BTreeMap<String, Value>>,
    /// The caller's name for the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Not possible: answers are made while the caller waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// Not possible: there is no conversation object here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Value>,
    /// Not possible: there are no stored prompts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Value>,
}

impl ResponsesRequest {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The first field at fault, by name.
    pub fn check(&self) -> Result<(), Fault> {
        self.sampling.check()?;
        if self.max_output_tokens == Some(0) {
            return Err(out_of_range("max_output_tokens", "at least 1", "至少为 1"));
        }
        if matches!(&self.input, Some(Input::Items(items)) if items.is_empty())
            && self.previous_response_id.is_none()
        {
            return Err(out_of_range("input", "at least one item is needed", "至少需要一项"));
        }
        if self.input.is_none() && self.previous_response_id.is_none() && self.instructions.is_none() {
            return Err(out_of_range("input", "a text or a list of items is needed", "需要文本或项目列表"));
        }
        for (given, name) in [
            (self.background == Some(true), "background"),
            (self.conversation.is_some(), "conversation"),
            (self.prompt.is_some(), "prompt"),
        ] {
            if given {
                let mut fault = out_of_range(
                    name,
                    "this is not supported here: leave it out",
                    "此处不支持该字段：请去掉",
                );
                fault.code = rixin_base::Code::Unsupported;
                return Err(fault);
            }
        }
        Ok(())
    }
}

/// A text, or items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ResponsesInput)]
pub enum Input {
    /// What the user says.
    Text(String),
    /// Items, oldest first.
    Items(Vec<Item>),
}

/// An item of input or output: `message` (the default), `function_call`, `function_call_output`, `reasoning`; others are refused
/// when the request is translated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesItem)]
pub struct Item {
    /// The kind.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The item's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `in_progress`, `completed` or `incomplete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `message`: who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<crate::chat::Role>,
    /// `message`: what was said; `reasoning`: what was thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// `function_call` and `function_call_output`: the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// `function_call`: the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `function_call`: its arguments as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// `function_call_output`: the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Content>,
    /// `reasoning`: its summary; always empty here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<Value>>,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesTool)]
pub struct ToolDef {
    /// `function`; tools that OpenAI runs itself are not here.
    #[serde(rename = "type")]
    pub kind: String,
    /// 1 to 64 of `a-z`, `A-Z`, `0-9`, `_`, `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Option<Value>,
    /// Whether arguments follow the schema exactly.
    #[serde(default)]
    pub strict: Option<bool>,
}

/// Which function the model calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ResponsesToolChoice)]
pub enum ToolChoice {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// This one.
    Function(NamedTool),
}

/// `{"type": "function", "name": ...}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesNamedTool)]
pub struct NamedTool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub name: String,
}

/// The text's form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesTextConfig)]
pub struct TextConfig {
    /// Free text if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
}

/// The text's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponsesTextFormat)]
pub enum TextFormat {
    /// Free text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// Its name.
        name: String,
        /// The schema.
        schema: Value,
        /// For the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Accepted; the grammar is always strict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ResponseObject {
    /// Its id, `resp_...`.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Seconds since 1970.
    pub created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: String,
    /// Always false.
    pub background: bool,
    /// Why it failed.
    pub error: Option<ErrorObject>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// As asked.
    pub instructions: Option<String>,
    /// As asked.
    pub max_output_tokens: Option<u32>,
    /// The model that answered.
    pub model: String,
    /// What it thought, said and called.
    pub output: Vec<Item>,
    /// As asked.
    pub parallel_tool_calls: bool,
    /// As asked.
    pub previous_response_id: Option<String>,
    /// As asked.
    pub reasoning: Option<Value>,
    /// Whether it is stored.
    pub store: bool,
    /// As asked.
    pub temperature: Option<f32>,
    /// As asked.
    pub text: TextConfig,
    /// As asked.
    pub tool_choice: ToolChoice,
    /// As asked.
    pub tools: Vec<ToolDef>,
    /// As asked.
    pub top_p: Option<f32>,
    /// As asked.
    pub truncation: Truncation,
    /// Tokens taken; absent until it ends.
    pub usage: Option<ResponseUsage>,
    /// As asked.
    pub user: Option<String>,
    /// As asked.
    pub metadata: BTreeMap<String, String>,
}

/// Why a response is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesIncompleteDetails)]
pub struct IncompleteDetails {
    /// `max_output_tokens`.
    pub reason: String,
}

/// Tokens taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseUsage {
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Those of them that were in the prefix cache.
    pub input_tokens_details: InputDetails,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// Those of them that were thinking; 0, as engines don't count them apart.
    pub output_tokens_details: OutputDetails,
    /// Both.
    pub total_tokens: u32,
}

/// Details of the prompt's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesInputDetails)]
pub struct InputDetails {
    /// Tokens whose state was in the prefix cache.
    pub cached_tokens: u32,
}

/// Details of the answer's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesOutputDetails)]
pub struct OutputDetails {
    /// Tokens of thinking.
    pub reasoning_tokens: u32,
}

/// The items of a stored response's request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesItemList)]
pub struct ItemList {
    /// Always `list`.
    pub object: String,
    /// The items.
    pub data: Vec<Item>,
    /// The first one's id.
    pub first_id: Option<String>,
    /// The last one's id.
    pub last_id: Option<String>,
    /// Always false: all are here.
    pub has_more: bool,
}

/// That a stored response was deleted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponsesDeleted)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}
