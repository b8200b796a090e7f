//! Bringing models in and taking them out: one rename each, so that a model is there whole or not at all.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::Path,
};

use rixin_base::ModelId;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{
    layout::{Layout, MANIFEST_FILE, free_blob, no_links, remove_folder, sync_folder, write_synced},
    stage::Stage,
};
use crate::{Error, Manifest, ModelFile, Result};

/// What [`Registry::remove`](super::Registry::remove) freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Bytes that no other model shares.
    pub freed_bytes: u64,
}

/// Makes staged files reach the disk and looks at their sizes, before the lock is taken.
pub(super) fn prepare(layout: &Layout, stage: &Stage, manifest: &Manifest) -> Result<()> {
    // Read back as it will be written, so that no manifest is installed that can't be read again.
    Manifest::from_json(&manifest.to_json())?;
    for file in &manifest.files {
        let staged = stage.file(&file.path);
        let path = if staged.exists() { staged } else { layout.blob(&file.sha256) };
        let opened = File::open(&path).map_err(|e| Error::io("read", &path, e))?;
        let size = opened.metadata().map_err(|e| Error::io("read", &path, e))?.len();
        if size != file.size {
            return Err(Error::bad_file(
                &path,
                format!("it has {size} bytes, its manifest says {}: fetch it again", file.size),
                format!("文件有 {size} 字节，清单中为 {} 字节：请重新拉取", file.size),
            ));
        }
        opened.sync_all().map_err(|e| Error::io("write", &path, e))?;
    }
    Ok(())
}

/// Puts the model in its place. The registry's lock is held by the caller.
pub(super) fn place(layout: &Layout, stage: &Stage, manifest: &Manifest, replace: bool) -> Result<()> {
    let target = layout.model(&manifest.id);
    if target.exists() && !replace {
        return Err(Error::Exists { id: manifest.id.clone() });
    }
    let folder = stage.model_folder();
    remove_folder(&folder)?;
    fs::create_dir(&folder).map_err(|e| Error::io("create", &folder, e))?;
    for file in &manifest.files {
        let to = folder.join(&file.path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        }
        link_file(layout, &stage.file(&file.path), file, &to)?;
        if let Some(parent) = to.parent() {
            sync_folder(parent)?;
        }
    }
    write_synced(&folder.join(MANIFEST_FILE), &manifest.to_json())?;
    sync_folder(&folder)?;
    if target.exists() {
        renameat_with(CWD, &folder, CWD, &target, RenameFlags::EXCHANGE)
            .map_err(|e| Error::io("rename", &target, e.into()))?;
        sync_folder(&layout.models)?;
        discard(layout, &folder)?;
    } else {
        fs::rename(&folder, &target).map_err(|e| Error::io("rename", &target, e))?;
        sync_folder(&layout.models)?;
    }
    Ok(())
}

/// Gives the file its place in the model's folder: as a link of the blob of its hash, which it becomes where there is none
/// yet; on a file system without links the file itself moves there.
fn link_file(layout: &Layout, staged: &Path, file: &ModelFile, to: &Path) -> Result<()> {
    let blob = layout.blob(&file.sha256);
    match fs::hard_link(&blob, to) {
        Ok(()) => return same_size(&blob, file),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) if no_links(&e) => return move_file(staged, to),
        Err(e) => return Err(Error::io("link", to, e)),
    }
    if let Some(shelf) = blob.parent() {
        fs::create_dir_all(shelf).map_err(|e| Error::io("create", shelf, e))?;
    }
    match fs::hard_link(staged, &blob) {
        Ok(()) => {
            if let Some(shelf) = blob.parent() {
                sync_folder(shelf)?;
            }
            fs::hard_link(&blob, to).map_err(|e| Error::io("link", to, e))
        }
        Err(e) if no_links(&e) => move_file(staged, to),
        Err(e) => Err(Error::io("link", &blob, e)),
    }
}

fn move_file(staged: &Path, to: &Path) -> Result<()> {
    fs::rename(staged, to).map_err(|e| Error::io("rename", to, e))
}

/// A blob of the right name and a wrong size was damaged after it came: it must not spread to a second model.
fn same_size(blob: &Path, file: &ModelFile) -> Result<()> {
    let size = fs::metadata(blob).map_err(|e| Error::io("read", blob, e))?.len();
    if size == file.size {
        return Ok(());
    }
    Err(Error::bad_file(
        blob,
        format!(
            "it has {size} bytes instead of {}: run `rixin models verify`, remove the model that has it, and pull again",
            file.size
        ),
        format!(
            "文件有 {size} 字节，应为 {} 字节：请运行 `rixin models verify`，删除受损的模型后重新拉取",
            file.size
        ),
    ))
}

/// Takes a model out. The registry's lock is held by the caller.
pub(super) fn take_out(layout: &Layout, stage: &Stage, id: &ModelId) -> Result<Removed> {
    let folder = layout.model(id);
    let out = stage.model_folder();
    remove_folder(&out)?;
    match fs::rename(&folder, &out) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(Error::NotInstalled { id: id.clone() }),
        other => other.map_err(|e| Error::io("remove", &folder, e))?,
    }
    sync_folder(&layout.models)?;
    discard(layout, &out)
}

/// Deletes a folder that was a model, with the blobs that no other model links to.
fn discard(layout: &Layout, folder: &Path) -> Result<Removed> {
    let manifest =
        fs::read(folder.join(MANIFEST_FILE)).ok().and_then(|bytes| Manifest::from_json(&bytes).ok());
    let mut freed_bytes = 0;
    let Some(manifest) = manifest else {
        remove_folder(folder)?;
        super::layout::free_all_blobs(&layout.blobs)?;
        return Ok(Removed { freed_bytes });
    };
    remove_folder(folder)?;
    for file in &manifest.files {
        let blob = layout.blob(&file.sha256);
        let shared = blob.exists() && !free_blob(&blob)?;
        freed_bytes += if shared { 0 } else { file.size };
    }
    Ok(Removed { freed_bytes })
}
