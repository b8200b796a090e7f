//! Verification: every file of a model read again and compared with its manifest.

use std::path::Path;

use rixin_base::{Cancel, Message, Progress};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, Manifest, ModelFile, Result, hash_file, manifest::MessageSchema};

/// What was found of one file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FileCheck {
    /// The file.
    pub path: String,
    /// Whether size and SHA-256 are those of the manifest.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessageSchema>)]
    pub reason: Option<Message>,
}

/// What was found of all files.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VerifyReport {
    /// Whether every file is as it should be.
    pub ok: bool,
    /// One entry a file, in the manifest's order.
    pub files: Vec<FileCheck>,
}

pub(super) fn verify(
    folder: &Path,
    manifest: &Manifest,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<VerifyReport> {
    let mut files = Vec::with_capacity(manifest.files.len());
    for file in &manifest.files {
        let reason = check(folder, file, progress, cancel)?;
        files.push(FileCheck { path: file.path.to_string(), ok: reason.is_none(), reason });
    }
    Ok(VerifyReport { ok: files.iter().all(|file| file.ok), files })
}

fn check(folder: &Path, file: &ModelFile, progress: &Progress, cancel: &Cancel) -> Result<Option<Message>> {
    let path = folder.join(&file.path);
    let size = match std::fs::metadata(&path) {
        Ok(meta) => meta.len(),
        Err(e) => return Ok(Some(Message::new(format!("it can't be read: {e}"), format!("无法读取：{e}")))),
    };
    if size != file.size {
        return Ok(Some(Message::new(
            format!("it has {size} bytes instead of {}", file.size),
            format!("文件有 {size} 字节，应为 {} 字节", file.size),
        )));
    }
    match hash_file(&path, "verify", progress, cancel) {
        Ok((_, sha256)) if sha256 == file.sha256 => Ok(None),
        Ok((_, sha256)) => Ok(Some(Message::new(
            format!("its SHA-256 is {sha256} instead of {}", file.sha256),
            format!("SHA-256 为 {sha256}，应为 {}", file.sha256),
        ))),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(error) => {
            let message = rixin_base::Explain::message(&error);
            Ok(Some(message))
        }
    }
}
