//! Clearing away blobs that nothing refers to.

use futures::TryStreamExt as _;
use rixin_base::Fault;
use rixin_store::{SAFE_AGE, now_ms};

use crate::Artifacts;

impl Artifacts {
    /// Deletes blobs that no row of any tenant names and that are older than [`SAFE_AGE`], and what crashed writers left; gives how
    /// many blobs that were.
    ///
    /// Storing content anew makes its blob young again, so each one's age is looked at once more right before it goes.
    ///
    /// # Errors
    /// The database or the place of the blobs failed.
    pub async fn collect(&self) -> Result<u64, Fault> {
        self.collect_before(now_ms().saturating_sub(i64::try_from(SAFE_AGE.as_millis()).unwrap_or(i64::MAX)))
            .await
    }

    pub(crate) async fn collect_before(&self, before: i64) -> Result<u64, Fault> {
        let supervisor = self.store.supervisor();
        let mut blobs = self.blobs.list();
        let mut gone = 0;
        while let Some(found) = blobs.try_next().await? {
            if found.stored_at > before || supervisor.blob_is_named(&found.blob.sha256.to_string()).await? {
                continue;
            }
            if self.blobs.stored_at(&found.blob.sha256).await?.is_none_or(|at| at > before) {
                continue;
            }
            self.blobs.delete(&found.blob.sha256).await?;
            gone += 1;
        }
        self.blobs.clean_staging(SAFE_AGE).await?;
        if gone > 0 {
            tracing::info!(gone, "blobs that nothing refers to were deleted");
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rixin_base::{ArtifactId, Settings};
    use rixin_models::Registry;
    use rixin_store::{ArtifactKind, Blobs, NewArtifact, NewFile, SealedBlob, Store, now_ms};

    use crate::Artifacts;

    async fn opened(dir: &std::path::Path) -> (Arc<Artifacts>, Store, Blobs) {
        let flags = [("data_dir", dir.display().to_string())];
        let settings = Settings::load(&flags, None, &|_| None).expect("settings").settings;
        let store = Store::open(dir).await.expect("store");
        let blobs = Blobs::open_settings(&settings).await.expect("blobs");
        let registry = Registry::open(dir).await.expect("registry");
        let artifacts = Artifacts::open(&settings, store.clone(), blobs.clone(), registry).await;
        (artifacts.expect("artifacts"), store, blobs)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_named_or_young_stays() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (artifacts, store, blobs) = opened(dir.path()).await;
        store.first_key().await.expect("works");
        let scope = store.operator().default_scope().await.expect("scope");
        let mut hashes = Vec::new();
        for text in ["a file", "an artifact", "its credentials", "nobody's"] {
            hashes.push(blobs.put_bytes(text).await.expect("stored").sha256);
        }
        let [file, artifact, sidecar, nobodys] = <[_; 4]>::try_from(hashes).expect("four");
        let new = NewFile {
            purpose: "user_data".into(),
            name: "f".into(),
            bytes: 6,
            sha256: file.to_string(),
            expires_at: None,
        };
        store.add_file(&scope, &new).await.expect("added");
        let id = ArtifactId::new();
        let new = NewArtifact {
            kind: ArtifactKind::Other,
            name: "a".into(),
            media_type: "application/octet-stream".into(),
            source_sha256: artifact.to_string(),
            source_bytes: 11,
            lineage: serde_json::json!({}),
            parents: Vec::new(),
        };
        let kept = SealedBlob {
            sha256: artifact.to_string(),
            bytes: 11,
            content_sha256: artifact.to_string(),
            sidecar_sha256: Some(sidecar.to_string()),
        };
        store.add_upload(&scope, id, &new, &kept).await.expect("kept");
        assert_eq!(artifacts.collect().await.expect("works"), 0, "all are young");
        let old = now_ms() + 60_000;
        assert_eq!(artifacts.collect_before(old).await.expect("works"), 1);
        assert!(!blobs.exists(&nobodys).await.expect("works"));
        for named in [file, artifact, sidecar] {
            assert!(blobs.exists(&named).await.expect("works"));
        }
        store.remove_artifact(&scope, id).await.expect("removed");
        assert_eq!(artifacts.collect_before(old).await.expect("works"), 2, "its file and its credentials");
        assert!(blobs.exists(&file).await.expect("works"));
    }
}
