//! Sources: from one line of text to files on this disk, each checked against what its hub said.
//!
//! A [`SourceUri`] says where, [`Sources::open`] gives the [`Source`] for it, [`Source::resolve`] asks the hub what is there and
//! makes a [`Plan`] with sizes, hashes and licence, and [`Source::fetch`] brings the files. Nothing here connects to anything but the
//! hub that was named, and with the setting `offline` to nothing at all.

mod archive;
pub mod choose;
mod civitai;
mod client;
mod error;
mod file;
mod hf;
mod modelscope;
mod npm;
mod package;
mod page;
mod plan;
mod pypi;
mod uri;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use rixin_base::{Cancel, Progress, Settings};

pub use error::SourceError;
pub use plan::{Location, Other, Plan, PlannedFile};
pub use uri::{CivitaiId, CivitaiRef, FORMS, PackagePart, RepoRef, SourceUri, is_inner_path};

use crate::{
    Error, FilePath,
    download::{self, Fetched, Wanted},
    net::{Hub, Net, TokenStyle, Tuning},
};

/// Where the files of a plan go.
#[derive(Clone, Debug)]
pub struct Place {
    /// Files lie at their paths below it.
    pub files: PathBuf,
    /// For what the fetching itself needs: packages, parts.
    pub notes: PathBuf,
}

impl Place {
    /// Where a file goes.
    pub fn file(&self, path: &FilePath) -> PathBuf {
        self.files.join(path)
    }
}

/// A place that models come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Asks what is there.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn resolve(&self, cancel: &Cancel) -> Result<Plan, SourceError>;

    /// Brings files of the plan to their places; the result is in their order. What an earlier call left in `place` is used.
    ///
    /// # Errors
    /// See [`SourceError`]; nothing wrong is left under a file's own name.
    async fn fetch(
        &self,
        plan: &Plan,
        files: &[PlannedFile],
        place: &Place,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Fetched>, SourceError>;
}

/// The sources with the settings that they need.
#[derive(Debug, Clone)]
pub struct Sources {
    settings: Arc<Settings>,
    net: Arc<Net>,
}

impl Sources {
    /// The sources of these settings; `download_parallel` overrides the tuning's.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(settings: Arc<Settings>, mut tuning: Tuning) -> Result<Self, SourceError> {
        tuning.parallel = settings.download_parallel.clamp(1, 64) as usize;
        Ok(Self { settings, net: Arc::new(Net::new(tuning)?) })
    }

    /// Times and sizes.
    pub fn tuning(&self) -> &Tuning {
        &self.net.tuning
    }

    /// The source of a URI.
    ///
    /// # Errors
    /// [`SourceError::Offline`], or a setting that can't be used.
    pub fn open(&self, uri: &SourceUri) -> Result<Box<dyn Source>, SourceError> {
        if self.settings.offline && uri.is_remote() {
            return Err(SourceError::Offline { uri: uri.to_string() });
        }
        let settings = &self.settings;
        let hub = |name, endpoint, token, style, setting| {
            Hub::new(name, endpoint, token, style, setting).map(Arc::new)
        };
        Ok(match uri {
            SourceUri::File(path) => Box::new(file::FileSource::new(path.clone(), self.net.tuning.clone())),
            SourceUri::Pypi(parts) => {
                let client = client::Client::new(&settings.pip, "pypi", self.net.tuning.clone())?;
                Box::new(package::PackageSource::new(uri.clone(), parts.clone(), Box::new(pypi::Pip(client))))
            }
            SourceUri::Npm(parts) => {
                let client = client::Client::new(&settings.npm, "npm", self.net.tuning.clone())?;
                Box::new(package::PackageSource::new(uri.clone(), parts.clone(), Box::new(npm::Npm(client))))
            }
            SourceUri::Hf(repo) => {
                let token = settings.hf_token.reveal();
                let hub = hub("Hugging Face", &settings.hf_endpoint, token, TokenStyle::Bearer, "hf_token")?;
                Box::new(hf::HfSource { net: self.net.clone(), hub, repo: repo.clone() })
            }
            SourceUri::ModelScope(repo) => {
                let (endpoint, token) = (&settings.modelscope_endpoint, settings.modelscope_token.reveal());
                let hub =
                    hub("ModelScope", endpoint, token, TokenStyle::BearerAndCookie, "modelscope_token")?;
                Box::new(modelscope::ModelScopeSource { net: self.net.clone(), hub, repo: repo.clone() })
            }
            SourceUri::Civitai(model) => {
                let (endpoint, token) = (&settings.civitai_endpoint, settings.civitai_token.reveal());
                let hub = hub("Civitai", endpoint, token, TokenStyle::Bearer, "civitai_token")?;
                Box::new(civitai::CivitaiSource { net: self.net.clone(), hub, model: model.clone() })
            }
        })
    }
}

/// Fetches files of a hub.
async fn fetch_web(
    net: &Arc<Net>,
    hub: &Arc<Hub>,
    plan: &Plan,
    files: &[PlannedFile],
    place: &Place,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<Fetched>, SourceError> {
    let wanted: Vec<Wanted> = files
        .iter()
        .filter_map(|file| match &file.from {
            Location::Web { url, git_blob } => Some(Wanted {
                hub: hub.clone(),
                url: url.clone(),
                name: file.path.to_string(),
                page: plan.page.clone().unwrap_or_default(),
                dest: place.file(&file.path),
                size: file.size,
                sha256: file.sha256,
                git_blob: git_blob.clone(),
            }),
            _ => None,
        })
        .collect();
    download::fetch(net, &plan.name, &wanted, progress, cancel).await
}

/// A file's path as a hub says it.
fn file_path(hub: &Hub, path: &str) -> Result<FilePath, SourceError> {
    path.parse().map_err(|_| {
        let host = crate::net::host(&hub.endpoint);
        let shown: String = path.chars().take(120).collect();
        SourceError::answer(
            &host,
            "the list of files",
            format!("a file name that can't be used here: {shown:?}"),
            format!("无法使用的文件名：{shown:?}"),
        )
    })
}

/// The URI that other files of the same place are named with.
pub(crate) fn without_file(uri: &SourceUri) -> SourceUri {
    match uri.clone() {
        SourceUri::Hf(repo) => SourceUri::Hf(RepoRef { file: None, ..repo }),
        SourceUri::ModelScope(repo) => SourceUri::ModelScope(RepoRef { file: None, ..repo }),
        SourceUri::Civitai(model) => SourceUri::Civitai(CivitaiRef { file: None, ..model }),
        other => other,
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Cancelled => Error::Cancelled,
            SourceError::DiskFull { path, need, free } => {
                Error::DiskFull { path, needed: Some(need), free: Some(free) }
            }
            SourceError::HashMismatch { file, expected, actual } => {
                Error::HashMismatch { item: file, expected: expected.to_string(), found: actual.to_string() }
            }
            other => Error::Fault { fault: other.into() },
        }
    }
}
