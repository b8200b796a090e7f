//! Replicas that run elsewhere as jobs of a cluster. Each has registered with the token of its attempt and renews a lease; as long as that
//! runs it is asked like an engine behind a URL, by every gateway of the database.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rixin_base::{Message, ModelId, ReplicaId, Settings};
use rixin_store::{ClusterReplica, ClusterReplicas, ClusterState, Registration, Resources, Store, now_ms};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error, ExternalState, Options, ReplicaPlace, ReplicaState, ReplicaStatus, Result,
    endpoint::{Remote, is_this_machine, parse_base},
    external::check_for_ever,
    lease::Hold,
    plan::{Candidate, Routes},
};

/// How often it is looked which there are, if nobody says so.
const LOOK: Duration = Duration::from_secs(1);
/// The longest key that a process may choose, in bytes.
const KEY_MOST: usize = 200;

/// A replica that was chosen for a request.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub id: ReplicaId,
    pub remote: Arc<Remote>,
    pub hold: Hold,
}

/// One that can be asked.
struct Reached {
    registration: Registration,
    remote: Arc<Remote>,
    lease_until: AtomicI64,
    active: AtomicU32,
    last_used: AtomicU64,
    _checker: AbortOnDropHandle<()>,
}

impl Reached {
    fn is_up(&self) -> bool {
        self.lease_until.load(Ordering::Relaxed) > now_ms()
            && self.remote.health().state != ExternalState::Failed
    }
}

struct Known {
    row: ClusterReplica,
    reached: Option<Arc<Reached>>,
}

/// All replicas of the cluster.
pub(crate) struct Leased {
    replicas: ClusterReplicas,
    offline: bool,
    queue: u32,
    request_timeout: Duration,
    check_every: Duration,
    check_timeout: Duration,
    lease: Duration,
    known: RwLock<BTreeMap<ReplicaId, Known>>,
    routes: Mutex<Routes<ReplicaId>>,
    clock: AtomicU64,
    changed: Notify,
}

impl Leased {
    /// Reads which there are.
    pub async fn open(store: &Store, settings: &Settings, options: &Options) -> Result<Arc<Self>> {
        let this = Arc::new(Self {
            replicas: store.cluster_replicas(),
            offline: settings.offline,
            queue: settings.queue,
            request_timeout: settings.request_timeout,
            check_every: options.check_every,
            check_timeout: options.check_timeout,
            lease: options.replica_lease,
            known: RwLock::default(),
            routes: Mutex::default(),
            clock: AtomicU64::new(0),
            changed: Notify::new(),
        });
        this.look().await?;
        Ok(this)
    }

    /// Looks again and again.
    pub async fn follow(self: Arc<Self>) {
        loop {
            let _ = tokio::time::timeout(LOOK, self.changed.notified()).await;
            if let Err(error) = self.look().await {
                tracing::error!(%error, "the cluster's replicas could not be read; it is tried again");
            }
        }
    }

    async fn look(&self) -> Result<()> {
        let rows = self.replicas.list().await.map_err(Error::other)?;
        let mut known = self.known.write();
        let mut before = std::mem::take(&mut *known);
        for row in rows {
            let old = before.remove(&row.id).and_then(|known| known.reached);
            let reached = self.reach(&row, old);
            known.insert(row.id, Known { row, reached });
        }
        drop(known);
        let mut routes = self.routes.lock();
        before.into_keys().for_each(|gone| routes.forget(gone));
        Ok(())
    }

    /// What asks a row's process: the one from before, where it still is the same process.
    fn reach(&self, row: &ClusterReplica, old: Option<Arc<Reached>>) -> Option<Arc<Reached>> {
        let said = row.registration.as_ref().filter(|_| row.state == ClusterState::Ready)?;
        if let Some(old) = old.filter(|old| old.registration == *said) {
            old.lease_until.store(row.lease_until, Ordering::Relaxed);
            return Some(old);
        }
        let remote = match Remote::replica(&row.model, &said.address, &said.key, self.request_timeout) {
            Ok(remote) => Arc::new(remote),
            Err(error) => {
                tracing::error!(replica = %row.id, %error, "a registered replica is left out");
                return None;
            }
        };
        tracing::info!(replica = %row.id, model = row.model, address = said.address, "a replica of the cluster has registered");
        let checking = check_for_ever(Arc::clone(&remote), self.check_every, self.check_timeout);
        Some(Arc::new(Reached {
            registration: said.clone(),
            remote,
            lease_until: AtomicI64::new(row.lease_until),
            active: AtomicU32::new(0),
            last_used: AtomicU64::new(0),
            _checker: AbortOnDropHandle::new(tokio::spawn(checking)),
        }))
    }

