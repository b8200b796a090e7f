//! The registry of installed models: a folder each, one index for all.

mod index;
mod install;
mod layout;
mod query;
mod search;
mod stage;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rixin_base::{Cancel, ModelId, Progress};

pub use install::Removed;
pub use layout::MANIFEST_FILE;
pub use query::{ModelQuery, Page};
pub(crate) use search::fold;
pub use stage::Stage;
pub use verify::{FileCheck, VerifyReport};

use self::{
    index::{Entry, Index, index_error, is_damaged},
    layout::{Layout, Lock, manifest_stamp},
    query::Cursor,
};
use crate::{Error, Manifest, Result, Sha256};

/// The installed models of a data folder. Cheap to clone; several processes may have the same folder open.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    layout: Layout,
    index: tokio::sync::RwLock<Index>,
}

impl Registry {
    /// Opens the registry of a data folder, which is made where it is missing. Leftovers of processes that died are removed,
    /// and the index is brought up to what the manifests say.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::DiskFull`] and other failures of the file system.
    pub async fn open(data_dir: &Path) -> Result<Self> {
        let layout = Layout::new(data_dir);
        let at = layout.clone();
        blocking(move || {
            at.create()?;
            if stage::has_leftovers(&at) {
                let _lock = at.lock()?;
                stage::sweep(&at)?;
            }
            Ok(())
        })
        .await?;
        let index = match Index::open(&layout.index).await {
            Ok(Some(index)) => index,
            Ok(None) => Self::new_index(&layout).await?,
            Err(error) if is_damaged(&error) => {
                tracing::warn!(%error, path = %layout.index.display(), "the model index is damaged and is made anew");
                Self::new_index(&layout).await?
            }
            Err(error) => return Err(index_error(&layout.index, error)),
        };
        let registry = Self(Arc::new(Inner { layout, index: tokio::sync::RwLock::new(index) }));
        registry.refresh().await?;
        Ok(registry)
    }

    /// Makes the index anew, unless another process did so while this one waited for the lock.
    async fn new_index(layout: &Layout) -> Result<Index> {
        let _lock = lock(layout).await?;
        if let Ok(Some(index)) = Index::open(&layout.index).await
            && index.models_stamp().await.is_ok()
        {
            return Ok(index);
        }
        Index::create(&layout.index).await
    }

    /// Closes the index's files, for a process that lives on without the registry. Clones of this value are of no use afterwards.
    pub async fn close(&self) {
        self.0.index.read().await.close().await;
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.0.layout.data_dir
    }

    /// The folder of an installed model.
    pub fn folder(&self, id: &ModelId) -> PathBuf {
        self.0.layout.model(id)
    }

    /// The file that an engine opens.
    pub fn main_file(&self, manifest: &Manifest) -> PathBuf {
        self.folder(&manifest.id).join(&manifest.main)
    }

    /// A page of the installed models.
    ///
    /// # Errors
    /// [`Error::BadCursor`]; those of the index.
    pub async fn list(&self, query: &ModelQuery) -> Result<Page> {
        let after = query.after.as_deref().map(str::parse::<Cursor>).transpose()?;
        self.refresh().await?;
        let answer = self.0.index.read().await.list(query, after.clone()).await;
        match answer {
            Err(error) if is_damaged(&error) => {
                self.rebuild().await?;
                self.0.index.read().await.list(query, after).await
            }
            other => other,
        }
        .map_err(|e| self.index_error(e))
    }

    /// The manifest of an installed model, read from its folder.
    ///
    /// # Errors
    /// [`Error::NotInstalled`]; [`Error::BadManifest`] where the file was damaged.
    pub async fn get(&self, id: &ModelId) -> Result<Manifest> {
        self.find(id).await?.ok_or_else(|| Error::NotInstalled { id: id.clone() })
    }

    /// The same; `None` where it is not installed.
    ///
    /// # Errors
    /// [`Error::BadManifest`] where the file was damaged.
    pub async fn find(&self, id: &ModelId) -> Result<Option<Manifest>> {
        let path = self.0.layout.manifest(id);
        let id = id.clone();
        blocking(move || read_manifest(&path, id.as_str())).await
    }

