//! OpenAI's error object: the one shape of every error of the API.

use rixin_base::{Fault, Lang};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `{"error": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorObject {
    /// The thing, the reason and the mend, in the caller's language.
    pub message: String,
    /// The family of the error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault, where there is one.
    #[serde(default)]
    pub param: Option<String>,
    /// The stable code.
    #[serde(default)]
    pub code: Option<String>,
}

impl ErrorBody {
    /// A fault in one language.
    pub fn new(fault: &Fault, lang: Lang) -> Self {
        Self {
            error: ErrorObject {
                message: fault.text(lang).to_owned(),
                kind: fault.code.kind().as_str().to_owned(),
                param: fault.param.clone(),
                code: Some(fault.code.as_str().to_owned()),
            },
        }
    }

    /// The JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
