//! Opening: what is wrong with a folder or a bucket is said at the start, not at the first blob.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use tokio_util::task::TaskTracker;

use super::place::{Place, not_implemented};
use super::{BlobError, Blobs, S3Options, s3};

pub(super) async fn open_folder(path: &FilePath) -> Result<Blobs, BlobError> {
    let named = Place::Folder(path.to_path_buf());
    let wanted = path.to_path_buf();
    let made = tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::DirBuilderExt as _;
        // The blobs of all tenants: for this user alone.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&wanted)?;
        for name in ["sha256", "staging"] {
            std::fs::create_dir_all(wanted.join(name))?;
        }
        wanted.canonicalize()
    })
    .await;
    let root = made.map_err(std::io::Error::other).flatten().map_err(|error| named.io(&error))?;
    let store =
        LocalFileSystem::new_with_prefix(&root).map_err(|error| named.error(&error))?.with_fsync(true);
    let mut blobs = blobs(Arc::new(store), Place::Folder(root), Path::default(), u64::MAX);
    blobs.conditional = blobs.probe().await?;
    Ok(blobs)
}

pub(super) async fn open_bucket(options: &S3Options) -> Result<Blobs, BlobError> {
    let (store, place, bucket) = s3::client(options)?;
    let mut blobs = blobs(store, place, bucket.prefix, options.copy_limit_bytes);
    // The list comes first: it tells a missing bucket from a missing object, and it needs a right of its own.
    let listed = blobs.store.list(Some(&blobs.staging())).try_next().await;
    listed.map_err(|error| blobs.place.error(&error))?;
    blobs.conditional = blobs.probe().await?;
    if !blobs.conditional {
        tracing::info!(place = %blobs.place, "the server has no conditional put: equal content may be written twice");
    }
    Ok(blobs)
}

fn blobs(store: Arc<dyn ObjectStore>, place: Place, base: Path, copy_limit_bytes: u64) -> Blobs {
    let cleanups = TaskTracker::new();
    // Closed only says that one may wait for it; tasks still come in.
    cleanups.close();
    Blobs { store, place, base, conditional: true, copy_limit_bytes, cleanups }
}

impl Blobs {
    /// Writes and deletes an object; says whether a second write that asks for an empty place is refused.
    async fn probe(&self) -> Result<bool, BlobError> {
        let key = self.staged_key();
        let put = async |mode: PutMode| {
            self.store.put_opts(&key, PutPayload::from_static(b"probe"), mode.into()).await
        };
        let conditional = match put(PutMode::Create).await {
            Ok(_) => match put(PutMode::Create).await {
                Err(object_store::Error::AlreadyExists { .. }) => Ok(true),
                Ok(_) => Ok(false),
                Err(error) => Err(error),
            },
            Err(error) if not_implemented(&error) => put(PutMode::Overwrite).await.map(|_| false),
            Err(error) => Err(error),
        };
        let deleted = self.store.delete(&key).await;
        let conditional = conditional.map_err(|error| self.place.error(&error))?;
        deleted.map_err(|error| self.place.error(&error))?;
        Ok(conditional)
    }
}
