//! The folder of one running server: specifications of its replicas and their sockets, readable by nobody else.
//!
//! A file in it is locked for as long as the server lives. The kernel gives the lock back when a process ends, however it ends, so a
//! folder whose lock is free is left over, and is removed. (A process number alone can't tell: it may be in use again, or belong to
//! another container that shares the data folder.)

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt, fs::MetadataExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rixin_base::ReplicaId;
use rixin_protocol::replica::ReplicaSpec;
use rustix::fs::{FlockOperation, flock};

use crate::{Error, Result};

/// The longest path of a socket: `sun_path` of Linux has 108 bytes, one of them for the end.
const SOCKET_PATH_MOST: usize = 107;
/// `r-` and sixteen digits.
const SOCKET_NAME_LEN: usize = 24;
const LOCK: &str = "lock";
/// Names the folder of sockets, where they are not in the folder itself.
const ELSEWHERE: &str = "sockets";
const PREFIX: &str = "rixin-";

/// The folder; removed on drop.
#[derive(Debug)]
pub(crate) struct RunDir {
    folder: PathBuf,
    sockets: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes the folder of this process in `data_dir/run`, and removes those of servers that have ended.
    pub fn create(data_dir: &Path) -> Result<Self> {
        let data_dir = std::path::absolute(data_dir).map_err(|e| Error::io(data_dir, &e))?;
        let parent = data_dir.join("run");
        DirBuilder::new().recursive(true).mode(0o700).create(&parent).map_err(|e| Error::io(&parent, &e))?;
        remove_stale(&parent);
        let mut tries = 0;
        let (name, folder, lock) = loop {
            // random: several instances of one process, as in tests, have a folder each
            let name = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
            let folder = parent.join(&name);
            DirBuilder::new().mode(0o700).create(&folder).map_err(|e| Error::io(&folder, &e))?;
            match lock_file(&folder.join(LOCK), true) {
                Ok(lock) => break (name, folder, lock),
                // another server that starts at this moment may have taken it for one that was left over
                Err(_) if tries < 3 => tries += 1,
                Err(error) => return Err(Error::io(&folder, &error)),
            }
        };
        let sockets = if folder.as_os_str().len() + 1 + SOCKET_NAME_LEN <= SOCKET_PATH_MOST {
            folder.clone()
        } else {
            let sockets = short_folder(&name)?;
            let note = folder.join(ELSEWHERE);
            std::fs::write(&note, sockets.as_os_str().as_bytes()).map_err(|e| Error::io(&note, &e))?;
            sockets
        };
        Ok(Self { folder, sockets, _lock: lock })
    }

    /// Where a replica listens.
    pub fn socket(&self, id: ReplicaId) -> PathBuf {
        let text = id.to_string();
        // the last digits of an id are the random ones
        self.sockets.join(format!("r-{}", &text[text.len() - 16..]))
    }

    /// Writes the specification that a replica reads.
    pub fn write_spec(&self, id: ReplicaId, spec: &ReplicaSpec) -> Result<PathBuf> {
        let path = self.folder.join(format!("{id}.json"));
        let json = serde_json::to_vec_pretty(spec).map_err(|e| Error::Io {
            path: path.clone(),
            why: e.to_string(),
            denied: false,
        })?;
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            io::Write::write_all(&mut file, &json)
        };
        write().map_err(|e| Error::io(&path, &e))?;
        Ok(path)
    }

    /// Removes what a replica left.
    pub fn clean(&self, id: ReplicaId) {
        let _ = std::fs::remove_file(self.folder.join(format!("{id}.json")));
        let _ = std::fs::remove_file(self.socket(id));
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.sockets != self.folder {
            let _ = std::fs::remove_dir_all(&self.sockets);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn lock_file(path: &Path, create: bool) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// A folder with a short path, for sockets alone.
fn short_folder(name: &str) -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute());
    let mut last = None;
    for base in runtime.into_iter().chain([PathBuf::from("/tmp")]) {
        let folder = base.join(format!("{PREFIX}{name}"));
        if folder.as_os_str().len() + 1 + SOCKET_NAME_LEN > SOCKET_PATH_MOST {
            continue;
        }
        // fails where the name exists: somebody else could have put it there
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) => last = Some(Error::io(folder, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::Io {
        path: PathBuf::from("/tmp"),
        why: "no folder is short enough for a socket".into(),
        denied: false,
    }))
}

/// Removes the folders of servers that have ended.
fn remove_stale(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let folder = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let _lock = match lock_file(&folder.join(LOCK), false) {
            Ok(lock) => Some(lock),
            // a server died, or is, between the making of its folder and of its lock
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_old(&folder) => None,
            Err(_) => continue,
        };
        tracing::info!(folder = %folder.display(), "removing what a server that has ended left behind");
        if let Ok(bytes) = std::fs::read(folder.join(ELSEWHERE)) {
            remove_elsewhere(Path::new(std::ffi::OsStr::from_bytes(&bytes)), &entry.file_name());
        }
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "could not remove it");
        }
    }
}

fn is_old(folder: &Path) -> bool {
    let changed = std::fs::metadata(folder).and_then(|meta| meta.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_secs(60)))
}

/// Removes a folder of sockets, if it is surely one of ours: by its name, its owner, and being no link.
fn remove_elsewhere(sockets: &Path, name: &std::ffi::OsStr) {
    let named =
        sockets.file_name().is_some_and(|n| n.as_bytes() == [PREFIX.as_bytes(), name.as_bytes()].concat());
    let owned = std::fs::symlink_metadata(sockets)
        .is_ok_and(|m| m.is_dir() && m.uid() == rustix::process::geteuid().as_raw());
    if named && owned {
        let _ = std::fs::remove_dir_all(sockets);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_and_gone_with_its_owner() {
        let data = tempfile::tempdir().expect("temp dir");
        let run = RunDir::create(data.path()).expect("writable");
        let mode = std::fs::metadata(&run.folder).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let folder = run.folder.clone();
        let other = RunDir::create(data.path()).expect("writable");
        assert!(folder.exists(), "a living server's folder stays");
        drop(run);
        assert!(!folder.exists() && other.folder.exists());
    }

    #[test]
    fn a_long_data_folder_has_its_sockets_elsewhere_and_both_are_cleaned() {
        let data = tempfile::tempdir().expect("temp dir");
        let long = data.path().join("x".repeat(120));
        let run = RunDir::create(&long).expect("writable");
        let socket = run.socket(ReplicaId::new());
        assert!(socket.as_os_str().len() <= SOCKET_PATH_MOST, "{}", socket.display());
        std::os::unix::net::UnixListener::bind(&socket).expect("short enough to bind");
        let (folder, sockets) = (run.folder.clone(), run.sockets.clone());
        // as after kill -9: nothing is removed, but the kernel lets the lock go
        flock(&run._lock, FlockOperation::Unlock).expect("locked before");
        std::mem::forget(run);
        let next = RunDir::create(&long).expect("writable");
        assert!(!folder.exists() && !sockets.exists());
        drop(next);
    }
}
