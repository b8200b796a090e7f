//! Checking files of anybody: what they say themselves, and what this instance knows of them by their hashes.

use std::path::Path;

use rixin_base::{Fault, Message};
use rixin_provenance::{EngineUse, Limits, Lineage, ModelUse, Report, Source, SourceType, Verdict};
use rixin_store::{ArtifactKind, KnownArtifact};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Artifacts, sealer::MAX_SIDECAR};

/// What is told to anybody of an artifact that was found by its hash: that it is one, and how it came to be; nothing of whose it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KnownSummary {
    /// What it is.
    pub kind: ArtifactKind,
    /// When it was made, in milliseconds since 1970.
    pub created_at: i64,
    /// What did the work.
    pub engine: EngineUse,
    /// How it came to be, in IPTC's words.
    pub source_type: SourceType,
    /// The models.
    pub models: Vec<ModelUse>,
}

/// What was found of a file.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// What the file and its credentials say.
    #[serde(flatten)]
    pub report: Report,
    /// What this instance knows of it, where it made the file itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<KnownSummary>,
}

impl Artifacts {
    /// Checks a file. Credentials that were lost are taken from the store where the very file is known; otherwise a file is found by its
    /// content alone.
    ///
    /// # Errors
    /// The file can't be read or is too large.
    pub async fn check(
        &self,
        file: &Path,
        sidecar: Option<Vec<u8>>,
        limits: Limits,
    ) -> Result<Checked, Fault> {
        let report = self.report(file, sidecar, limits).await?;
        if !matches!(report.verdict, Verdict::NotSigned | Verdict::MetadataStripped) {
            return Ok(Checked { report, known: None });
        }
        let content = report.content_sha256.as_ref().unwrap_or(&report.sha256);
        let Some(known) = self.store.supervisor().artifact_by_hash(&report.sha256, content).await? else {
            return Ok(Checked { report, known: None });
        };
        if let Some(sha256) = known.sidecar_sha256.as_ref().filter(|_| known.sha256 == report.sha256) {
            let sidecar = self.blobs.get_bytes(&sha256.parse()?, MAX_SIDECAR).await?;
            let report = self.report(file, Some(sidecar.to_vec()), limits).await?;
            return Ok(Checked { report, known: summary(&known) });
        }
        let known = summary(&known);
        let explanation = Message::new(
            "The file carries no credentials, but its content is that of an artifact which this instance made and signed: they were taken away on its way.",
            "文件没有内容凭证，但其内容与本机生成并签名的制品一致：凭证在流转中被去除。",
        );
        let report = Report { verdict: Verdict::MetadataStripped, explanation, known_as: None, ..report };
        Ok(Checked { report, known })
    }

    async fn report(&self, file: &Path, sidecar: Option<Vec<u8>>, limits: Limits) -> Result<Report, Fault> {
        let verifier = self.instance.verifier(limits)?;
        let file = file.to_owned();
        let report =
            tokio::task::spawn_blocking(move || verifier.verify(Source::Path(&file), sidecar.as_deref()))
                .await
                .map_err(Fault::internal)??;
        Ok(report)
    }
}

fn summary(known: &KnownArtifact) -> Option<KnownSummary> {
    let lineage: Lineage = serde_json::from_value(known.lineage.clone()).ok()?;
    Some(KnownSummary {
        kind: known.kind,
        created_at: known.created_at,
        engine: lineage.engine,
        source_type: lineage.source_type,
        models: lineage.models,
    })
}
