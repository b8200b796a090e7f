//! Storing.

use std::io;
use std::path::Path as FilePath;
use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStoreExt as _, PutMode, PutPayload};
use tokio::io::AsyncSeekExt as _;
use tokio_util::io::ReaderStream;

use super::hash::Hasher;
use super::place::{lost, not_implemented};
use super::read::READ_BYTES;
use super::upload::{MAX_BLOB_BYTES, Upload};
use super::{Blob, BlobError, Blobs, FRESH_FOR, Sha256};

/// What lies at a blob's place.
enum Present {
    Nothing,
    /// The content, young enough to be left as it is.
    Fresh,
    /// The content, so old that a collector may be about to take it; or something of another size.
    Stale,
}

impl Blobs {
    /// Stores bytes from memory.
    ///
    /// Dropping the future leaves either nothing or the whole blob.
    ///
    /// # Errors
    /// What the place says: [`BlobError::Full`], [`BlobError::Folder`], [`BlobError::Denied`], [`BlobError::Unreachable`], ...
    pub async fn put_bytes(&self, bytes: impl Into<Bytes>) -> Result<Blob, BlobError> {
        let mut bytes = bytes.into();
        let known = Blob { sha256: Sha256::of(&bytes), size: bytes.len() as u64 };
        let pieces = std::iter::from_fn(|| {
            let piece = bytes.split_to(bytes.len().min(1 << 20));
            (!piece.is_empty()).then_some(Ok(piece))
        });
        self.write(futures::stream::iter(pieces), known.size, known.size, Some(known)).await
    }

    /// Stores a file.
    ///
    /// For a bucket the file is read twice: once for its hash, so that known content is not sent at all and large content goes
    /// straight to its place, and once to send it.
    ///
    /// # Errors
    /// [`BlobError::Source`] for a file that can't be read or is no file, [`BlobError::Changed`] for one that something writes
    /// to, [`BlobError::TooLarge`] over [`MAX_BLOB_BYTES`], and what the place says.
    pub async fn put_file(&self, path: &FilePath) -> Result<Blob, BlobError> {
        let unreadable =
            |error: io::Error| BlobError::Source { path: path.to_path_buf(), why: error.to_string() };
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let meta = file.metadata().await.map_err(unreadable)?;
        if !meta.is_file() {
            return Err(BlobError::Source { path: path.to_path_buf(), why: "it is not a file".into() });
        }
        if meta.len() > MAX_BLOB_BYTES {
            return Err(BlobError::TooLarge { limit: MAX_BLOB_BYTES });
        }
        let mut known = None;
        if self.folder().is_none() {
            let copy = file.try_clone().await.map_err(unreadable)?.into_std().await;
            let read = tokio::task::spawn_blocking(move || Hasher::read(copy)).await;
            let blob = read.map_err(io::Error::other).flatten().map_err(unreadable)?;
            if matches!(self.look(&blob).await?, Present::Fresh) {
                return Ok(blob);
            }
            file.rewind().await.map_err(unreadable)?;
            known = Some(blob);
        }
        let stream = ReaderStream::with_capacity(file, READ_BYTES);
        match self.write(stream, MAX_BLOB_BYTES, meta.len(), known).await {
            Err(BlobError::Interrupted { why }) => Err(BlobError::Source { path: path.to_path_buf(), why }),
            Err(BlobError::Changed { .. }) => Err(BlobError::Changed { what: path.display().to_string() }),
            other => other,
        }
    }

    /// Stores bytes as they come, and at most `limit` of them.
    ///
    /// For a bucket the limit decides on the size of the parts, and with it on the memory: up to 80 GiB they have 8 MiB, and up
    /// to 72 MiB of the content are in memory at once; towards [`MAX_BLOB_BYTES`] it is 64 MiB, and 128 MiB.
    ///
    /// Dropping the future leaves nothing visible: what has arrived by then is removed in the background.
    ///
    /// # Errors
    /// [`BlobError::Interrupted`] when the stream fails, [`BlobError::TooLarge`] with the first byte over the limit, and what
    /// the place says. After each of them nothing is stored.
    pub async fn put_stream(
        &self,
        stream: impl Stream<Item = io::Result<Bytes>> + Send,
        limit: u64,
    ) -> Result<Blob, BlobError> {
        let limit = limit.min(MAX_BLOB_BYTES);
        self.write(stream, limit, limit, None).await
    }

    /// Stores a stream of about `expected` bytes, whose hash may be known.
    async fn write(
        &self,
        stream: impl Stream<Item = io::Result<Bytes>> + Send,
        limit: u64,
        expected: u64,
        known: Option<Blob>,
    ) -> Result<Blob, BlobError> {
        // In a folder everything passes through staging, where `clean_staging` finds what a crash left. In a bucket a multipart
        // upload is nowhere until it is complete, so with a known hash it needs no copy afterwards.
        let direct = known.filter(|_| self.folder().is_none());
        // A file has no limit of parts, so they are as small as can be.
        let expected = if self.folder().is_some() { 0 } else { expected };
        let key = direct.map_or_else(|| self.staged_key(), |blob| self.key(&blob.sha256));
        let mut upload =
            Upload::new(self.store.clone(), key.clone(), direct.is_none(), expected, self.cleanups.clone());
        let result = self.fill(&mut upload, stream, limit, known).await;
        let (blob, small) = match result {
            Ok(result) => result,
            Err(error) => {
                upload.discard().await;
                return Err(error);
            }
        };
        if let Some(payload) = small {
            self.put_small(&blob, payload).await?;
        } else {
            let placed = match upload.complete().await {
                Ok(()) if direct.is_some() => {
                    upload.keep();
                    return Ok(blob);
                }
                Ok(()) => self.promote(&key, &blob).await,
                Err(error) => Err(self.place.error(&error)),
            };
            upload.discard().await;
            placed?;
        }
        self.seal(&blob).await?;
        Ok(blob)
    }

