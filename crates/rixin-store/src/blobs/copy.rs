//! Every blob into another place: from the folder into a bucket, or back.

use std::io;

use futures::{StreamExt as _, TryStreamExt as _};

use super::{BlobError, Blobs, MAX_BLOB_BYTES};

impl Blobs {
    /// Copies every blob; those that are there already are left alone. Each is checked on the way, and the other place names it by the
    /// hash of what arrived. Gives how many were copied.
    ///
    /// # Errors
    /// A blob is damaged, or what either place says; what was copied by then stays.
    pub async fn copy_to(&self, other: &Self) -> Result<u64, BlobError> {
        let mut copied = 0;
        let mut list = self.list();
        while let Some(found) = list.next().await {
            let sha256 = found?.blob.sha256;
            if other.exists(&sha256).await? {
                continue;
            }
            let bytes = self.get(&sha256).await?.map_err(io::Error::other);
            let stored = other.put_stream(bytes, MAX_BLOB_BYTES).await?;
            if stored.sha256 != sha256 {
                return Err(BlobError::Corrupt {
                    sha256,
                    place: self.place.to_string(),
                    why: format!("it arrived as {}", stored.sha256),
                });
            }
            copied += 1;
        }
        Ok(copied)
    }
}
