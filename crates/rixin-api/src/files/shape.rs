//! Files in OpenAI's shape.

use rixin_store::StoredFile;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FileObject {
    /// Its id.
    pub id: String,
    /// `file`.
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970, when it goes by itself; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Its name.
    pub filename: String,
    /// What it is for.
    pub purpose: String,
    /// `processed`: a file that is stored can be used.
    pub status: String,
    /// Always null.
    pub status_details: Option<String>,
}

impl From<StoredFile> for FileObject {
    fn from(file: StoredFile) -> Self {
        Self {
            id: file.id.to_string(),
            object: "file".into(),
            bytes: file.bytes,
            created_at: file.created_at / 1000,
            expires_at: file.expires_at.map(|at| at / 1000),
            filename: file.name,
            purpose: file.purpose,
            status: "processed".into(),
            status_details: None,
        }
    }
}

/// A page of files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FileList {
    /// `list`.
    pub object: String,
    /// The files.
    pub data: Vec<FileObject>,
    /// The id of the first.
    pub first_id: Option<String>,
    /// The id of the last: the `after` of the next page.
    pub last_id: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl FileList {
    pub fn new(data: Vec<FileObject>, has_more: bool) -> Self {
        let id = |file: Option<&FileObject>| file.map(|file| file.id.clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Self { object: "list".into(), data, first_id, last_id, has_more }
    }
}

/// That a file is gone.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeletedFile {
    /// The id that it had.
    pub id: String,
    /// `file`.
    pub object: String,
    /// True.
    pub deleted: bool,
}

/// The form of an upload.
#[derive(Debug, Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document describes the form by it")]
pub(crate) struct NewFileForm {
    /// The file.
    #[schema(format = Binary)]
    pub file: String,
    /// What it is for: `batch`, `user_data`, `fine-tune`, `evals`, `vision` or `assistants`.
    pub purpose: String,
    /// `created_at`, with `expires_after[seconds]`: the file goes by itself.
    #[serde(rename = "expires_after[anchor]")]
    pub expires_after_anchor: Option<String>,
    /// How long after its upload it goes: 3600 (an hour) to 2592000 (30 days).
    #[serde(rename = "expires_after[seconds]")]
    pub expires_after_seconds: Option<u32>,
}
