//! Artifacts as the API shows them.

use rixin_base::{ArtifactId, JobId};
use rixin_store::{ArtifactKind, ArtifactOrigin, ArtifactState, StoredArtifact};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An artifact.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ArtifactView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ArtifactId,
    /// What it is to a person.
    pub kind: ArtifactKind,
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Whether a job made it or a caller brought it.
    pub origin: ArtifactOrigin,
    /// Whether it can be had.
    pub state: ArtifactState,
    /// The job that made it.
    #[schema(value_type = Option<String>)]
    pub job: Option<JobId>,
    /// The size of the signed file, once it is there.
    pub bytes: Option<u64>,
    /// SHA-256 of the signed file.
    pub sha256: Option<String>,
    /// SHA-256 of its content without metadata.
    pub content_sha256: Option<String>,
    /// SHA-256 of the bytes as they were made.
    pub source_sha256: String,
    /// Whether its credentials lie beside it.
    pub sidecar: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it was signed.
    pub sealed_at: Option<i64>,
    /// Why it could not be signed, or not yet: `code`, `en`, `zh`.
    #[schema(value_type = Option<Object>)]
    pub fault: Option<Value>,
    /// How it came to be; in lists it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lineage: Option<Value>,
}

impl ArtifactView {
    /// With its lineage.
    pub fn whole(found: StoredArtifact) -> Self {
        let lineage = found.lineage.clone();
        Self { lineage: Some(lineage), ..found.into() }
    }
}

impl From<StoredArtifact> for ArtifactView {
    fn from(found: StoredArtifact) -> Self {
        Self {
            id: found.id,
            kind: found.kind,
            name: found.name,
            media_type: found.media_type,
            origin: found.origin,
            state: found.state,
            job: found.job,
            bytes: found.bytes,
            sha256: found.sha256,
            content_sha256: found.content_sha256,
            source_sha256: found.source_sha256,
            sidecar: found.sidecar_sha256.is_some(),
            created_at: found.created_at,
            sealed_at: found.sealed_at,
            fault: found.fault,
            lineage: None,
        }
    }
}

/// The form of an upload.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only names the fields for the OpenAPI document")]
pub(crate) struct NewArtifactForm {
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// What it is; guessed from the file where it is absent.
    kind: Option<ArtifactKind>,
}
