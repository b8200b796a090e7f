//! Bytes by their SHA-256, in a folder or in a bucket of an S3 server.
//!
//! [`Blobs`] takes bytes and gives back their hash; under that hash they can be read until they are deleted. Equal content is
//! stored once. Every full read is checked against the name, so a changed byte is an error and never an answer.
//!
//! It does not know what the bytes mean, whose they are, or whether anything still refers to them: the rows of the database do.
//!
//! # Layout
//! `sha256/ab/HASH` holds a blob, where `ab` are the first two digits; `staging/` holds what is not finished. A blob comes to its
//! place whole: by one conditional request when it is small, by a link or a copy from `staging/` that takes an empty place only,
//! or as the end of a multipart upload whose hash was checked before.
//!
//! # Deleting what nothing refers to
//! A blob is stored before the row that refers to it, so a collector has to leave young blobs alone: it deletes those that have
//! no row and are older than [`SAFE_AGE`]. Storing content that is there already makes it young again when it is over
//! [`FRESH_FOR`] old, by writing it once more.

mod copy;
mod error;
mod fetch;
mod hash;
mod options;
mod place;
mod probe;
mod read;
mod s3;
mod settings;
mod sweep;
mod upload;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::path::Path;
use tokio_util::task::TaskTracker;

pub use error::BlobError;
pub use hash::{Blob, Sha256};
pub use options::{BlobOptions, S3Options, SecretKey};
pub use read::BlobStream;
pub use sweep::StoredBlob;
pub use upload::MAX_BLOB_BYTES;

use place::Place;

/// How long a stored blob counts as new: storing the same content again within this time writes nothing.
pub const FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// The age under which a collector must not delete a blob, because a row that refers to it may be on its way.
pub const SAFE_AGE: Duration = Duration::from_secs(48 * 3600);

/// The blobs of one folder or bucket; clones are cheap and share connections.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    place: Place,
    /// Before every key: the bucket's prefix.
    base: Path,
    /// The server refuses to overwrite when it is asked to (`If-None-Match: *`).
    conditional: bool,
    copy_limit_bytes: u64,
    /// Removal of what dropped futures left behind.
    cleanups: TaskTracker,
}

impl Blobs {
    /// Opens a folder or a bucket, and checks with a small object that it can be listed, written and deleted from.
    ///
    /// # Errors
    /// [`BlobError::Setting`] for settings that can't be right; [`BlobError::Folder`], [`BlobError::Full`]; and for a bucket
    /// [`BlobError::NoBucket`], [`BlobError::WrongKey`], [`BlobError::WrongRegion`], [`BlobError::Denied`],
    /// [`BlobError::Unreachable`] after the retries.
    pub async fn open(options: &BlobOptions) -> Result<Self, BlobError> {
        match options {
            BlobOptions::Folder(path) => probe::open_folder(path).await,
            BlobOptions::S3(options) => probe::open_bucket(options).await,
        }
    }

    /// Whether the place refuses to overwrite when asked to. Without it, two writers of the same content may both write; the
    /// bytes are equal, so no reader can tell.
    pub fn has_conditional_put(&self) -> bool {
        self.conditional
    }

    /// Where a blob lies on this machine, whether it exists or not; `None` in a bucket. Its file must not be written to.
    pub fn local_path(&self, sha256: &Sha256) -> Option<PathBuf> {
        self.folder().map(|folder| file_under(folder, &self.key(sha256)))
    }

    /// Waits until everything that dropped futures left behind is removed: before the process ends, so that no part of an
    /// upload stays on a server that asks money for it.
    pub async fn settled(&self) {
        self.cleanups.wait().await;
    }

    fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            Place::Bucket(_) => None,
        }
    }

    fn key(&self, sha256: &Sha256) -> Path {
        let name = sha256.to_string();
        self.blobs().join(&name[..2]).join(name.as_str())
    }

    fn blobs(&self) -> Path {
        self.base.clone().join("sha256")
    }

    fn staging(&self) -> Path {
        self.base.clone().join("staging")
    }

    fn staged_key(&self) -> Path {
        self.staging().join(uuid::Uuid::now_v7().to_string())
    }

    fn not_found(&self, sha256: &Sha256) -> BlobError {
        BlobError::NotFound { sha256: *sha256, place: self.place.to_string() }
    }

    /// An error about one blob.
    fn error_of(&self, sha256: &Sha256, error: &object_store::Error) -> BlobError {
        match error {
            // A missing bucket answers 404 too, and says so.
            object_store::Error::NotFound { .. } if !error.to_string().contains("NoSuchBucket") => {
                self.not_found(sha256)
            }
            _ => self.place.error(error),
        }
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blobs({})", self.place)
    }
}

fn file_under(folder: &std::path::Path, key: &Path) -> PathBuf {
    key.parts().fold(folder.to_path_buf(), |path, part| path.join(part.as_ref()))
}
