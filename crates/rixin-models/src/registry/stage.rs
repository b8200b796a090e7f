//! Staging: a folder that one process fills before it is installed as a whole, and the sweeping of what dead processes left.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::layout::{Layout, free_all_blobs, open_lock, remove_folder};
use crate::{Error, FilePath, Result};

/// A resumable download that nobody went on with is kept this long.
const KEEP_PARTIAL: Duration = Duration::from_secs(7 * 24 * 3600);
const LOCK_FILE: &str = "lock";
const PARTIAL: &str = ".partial";

/// A staging folder that this process holds. Dropping it removes the folder, unless it is resumable.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    resumable: bool,
    _lock: File,
}

impl Stage {
    /// Takes a fresh folder, or for a `key` the resumable folder of that key with what an earlier process left in it.
    /// The registry's lock is held by the caller.
    pub(super) fn take(layout: &Layout, key: Option<&str>) -> Result<Self> {
        let name = match key {
            Some(key) => format!("{}{PARTIAL}", &crate::Sha256::of(key.as_bytes()).to_string()[..32]),
            None => format!("{:032x}", rand::random::<u128>()),
        };
        let folder = layout.staging.join(name);
        let files = folder.join("files");
        fs::create_dir_all(&files).map_err(|e| Error::io("create", &files, e))?;
        let path = folder.join(LOCK_FILE);
        let lock = open_lock(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Busy { what: key.unwrap_or("this model").to_owned() });
            }
            Err(fs::TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
        }
        lock.set_modified(SystemTime::now()).map_err(|e| Error::io("write", &path, e))?;
        Ok(Self { folder, resumable: key.is_some(), _lock: lock })
    }

    /// The folder for the model's files; a file belongs at its manifest path below it.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Where a file belongs. Its folder may have to be made.
    pub fn file(&self, path: &FilePath) -> PathBuf {
        self.files().join(path)
    }

    /// The folder for notes and parts of the download itself; never installed.
    pub fn notes(&self) -> PathBuf {
        self.folder.join("notes")
    }

    /// Whether the folder outlives this value.
    pub fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Removes the folder, also a resumable one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn discard(mut self) -> Result<()> {
        self.resumable = true;
        remove_folder(&self.folder)
    }

    pub(super) fn model_folder(&self) -> PathBuf {
        self.folder.join("model")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.resumable
            && let Err(error) = remove_folder(&self.folder)
        {
            tracing::warn!(%error, "a staging folder stays until the next start");
        }
    }
}

/// Removes staging folders that no live process holds; resumable ones when they are old. After a process died, blobs
/// without a model are freed too. The registry's lock is held by the caller.
pub(super) fn sweep(layout: &Layout) -> Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(&layout.staging).map_err(|e| Error::io("read", &layout.staging, e))?.flatten() {
        let folder = entry.path();
        if is_live(&folder) {
            continue;
        }
        if entry.file_name().to_string_lossy().ends_with(PARTIAL) && !is_old(&folder) {
            // Its half-made model folder, if any, is worth nothing: the install starts anew.
            remove_folder(&folder.join("model"))?;
            continue;
        }
        remove_folder(&folder)?;
        swept += 1;
    }
    if swept > 0 {
        let blobs = free_all_blobs(&layout.blobs)?;
        tracing::info!(folders = swept, blobs, "removed what an interrupted process left");
    }
    Ok(swept)
}

/// Whether anything is there to sweep: a look without the lock.
pub(super) fn has_leftovers(layout: &Layout) -> bool {
    fs::read_dir(&layout.staging).is_ok_and(|mut entries| entries.next().is_some())
}

fn is_live(folder: &Path) -> bool {
    match File::open(folder.join(LOCK_FILE)) {
        Ok(file) => matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

fn is_old(folder: &Path) -> bool {
    let touched = fs::metadata(folder.join(LOCK_FILE)).and_then(|meta| meta.modified());
    touched.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEEP_PARTIAL))
}
