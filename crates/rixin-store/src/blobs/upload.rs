//! Content of any length on its way to one key: in memory while it is small, as a multipart upload once it is not.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, Result};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// Parts of a multipart upload are numbered up to this (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>).
const MOST_PARTS: u64 = 10_000;
/// Bytes of a part: all parts of an upload but the last are of one size, which some servers demand.
const SMALLEST_PART: u64 = 8 << 20;
const LARGEST_PART: u64 = 64 << 20;
/// Bytes of parts that are on their way at once, and in memory.
const IN_FLIGHT: usize = 64 << 20;

/// The most bytes that a blob can have: 625 GiB.
pub const MAX_BLOB_BYTES: u64 = MOST_PARTS * LARGEST_PART;

#[derive(PartialEq)]
enum Stage {
    Open,
    /// The request to put the parts together was sent.
    Completing,
    Complete,
    /// Nothing is left to remove.
    Settled,
}

/// An upload; dropping it removes what arrived, in a task of its own.
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    key: Path,
    /// The key is under `staging/`: whatever lies there is ours to delete.
    staged: bool,
    part_bytes: usize,
    buffered: Vec<Bytes>,
    buffered_bytes: usize,
    multipart: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<Result<()>>,
    stage: Stage,
    cleanups: TaskTracker,
}

impl Upload {
    /// An upload of at most `limit` bytes; nothing is sent before the first part is full.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        key: Path,
        staged: bool,
        limit: u64,
        cleanups: TaskTracker,
    ) -> Self {
        Self {
            store,
            key,
            staged,
            part_bytes: part_bytes(limit),
            buffered: Vec::new(),
            buffered_bytes: 0,
            multipart: None,
            parts: JoinSet::new(),
            stage: Stage::Open,
            cleanups,
        }
    }

    /// Takes more bytes; waits while too many are on their way.
    pub(super) async fn push(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            // A full part leaves only when more follows, so the last one is never empty, and one part alone is no multipart.
            if self.buffered_bytes == self.part_bytes {
                self.send_part().await?;
            }
            let piece = bytes.split_to(bytes.len().min(self.part_bytes - self.buffered_bytes));
            self.buffered_bytes += piece.len();
            self.buffered.push(piece);
        }
        Ok(())
    }

    /// After the last bytes: all of them, when they are small enough for one request; otherwise every part has arrived.
    pub(super) async fn finish(&mut self) -> Result<Option<PutPayload>> {
        if self.multipart.is_none() {
            return Ok(Some(self.take_buffered()));
        }
        self.send_part().await?;
        while let Some(part) = self.parts.join_next().await {
            part??;
        }
        Ok(None)
    }

    /// Puts the parts together at the key.
    pub(super) async fn complete(&mut self) -> Result<()> {
        if let Some(multipart) = &mut self.multipart {
            self.stage = Stage::Completing;
            multipart.complete().await?;
            self.stage = Stage::Complete;
        }
        Ok(())
    }

    /// The object at the key stays.
    pub(super) fn keep(mut self) {
        self.stage = Stage::Settled;
    }

    /// Removes what arrived.
    pub(super) async fn discard(mut self) {
        if let Some(rest) = self.rest() {
            rest.remove().await;
        }
    }

    async fn send_part(&mut self) -> Result<()> {
        if self.multipart.is_none() {
            self.multipart = Some(self.store.put_multipart(&self.key).await?);
        }
        while self.parts.len() >= (IN_FLIGHT / self.part_bytes).max(1) {
            if let Some(part) = self.parts.join_next().await {
                part??;
            }
        }
        let payload = self.take_buffered();
        if let Some(multipart) = &mut self.multipart {
            self.parts.spawn(multipart.put_part(payload));
        }
        Ok(())
    }

    fn take_buffered(&mut self) -> PutPayload {
        self.buffered_bytes = 0;
        std::mem::take(&mut self.buffered).into_iter().collect()
    }

    fn rest(&mut self) -> Option<Rest> {
        let stage = std::mem::replace(&mut self.stage, Stage::Settled);
        let multipart = self.multipart.take()?;
        (stage != Stage::Settled).then(|| Rest {
            store: Arc::clone(&self.store),
            key: self.key.clone(),
            abort: (stage != Stage::Complete).then_some(multipart),
            delete: self.staged && stage != Stage::Open,
            parts: std::mem::take(&mut self.parts),
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(rest) = self.rest() else { return };
        // Without a runtime the process is ending: `clean_staging` finds the rest at the next start.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.cleanups.spawn_on(rest.remove(), &runtime);
        }
    }
}

/// What an upload that was given up has left.
struct Rest {
    store: Arc<dyn ObjectStore>,
    key: Path,
    abort: Option<Box<dyn MultipartUpload>>,
    delete: bool,
    parts: JoinSet<Result<()>>,
}

impl Rest {
    async fn remove(mut self) {
        // A part that arrives after the abort would stay for ever.
        self.parts.shutdown().await;
        if let Some(multipart) = &mut self.abort
            && let Err(error) = multipart.abort().await
        {
            tracing::warn!(key = %self.key, %error, "the parts of an upload that was given up could not be removed");
        }
        if self.delete {
            match self.store.delete(&self.key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(key = %self.key, %error, "a staged object could not be removed"),
            }
        }
    }
}

/// The smallest part size in whole MiB that fits `limit` bytes into the allowed number of parts.
fn part_bytes(limit: u64) -> usize {
    let fitting = limit.div_ceil(MOST_PARTS).div_ceil(1 << 20) << 20;
    usize::try_from(fitting.clamp(SMALLEST_PART, LARGEST_PART)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_the_largest_blob() {
        assert_eq!(part_bytes(0), 8 << 20);
        assert_eq!(part_bytes(80 << 30), 9 << 20);
        assert_eq!(part_bytes(MAX_BLOB_BYTES), 64 << 20);
        for limit in [1, 50 << 30, 100 << 30, 300 << 30, MAX_BLOB_BYTES] {
            assert!(part_bytes(limit) as u64 * MOST_PARTS >= limit);
        }
    }
}
