//! Sealing: labels by the tenant's policy, the signature, blob and row.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rixin_base::{Cancel, Code, Fault, Settings};
use rixin_models::Registry;
use rixin_provenance::{
    Corner, ExplicitLabel, LabelPolicy, LabelText, Lineage, Media, Parent, SealRequest, Signer, Source,
    draw_video_label,
};
use rixin_store::{Blobs, SealedBlob, Store, StoredArtifact, StoredLabelPolicy, Supervisor, now_ms};
use tokio::sync::Notify;

use crate::Instance;

/// How often it is looked for what waits, if nobody calls.
const LOOK: Duration = Duration::from_secs(1);
/// How often blobs that nothing refers to are cleared away.
const SWEEP: Duration = Duration::from_secs(3600);
/// What is sealed between two looks.
const AT_ONCE: u32 = 16;
/// The longest pause between two tries.
const LONGEST_PAUSE_MS: i64 = 600_000;
/// Faults of our own are not tried more often.
const TRIES: u32 = 5;
/// The largest `.c2pa` file that a parent brings along.
pub(crate) const MAX_SIDECAR: u64 = 16 << 20;

/// The artifacts of this instance.
pub struct Artifacts {
    pub(crate) instance: Instance,
    signer: Arc<Signer>,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) registry: Registry,
    pub(crate) folder: PathBuf,
    wake: Notify,
}

impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifacts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Artifacts {
    /// Opens the keys; the instance's own authority is made at its first use.
    ///
    /// # Errors
    /// Keys or settings that can't be used.
    pub async fn open(
        settings: &Settings,
        store: Store,
        blobs: Blobs,
        registry: Registry,
    ) -> Result<Arc<Self>, Fault> {
        let instance = Instance::of(settings)?;
        let opening = instance.clone();
        let folder = settings.data_dir.join("sealing");
        let made = folder.clone();
        let signer = tokio::task::spawn_blocking(move || {
            clear(&made)?;
            opening.signer()
        })
        .await
        .map_err(Fault::internal)??;
        Ok(Arc::new(Self {
            instance,
            signer: Arc::new(signer),
            store,
            blobs,
            registry,
            folder,
            wake: Notify::new(),
        }))
    }

    /// Looks at once for what waits.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Seals what waits and clears away what nothing refers to, until `cancel` fires.
    pub async fn run(self: Arc<Self>, cancel: Cancel) {
        let mut swept: Option<Instant> = None;
        loop {
            if let Err(fault) = self.seal_due().await {
                tracing::error!(%fault, "artifacts could not be looked after; it is tried again");
            }
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                if let Err(fault) = self.collect().await {
                    tracing::error!(%fault, "blobs could not be cleared away; it is tried again");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Seals what waits and is due; gives how many.
    ///
    /// # Errors
    /// The database failed. What is wrong with one artifact is noted with it.
    pub async fn seal_due(&self) -> Result<usize, Fault> {
        let supervisor = self.store.supervisor();
        let mut sealed = 0;
        loop {
            let due = supervisor.unsealed_artifacts(now_ms(), AT_ONCE).await?;
            if due.is_empty() {
                return Ok(sealed);
            }
            for artifact in due {
                match self.seal(&supervisor, &artifact).await {
                    Ok(()) => sealed += 1,
                    Err(fault) => {
                        let retry_at = retry_at(&fault, artifact.tries);
                        tracing::warn!(artifact = %artifact.id, again = retry_at.is_some(), "{fault}");
                        supervisor.seal_failed(artifact.id, &fault, retry_at).await?;
                    }
                }
            }
        }
    }

    async fn seal(&self, supervisor: &Supervisor, artifact: &StoredArtifact) -> Result<(), Fault> {
        let policy = label_policy(supervisor.label_policy_for(artifact).await?.as_ref());
        let lineage: Lineage = serde_json::from_value(artifact.lineage.clone()).map_err(|error| {
            Fault::new(
                Code::InvalidValue,
                format!("the lineage of {} can't be read: {error}", artifact.id),
                format!("无法读取 {} 的来源信息：{error}", artifact.id),
            )
        })?;
        let room = room(&self.folder)?;
        let media = Media::from_mime(&artifact.media_type);
        let (from, to) = (room.path().join("source"), room.path().join("sealed"));
        self.blobs.fetch_to(&artifact.source_sha256.parse()?, &from).await?;
        let mut parents = Vec::new();
        for parent in supervisor.parents_of(artifact).await? {
            let Some(sha256) = &parent.sha256 else { continue };
            let path = room.path().join(parent.id.to_string());
            self.blobs.fetch_to(&sha256.parse()?, &path).await?;
            let sidecar = match &parent.sidecar_sha256 {
                Some(sha256) => Some(self.blobs.get_bytes(&sha256.parse()?, MAX_SIDECAR).await?),
                None => None,
            };
            parents.push((parent.id.to_string(), Media::from_mime(&parent.media_type), path, sidecar));
        }
        let signer = Arc::clone(&self.signer);
        let (drawn, out) = (room.path().join("drawn"), to.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            let parents: Vec<Parent<'_>> = parents
                .iter()
                .map(|(id, media, path, sidecar)| Parent {
                    id,
                    media: *media,
                    source: Source::Path(path),
                    sidecar: sidecar.as_deref(),
                })
                .collect();
            seal_file(&signer, (media, policy), &lineage, &parents, (&from, &drawn, &out))
        })
        .await
        .map_err(Fault::internal)??;
        let sidecar_sha256 = match sealed.sidecar {
            Some(sidecar) => Some(self.blobs.put_bytes(sidecar).await?.sha256.to_string()),
            None => None,
        };
        let blob = self.blobs.put_file(&to).await?;
        let kept = SealedBlob {
            sha256: blob.sha256.to_string(),
            bytes: blob.size,
            content_sha256: sealed.content_sha256,
            sidecar_sha256,
        };
        if supervisor.seal_artifact(artifact.id, &kept).await? {
            tracing::info!(artifact = %artifact.id, job = ?artifact.job, kind = artifact.kind.as_str(), "sealed");
        }
        Ok(())
    }
}

/// The explicit label of a video is drawn by ffmpeg; that of everything else on the way.
fn seal_file(
    signer: &Signer,
    (media, policy): (Media, LabelPolicy),
    lineage: &Lineage,
    parents: &[Parent<'_>],
    (from, drawn, to): (&Path, &Path, &Path),
) -> Result<rixin_provenance::SealedFile, Fault> {
    let mut request = SealRequest { media, lineage, label: policy, parents, mining: None };
    let source = match policy.explicit {
        Some(label) if media == Media::Mp4 => {
            draw_video_label(Path::new("ffmpeg"), from, drawn, &label, &Cancel::new())?;
            request.label.explicit = None;
            drawn
        }
        _ => from,
    };
    Ok(signer.seal_file(&request, source, to)?)
}

/// A tenant's policy as the labels take it. The label in the metadata is always written.
pub fn label_policy(stored: Option<&StoredLabelPolicy>) -> LabelPolicy {
    let explicit = stored.filter(|policy| policy.explicit).map(|policy| ExplicitLabel {
        text: word::<LabelText>(&policy.words),
        corner: word::<Corner>(&policy.corner),
        whole_video: policy.whole_video,
    });
    LabelPolicy { implicit: true, explicit }
}

/// A word that was checked when it was stored.
fn word<T: serde::de::DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_value(text.into()).unwrap_or_default()
}

/// When to try again: what may mend itself, or what somebody can mend, is tried with ever longer pauses; a file that can't be signed is not.
fn retry_at(fault: &Fault, tries: u32) -> Option<i64> {
    let hopeless = matches!(fault.code, Code::InvalidValue | Code::Unsupported | Code::BodyTooLarge);
    if hopeless || fault.code == Code::Internal && tries + 1 >= TRIES {
        return None;
    }
    let pause = 2000_i64.saturating_mul(1 << tries.min(20)).min(LONGEST_PAUSE_MS);
    Some(now_ms() + pause)
}

/// A folder for the files of one sealing; it goes with its value.
pub(crate) fn room(folder: &Path) -> Result<tempfile::TempDir, Fault> {
    tempfile::tempdir_in(folder).map_err(|error| unwritable(folder, &error))
}

/// Nothing of an earlier process is needed.
fn clear(folder: &Path) -> Result<(), Fault> {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(folder, &error)),
    }
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Fault {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { Code::DiskFull } else { Code::ReadOnly };
    Fault::new(
        code,
        format!("{} can't be written: {error}; give this user the right to write there", folder.display()),
        format!("{} 无法写入：{error}；请为当前用户授予写权限", folder.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_mend_itself_is_tried_again() {
        let fault = |code| Fault::new(code, "no", "不行");
        assert!(retry_at(&fault(Code::InvalidValue), 0).is_none());
        assert!(retry_at(&fault(Code::BadUpstream), 99).is_some(), "a time stamping authority comes back");
        assert!(retry_at(&fault(Code::Internal), 0).is_some());
        assert!(retry_at(&fault(Code::Internal), 4).is_none());
    }

    #[test]
    fn a_policy_adds_the_explicit_label_and_never_takes_the_other() {
        let mut stored = StoredLabelPolicy {
            explicit: true,
            words: "both".into(),
            corner: "top_left".into(),
            whole_video: true,
        };
        let policy = label_policy(Some(&stored));
        let explicit = policy.explicit.expect("asked for");
        assert_eq!(
            (explicit.text, explicit.corner, explicit.whole_video),
            (LabelText::Both, Corner::TopLeft, true)
        );
        stored.explicit = false;
        for policy in [label_policy(Some(&stored)), label_policy(None)] {
            assert!(policy.implicit && policy.explicit.is_none());
        }
    }
}
