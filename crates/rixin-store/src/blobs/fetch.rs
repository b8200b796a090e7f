//! Bringing a blob to a file.

use std::io;
use std::path::{Path as FilePath, PathBuf};

use futures::TryStreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::hash::Hasher;
use super::{BlobError, Blobs, Sha256};

impl Blobs {
    /// Brings a blob to a file, in place of what is there: checked first, then at once.
    ///
    /// From a folder on the same file system it is a reflink, or else a hard link; such a file is read-only, and must not be
    /// written to, as it is the stored blob itself. Otherwise it is a copy.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Corrupt`], [`BlobError::Target`] and [`BlobError::Full`] for the file, and what
    /// the place says. After each of them the file is as it was.
    pub async fn fetch_to(&self, sha256: &Sha256, target: &FilePath) -> Result<(), BlobError> {
        let temp = Temp::beside(target)?;
        let temp = match self.local_path(sha256) {
            Some(source) => self.link(sha256, source, temp).await?,
            None => self.download(sha256, temp).await?,
        };
        temp.rename(target).await
    }

    async fn link(&self, sha256: &Sha256, source: PathBuf, temp: Temp) -> Result<Temp, BlobError> {
        let (sha256, missing, place) = (*sha256, self.not_found(sha256), self.place.clone());
        // The task gives the file back or removes it, also when nobody waits for it any more.
        let linked = tokio::task::spawn_blocking(move || {
            let original = std::fs::File::open(&source).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => missing,
                _ => place.io(&error),
            })?;
            clone_file(&original, &source, &temp.path).map_err(|error| temp.error(&error))?;
            let copy = std::fs::File::open(&temp.path).map_err(|error| temp.error(&error))?;
            let found = Hasher::read(copy).map_err(|error| place.io(&error))?;
            if found.sha256 != sha256 {
                let why = format!("their hash is {} now", found.sha256);
                return Err(BlobError::Corrupt { sha256, place: place.to_string(), why });
            }
            Ok(temp)
        });
        linked.await.map_err(|error| self.place.io(&io::Error::other(error))).flatten()
    }

    async fn download(&self, sha256: &Sha256, temp: Temp) -> Result<Temp, BlobError> {
        let mut stream = self.get(sha256).await?;
        let mut file = tokio::fs::File::create_new(&temp.path).await.map_err(|error| temp.error(&error))?;
        while let Some(bytes) = stream.try_next().await? {
            file.write_all(&bytes).await.map_err(|error| temp.error(&error))?;
        }
        file.sync_all().await.map_err(|error| temp.error(&error))?;
        Ok(temp)
    }
}

/// A second name or a copy of a file, the cheapest that the file system has.
fn clone_file(original: &std::fs::File, source: &FilePath, copy: &FilePath) -> io::Result<()> {
    let file = std::fs::File::create_new(copy)?;
    if rustix::fs::ioctl_ficlone(&file, original).is_ok() {
        return Ok(());
    }
    std::fs::remove_file(copy)?;
    if std::fs::hard_link(source, copy).is_ok() {
        return Ok(());
    }
    let (mut from, mut to) = (original, std::fs::File::create_new(copy)?);
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// A file beside the target that is removed unless it takes the target's place.
struct Temp {
    path: PathBuf,
    target: PathBuf,
}

impl Temp {
    fn beside(target: &FilePath) -> Result<Self, BlobError> {
        let name = target.file_name().ok_or_else(|| BlobError::Target {
            path: target.to_path_buf(),
            why: "it has no file name".into(),
        })?;
        let name = format!(".{}.{}.part", name.to_string_lossy(), uuid::Uuid::now_v7());
        Ok(Self { path: target.with_file_name(name), target: target.to_path_buf() })
    }

    async fn rename(self, target: &FilePath) -> Result<(), BlobError> {
        // Where both are names of one file already, nothing happens, and `drop` takes the second name away.
        tokio::fs::rename(&self.path, target).await.map_err(|error| self.error(&error))
    }

    fn error(&self, error: &io::Error) -> BlobError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BlobError::Full { place: self.target.display().to_string(), why: error.to_string() }
            }
            _ => BlobError::Target { path: self.target.clone(), why: error.to_string() },
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // It is not there after the rename.
        let _ = std::fs::remove_file(&self.path);
    }
}