    async fn fill(
        &self,
        upload: &mut Upload,
        stream: impl Stream<Item = io::Result<Bytes>> + Send,
        limit: u64,
        known: Option<Blob>,
    ) -> Result<(Blob, Option<PutPayload>), BlobError> {
        let changed = || BlobError::Changed { what: "the content".into() };
        let mut stream = pin!(stream);
        let mut hasher = Hasher::default();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| BlobError::Interrupted { why: error.to_string() })?;
            hasher.update(&bytes);
            if known.is_some_and(|blob| hasher.size() > blob.size) {
                return Err(changed());
            }
            if hasher.size() > limit {
                return Err(BlobError::TooLarge { limit });
            }
            upload.push(bytes).await.map_err(|error| self.place.error(&error))?;
        }
        let blob = hasher.finish();
        if known.is_some_and(|known| known != blob) {
            return Err(changed());
        }
        let small = upload.finish().await.map_err(|error| self.place.error(&error))?;
        Ok((blob, small))
    }

    async fn look(&self, blob: &Blob) -> Result<Present, BlobError> {
        match self.store.head(&self.key(&blob.sha256)).await {
            Ok(meta) => {
                let age_ms = crate::now_ms().saturating_sub(meta.last_modified.timestamp_millis());
                let young = u128::try_from(age_ms).unwrap_or(0) < FRESH_FOR.as_millis();
                Ok(if young && meta.size == blob.size { Present::Fresh } else { Present::Stale })
            }
            Err(error) => match self.error_of(&blob.sha256, &error) {
                BlobError::NotFound { .. } => Ok(Present::Nothing),
                error => Err(error),
            },
        }
    }

    /// One request; into an empty place, or over the same content.
    async fn put_small(&self, blob: &Blob, payload: PutPayload) -> Result<(), BlobError> {
        let key = self.key(&blob.sha256);
        let create = match self.look(blob).await? {
            Present::Fresh => return Ok(()),
            Present::Nothing => self.conditional,
            Present::Stale => false,
        };
        if create {
            match self.store.put_opts(&key, payload.clone(), PutMode::Create.into()).await {
                // Another writer of the same content was quicker.
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                // A conditional request is not tried again by the client, as it can't know that repeating it is harmless here.
                Err(error) if lost(&error) || not_implemented(&error) => {}
                Err(error) => return Err(self.place.error(&error)),
            }
        }
        let put = self.store.put_opts(&key, payload, PutMode::Overwrite.into()).await;
        put.map(drop).map_err(|error| self.place.error(&error))
    }

    /// Brings a staged object to its place.
    async fn promote(&self, staged: &Path, blob: &Blob) -> Result<(), BlobError> {
        let key = self.key(&blob.sha256);
        let create = match self.look(blob).await? {
            Present::Fresh => return Ok(()),
            Present::Nothing => self.conditional,
            Present::Stale => false,
        };
        if blob.size > self.copy_limit_bytes {
            return self.carry(staged, blob).await;
        }
        if create {
            let options = CopyOptions::new().with_mode(CopyMode::Create);
            match self.store.copy_opts(staged, &key, options).await {
                Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(error) if not_implemented(&error) => {}
                Err(error) => return Err(self.place.error(&error)),
            }
        }
        self.store.copy(staged, &key).await.map_err(|error| self.place.error(&error))
    }

    /// Brings a staged object that is too large for the server's copy to its place through this machine.
    async fn carry(&self, staged: &Path, blob: &Blob) -> Result<(), BlobError> {
        let staged = self.store.get(staged).await.map_err(|error| self.place.error(&error))?;
        let stream = staged.into_stream().map(|bytes| bytes.map_err(io::Error::other));
        match Box::pin(self.write(stream, blob.size, blob.size, Some(*blob))).await {
            Err(BlobError::Interrupted { why }) => {
                Err(BlobError::Unreachable { place: self.place.to_string(), why })
            }
            Err(BlobError::Changed { .. }) => Err(BlobError::Corrupt {
                sha256: blob.sha256,
                place: self.place.to_string(),
                why: "what came back from staging is not what was sent there".into(),
            }),
            other => other.map(drop),
        }
    }

    /// Takes the right to write from a blob's file, as other names may be linked to it.
    async fn seal(&self, blob: &Blob) -> Result<(), BlobError> {
        use std::os::unix::fs::PermissionsExt as _;
        let Some(path) = self.local_path(&blob.sha256) else { return Ok(()) };
        let sealed = tokio::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).await;
        sealed.map_err(|error| self.place.io(&error))
    }
}
