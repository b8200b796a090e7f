//! The front of this crate: names become models, models become leases.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rixin_base::{Cancel, ExternalId, Lang, ModelId, ReplicaId, Settings};
use rixin_models::{Catalog, Manifest, ModelKind, ModelQuery, PullPreview, Puller, Registry};
use rixin_store::Store;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error, ExternalState, ExternalStatus, Lease, MemoryPlan, NewEngine, Options, Pulls, ReplicaPlace,
    ReplicaState, ReplicaStatus, Result, ServedModel,
    core::{Core, Granted},
    endpoint::Endpoint,
    external::Externals,
    facts::Facts,
    near::nearest,
    stats,
};

/// How often the registry is looked at for models that were removed or replaced while they run.
const REGISTRY_EVERY: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct AcquireRequest<'a> {
    /// The model's name; empty or `default`: the default model.
    pub model: &'a str,
    /// A hash of the part of a conversation that stays the same: where there are several replicas, it keeps coming to the one that has
    /// that part in its cache.
    pub affinity: Option<u64>,
    /// The caller's language: a replica's own errors come in it.
    pub lang: Lang,
}

type Listed = (u64, Arc<Vec<ServedModel>>);

/// Replicas, external engines and pulls of this server.
pub struct Control {
    settings: Arc<Settings>,
    registry: Registry,
    core: Arc<Core>,
    externals: Externals,
    puller: Puller,
    pulls: Arc<Pulls>,
    /// The installed models of one generation of the registry.
    installed: Mutex<Option<Listed>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Control {
    /// Starts as a server does: nothing is loaded, external engines are checked.
    ///
    /// # Errors
    /// The data folder can't be written, the store can't be read.
    pub async fn start(settings: Arc<Settings>, registry: Registry, store: Store) -> Result<Arc<Self>> {
        Self::start_with(Options::default(), settings, registry, store).await
    }

    /// Starts with another program for replicas, or other times.
    ///
    /// # Errors
    /// The data folder can't be written, the store can't be read.
    pub async fn start_with(
        options: Options,
        settings: Arc<Settings>,
        registry: Registry,
        store: Store,
    ) -> Result<Arc<Self>> {
        let externals = Externals::open(store, &settings, &options).await?;
        let core = Core::start(settings.clone(), options)?;
        let tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(stats::collect(Arc::downgrade(&core)))),
            AbortOnDropHandle::new(tokio::spawn(follow_registry(registry.clone(), core.clone()))),
        ];
        let puller = Puller::new(settings.clone(), registry.clone()).map_err(Error::other)?;
        let pulls = Pulls::with(puller.clone());
        Ok(Arc::new(Self {
            settings,
            registry,
            core,
            externals,
            puller,
            pulls,
            installed: Mutex::new(None),
            _tasks: tasks,
        }))
    }

    /// A replica for one request: a running one, or one that is started for it. Dropping the future gives the wait up.
    ///
    /// # Errors
    /// There is no such model; it does not fit, can't be loaded, or its queue is full; its external engine is down.
    pub async fn acquire(&self, request: &AcquireRequest<'_>) -> Result<Lease> {
        let name = self.named(request.model);
        let id = name.parse::<ModelId>().ok();
        if let Some(id) = &id {
            if let Some(granted) = self.core.grant_now(id, request.affinity) {
                return Ok(local(name.into(), request.lang, granted));
            }
            if let Some(facts) = self.facts(id).await? {
                let granted = self.core.request(&Arc::new(facts), request.affinity).await?;
                return Ok(local(name.into(), request.lang, granted));
            }
        }
        if self.core.look(|state| state.plan.is_shutting_down()) {
            return Err(Error::ShuttingDown);
        }
        match self.externals.choose(name, request.affinity).await? {
            Some(chosen) => Ok(Lease {
                model: name.into(),
                replica: chosen.id.to_string().into(),
                lang: request.lang,
                endpoint: Endpoint::Remote(chosen.remote, chosen.upstream),
                hold: chosen.hold,
            }),
            None => Err(self.unknown(request.model).await?),
        }
    }

    /// The name that a request's name stands for.
    ///
    /// # Errors
    /// There is no such model; names that are alike are listed.
    pub async fn resolve(&self, name: &str) -> Result<String> {
        let named = self.named(name);
        if let Ok(id) = named.parse::<ModelId>()
            && self.facts(&id).await?.is_some()
        {
            return Ok(named.to_owned());
        }
        // an engine that is down still has its models
        match self.externals.choose(named, None).await {
            Ok(None) => Err(self.unknown(name).await?),
            _ => Ok(named.to_owned()),
        }
    }

    /// Every model that can be asked: the installed ones by name, then those of external engines.
    ///
    /// # Errors
    /// The registry can't be read.
    pub async fn models(&self) -> Result<Vec<ServedModel>> {
        let installed = self.installed().await?;
        let names: HashSet<&str> = installed.iter().map(|m| m.id.as_str()).collect();
        let external = self.externals.names(|name| names.contains(name));
        let external = external.into_iter().map(|(id, engine, created_ms)| ServedModel {
            id,
            created: u64::try_from(created_ms / 1000).unwrap_or(0),
            owned_by: engine,
            external: true,
        });
        Ok(installed.iter().cloned().chain(external).collect())
    }

    /// Every replica: loading, running, stopping or failed, then the external engines. Answers at once.
    pub fn replicas(&self) -> Vec<ReplicaStatus> {
        let mut all = self.core.statuses();
        all.extend(self.externals.list().into_iter().map(|engine| ReplicaStatus {
            id: engine.id.to_string(),
            model: engine.name,
            place: ReplicaPlace::External,
            state: match engine.state {
                ExternalState::Checking => ReplicaState::Loading,
                ExternalState::Ok if engine.active == 0 => ReplicaState::Idle,
                ExternalState::Ok => ReplicaState::Ready,
                ExternalState::Failed => ReplicaState::Failed,
            },
            load_fraction: None,
            memory_bytes: 0,
            active: engine.active,
            queued: 0,
            slots: 0,
            since_ms: engine.checked_at_ms.unwrap_or(engine.created_at_ms),
            idle_unload_at_ms: None,
            error: engine.error,
            restarts: 0,
            stats: None,
        }));
        all
    }

    /// The planner's figures.
    pub fn memory(&self) -> MemoryPlan {
        self.core.memory()
    }

    /// Starts one more replica of an installed model; it is loading when this returns. Earlier failures do not hinder it.
    ///
    /// # Errors
    /// There is no such installed model, or it does not fit into what is free and what idle replicas hold.
    pub async fn start_replica(&self, model: &str) -> Result<ReplicaStatus> {
        let name = self.named(model);
        let facts = match name.parse::<ModelId>() {
            Ok(id) => self.facts(&id).await?,
            Err(_) => None,
        };
        let Some(facts) = facts else { return Err(self.unknown(model).await?) };
        let id = self.core.start_replica(&Arc::new(facts))?.to_string();
        let status = self.core.statuses().into_iter().find(|status| status.id == id);
        status.ok_or(Error::ShuttingDown)
    }

    /// Stops a replica: it takes no more requests, the running ones get the drain time of the settings. A failed one is forgotten, and
    /// its model may be tried again at once. Returns before the process has ended.
    ///
    /// # Errors
    /// There is no such replica.
    pub async fn stop_replica(&self, id: ReplicaId) -> Result<()> {
        self.core.stop_replica(id, self.settings.drain)
    }

    /// Stops every replica of a model and waits for their end: before the model is removed.
    pub async fn stop_model(&self, model: &ModelId) {
        self.core.stop_model(model, self.settings.drain).await;
    }

    /// The external engines, oldest first.
    pub fn externals(&self) -> Vec<ExternalStatus> {
        self.externals.list()
    }

    /// Adds an external engine and checks it once; one that does not answer yet is kept, and its status says why.
    ///
    /// # Errors
    /// The name is taken, the address is none, or it is elsewhere and outbound connections are off.
    pub async fn add_external(&self, engine: NewEngine) -> Result<ExternalStatus> {
        self.externals.add(engine).await
    }

    /// Forgets an external engine.
    ///
    /// # Errors
    /// There is no such engine.
    pub async fn remove_external(&self, id: ExternalId) -> Result<()> {
        self.externals.remove(id).await
    }

    /// Downloads of models.
    pub fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    /// What a pull would bring, and under which licence; fetches nothing. Dropping the future gives it up.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn preview_pull(&self, target: &str) -> Result<PullPreview> {
        let cancel = Cancel::new();
        let _ends_with_us = cancel.clone().drop_guard();
        self.puller.preview(target, &cancel).await.map_err(Error::other)
    }

    /// Refuses new requests, gives running ones `drain`, cancels pulls, and returns when every process has ended.
    pub async fn shutdown(&self, drain: Duration) {
        tokio::join!(self.core.shutdown(drain), self.pulls.shutdown());
    }

    fn named<'a>(&'a self, name: &'a str) -> &'a str {
        match name.trim() {
            "" | "default" => &self.settings.default_model,
            name => name,
        }
    }

    async fn facts(&self, id: &ModelId) -> Result<Option<Facts>> {
        let manifest = self.registry.find(id).await.map_err(Error::other)?;
        manifest.map(|manifest| facts_of(&self.registry, &manifest, &self.settings)).transpose()
    }

    async fn installed(&self) -> Result<Arc<Vec<ServedModel>>> {
        let generation = self.registry.generation().await.map_err(Error::other)?;
        if let Some((known, models)) = &*self.installed.lock()
            && *known == generation
        {
            return Ok(models.clone());
        }
        let mut models = Vec::new();
        for kind in [ModelKind::Chat, ModelKind::Embedding] {
            let mut query =
                ModelQuery { kind: Some(kind), limit: ModelQuery::MAX_LIMIT, ..ModelQuery::default() };
            loop {
                let page = self.registry.list(&query).await.map_err(Error::other)?;
                models.extend(page.data.iter().map(served));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        let models = Arc::new(models);
        *self.installed.lock() = Some((generation, models.clone()));
        Ok(models)
    }

    /// The error for a name that nothing has.
    async fn unknown(&self, asked: &str) -> Result<Error> {
        let name = self.named(asked);
        if name != asked.trim() {
            return Ok(Error::NoDefault { name: name.to_owned() });
        }
        if Catalog::builtin().get(name).is_some() {
            return Ok(Error::NotInstalled { name: name.to_owned() });
        }
        let models = self.models().await?;
        let near = nearest(name, models.iter().map(|m| m.id.as_str()));
        Ok(Error::ModelNotFound { name: name.chars().take(200).collect(), near })
    }
}

fn local(model: Arc<str>, lang: Lang, granted: Granted) -> Lease {
    Lease {
        model,
        replica: granted.id.to_string().into(),
        lang,
        endpoint: Endpoint::Local(granted.local),
        hold: granted.hold,
    }
}

fn served(manifest: &Manifest) -> ServedModel {
    ServedModel {
        id: manifest.id.to_string(),
        created: manifest.installed_at,
        owned_by: "rixin".into(),
        external: false,
    }
}

fn facts_of(registry: &Registry, manifest: &Manifest, settings: &Settings) -> Result<Facts> {
    Facts::new(manifest, registry.main_file(manifest), settings)
}

/// Stops replicas whose model another process (the command line) has removed or replaced.
async fn follow_registry(registry: Registry, core: Arc<Core>) {
    let core = Arc::downgrade(&core);
    let mut known = None;
    loop {
        tokio::time::sleep(REGISTRY_EVERY).await;
        let Some(core) = core.upgrade() else { return };
        let running = core.running();
        if running.is_empty() {
            continue;
        }
        let Ok(generation) = registry.generation().await else { continue };
        if known.replace(generation) == Some(generation) {
            continue;
        }
        for (model, revision) in running {
            let current = match registry.find(&model).await {
                Ok(manifest) => manifest.map(|manifest| crate::facts::revision(&manifest)),
                Err(_) => continue,
            };
            if current != Some(revision) {
                tracing::info!(%model, "the model was removed or replaced: its replicas end");
                core.stop_model(&model, core.settings.drain).await;
            }
        }
    }
}
