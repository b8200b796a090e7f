//! The planner: which replica answers, who waits, what is loaded, what makes room. A state machine that knows no clock, no
//! process and no socket: events come in with the time, [`Action`]s come out, and the caller carries them out.
//!
//! What holds after every event:
//! - a load starts only where the memory reserved for all replicas, its own included, is within the capacity;
//! - a waiter is answered exactly once, by a grant or a refusal, unless it was cancelled;
//! - a model with waiters has a replica that is pending or loading, or one that is full.

mod admit;
mod entry;
mod failure;
mod route;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rixin_base::{Fault, ModelId, ReplicaId};

pub(crate) use entry::{Entry, State};
pub(crate) use failure::Failure;
pub(crate) use route::{Candidate, Routes};

/// Milliseconds since the planner's owner started.
pub(crate) type Millis = u64;

/// The number of a request that waits.
pub(crate) type WaiterId = u64;

/// The planner's rules.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// An idle replica is unloaded after this time; 0: never.
    pub keep_alive: Millis,
    /// How long a load waits for busy replicas to make room.
    pub patience: Millis,
    /// The first back-off after a failed load; it doubles with each one.
    pub backoff_first: Millis,
    /// The longest back-off.
    pub backoff_most: Millis,
    /// A replica that lived this long before it crashed starts a new count.
    pub stable: Millis,
}

/// What is wanted of a model.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The model.
    pub model: ModelId,
    /// What a replica of it needs, in bytes.
    pub need: u64,
    /// Requests that a replica answers at the same time.
    pub slots: u32,
    /// Requests that wait at a replica.
    pub queue: u32,
    /// Changes when the model is installed anew: earlier failures no longer count.
    pub revision: u64,
}

/// Why a request or a start is refused.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// It does not fit.
    Memory { need: u64, free: u64, retry_after: Option<Duration> },
    /// Every replica has as many requests as it takes.
    QueueFull { bound: u32, retry_after: Duration },
    /// It did not come up, or keeps dying.
    Failed { fault: Arc<Fault>, retry_after: Option<Duration> },
    /// It was stopped while it loaded.
    Stopped,
    /// Everything is being stopped.
    ShuttingDown,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Ask this replica; [`Plan::release`] when done.
    Granted(ReplicaId),
    /// No.
    Refused(Refusal),
    /// An [`Action`] will name the waiter.
    Waiting,
}

/// What the caller has to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the process; report [`Plan::ready`] or [`Plan::exited`].
    Load(ReplicaId, ModelId),
    /// Ask the process to end; report [`Plan::exited`].
    Terminate(ReplicaId),
    /// End the process now; report [`Plan::exited`].
    Kill(ReplicaId),
    /// A waiter's replica.
    Grant(WaiterId, ReplicaId),
    /// A waiter's refusal.
    Refuse(WaiterId, Refusal),
    /// A load that never started is given up.
    Abandon(ReplicaId, Refusal),
}

#[derive(Debug)]
struct Waiter {
    id: WaiterId,
    affinity: Option<u64>,
}

/// The planner.
#[derive(Debug)]
pub(crate) struct Plan {
    rules: Rules,
    /// What all replicas together may take now, in bytes.
    capacity: u64,
    /// Ids sort by the time they were made, so pending loads stand in the order of arrival.
    entries: std::collections::BTreeMap<ReplicaId, Entry>,
    waiters: HashMap<ModelId, VecDeque<Waiter>>,
    failures: HashMap<ModelId, Failure>,
    routes: Routes,
    actions: Vec<Action>,
    shutting_down: bool,
}

