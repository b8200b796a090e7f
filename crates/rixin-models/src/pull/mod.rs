//! Pulls: from a name in the catalogue or a source to an installed model.
//!
//! The order is: ask the source what is there; see that the licence was accepted; take a staging folder that outlives this process, so
//! that an interrupted pull goes on; fetch what no installed model has already; read the file's header; install as a whole.

mod manifest;
mod preview;
mod target;

use std::sync::Arc;

use rixin_base::{Cancel, Code, Fault, ModelId, Progress, ProgressEvent, Settings, Unit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use preview::{PreviewFile, PreviewOther, PullPreview};

use crate::{
    Catalog, Error, Manifest, Registry, Result, Stage,
    download::Fetched,
    net::{Tuning, pause},
    source::{Place, Plan, PlannedFile, Sources},
};
use target::Resolved;

/// What to pull.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// A name of the catalogue, a source such as `hf:ORG/REPO`, the address of a hub's page, or a path of this machine.
    pub target: String,
    /// The name to install it under; chosen where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub id: Option<ModelId>,
    /// That the licence of the preview is accepted.
    #[serde(default)]
    pub accept_licence: bool,
    /// What the person says that the model is under, as an SPDX id or a name: it counts where neither source nor file names a licence.
    #[serde(default)]
    pub licence: Option<String>,
    /// Who asks: a key's name, or the user of the command line.
    #[serde(default)]
    pub by: String,
}

/// Pulls models into a registry. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    sources: Sources,
    registry: Registry,
    catalog: Arc<Catalog>,
}

