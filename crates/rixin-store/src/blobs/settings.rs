//! Where the settings say that blobs are.

use rixin_base::Settings;

use super::{BlobError, BlobOptions, Blobs, S3Options};

/// The folder in the data folder.
const FOLDER: &str = "objects";

impl BlobOptions {
    /// What the settings say: a bucket, or the data folder.
    pub fn from_settings(settings: &Settings) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let Some(url) = given(&settings.blob_url) else {
            return BlobOptions::Folder(settings.data_dir.join(FOLDER));
        };
        let secret = settings.s3_secret_access_key.reveal().unwrap_or_default();
        let mut options = S3Options::new(url, settings.s3_access_key_id.clone(), secret);
        options.endpoint = given(&settings.s3_endpoint);
        options.region = given(&settings.s3_region);
        BlobOptions::S3(options)
    }
}

impl Blobs {
    /// Opens what the settings say.
    ///
    /// # Errors
    /// See [`Blobs::open`].
    pub async fn open_settings(settings: &Settings) -> Result<Self, BlobError> {
        Self::open(&BlobOptions::from_settings(settings)).await
    }
}