    /// A counter that changes with every change of the list, whichever process made it.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn generation(&self) -> Result<u64> {
        self.refresh().await?;
        let generation = self.0.index.read().await.generation().await;
        generation.map(|g| g as u64).map_err(|e| self.index_error(e))
    }

    /// A fresh staging folder, gone when the value is dropped.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn stage(&self) -> Result<Stage> {
        self.take_stage(None).await
    }

    /// The staging folder of `key`, with what an earlier process left in it; kept until it is installed or discarded, or
    /// was left alone for a week.
    ///
    /// # Errors
    /// [`Error::Busy`] while another pull holds it; those of the file system.
    pub async fn stage_resumable(&self, key: &str) -> Result<Stage> {
        self.take_stage(Some(key.to_owned())).await
    }

    async fn take_stage(&self, key: Option<String>) -> Result<Stage> {
        let layout = self.0.layout.clone();
        blocking(move || {
            let _lock = layout.lock()?;
            Stage::take(&layout, key.as_deref())
        })
        .await
    }

    /// A file of this hash and size that some installed model has already: it need not be fetched, and an install takes it from there.
    pub async fn blob(&self, sha256: &Sha256, size: u64) -> Option<PathBuf> {
        let path = self.0.layout.blob(sha256);
        let meta = tokio::fs::metadata(&path).await.ok()?;
        (meta.len() == size).then_some(path)
    }

    /// Installs what was staged: the model is there whole or not at all. The hashes of the manifest are taken as checked by
    /// the caller; a file that is not in the stage is taken from the blobs. `replace` allows to take the place of a model of the same id.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::BadManifest`], [`Error::BadFile`] for a wrong size, those of the file system. A resumable stage stays.
    pub async fn install(&self, stage: Stage, manifest: Manifest, replace: bool) -> Result<Manifest> {
        let layout = self.0.layout.clone();
        let (stage, manifest, before, lock) = blocking(move || {
            install::prepare(&layout, &stage, &manifest)?;
            let lock = layout.lock()?;
            let before = layout.models_stamp()?;
            install::place(&layout, &stage, &manifest, replace)?;
            Ok((stage, manifest, before, lock))
        })
        .await?;
        let entry = manifest_stamp(&self.0.layout.manifest(&manifest.id))
            .map(|stamp| Entry { manifest: manifest.clone(), stamp });
        self.note(before, entry, None, &lock).await;
        drop(lock);
        blocking(move || stage.discard()).await?;
        Ok(manifest)
    }

    /// Removes a model and frees the files that no other model shares.
    ///
    /// # Errors
    /// [`Error::NotInstalled`]; those of the file system.
    pub async fn remove(&self, id: &ModelId) -> Result<Removed> {
        let layout = self.0.layout.clone();
        let out = id.clone();
        let (removed, before, lock) = blocking(move || {
            let lock = layout.lock()?;
            let before = layout.models_stamp()?;
            let stage = Stage::take(&layout, None)?;
            Ok((install::take_out(&layout, &stage, &out)?, before, lock))
        })
        .await?;
        self.note(before, None, Some(id.to_string()), &lock).await;
        Ok(removed)
    }

    /// Reads every file of a model and compares size and SHA-256.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::Cancelled`]. A file that is damaged or missing is no error: the report says so.
    pub async fn verify(&self, id: &ModelId, progress: &Progress, cancel: &Cancel) -> Result<VerifyReport> {
        let manifest = self.get(id).await?;
        let folder = self.folder(id);
        let (progress, cancel) = (progress.clone(), cancel.clone());
        blocking(move || verify::verify(&folder, &manifest, &progress, &cancel)).await
    }

    /// Bytes that an unprivileged user may still write on the data folder's disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn free_bytes(&self) -> Result<u64> {
        let path = self.0.layout.data_dir.clone();
        blocking(move || {
            let stat = rustix::fs::statvfs(&path).map_err(|e| Error::io("read", &path, e.into()))?;
            Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
        })
        .await
    }

    /// Throws the index away and makes it anew from the manifests; gives the number of models.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn rebuild(&self) -> Result<u64> {
        let lock = lock(&self.0.layout).await?;
        {
            let mut index = self.0.index.write().await;
            index.close().await;
            *index = Index::create(&self.0.layout.index).await?;
        }
        self.catch_up(&lock).await
    }

    /// Brings the index up to date where models came or went without it: a process died between the two, somebody moved folders by hand.
    async fn refresh(&self) -> Result<()> {
        if self.is_fresh().await? {
            return Ok(());
        }
        let lock = lock(&self.0.layout).await?;
        if self.is_fresh().await? {
            return Ok(());
        }
        self.catch_up(&lock).await.map(drop)
    }

    async fn is_fresh(&self) -> Result<bool> {
        let on_disk = self.0.layout.models_stamp()?;
        let known = self.0.index.read().await.models_stamp().await;
        match known {
            Ok(known) => Ok(known == on_disk),
            Err(error) if is_damaged(&error) => {
                tracing::warn!(%error, "the model index is damaged and is made anew");
                let _lock = lock(&self.0.layout).await?;
                let mut index = self.0.index.write().await;
                index.close().await;
                *index = Index::create(&self.0.layout.index).await?;
                Ok(false)
            }
            Err(error) => Err(self.index_error(error)),
        }
    }

    /// Writes one change to the index: just that where the index knew the models folder as it was `before`, else the whole
    /// difference. The model has come or gone by now, so a failure is only logged: the next question tries again.
    async fn note(&self, before: i64, put: Option<Entry>, gone: Option<String>, lock: &Lock) {
        let one = async {
            let index = self.0.index.read().await;
            if index.models_stamp().await.ok() != Some(before) {
                return Ok::<bool, Error>(false);
            }
            let stamp = self.0.layout.models_stamp()?;
            let (put, gone): (Vec<_>, Vec<_>) = (put.into_iter().collect(), gone.into_iter().collect());
            index.change(&put, &gone, stamp).await.map_err(|e| self.index_error(e))?;
            Ok(true)
        };
        let done = match one.await {
            Ok(false) => self.catch_up(lock).await.map(drop),
            other => other.map(drop),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the model index will be brought up to date later");
        }
    }

    /// Compares the models folder with the index and writes the difference. The caller shows that it holds the lock.
    async fn catch_up(&self, _lock: &Lock) -> Result<u64> {
        let index = self.0.index.read().await;
        let known = index.stamps().await.map_err(|e| self.index_error(e))?;
        let layout = self.0.layout.clone();
        let (put, gone, total, stamp) = blocking(move || difference(&layout, known)).await?;
        index.change(&put, &gone, stamp).await.map_err(|e| self.index_error(e))?;
        Ok(total)
    }

    fn index_error(&self, error: sqlx::Error) -> Error {
        index_error(&self.0.layout.index, error)
    }
}

