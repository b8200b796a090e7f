//! A control with scripted replicas: models whose files say how their replica behaves.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use rixin_base::{Lang, Settings};
use rixin_control::{
    AcquireRequest, Control, Error, Lease, Options, ReplicaState, ReplicaStatus, UpstreamBody,
};
use rixin_models::{Manifest, Registry, Sha256};
use rixin_store::Store;
use serde_json::{Value, json};

pub const MIB: u64 = 1 << 20;

/// The scripted replica, built beside the tests.
pub fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("examples/scripted_replica")
}

/// Short times, so that tests wait for events and not for clocks; a fixed capacity of 1000 MiB.
pub fn options() -> Options {
    let mut options = Options::default();
    options.launcher.program = Some(program());
    options.memory_patience = Duration::from_secs(1);
    options.backoff_first = Duration::from_secs(2);
    options.stop_grace = Duration::from_secs(2);
    options.stats_every = Duration::from_millis(20);
    options.capacity = Some(1000 * MIB);
    options.check_every = Duration::from_millis(50);
    options
}

pub struct Bed {
    pub dir: tempfile::TempDir,
    pub registry: Registry,
    pub store: Store,
    pub control: Arc<Control>,
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(options(), &[]).await
    }

    pub async fn with(options: Options, settings: &[(&'static str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let registry = Registry::open(dir.path()).await.expect("registry");
        let store = Store::open(dir.path()).await.expect("store");
        let settings = self::settings(&dir, settings);
        let control =
            Control::start_with(options, settings, registry.clone(), store.clone()).await.expect("control");
        Self { dir, registry, store, control }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Installs a model of 300 MiB with a script.
    pub async fn install(&self, id: &str, script: Value) {
        self.install_sized(id, 300 * MIB, script).await;
    }

    pub async fn install_sized(&self, id: &str, need: u64, script: Value) {
        install(&self.registry, id, need, script).await;
    }

    pub async fn acquire(&self, model: &str) -> Result<Lease, Error> {
        self.acquire_for(model, None).await
    }

    pub async fn acquire_for(&self, model: &str, affinity: Option<u64>) -> Result<Lease, Error> {
        self.control.acquire(&AcquireRequest { model, affinity, lang: Lang::En }).await
    }

    pub fn local(&self, model: &str) -> Vec<ReplicaStatus> {
        self.control.replicas().into_iter().filter(|r| r.model == model).collect()
    }

    /// The states of a model's replicas.
    pub fn states(&self, model: &str) -> Vec<ReplicaState> {
        self.local(model).into_iter().map(|r| r.state).collect()
    }
}

pub fn settings(dir: &tempfile::TempDir, more: &[(&'static str, &str)]) -> Arc<Settings> {
    let get = |name: &str| (name == "RIXIN_DATA_DIR").then(|| dir.path().display().to_string());
    let flags: Vec<(&'static str, String)> =
        more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Arc::new(Settings::load(&flags, None, &get).expect("valid settings").settings)
}

pub async fn install(registry: &Registry, id: &str, need: u64, script: Value) {
    let bytes = script.to_string().into_bytes();
    let stage = registry.stage().await.expect("stage");
    let manifest = json!({
        "version": 1, "id": id, "name": id, "kind": "chat", "main": "model.json",
        "files": [{"path": "model.json", "size": bytes.len(), "sha256": Sha256::of(&bytes).to_string()}],
        "source": "file:model.json", "licence": {"spdx": "Apache-2.0"}, "origin": "imported",
        "memory": {"weights_bytes": need, "per_token_bytes": 0, "overhead_bytes": 0, "basis": "header"},
        "installed_at": 1_700_000_000,
    });
    let manifest = Manifest::from_json(manifest.to_string().as_bytes()).expect("a manifest");
    std::fs::write(stage.file(&manifest.main), &bytes).expect("write");
    registry.install(stage, manifest, true).await.expect("install");
}

pub fn ask(what: &str) -> Request<Bytes> {
    let body = json!({"do": what, "model": "x"}).to_string();
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .expect("a request")
}

pub async fn text(response: Response<UpstreamBody>) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned())
}

/// Asks the replica of a lease who it is.
pub async fn echo(lease: &Lease) -> Value {
    let response = lease.send(ask("echo")).await.expect("an answer");
    serde_json::from_str(&text(response).await.expect("a body")).expect("JSON")
}

pub async fn first_chunk(body: &mut UpstreamBody) -> Bytes {
    body.frame().await.expect("a frame").expect("no error").into_data().expect("data")
}

/// Waits until something that tells no event has come about.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(),
        "it never came to this: {what}"
    );
}

pub fn lines(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}
