//! `import`: bring a model into the registry.

use rixin_base::ModelId;
use rixin_store::{JobInput, Resources};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kind::Params;

/// What to import.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// A name of the catalogue, a source such as `hf:ORG/REPO`, the address of a hub's page, or a path of the server's machine.
    pub target: String,
    /// The name to install it under; chosen where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<ModelId>,
    /// That its licence is accepted.
    #[serde(default)]
    pub accept_licence: bool,
    /// The licence of a source that names none, by its SPDX identifier or the name of its terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Who accepted it; the server fills it in.
    #[serde(default)]
    pub by: String,
}

impl Params for ImportParams {
    fn check(&self) -> Result<(), (&'static str, String, String)> {
        let length = self.target.trim().len();
        if length == 0 || length > 2000 {
            return Err(("target", "it has 1 to 2000 bytes".into(), "长度为 1 到 2000 字节".into()));
        }
        Ok(())
    }

    fn title(&self) -> String {
        self.target.chars().take(200).collect()
    }

    fn inputs(&self) -> Vec<JobInput> {
        Vec::new()
    }

    fn resources(&self) -> Resources {
        Resources { cores: 1, memory_bytes: 256 << 20, ..Resources::default() }
    }
}