type Difference = (Vec<Entry>, Vec<String>, u64, i64);

fn difference(layout: &Layout, mut known: std::collections::HashMap<String, i64>) -> Result<Difference> {
    let stamp = layout.models_stamp()?;
    let mut put = Vec::new();
    let mut total = 0;
    for entry in std::fs::read_dir(&layout.models).map_err(|e| Error::io("read", &layout.models, e))? {
        let entry = entry.map_err(|e| Error::io("read", &layout.models, e))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = entry.path().join(MANIFEST_FILE);
        let Some(stamp) = manifest_stamp(&path) else { continue };
        if known.get(&name) == Some(&stamp) {
            known.remove(&name);
            total += 1;
            continue;
        }
        match read_manifest(&path, &name) {
            Ok(Some(manifest)) => {
                known.remove(&name);
                total += 1;
                put.push(Entry { manifest, stamp });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a model is left out of the list"),
        }
    }
    Ok((put, known.into_keys().collect(), total, stamp))
}

/// Reads the manifest of the model whose folder is `id`; `None` where there is none.
fn read_manifest(path: &Path, id: &str) -> Result<Option<Manifest>> {
    use std::io::Read;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    let mut bytes = Vec::new();
    let limit = Manifest::MAX_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    let manifest = Manifest::from_json(&bytes).map_err(|e| e.at(path))?;
    if manifest.id.as_str() != id {
        return Err(Error::bad_manifest(format!(
            "it names the model {:?} and lies in the folder {id:?}",
            manifest.id.as_str()
        ))
        .at(path));
    }
    Ok(Some(manifest))
}

async fn lock(layout: &Layout) -> Result<Lock> {
    let layout = layout.clone();
    blocking(move || layout.lock()).await
}

/// Runs file work on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}