impl Puller {
    /// A puller of the built-in catalogue.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(settings: Arc<Settings>, registry: Registry) -> Result<Self> {
        Self::with(settings, registry, Arc::new(Catalog::builtin().clone()), Tuning::default())
    }

    /// A puller with a catalogue and times of its own.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn with(
        settings: Arc<Settings>,
        registry: Registry,
        catalog: Arc<Catalog>,
        tuning: Tuning,
    ) -> Result<Self> {
        Ok(Self { sources: Sources::new(settings, tuning)?, registry, catalog })
    }

    /// What a pull would bring: files, size, licence. Asks the hub, fetches nothing.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn preview(&self, target: &str, cancel: &Cancel) -> Result<PullPreview> {
        let resolved = self.resolve(target, cancel).await?;
        let installed = match resolved.id(None) {
            Ok(id) => self.registry.find(&id).await?.is_some(),
            Err(_) => false,
        };
        Ok(PullPreview::new(&resolved, installed))
    }

    /// Pulls a model. A model that is installed from the same source with the same files is given back as it is.
    ///
    /// # Errors
    /// Those of the source; [`Code::LicenceNotAccepted`]; those of the registry. What was fetched stays for the next try.
    pub async fn pull(
        &self,
        request: &PullRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Manifest> {
        step(progress, "resolve", &request.target);
        let resolved = self.resolve(&request.target, cancel).await?;
        let id = resolved.id(request.id.clone())?;
        if let Some(there) = self.installed(&id, &resolved).await? {
            return Ok(there);
        }
        if !request.accept_licence && resolved.uri.is_remote() {
            return Err(not_accepted(&resolved).into());
        }
        let stage = self.stage(&resolved, progress, cancel).await?;
        // Another pull of the same may have come to its end while this one waited.
        if let Some(there) = self.installed(&id, &resolved).await? {
            stage.discard()?;
            return Ok(there);
        }
        let fetched = self.fetch(&resolved, &stage, progress, cancel).await?;
        step(progress, "install", &id.to_string());
        match manifest::make(&resolved, id, request, &stage, fetched).await {
            Ok(manifest) => self.registry.install(stage, manifest, false).await,
            Err(error) => {
                // Whole files with right hashes that are no model: the next try would not find them better.
                if matches!(
                    error,
                    Error::UnsafeFormat { .. } | Error::BadFile { .. } | Error::BadManifest { .. }
                ) {
                    stage.discard()?;
                }
                Err(error)
            }
        }
    }

    /// The installed model of this name, where it is what the source has.
    async fn installed(&self, id: &ModelId, resolved: &Resolved) -> Result<Option<Manifest>> {
        let Some(there) = self.registry.find(id).await? else { return Ok(None) };
        let files = &resolved.plan.files;
        let same = there.source == resolved.source()
            && files.len() == there.files.len()
            && files.iter().all(|file| {
                let known = there.files.iter().find(|own| own.path == file.path);
                file.sha256.is_some() && known.is_some_and(|own| Some(own.sha256) == file.sha256)
            });
        if same { Ok(Some(there)) } else { Err(Error::Exists { id: id.clone() }) }
    }

    /// The staging folder of this source; waits while another process has it.
    async fn stage(&self, resolved: &Resolved, progress: &Progress, cancel: &Cancel) -> Result<Stage> {
        let key = resolved.uri.to_string();
        loop {
            match self.registry.stage_resumable(&key).await {
                Err(Error::Busy { .. }) => {
                    step(progress, "wait", &key);
                    pause(self.sources.tuning().watch_interval, cancel).await?;
                }
                other => return other,
            }
        }
    }

    /// Fetches what no installed model has already; the result is in the order of the plan.
    async fn fetch(
        &self,
        resolved: &Resolved,
        stage: &Stage,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Fetched>> {
        let plan = &resolved.plan;
        let place = Place { files: stage.files(), notes: stage.notes() };
        for folder in [&place.files, &place.notes] {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        }
        let mut out: Vec<Option<Fetched>> = Vec::new();
        let mut missing: Vec<PlannedFile> = Vec::new();
        for file in &plan.files {
            let shared = self.shared(file, &place).await;
            if shared.is_none() {
                missing.push(file.clone());
            }
            out.push(shared);
        }
        if !missing.is_empty() {
            let source = self.sources.open(&resolved.uri)?;
            let fetched = source.fetch(plan, &missing, &place, progress, cancel).await?;
            let mut fetched = fetched.into_iter();
            for slot in out.iter_mut().filter(|slot| slot.is_none()) {
                *slot = fetched.next();
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// A file that an installed model has already, linked to its place.
    async fn shared(&self, file: &PlannedFile, place: &Place) -> Option<Fetched> {
        let (sha256, size) = (file.sha256?, file.size?);
        let blob = self.registry.blob(&sha256, size).await?;
        let to = place.file(&file.path);
        if let Some(parent) = to.parent() {
            tokio::fs::create_dir_all(parent).await.ok()?;
        }
        match tokio::fs::hard_link(&blob, &to).await {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => None,
            _ => Some(Fetched { size, sha256 }),
        }
    }
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puller").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// A stage without figures.
fn step(progress: &Progress, stage: &str, item: &str) {
    progress.report(ProgressEvent {
        stage: stage.into(),
        item: item.into(),
        done: 0,
        total: None,
        unit: Unit::Items,
    });
}

fn not_accepted(resolved: &Resolved) -> Fault {
    let plan: &Plan = &resolved.plan;
    let licence = resolved.licence();
    let (en, zh) = match licence.is_known() {
        true => {
            let address = licence.url.as_deref().map(|url| format!(" <{url}>")).unwrap_or_default();
            (format!("the licence {}{address}", licence.name), format!("许可“{}”{address}", licence.name))
        }
        false => ("its licence, which is not named".to_owned(), "其许可（来源未注明）".to_owned()),
    };
    Fault::new(
        Code::LicenceNotAccepted,
        format!(
            "{} comes under {en}, and nobody has accepted it: read it, then pull with accept_licence (on the command line: --yes)",
            plan.name
        ),
        format!("{} 需先接受{zh}：请阅读后以 accept_licence 拉取（命令行用 --yes）", plan.name),
    )
    .with_param("accept_licence")
}
