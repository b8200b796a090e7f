//! `/v1/models`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A model that can be asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// The name to send as `model`.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When it was installed, in seconds since 1970.
    pub created: u64,
    /// `rixin` for installed models, else the name of the external engine.
    pub owned_by: String,
}

/// The list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models.
    pub data: Vec<Model>,
}
