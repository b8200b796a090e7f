//! What callers bring: kept as it is, credentials and all, and never labelled as generated.

use rixin_base::{ArtifactId, Fault};
use rixin_provenance::{Limits, Media, Source};
use rixin_store::{ArtifactKind, Blob, NewArtifact, SealedBlob, StoredArtifact, TenantScope};
use serde_json::json;

use crate::{Artifacts, sealer::room};

/// A file that a caller brings.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name, without folders.
    pub name: String,
    /// What it is to a person; guessed from its kind where the caller says nothing.
    pub kind: Option<ArtifactKind>,
    /// Its bytes, stored already.
    pub blob: Blob,
}

impl Artifacts {
    /// Keeps a caller's file as an artifact. The credentials that it carries stay in it, and what they say is noted.
    ///
    /// # Errors
    /// The file can't be read, or the database failed.
    pub async fn upload(&self, scope: &TenantScope, upload: Upload) -> Result<StoredArtifact, Fault> {
        let id = ArtifactId::new();
        let room = room(&self.folder)?;
        let path = room.path().join(&*safe_name(&upload.name));
        self.blobs.fetch_to(&upload.blob.sha256, &path).await?;
        let verifier = self.instance.verifier(Limits::default())?;
        let report = tokio::task::spawn_blocking(move || verifier.verify(Source::Path(&path), None))
            .await
            .map_err(Fault::internal)??;
        let lineage = json!({
            "version": 1,
            "artifact": id,
            "origin": "uploaded",
            "title": upload.name,
            "verdict": report.verdict,
            "signer": report.signer,
            "lineage": report.lineage,
            "label": report.label,
        });
        let new = NewArtifact {
            kind: upload.kind.unwrap_or_else(|| kind_of(report.media)),
            name: upload.name,
            media_type: report.media.mime().to_owned(),
            source_sha256: upload.blob.sha256.to_string(),
            source_bytes: upload.blob.size,
            lineage,
            parents: Vec::new(),
        };
        let kept = SealedBlob {
            sha256: report.sha256.clone(),
            bytes: upload.blob.size,
            content_sha256: report.content_sha256.unwrap_or(report.sha256),
            sidecar_sha256: None,
        };
        Ok(self.store.add_upload(scope, id, &new, &kept).await?)
    }
}

/// The ending is all that verifying needs of a name.
fn safe_name(name: &str) -> std::borrow::Cow<'_, str> {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    if !end.is_empty() && end.len() <= 12 && end.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("file.{end}").into()
    } else {
        "file".into()
    }
}

fn kind_of(media: Media) -> ArtifactKind {
    match media {
        Media::Png | Media::Jpeg | Media::Webp => ArtifactKind::Image,
        Media::Mp4 => ArtifactKind::Video,
        Media::Wav | Media::Mp3 => ArtifactKind::Audio,
        Media::Glb => ArtifactKind::Object,
        Media::Ply | Media::Spz => ArtifactKind::Scene,
        Media::Safetensors | Media::Gguf => ArtifactKind::Model,
        Media::Text => ArtifactKind::Text,
        Media::Other => ArtifactKind::Other,
    }
}
