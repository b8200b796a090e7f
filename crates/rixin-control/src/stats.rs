//! The figures of replicas: fetched now and then, kept for whoever asks, never waited for. A replica that answers nothing for a long
//! time is given up here.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Limited};
use rixin_base::{Fault, ReplicaId};
use rixin_protocol::replica::Stats;

use crate::{
    ReplicaPlace, ReplicaState, ReplicaStatus, Result,
    child::Order,
    core::Core,
    endpoint::Local,
    error::Error,
    plan::{Entry, State as Phase},
};

/// The longest answer, in bytes.
const LONGEST: usize = 64 * 1024;
/// The longest time of one look.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An idle replica is looked at this much more rarely.
const IDLE_FACTOR: u64 = 8;

/// Looks at all replicas until the core is gone.
pub(crate) async fn collect(core: Weak<Core>) {
    loop {
        let Some(strong) = core.upgrade() else { return };
        let every = strong.options.stats_every;
        let due = strong.due();
        futures::future::join_all(due.into_iter().map(|(id, local)| strong.look_at(id, local))).await;
        drop(strong);
        tokio::time::sleep(every).await;
    }
}

impl Core {
    /// The replicas that serve, and idle ones now and then.
    fn due(&self) -> Vec<(ReplicaId, Arc<Local>)> {
        let now = self.now();
        let every = u64::try_from(self.options.stats_every.as_millis()).unwrap_or(u64::MAX);
        self.look(|state| {
            let ready: Vec<(ReplicaId, bool)> = state
                .plan
                .entries()
                .filter(|(_, e)| matches!(e.state, Phase::Ready | Phase::Stopping { .. }))
                .map(|(id, e)| (id, e.active > 0))
                .collect();
            let mut due = Vec::new();
            for (id, busy) in ready {
                let Some(live) = state.live.get_mut(&id) else { continue };
                let last_used =
                    state.plan.entries().find(|(other, _)| *other == id).map_or(0, |(_, e)| e.last_used);
                let stale = now >= live.stats_at.saturating_add(every.saturating_mul(IDLE_FACTOR));
                if busy || last_used >= live.stats_at || stale || live.stats.is_none() {
                    due.push((id, live.local.clone()));
                }
            }
            due
        })
    }

    async fn look_at(&self, id: ReplicaId, local: Arc<Local>) {
        let hung_after = self.options.hung_after;
        let answer = tokio::time::timeout(TIMEOUT.min(hung_after), fetch(&local)).await;
        let now = self.now();
        self.look(|state| {
            let ready = state.plan.entries().any(|(other, e)| other == id && e.state == Phase::Ready);
            let Some(live) = state.live.get_mut(&id) else { return };
            live.stats_at = now;
            match answer {
                Ok(Ok(stats)) => {
                    live.answered_at = now;
                    live.stats = Some(stats);
                }
                // an answer that makes no sense is an answer, and a broken connection is the supervisor's matter
                Ok(Err(error)) => {
                    live.answered_at = now;
                    tracing::debug!(replica = %id, %error, "no figures");
                }
                Err(_) => tracing::warn!(replica = %id, "the replica answers slowly"),
            }
            let silent = Duration::from_millis(now.saturating_sub(live.answered_at));
            if ready && silent >= hung_after {
                let _ = live.orders.send(Order::Hung(silent));
            }
        });
    }

    /// Every replica and every failure that is still remembered.
    pub fn statuses(&self) -> Vec<ReplicaStatus> {
        let keep_alive = self.options.keep_alive.unwrap_or(self.settings.keep_alive);
        self.look(|state| {
            let mut all: Vec<ReplicaStatus> = state
                .plan
                .entries()
                .map(|(id, entry)| {
                    let live = state.live.get(&id);
                    let idle_at = (entry.is_idle() && !keep_alive.is_zero()).then(|| {
                        entry
                            .last_used
                            .saturating_add(u64::try_from(keep_alive.as_millis()).unwrap_or(u64::MAX))
                    });
                    let phase = phase(entry);
                    ReplicaStatus {
                        id: id.to_string(),
                        model: entry.model.to_string(),
                        place: ReplicaPlace::Local,
                        state: phase,
                        load_fraction: (phase == ReplicaState::Loading)
                            .then(|| live.map_or(0.0, |l| l.fraction)),
                        memory_bytes: entry.reserved,
                        active: entry.active,
                        queued: live.and_then(|l| l.stats.as_ref()).map_or(0, |s| s.queued.min(entry.active)),
                        slots: entry.slots,
                        since_ms: self.wall_ms(if phase == ReplicaState::Idle {
                            entry.last_used
                        } else {
                            entry.since
                        }),
                        idle_unload_at_ms: idle_at.map(|at| self.wall_ms(at)),
                        error: None,
                        restarts: state.plan.failure_count(&entry.model),
                        stats: live.and_then(|l| l.stats.clone()),
                    }
                })
                .collect();
            all.extend(state.plan.failures().map(|(model, failure)| ReplicaStatus {
                id: failure.id.to_string(),
                model: model.to_string(),
                place: ReplicaPlace::Local,
                state: ReplicaState::Failed,
                load_fraction: None,
                memory_bytes: 0,
                active: 0,
                queued: 0,
                slots: 0,
                since_ms: self.wall_ms(failure.at),
                idle_unload_at_ms: None,
                error: Some(Fault::clone(&failure.fault)),
                restarts: failure.count,
                stats: None,
            }));
            all
        })
    }
}

fn phase(entry: &Entry) -> ReplicaState {
    match entry.state {
        Phase::Pending { .. } | Phase::Loading => ReplicaState::Loading,
        Phase::Ready if entry.active == 0 => ReplicaState::Idle,
        Phase::Ready => ReplicaState::Ready,
        Phase::Stopping { .. } => ReplicaState::Stopping,
    }
}

async fn fetch(local: &Arc<Local>) -> Result<Stats> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = http::Uri::from_static("/stats");
    let response = local.send(request).await?;
    let body =
        Limited::new(response.into_body(), LONGEST).collect().await.map_err(|error| no_stats(&error))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| no_stats(&error))
}

fn no_stats(error: &dyn std::fmt::Display) -> Error {
    Error::Other(Box::new(Fault::new(
        rixin_base::Code::BadUpstream,
        format!("its figures can't be read ({error})"),
        format!("无法读取其统计数据（{error}）"),
    )))
}
