//! `/v1/embeddings` (OpenAI API reference, "Embeddings").

use rixin_base::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{completion::Prompt, parse::out_of_range, usage::Usage};

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    /// The model's name.
    pub model: String,
    /// One text, several, or tokens; at most 2048.
    pub input: Prompt,
    /// `float` or `base64` (little-endian f32).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<EncodingFormat>,
    /// The first so many dimensions, normalised again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// The caller's name for the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl EmbeddingRequest {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The first field at fault, by name.
    pub fn check(&self) -> Result<(), Fault> {
        let (count, empty) = match &self.input {
            Prompt::Text(text) => (1, text.is_empty()),
            Prompt::Texts(texts) => (texts.len(), texts.iter().any(String::is_empty)),
            Prompt::Tokens(tokens) => (1, tokens.is_empty()),
            Prompt::TokenLists(lists) => (lists.len(), lists.iter().any(Vec::is_empty)),
        };
        if !(1..=2048).contains(&count) || empty {
            return Err(out_of_range(
                "input",
                "1 to 2048 inputs, none of them empty",
                "1 到 2048 个，且不能为空",
            ));
        }
        if self.dimensions == Some(0) {
            return Err(out_of_range("dimensions", "at least 1", "至少为 1"));
        }
        Ok(())
    }
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// A list of numbers.
    Float,
    /// Base64 of little-endian f32.
    Base64,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingResponse {
    /// Always `list`.
    pub object: String,
    /// One entry an input.
    pub data: Vec<Embedding>,
    /// The model that answered.
    pub model: String,
    /// Tokens taken.
    pub usage: Usage,
}

/// One vector, of length 1.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Embedding {
    /// Always `embedding`.
    pub object: String,
    /// The vector.
    pub embedding: Vector,
    /// The input's place.
    pub index: u32,
}

/// A vector in either writing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64 of little-endian f32.
    Base64(String),
}
