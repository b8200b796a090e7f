//! Token counts of a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tokens that a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens of the prompt, those from the cache among them.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
    /// Details of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptDetails>,
}

/// What the prompt's tokens were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptDetails {
    /// Tokens whose state was already in the prefix cache.
    #[serde(default)]
    pub cached_tokens: u32,
}

impl Usage {
    /// Counts of a request with an answer.
    pub fn new(prompt: u32, completion: u32, cached: u32) -> Self {
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: Some(PromptDetails { cached_tokens: cached }),
        }
    }
}
