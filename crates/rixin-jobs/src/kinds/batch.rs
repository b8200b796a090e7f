//! `batch`: answer the requests of a file, line by line.

use rixin_base::FileId;
use rixin_store::{JobInput, Resources};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kind::Params;

/// The routes that a batch may ask.
pub const ENDPOINTS: [&str; 3] = ["/v1/chat/completions", "/v1/embeddings", "/v1/completions"];

/// What to answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchParams {
    /// The route that the lines ask.
    pub endpoint: String,
    /// The file of the lines.
    #[schema(value_type = String)]
    pub input_file_id: FileId,
    /// What is charged of the list price, in percent.
    pub price_percent: u32,
}

impl Params for BatchParams {
    fn check(&self) -> Result<(), (&'static str, String, String)> {
        if ENDPOINTS.contains(&self.endpoint.as_str()) {
            return Ok(());
        }
        let all = ENDPOINTS.join(", ");
        Err(("endpoint", format!("a batch can ask {all}"), format!("批处理支持 {all}")))
    }

    fn title(&self) -> String {
        format!("{} {}", self.endpoint, self.input_file_id)
    }

    fn inputs(&self) -> Vec<JobInput> {
        vec![JobInput::File(self.input_file_id.to_string())]
    }

    fn resources(&self) -> Resources {
        Resources { cores: 1, memory_bytes: 128 << 20, ..Resources::default() }
    }
}