    /// The replica of a model that a request goes to; `None` where none is up, or all of them are full.
    pub fn choose(&self, model: &ModelId, affinity: Option<u64>) -> Option<Chosen> {
        let known = self.known.read();
        let up: Vec<(ReplicaId, &Arc<Reached>)> = known
            .values()
            .filter(|known| known.row.model == model.as_str())
            .filter_map(|known| Some((known.row.id, known.reached.as_ref()?)))
            .filter(|(_, reached)| reached.is_up())
            .filter(|(_, reached)| {
                let bound = reached.registration.slots.saturating_add(self.queue).max(1);
                reached.active.load(Ordering::Relaxed) < bound
            })
            .collect();
        let candidates: Vec<Candidate<ReplicaId>> = up
            .iter()
            .map(|(id, reached)| Candidate {
                id: *id,
                active: reached.active.load(Ordering::Relaxed),
                slots: reached.registration.slots,
                last_used: reached.last_used.load(Ordering::Relaxed),
            })
            .collect();
        let id = self.routes.lock().choose(&candidates, affinity)?;
        let reached = Arc::clone(up.into_iter().find(|(other, _)| *other == id)?.1);
        reached.active.fetch_add(1, Ordering::Relaxed);
        reached.last_used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let remote = Arc::clone(&reached.remote);
        let hold = Hold::new(move || {
            reached.active.fetch_sub(1, Ordering::Relaxed);
        });
        Some(Chosen { id, remote, hold })
    }

    /// Wishes for one.
    pub async fn add(&self, model: &str, resources: &Resources) -> Result<ReplicaStatus> {
        let row = self.replicas.add(model, resources).await.map_err(Error::other)?;
        self.look().await?;
        Ok(status(&Known { row, reached: None }))
    }

    /// A process registers. False: its token is none that works.
    pub async fn register(&self, id: ReplicaId, token: &str, said: &Registration) -> Result<bool> {
        let base = parse_base(&said.address)?;
        if self.offline && !is_this_machine(&base) {
            return Err(Error::Offline { url: base.to_string() });
        }
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if said.key.len() < 32 || said.key.len() > KEY_MOST || !said.key.bytes().all(good) {
            return Err(Error::Invalid {
                param: "key",
                why: Message::new(
                    format!("it has 32 to {KEY_MOST} letters, digits, '-' and '_'"),
                    format!("由 32 到 {KEY_MOST} 个字母、数字、'-' 和 '_' 组成"),
                ),
            });
        }
        let done = self.replicas.register(id, token, said, self.lease_ms()).await.map_err(Error::other)?;
        if done {
            self.look().await?;
        }
        Ok(done)
    }

    /// A sign of life. False: it is not wanted any more.
    pub async fn renew(&self, id: ReplicaId, key: &str) -> Result<bool> {
        let renewed = self.replicas.renew(id, key, self.lease_ms()).await.map_err(Error::other)?;
        if let Some(reached) =
            self.known.read().get(&id).and_then(|known| known.reached.as_ref()).filter(|_| renewed)
        {
            reached.lease_until.store(now_ms() + self.lease_ms(), Ordering::Relaxed);
        }
        Ok(renewed)
    }

    /// How long a process may be asked after a sign of life.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether there is one with this id.
    pub fn has(&self, id: ReplicaId) -> bool {
        self.known.read().contains_key(&id)
    }

    /// Not wanted any more: it is asked nothing from now on, and its process finds out when it renews. One that had failed is forgotten.
    pub async fn stop(&self, id: ReplicaId) -> Result<()> {
        self.replicas.stop(id).await.map_err(Error::other)?;
        let without_job = self.known.read().get(&id).is_some_and(|known| known.row.place.is_none());
        if without_job {
            self.replicas.remove(id).await.map_err(Error::other)?;
        }
        self.look().await
    }

    /// The same for all of a model.
    pub async fn stop_model(&self, model: &ModelId) {
        let all: Vec<ReplicaId> = {
            let known = self.known.read();
            known
                .values()
                .filter(|known| known.row.model == model.as_str())
                .map(|known| known.row.id)
                .collect()
        };
        for id in all {
            if let Err(error) = self.stop(id).await {
                tracing::error!(replica = %id, %error, "a replica of the cluster could not be stopped");
            }
        }
    }

    /// All of them, oldest first.
    pub fn statuses(&self) -> Vec<ReplicaStatus> {
        self.known.read().values().map(status).collect()
    }
}

fn status(known: &Known) -> ReplicaStatus {
    let row = &known.row;
    let active = known.reached.as_ref().map_or(0, |reached| reached.active.load(Ordering::Relaxed));
    let up = known.reached.as_ref().is_some_and(|reached| reached.is_up());
    let health = known.reached.as_ref().and_then(|reached| reached.remote.health().why);
    ReplicaStatus {
        id: row.id.to_string(),
        model: row.model.clone(),
        place: ReplicaPlace::Cluster,
        state: match row.state {
            ClusterState::Starting => ReplicaState::Loading,
            ClusterState::Ready if !up => ReplicaState::Failed,
            ClusterState::Ready if active == 0 => ReplicaState::Idle,
            ClusterState::Ready => ReplicaState::Ready,
            ClusterState::Stopping => ReplicaState::Stopping,
            ClusterState::Failed => ReplicaState::Failed,
        },
        load_fraction: None,
        memory_bytes: row.registration.as_ref().map_or(row.resources.memory_bytes, |said| said.memory_bytes),
        active,
        queued: 0,
        slots: row.registration.as_ref().map_or(0, |said| said.slots),
        since_ms: row.since,
        idle_unload_at_ms: None,
        error: match (row.state, &row.reason) {
            (ClusterState::Ready, _) if !up => Some(health.unwrap_or_else(|| silent(&row.model)).into()),
            (_, reason) => reason.clone(),
        },
        restarts: row.failures,
        stats: None,
    }
}

fn silent(model: &str) -> Error {
    Error::ReplicaLost {
        model: model.to_owned(),
        why: Message::new("its lease ran out without a sign of life", "租约到期仍无响应"),
    }
}
