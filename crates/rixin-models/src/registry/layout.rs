//! Where things lie in the data folder, and the file operations that are atomic and reach the disk.
//!
//! `models/<id>/manifest.json` and the model's files; `blobs/sha256/ab/<hash>`, of which those files are hard links;
//! `staging/<name>/` for what is not installed yet; `registry.db`, the index; `registry.lock`, held while models come or go.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rixin_base::ModelId;

use crate::{Error, Result, Sha256};

/// The manifest's name in a model's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The folders and files of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub data_dir: PathBuf,
    pub models: PathBuf,
    pub blobs: PathBuf,
    pub staging: PathBuf,
    pub index: PathBuf,
    lock: PathBuf,
}

impl Layout {
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_path_buf(),
            models: data_dir.join("models"),
            blobs: data_dir.join("blobs").join("sha256"),
            staging: data_dir.join("staging"),
            index: data_dir.join("registry.db"),
            lock: data_dir.join("registry.lock"),
        }
    }

    /// Makes the folders that are missing.
    pub fn create(&self) -> Result<()> {
        for folder in [&self.models, &self.blobs, &self.staging] {
            fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        }
        Ok(())
    }

    pub fn model(&self, id: &ModelId) -> PathBuf {
        self.models.join(id.as_str())
    }

    pub fn manifest(&self, id: &ModelId) -> PathBuf {
        self.model(id).join(MANIFEST_FILE)
    }

    pub fn blob(&self, sha256: &Sha256) -> PathBuf {
        let hex = sha256.to_string();
        self.blobs.join(&hex[..2]).join(hex)
    }

    /// Waits for the right to change models or staging folders; other processes wait in turn.
    pub fn lock(&self) -> Result<Lock> {
        let file = open_lock(&self.lock)?;
        file.lock().map_err(|e| Error::io("lock", &self.lock, e))?;
        Ok(Lock { _file: file })
    }

    /// The time at which a model last came or went, in nanoseconds: what the index is compared with.
    pub fn models_stamp(&self) -> Result<i64> {
        let meta = fs::metadata(&self.models).map_err(|e| Error::io("read", &self.models, e))?;
        Ok(meta.mtime().wrapping_mul(1_000_000_000).wrapping_add(meta.mtime_nsec()))
    }
}

/// The right to change models; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.open(path).map_err(|e| Error::io("write", path, e))
}

/// Tells one manifest on disk from another without reading it.
pub(crate) fn manifest_stamp(path: &Path) -> Option<i64> {
    let meta = fs::metadata(path).ok()?;
    let time = meta.mtime().wrapping_mul(1_000_000_000).wrapping_add(meta.mtime_nsec());
    Some(time ^ (meta.ino() as i64).rotate_left(32) ^ (meta.size() as i64).rotate_left(16))
}

/// Makes a folder's entries reach the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = File::open(path).map_err(|e| Error::io("read", path, e))?;
    match folder.sync_all() {
        // Some network file systems can't sync a folder; its entries are theirs to keep.
        Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        other => other.map_err(|e| Error::io("write", path, e)),
    }
}

/// Writes a new file that has reached the disk when this returns.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| Error::io("write", path, e))
}

/// Removes a folder and what it holds; one that is gone already is no error.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Whether an error of `link` says that this file system has no hard links between the two places.
pub(crate) fn no_links(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::Unsupported | K::CrossesDevices | K::TooManyLinks | K::PermissionDenied)
}

/// Removes a blob that no model links to; `true` when it did.
pub(crate) fn free_blob(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(meta) if meta.nlink() == 1 => {
            fs::remove_file(path).map_err(|e| Error::io("remove", path, e))?;
            Ok(true)
        }
        Ok(_) => Ok(false),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// Removes every blob that no model links to: what a process that died in the middle of an install left behind.
pub(crate) fn free_all_blobs(blobs: &Path) -> Result<u64> {
    let mut freed = 0;
    let entries = |path: &Path| fs::read_dir(path).map_err(|e| Error::io("read", path, e));
    for shelf in entries(blobs)?.flatten().filter(|e| e.path().is_dir()) {
        for blob in entries(&shelf.path())?.flatten() {
            freed += u64::from(free_blob(&blob.path())?);
        }
    }
    Ok(freed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        use rixin_base::{Code, Explain};
        let code =
            |errno| Error::io("write", Path::new("/x"), std::io::Error::from_raw_os_error(errno)).code();
        assert_eq!(code(28), Code::DiskFull, "ENOSPC");
        assert_eq!(code(122), Code::DiskFull, "EDQUOT");
        assert_eq!(code(30), Code::ReadOnly, "EROFS");
        assert_eq!(code(13), Code::ReadOnly, "EACCES");
        assert_eq!(code(5), Code::Internal, "EIO");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a Linux machine");
        let error = (&full).write_all(b"x").expect_err("/dev/full is always full");
        assert_eq!(Error::io("write", Path::new("/dev/full"), error).code(), Code::DiskFull);
    }

    #[test]
    fn blobs_go_with_their_last_link() {
        let dir = tempfile::tempdir().expect("temp dir");
        let layout = Layout::new(dir.path());
        layout.create().expect("folders");
        let blob = layout.blob(&Sha256::of(b"x"));
        fs::create_dir_all(blob.parent().expect("shelf")).expect("shelf");
        fs::write(&blob, b"x").expect("blob");
        fs::hard_link(&blob, layout.models.join("link")).expect("link");
        assert_eq!(free_all_blobs(&layout.blobs).expect("sweep"), 0);
        fs::remove_file(layout.models.join("link")).expect("unlink");
        assert_eq!(free_all_blobs(&layout.blobs).expect("sweep"), 1);
        assert!(!blob.exists());
    }
}
