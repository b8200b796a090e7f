//! Listing and deleting.

use std::io;
use std::path::Path as FilePath;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;

use super::{Blob, BlobError, Blobs, Sha256, file_under};

/// A blob as the list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name and length.
    pub blob: Blob,
    /// When it was last written, in milliseconds since 1970, by the clock of the place.
    pub stored_at: i64,
}

impl Blobs {
    /// All blobs, in no particular order. Objects of other names beside them are not shown and not touched.
    pub fn list(&self) -> BoxStream<'static, Result<StoredBlob, BlobError>> {
        let place = self.place.clone();
        self.store
            .list(Some(&self.blobs()))
            .map(move |found| {
                let found = found.map_err(|error| place.error(&error))?;
                let named = found.location.filename().and_then(|name| name.parse::<Sha256>().ok());
                if named.is_none() {
                    tracing::debug!(key = %found.location, "not a blob");
                }
                Ok(named.map(|sha256| StoredBlob {
                    blob: Blob { sha256, size: found.size },
                    stored_at: found.last_modified.timestamp_millis(),
                }))
            })
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .boxed()
    }

    /// When a blob was stored, in milliseconds since 1970; `None`: it is not there.
    ///
    /// # Errors
    /// What the place says.
    pub async fn stored_at(&self, sha256: &Sha256) -> Result<Option<i64>, BlobError> {
        match self.store.head(&self.key(sha256)).await {
            Ok(found) => Ok(Some(found.last_modified.timestamp_millis())),
            Err(error) => match self.error_of(sha256, &error) {
                BlobError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Deletes a blob; one that is not there is deleted already. See the module's text for what a collector may delete.
    ///
    /// # Errors
    /// What the place says.
    pub async fn delete(&self, sha256: &Sha256) -> Result<(), BlobError> {
        match self.store.delete(&self.key(sha256)).await {
            Ok(()) => Ok(()),
            Err(error) => match self.error_of(sha256, &error) {
                BlobError::NotFound { .. } => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Removes what crashed writers left in `staging/` longer ago than this, and says how many objects that were.
    ///
    /// In a bucket, parts of uploads that were never completed are no objects; a rule of the bucket that aborts incomplete
    /// multipart uploads takes them away.
    ///
    /// # Errors
    /// What the place says.
    pub async fn clean_staging(&self, older_than: Duration) -> Result<u64, BlobError> {
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let before = crate::now_ms().saturating_sub(age_ms);
        if let Some(folder) = self.folder() {
            // The store's own list hides unfinished files.
            let staging = file_under(folder, &self.staging());
            let removed = tokio::task::spawn_blocking(move || remove_older(&staging, before)).await;
            return removed.map_err(io::Error::other).flatten().map_err(|error| self.place.io(&error));
        }
        let mut staged = self.store.list(Some(&self.staging()));
        let mut removed = 0;
        while let Some(found) = staged.try_next().await.map_err(|error| self.place.error(&error))? {
            if found.last_modified.timestamp_millis() > before {
                continue;
            }
            match self.store.delete(&found.location).await {
                Ok(()) => removed += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.place.error(&error)),
            }
        }
        Ok(removed)
    }
}

fn remove_older(staging: &FilePath, before: i64) -> io::Result<u64> {
    let mut removed = 0;
    for entry in std::fs::read_dir(staging)? {
        let entry = entry?;
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // Its writer was done in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let since_1970 = meta.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if meta.is_file() && i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX) <= before {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(removed)
}