impl Plan {
    /// Nothing runs yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            capacity: 0,
            entries: Default::default(),
            waiters: HashMap::new(),
            failures: HashMap::new(),
            routes: Routes::default(),
            actions: Vec::new(),
            shutting_down: false,
        }
    }

    /// What has to be done since this was last called.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Tells what all replicas together may take.
    pub fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    /// A request that a running replica can take at once; `None` where [`Plan::request`] has to decide.
    pub fn grant_now(&mut self, now: Millis, model: &ModelId, affinity: Option<u64>) -> Option<ReplicaId> {
        if self.shutting_down {
            return None;
        }
        let id = self.choose(model, affinity)?;
        self.grant(now, id);
        Some(id)
    }

    /// A request for a model.
    pub fn request(&mut self, now: Millis, waiter: WaiterId, ask: &Ask, affinity: Option<u64>) -> Answer {
        if self.shutting_down {
            return Answer::Refused(Refusal::ShuttingDown);
        }
        if let Some(id) = self.choose(&ask.model, affinity) {
            self.grant(now, id);
            return Answer::Granted(id);
        }
        if self.coming(&ask.model) {
            let waiting = self.waiters.get(&ask.model).map_or(0, VecDeque::len);
            if waiting >= ask.slots.saturating_add(ask.queue).max(1) as usize {
                return Answer::Refused(self.queue_full(&ask.model));
            }
        } else if self.entries.values().any(|e| e.model == ask.model && e.state == State::Ready) {
            return Answer::Refused(self.queue_full(&ask.model));
        } else {
            if let Some(refusal) = self.failures.get(&ask.model).and_then(|f| f.refusal(now, ask.revision)) {
                return Answer::Refused(refusal);
            }
            self.pend(now, ask, false);
        }
        self.waiters.entry(ask.model.clone()).or_default().push_back(Waiter { id: waiter, affinity });
        self.schedule(now);
        Answer::Waiting
    }

    /// A waiter has gone away; a load that only it wanted and that has not started is given up.
    pub fn cancel(&mut self, now: Millis, waiter: WaiterId) {
        let Some(model) = self
            .waiters
            .iter()
            .find(|(_, list)| list.iter().any(|w| w.id == waiter))
            .map(|(model, _)| model.clone())
        else {
            return;
        };
        if let Some(list) = self.waiters.get_mut(&model) {
            list.retain(|w| w.id != waiter);
            if list.is_empty() {
                self.waiters.remove(&model);
                self.entries.retain(|_, e| !(e.model == model && e.is_pending() && !e.wanted));
            }
        }
        self.schedule(now);
    }

    /// One more replica, wanted by an administrator: earlier failures do not hinder it, and it waits for no busy ones.
    pub fn start(&mut self, now: Millis, ask: &Ask) -> Result<ReplicaId, Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        self.failures.remove(&ask.model);
        let id = self.pend(now, ask, true);
        self.schedule(now);
        let given_up = self.actions.iter().find_map(|action| match action {
            Action::Abandon(other, refusal) if *other == id => Some(refusal.clone()),
            _ => None,
        });
        given_up.map_or(Ok(id), Err)
    }

    /// A process answers.
    pub fn ready(&mut self, now: Millis, id: ReplicaId, memory: u64, slots: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.state != State::Loading {
            return;
        }
        entry.become_ready(now, memory, slots);
        let model = entry.model.clone();
        if let Some(failure) = self.failures.get_mut(&model) {
            failure.until = now;
        }
        self.serve(now, &model);
        self.schedule(now);
    }

    /// A process has ended, or could not be started. `fault` says why where nobody asked for it.
    pub fn exited(&mut self, now: Millis, id: ReplicaId, fault: Fault) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.routes.forget(id);
        let model = entry.model.clone();
        match entry.state {
            State::Loading => {
                self.fail(now, id, &entry, fault, false);
            }
            State::Ready => {
                self.fail(now, id, &entry, fault, true);
            }
            State::Pending { .. } => {}
            State::Stopping { .. } => {
                if entry.lived(now) >= self.rules.stable {
                    self.failures.remove(&model);
                }
            }
        }
        self.answer_without_hope(now, &model);
        self.schedule(now);
    }

    /// A lease has ended after `held`.
    pub fn release(&mut self, now: Millis, id: ReplicaId, held: Millis) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.release(now, held);
        let (model, active) = (entry.model.clone(), entry.active);
        match entry.state {
            State::Ready if active == 0 || self.waiters.contains_key(&model) => {
                // a load that waits for this memory goes first: else a busy model could keep it for ever
                if active == 0 {
                    self.schedule(now);
                }
                self.serve(now, &model);
            }
            State::Stopping { signalled: false, .. } if active == 0 => self.terminate(id),
            _ => {}
        }
    }

    /// An administrator stops a replica; its running requests get `drain`.
    pub fn stop(&mut self, now: Millis, id: ReplicaId, drain: Millis) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else {
            let failed = self.failures.iter().find(|(_, f)| f.id == id).map(|(model, _)| model.clone());
            return failed.is_some_and(|model| self.failures.remove(&model).is_some());
        };
        let model = entry.model.clone();
        match entry.state {
            State::Pending { .. } => {
                self.entries.remove(&id);
                self.actions.push(Action::Abandon(id, Refusal::Stopped));
            }
            State::Loading => {
                entry.state = State::Stopping { drain_until: now, signalled: true };
                entry.since = now;
                self.actions.push(Action::Kill(id));
            }
            State::Ready => {
                entry.state = State::Stopping { drain_until: now.saturating_add(drain), signalled: false };
                entry.since = now;
                if entry.active == 0 || drain == 0 {
                    self.terminate(id);
                }
            }
            State::Stopping { signalled, drain_until } => {
                let sooner = drain_until.min(now.saturating_add(drain));
                entry.state = State::Stopping { drain_until: sooner, signalled };
            }
        }
        if !self.coming(&model) {
            if self.entries.values().any(|e| e.model == model && e.state == State::Ready) {
                self.serve(now, &model);
            } else {
                self.refuse_all(&model, &Refusal::Stopped);
            }
        }
        self.schedule(now);
        true
    }

    /// Stops every replica of a model.
    pub fn stop_model(&mut self, now: Millis, model: &ModelId, drain: Millis) {
        let ids: Vec<ReplicaId> =
            self.entries.iter().filter(|(_, e)| e.model == *model).map(|(id, _)| *id).collect();
        for id in ids {
            self.stop(now, id, drain);
        }
        self.failures.remove(model);
    }

    /// Stops everything and takes nothing more.
    pub fn shutdown(&mut self, now: Millis, drain: Millis) {
        self.shutting_down = true;
        let models: Vec<ModelId> = self.waiters.keys().cloned().collect();
        for model in models {
            self.refuse_all(&model, &Refusal::ShuttingDown);
        }
        let ids: Vec<ReplicaId> = self.entries.keys().copied().collect();
        for id in ids {
            self.stop(now, id, drain);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis) {
        let keep_alive = self.rules.keep_alive;
        let due: Vec<ReplicaId> = self
            .entries
            .iter()
            .filter(|(_, e)| keep_alive > 0 && e.is_idle() && now >= e.last_used.saturating_add(keep_alive))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.stop(now, id, 0);
        }
        let drained: Vec<ReplicaId> = self
            .entries
            .iter()
            .filter(
                |(_, e)| matches!(e.state, State::Stopping { signalled: false, drain_until } if now >= drain_until),
            )
            .map(|(id, _)| *id)
            .collect();
        for id in drained {
            self.terminate(id);
        }
        self.schedule(now);
    }

    /// When [`Plan::tick`] has something to do, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Millis> {
        let keep_alive = self.rules.keep_alive;
        self.entries
            .values()
            .filter_map(|entry| match entry.state {
                State::Pending { give_up_at } => Some(give_up_at),
                State::Stopping { signalled: false, drain_until } => Some(drain_until),
                State::Ready if entry.active == 0 && keep_alive > 0 => {
                    Some(entry.last_used.saturating_add(keep_alive))
                }
                _ => None,
            })
            .min()
    }

    /// Whether everything is being stopped.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// Whether a load waits for memory.
    pub fn has_pending(&self) -> bool {
        self.entries.values().any(Entry::is_pending)
    }

    /// Every replica.
    pub fn entries(&self) -> impl Iterator<Item = (ReplicaId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The failures of models that have no replica that loads or runs.
    pub fn failures(&self) -> impl Iterator<Item = (&ModelId, &Failure)> {
        self.failures.iter().filter(|(model, _)| !self.entries.values().any(|e| e.model == **model))
    }

    /// Failures in a row of a model.
    pub fn failure_count(&self, model: &ModelId) -> u32 {
        self.failures.get(model).map_or(0, |f| f.count)
    }

    /// What is reserved, in bytes.
    pub fn reserved(&self) -> u64 {
        self.entries.values().map(|e| e.reserved).fold(0, u64::saturating_add)
    }

    fn grant(&mut self, now: Millis, id: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.active += 1;
            entry.last_used = now;
        }
    }

    fn terminate(&mut self, id: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let State::Stopping { drain_until, .. } = entry.state
        {
            entry.state = State::Stopping { drain_until, signalled: true };
            self.actions.push(Action::Terminate(id));
        }
    }

    /// The running replica that should take the next request of a model.
    fn choose(&mut self, model: &ModelId, affinity: Option<u64>) -> Option<ReplicaId> {
        let mut open = self
            .entries
            .iter()
            .filter(|(_, e)| e.model == *model && e.state == State::Ready && e.active < e.bound())
            .map(|(id, e)| Candidate { id: *id, active: e.active, slots: e.slots, last_used: e.last_used });
        let first = open.next()?;
        let Some(second) = open.next() else { return Some(first.id) };
        let all: Vec<Candidate<ReplicaId>> = [first, second].into_iter().chain(open).collect();
        self.routes.choose(&all, affinity)
    }

    /// Gives the waiters of a model to its running replicas; where they are full and no further one is coming, says so.
    fn serve(&mut self, now: Millis, model: &ModelId) {
        while let Some(affinity) = self.waiters.get(model).and_then(|list| list.front()).map(|w| w.affinity) {
            let Some(id) = self.choose(model, affinity) else { break };
            self.grant(now, id);
            if let Some(waiter) = self.waiters.get_mut(model).and_then(VecDeque::pop_front) {
                self.actions.push(Action::Grant(waiter.id, id));
            }
        }
        if self.waiters.get(model).is_some_and(VecDeque::is_empty) {
            self.waiters.remove(model);
        }
        if self.waiters.contains_key(model)
            && !self.coming(model)
            && self.entries.values().any(|e| e.model == *model && e.state == State::Ready)
        {
            let refusal = self.queue_full(model);
            self.refuse_all(model, &refusal);
        }
    }

    /// Whether a replica of the model is pending or loading.
    fn coming(&self, model: &ModelId) -> bool {
        self.entries.values().any(|e| e.model == *model && (e.is_pending() || e.state == State::Loading))
    }

    fn refuse_all(&mut self, model: &ModelId, refusal: &Refusal) {
        for waiter in self.waiters.remove(model).into_iter().flatten() {
            self.actions.push(Action::Refuse(waiter.id, refusal.clone()));
        }
    }

    fn queue_full(&self, model: &ModelId) -> Refusal {
        let of_model = || self.entries.values().filter(|e| e.model == *model);
        let bound = of_model().map(Entry::bound).fold(0, u32::saturating_add);
        let hold = of_model().map(|e| e.mean_hold).min().unwrap_or(0);
        let retry_after = Duration::from_secs(hold.div_ceil(1000).clamp(1, 60));
        Refusal::QueueFull { bound, retry_after }
    }
}
