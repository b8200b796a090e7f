//! The check of a whole file against all that is known of it.

use std::{fs::File, io::Read, path::Path};

use rixin_base::{Cancel, Progress, ProgressEvent};
use sha1::Digest;

use super::{Fetched, Wanted, one::blocking};
use crate::{Error, hash_file, source::SourceError};

/// Hashes a file and compares.
pub(super) async fn check(
    wanted: &Wanted,
    path: &Path,
    size: u64,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Fetched, SourceError> {
    let name = wanted.name.clone();
    if let Some(expected) = wanted.size.filter(|expected| *expected != size) {
        return Err(SourceError::SizeMismatch { file: name, expected, actual: size });
    }
    let (outer, item) = (progress.clone(), name.clone());
    let progress = Progress::new(move |event| outer.report(ProgressEvent { item: item.clone(), ..event }));
    let (path, cancel, git_blob) = (path.to_path_buf(), cancel.clone(), wanted.git_blob.clone());
    let sha256 = wanted.sha256;
    blocking(move || {
        let (size, actual) = hash_file(&path, "verify", &progress, &cancel).map_err(from_error)?;
        match (sha256, git_blob) {
            (Some(expected), _) if expected != actual => {
                Err(SourceError::HashMismatch { file: name, expected, actual })
            }
            (None, Some(expected)) if git_blob_of(&path, size)? != expected => Err(SourceError::answer(
                "the hub",
                &name,
                format!("bytes whose git hash is not {expected}: damaged or replaced"),
                format!("git 哈希不是 {expected} 的内容：文件已损坏或被替换"),
            )),
            _ => Ok(Fetched { size, sha256: actual }),
        }
    })
    .await
}

/// An error of the hash function, which reads files and can be cancelled, nothing more.
fn from_error(error: Error) -> SourceError {
    match error {
        Error::Cancelled => SourceError::Cancelled,
        Error::Io { path, source, .. } => SourceError::Io { doing: "read", path, source },
        other => SourceError::io("read", "", std::io::Error::other(other)),
    }
}

/// Git's name of a file's content.
fn git_blob_of(path: &Path, size: u64) -> Result<String, SourceError> {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {size}\0"));
    let mut file = File::open(path).map_err(|e| SourceError::io("read", path, e))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| SourceError::io("read", path, e))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
