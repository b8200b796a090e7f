//! Room on the disk: looked at before a download, told with figures when it runs out.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::source::SourceError;

/// Bytes that this user can still write on the disk of `path`.
pub fn free(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that a file takes on the disk already.
pub(super) fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).map(|data| data.blocks() * 512).unwrap_or(0)
}

/// Checks that `need` bytes fit the disk of `folder` and leave `margin`.
///
/// # Errors
/// [`SourceError::DiskFull`].
pub fn check(folder: &Path, need: u64, margin: u64) -> Result<(), SourceError> {
    if need == 0 {
        return Ok(());
    }
    // A folder that is yet to be made will lie on the disk of the nearest one that is there.
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    let free = free(there).map_err(|e| SourceError::io("read", there, e))?;
    let need = need.saturating_add(margin);
    if need > free {
        return Err(SourceError::DiskFull { path: folder.to_path_buf(), need, free });
    }
    Ok(())
}

/// Reserves a file's whole length, so that a full disk shows now and not at 99 %.
pub(super) fn reserve(file: &File, path: &Path, size: u64) -> Result<(), SourceError> {
    use rustix::{fs::FallocateFlags, io::Errno};
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size.max(1)) {
        Ok(()) => {}
        Err(Errno::NOSPC | Errno::DQUOT) => return Err(full(path, size.saturating_sub(allocated(path)))),
        // File systems that can't reserve (NFS, some FUSE ones) still take the bytes.
        Err(_) => {}
    }
    file.set_len(size).map_err(|e| write_error(path, size, e))
}

/// A failed write, with figures where the disk is full.
pub(crate) fn write_error(path: &Path, need: u64, error: std::io::Error) -> SourceError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => full(path, need),
        _ => SourceError::io("write", path, error),
    }
}

fn full(path: &Path, need: u64) -> SourceError {
    let folder: PathBuf = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let free = free(&folder).unwrap_or(0);
    SourceError::DiskFull { path: folder, need: need.max(1), free }
}
