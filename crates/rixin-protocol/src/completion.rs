//! `/v1/completions` (OpenAI API reference, "Completions"): text in, its continuation out, no chat template.

use rixin_base::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    chat::{SamplingFields, Stop, StreamOptions, Truncation},
    parse::out_of_range,
    usage::Usage,
};

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// The model's name.
    pub model: String,
    /// The text to continue.
    pub prompt: Prompt,
    /// Whether the answer comes as an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Options of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of the continuation; 16 if absent, as OpenAI's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How many continuations of each prompt, 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// How the next token is drawn.
    #[serde(flatten)]
    pub sampling: SamplingFields,
    /// How many alternatives each token shows, 0 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// Texts that end the continuation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Whether the prompt stands before the continuation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// A GBNF grammar that the continuation follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// What to do with a prompt that is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    /// The caller's name for the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl CompletionRequest {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The first field at fault, by name.
    pub fn check(&self) -> Result<(), Fault> {
        self.sampling.check()?;
        if let Some(stop) = &self.stop {
            stop.check()?;
        }
        if self.n.is_some_and(|n| !(1..=8).contains(&n)) {
            return Err(out_of_range("n", "1 to 8 continuations are possible", "可取 1 到 8"));
        }
        if self.logprobs.is_some_and(|n| n > 20) {
            return Err(out_of_range("logprobs", "at most 20", "最多 20"));
        }
        let count = match &self.prompt {
            Prompt::Text(_) | Prompt::Tokens(_) => 1,
            Prompt::Texts(texts) => texts.len(),
            Prompt::TokenLists(lists) => lists.len(),
        };
        if !(1..=64).contains(&count) {
            return Err(out_of_range("prompt", "1 to 64 prompts are possible", "可取 1 到 64 个"));
        }
        Ok(())
    }
}

/// One text, several, or tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One prompt of token ids.
    Tokens(Vec<u32>),
    /// Several prompts of token ids.
    TokenLists(Vec<Vec<u32>>),
}

/// The whole answer, or a chunk of it (the two have one shape).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompletionResponse {
    /// The answer's id, `cmpl-...`.
    pub id: String,
    /// Always `text_completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The continuations.
    pub choices: Vec<CompletionChoice>,
    /// Tokens taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One continuation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// The text.
    pub text: String,
    /// Its place.
    pub index: u32,
    /// `stop` or `length`.
    pub finish_reason: Option<String>,
    /// Log probabilities, where asked for.
    #[serde(default)]
    pub logprobs: Option<CompletionLogprobs>,
}

/// Log probabilities in the older shape: four lists of one length.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// Texts of the tokens.
    pub tokens: Vec<String>,
    /// Their log probabilities.
    pub token_logprobs: Vec<f32>,
    /// Alternatives by text.
    pub top_logprobs: Vec<std::collections::BTreeMap<String, f32>>,
    /// Where each token starts, in characters.
    pub text_offset: Vec<u32>,
}
