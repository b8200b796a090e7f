//! Files and folders of this machine: copied (shared blocks where the file system can), hashed on the way.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rixin_base::{Cancel, Progress};

use super::{
    Location, Place, Plan, PlannedFile, Source, SourceError, SourceUri,
    choose::{self, Listed, choose},
};
use crate::{
    Sha256Hasher,
    download::{Fetched, Meter, space},
    net::Tuning,
};

/// The most files that a folder may hold.
const MAX_FILES: usize = 10_000;
/// How deep a folder may be.
const MAX_DEPTH: usize = 8;

/// A file or folder.
pub(super) struct FileSource {
    path: PathBuf,
    tuning: Tuning,
}

impl FileSource {
    pub fn new(path: PathBuf, tuning: Tuning) -> Self {
        Self { path, tuning }
    }

    fn look(&self) -> Result<Plan, SourceError> {
        let data = fs::metadata(&self.path).map_err(|e| SourceError::io("find", &self.path, e))?;
        let what = SourceUri::File(self.path.clone()).to_string();
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("model").to_owned();
        let (root, listed, wanted) = if data.is_dir() {
            let mut listed = Vec::new();
            walk(&self.path, "", 0, &mut listed)?;
            (self.path.clone(), listed, None)
        } else {
            let root = self.path.parent().unwrap_or(Path::new("/")).to_path_buf();
            // The neighbours matter where this file is a part of a split one.
            let mut listed = Vec::new();
            walk(&root, "", MAX_DEPTH, &mut listed)?;
            (root, listed, Some(name.clone()))
        };
        let chosen = choose("this machine", &what, &listed, wanted.as_deref())?;
        let files = chosen.files.iter().map(|file| {
            let path = file.path.parse().map_err(|_| {
                SourceError::io(
                    "copy",
                    root.join(&file.path),
                    std::io::Error::other("its name can't be used in the registry"),
                )
            })?;
            let from = Location::Local(root.join(&file.path));
            Ok(PlannedFile { path, size: file.size, sha256: None, from })
        });
        let files = files.collect::<Result<Vec<_>, SourceError>>()?;
        let name = chosen.name.or_else(|| wanted.as_deref().and_then(choose::stem)).unwrap_or(name);
        let others = if data.is_dir() { chosen.others } else { Vec::new() };
        Ok(Plan { others, ..Plan::new(name, files) })
    }
}

/// Lists regular files below a folder; links are followed, hidden entries left out. At `MAX_DEPTH` folders are not entered.
fn walk(root: &Path, prefix: &str, depth: usize, out: &mut Vec<Listed>) -> Result<(), SourceError> {
    let folder = root.join(prefix);
    let read = |e| SourceError::io("read", &folder, e);
    let mut entries = fs::read_dir(&folder).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let Ok(data) = fs::metadata(root.join(&path)) else { continue };
        if data.is_dir() && depth < MAX_DEPTH {
            walk(root, &path, depth + 1, out)?;
        } else if data.is_file() && out.len() < MAX_FILES {
            out.push(Listed { path, size: Some(data.len()), ..Listed::default() });
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, meter: &Meter, cancel: &Cancel) -> Result<Fetched, SourceError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|e| SourceError::io("create", parent, e))?;
    }
    let mut source = File::open(from).map_err(|e| SourceError::io("read", from, e))?;
    let mut target = File::create(to).map_err(|e| SourceError::io("create", to, e))?;
    // Copy on write costs no room and no time; where there is none, bytes are copied.
    let cloned = rustix::fs::ioctl_ficlone(&target, &source).is_ok();
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0u64;
    loop {
        if cancel.is_cancelled() {
            drop(target);
            let _ = fs::remove_file(to);
            return Err(SourceError::Cancelled);
        }
        let read = source.read(&mut buffer).map_err(|e| SourceError::io("read", from, e))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        if !cloned {
            target.write_all(&buffer[..read]).map_err(|e| space::write_error(to, read as u64, e))?;
        }
        size += read as u64;
        meter.add(read as u64);
    }
    target.sync_all().map_err(|e| space::write_error(to, 0, e))?;
    Ok(Fetched { size, sha256: hasher.finish() })
}

#[async_trait]
impl Source for FileSource {
    async fn resolve(&self, _cancel: &Cancel) -> Result<Plan, SourceError> {
        let this = Self::new(self.path.clone(), self.tuning.clone());
        crate::download::blocking(move || this.look()).await
    }

    async fn fetch(
        &self,
        plan: &Plan,
        files: &[PlannedFile],
        place: &Place,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Fetched>, SourceError> {
        let total = files.iter().map(|file| file.size).sum::<Option<u64>>();
        let meter = Arc::new(Meter::new(progress, "copy", &plan.name, total));
        space::check(&place.files, total.unwrap_or(0), self.tuning.disk_margin)?;
        let mut out = Vec::new();
        for file in files {
            let Location::Local(from) = &file.from else { continue };
            let (from, to) = (from.clone(), place.file(&file.path));
            let (meter, cancel, expected) = (meter.clone(), cancel.clone(), file.sha256);
            let name = file.path.to_string();
            out.push(
                crate::download::blocking(move || {
                    let fetched = copy(&from, &to, &meter, &cancel)?;
                    match expected {
                        Some(expected) if expected != fetched.sha256 => {
                            let _ = fs::remove_file(&to);
                            Err(SourceError::HashMismatch { file: name, expected, actual: fetched.sha256 })
                        }
                        _ => Ok(fetched),
                    }
                })
                .await?,
            );
        }
        meter.report();
        Ok(out)
    }
}
