//! A hub for tests, on two ports of this machine: the hub itself and the storage that it redirects to. It speaks the real hubs' layouts,
//! writes down every request, and can be told to misbehave as networks and servers do.

#![allow(dead_code, reason = "every test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

pub mod files;
mod layout;
mod send;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use rixin_base::Settings;
use rixin_models::{Catalog, Puller, Registry, Sha256, Tuning};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Logged {
    /// `hub` or `storage`.
    pub server: &'static str,
    pub path: String,
    pub query: String,
    /// The range that was asked for, half-open.
    pub range: Option<(u64, u64)>,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
}

/// What a request for a file gets instead of the file; each is used once.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// This status, with these headers.
    Status(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks after so many bytes of the body.
    Break(usize),
    /// No byte comes after so many, and the connection stays.
    Stall(usize),
    /// A login page with the status 200.
    Page,
    /// A `Content-Range` for other bytes.
    WrongRange,
}

/// How the servers behave.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// The token that everything asks for.
    pub token: Option<String>,
    /// The repository is gated: a token is needed for its files.
    pub gated: bool,
    /// Ranges are not understood.
    pub no_ranges: bool,
    /// Ranges are answered with the status 200, as ModelScope does.
    pub ranges_as_200: bool,
    /// The first byte of every body is wrong.
    pub corrupt: bool,
    /// A file has so many bytes more or less than the list says.
    pub lengthen: i64,
    /// The list of files leaves sizes out.
    pub sizeless: bool,
    /// A pause after every 64 KiB.
    pub pace: Option<Duration>,
    /// The version in etags.
    pub version: u32,
    /// No etag, no date.
    pub no_validator: bool,
    /// Signed addresses work so many times.
    pub signature_uses: Option<u32>,
    /// Troubles of requests to the hub's file addresses, in order.
    pub hub: VecDeque<Trouble>,
    /// Troubles of requests to the storage, in order.
    pub storage: VecDeque<Trouble>,
    /// Troubles of requests to the hub's API, in order.
    pub api: VecDeque<Trouble>,
}

/// What both servers share.
pub struct State {
    pub files: Mutex<BTreeMap<String, Bytes>>,
    pub card: Mutex<serde_json::Value>,
    pub manners: Mutex<Manners>,
    pub log: Mutex<Vec<Logged>>,
    pub sent: Mutex<u64>,
    pub signatures: Mutex<u32>,
    pub changed: Notify,
    pub hub: String,
    pub storage: String,
}

/// The running servers; they end with this value.
pub struct HubServer {
    pub state: Arc<State>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl HubServer {
    /// Starts both servers with these files.
    pub async fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let hub = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let storage = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), Bytes::from(bytes.clone())));
        let state = Arc::new(State {
            files: Mutex::new(files.collect()),
            card: Mutex::new(serde_json::json!({"license": "apache-2.0", "language": ["zh", "en"]})),
            manners: Mutex::default(),
            log: Mutex::default(),
            sent: Mutex::default(),
            signatures: Mutex::default(),
            changed: Notify::new(),
            hub: format!("http://{}", hub.local_addr().unwrap()),
            storage: format!("http://{}", storage.local_addr().unwrap()),
        });
        let hub_routes = layout::hub(state.clone());
        let storage_routes = layout::storage(state.clone());
        let tasks = vec![
            tokio::spawn(async move { axum::serve(hub, hub_routes).await.unwrap() }),
            tokio::spawn(async move { axum::serve(storage, storage_routes).await.unwrap() }),
        ];
        Self { state, tasks }
    }

    /// Changes how the servers behave.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.state.manners.lock());
    }

    /// Requests so far, which are forgotten.
    pub fn take_log(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.state.log.lock())
    }

    /// Requests for bytes of files so far.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        self.state
            .log
            .lock()
            .iter()
            .filter(|entry| entry.server == "storage")
            .filter_map(|entry| entry.range)
            .collect()
    }

    /// Waits until the servers have sent so many bytes of files.
    pub async fn sent(&self, bytes: u64) {
        loop {
            let changed = self.state.changed.notified();
            if *self.state.sent.lock() >= bytes {
                return;
            }
            changed.await;
        }
    }

    /// Settings whose hubs are all this server.
    pub fn settings(&self, more: &[(&'static str, &str)]) -> Arc<Settings> {
        let mut flags: Vec<(&'static str, String)> =
            ["hf_endpoint", "modelscope_endpoint", "civitai_endpoint"]
                .into_iter()
                .map(|name| (name, self.state.hub.clone()))
                .collect();
        flags.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        settings(&flags)
    }

    /// A puller of this hub into a registry.
    pub fn puller(&self, registry: &Registry, more: &[(&'static str, &str)]) -> Puller {
        puller(self.settings(more), registry)
    }
}

/// Settings from flags alone.
pub fn settings(flags: &[(&'static str, String)]) -> Arc<Settings> {
    Arc::new(Settings::load(flags, None, &|_| None).unwrap().settings)
}

/// A puller with the built-in catalogue and short times.
pub fn puller(settings: Arc<Settings>, registry: &Registry) -> Puller {
    Puller::with(settings, registry.clone(), Arc::new(Catalog::builtin().clone()), tuning()).unwrap()
}

/// Times and sizes for tests: small pieces, short waits.
pub fn tuning() -> Tuning {
    Tuning {
        piece_bytes: 256 << 10,
        sync_bytes: 256 << 10,
        stall_timeout: Duration::from_millis(300),
        retries: 3,
        backoff: Duration::from_millis(5),
        backoff_limit: Duration::from_millis(20),
        busy_limit: Duration::from_secs(3),
        watch_interval: Duration::from_millis(20),
        client_stall: Duration::from_secs(60),
        disk_margin: 0,
        ..Tuning::default()
    }
}

/// Whole files below a folder, for "nothing is left" and "nothing was installed".
pub fn names_below(folder: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return out };
    for entry in entries.flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => out.extend(names_below(&path)),
            false => out.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    out.sort();
    out
}

/// Bytes without a pattern that a mistake could repeat.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .collect()
}

/// The hash of bytes.
pub fn sha(bytes: &[u8]) -> Sha256 {
    Sha256::of(bytes)
}

/// The commit that the hub's files are of.
pub fn layout_commit() -> &'static str {
    layout::COMMIT
}
