//! Carries out what the planner decides: processes, waiters, the clock. One lock, held for microseconds, and never while waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use rixin_base::{Fault, Message, ModelId, ReplicaId, Settings};
use rixin_protocol::replica::Stats;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    Error, MemoryPlan, Options, Result,
    child::{self, Event, Order},
    endpoint::Local,
    facts::Facts,
    lease::Hold,
    memory,
    plan::{Action, Answer, Millis, Plan, Refusal, Rules, State as Phase, WaiterId},
    run_dir::RunDir,
};

/// How often the machine's memory is looked at while a load waits for it.
const REMEASURE: Millis = 500;

/// A replica for a request, and its count.
#[derive(Debug)]
pub(crate) struct Granted {
    pub id: ReplicaId,
    pub local: Arc<Local>,
    pub hold: Hold,
}

/// A process.
pub(super) struct Live {
    pub orders: mpsc::UnboundedSender<Order>,
    pub local: Arc<Local>,
    died: watch::Sender<Option<Message>>,
    pub pid: u32,
    pub fraction: f32,
    pub stats: Option<Stats>,
    /// When it last answered anything, and when its figures were last asked for.
    pub answered_at: Millis,
    pub stats_at: Millis,
}

pub(super) struct State {
    pub plan: Plan,
    pub live: HashMap<ReplicaId, Live>,
    waiters: HashMap<WaiterId, oneshot::Sender<Result<Granted, Refusal>>>,
    facts: HashMap<ModelId, Arc<Facts>>,
    next_waiter: WaiterId,
    /// When the clock's task will look again.
    armed: Millis,
}

/// The replicas of this server.
pub(crate) struct Core {
    pub(super) settings: Arc<Settings>,
    pub(super) options: Options,
    run_dir: RunDir,
    started: Instant,
    started_wall_ms: i64,
    state: Mutex<State>,
    rearm: Arc<Notify>,
    ended: Notify,
    this: Weak<Core>,
}

impl Core {
    /// Makes the run folder and starts the clock.
    pub fn start(settings: Arc<Settings>, options: Options) -> Result<Arc<Self>> {
        let run_dir = RunDir::create(&settings.data_dir)?;
        let rules = Rules {
            keep_alive: millis(options.keep_alive.unwrap_or(settings.keep_alive)),
            patience: millis(options.memory_patience),
            backoff_first: millis(options.backoff_first),
            backoff_most: millis(options.backoff_most),
            stable: millis(options.stable_after),
        };
        let state = State {
            plan: Plan::new(rules),
            live: HashMap::new(),
            waiters: HashMap::new(),
            facts: HashMap::new(),
            next_waiter: 0,
            armed: Millis::MAX,
        };
        let core = Arc::new_cyclic(|this| Self {
            settings,
            options,
            run_dir,
            started: Instant::now(),
            started_wall_ms: rixin_store::now_ms(),
            state: Mutex::new(state),
            rearm: Arc::default(),
            ended: Notify::new(),
            this: this.clone(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&core)));
        Ok(core)
    }

    /// A running replica that can take a request at once.
    pub fn grant_now(&self, model: &ModelId, affinity: Option<u64>) -> Option<Granted> {
        let now = self.now();
        let mut state = self.state.lock();
        let id = state.plan.grant_now(now, model, affinity)?;
        self.granted(&state, id)
    }

    /// A replica for a request: a running one, or one that is loaded for it. When the future is dropped the wait is over.
    pub async fn request(&self, facts: &Arc<Facts>, affinity: Option<u64>) -> Result<Granted> {
        let now = self.now();
        let model = &facts.name;
        let asked = self.act(|state| {
            self.measure(state);
            state.facts.insert(facts.ask.model.clone(), facts.clone());
            let waiter = state.next_waiter;
            state.next_waiter += 1;
            let (sender, receiver) = oneshot::channel();
            state.waiters.insert(waiter, sender);
            match state.plan.request(now, waiter, &facts.ask, affinity) {
                Answer::Waiting => Ok((waiter, receiver)),
                Answer::Granted(id) => {
                    state.waiters.remove(&waiter);
                    Err(self.granted(state, id).ok_or(Refusal::Stopped))
                }
                Answer::Refused(refusal) => {
                    state.waiters.remove(&waiter);
                    Err(Err(refusal))
                }
            }
        });
        let (waiter, receiver) = match asked {
            Ok(waiting) => waiting,
            Err(answer) => return answer.map_err(|refusal| refused(model, refusal)),
        };
        let mut waiting = Waiting { core: self, waiter, over: false };
        let answer = receiver.await;
        waiting.over = true;
        match answer {
            Ok(answer) => answer.map_err(|refusal| refused(model, refusal)),
            Err(_) => Err(Error::ShuttingDown),
        }
    }

    /// One more replica.
    pub fn start_replica(&self, facts: &Arc<Facts>) -> Result<ReplicaId> {
        let now = self.now();
        self.act(|state| {
            self.measure(state);
            state.facts.insert(facts.ask.model.clone(), facts.clone());
            state.plan.start(now, &facts.ask)
        })
        .map_err(|refusal| refused(&facts.name, refusal))
    }

    /// Stops a replica, or forgets a failure.
    pub fn stop_replica(&self, id: ReplicaId, drain: Duration) -> Result<()> {
        let now = self.now();
        if self.act(|state| state.plan.stop(now, id, millis(drain))) {
            return Ok(());
        }
        Err(Error::NotFound { what: Message::new("replica", "副本"), id: id.to_string() })
    }

    /// Stops every replica of a model, and waits until they have ended.
    pub async fn stop_model(&self, model: &ModelId, drain: Duration) {
        let now = self.now();
        self.act(|state| state.plan.stop_model(now, model, millis(drain)));
        self.until(drain + self.options.stop_grace, |state| {
            !state.plan.entries().any(|(_, e)| e.model == *model)
        })
        .await;
    }

    /// Stops everything; kills what is left after the drain and the grace.
    pub async fn shutdown(&self, drain: Duration) {
        let now = self.now();
        self.act(|state| state.plan.shutdown(now, millis(drain)));
        let empty = |state: &State| state.live.is_empty();
        if self.until(drain + self.options.stop_grace + Duration::from_secs(1), empty).await {
            return;
        }
        for live in self.state.lock().live.values() {
            let _ = live.orders.send(Order::Kill);
        }
        self.until(Duration::from_secs(5), empty).await;
    }

    /// The planner's figures.
    pub fn memory(&self) -> MemoryPlan {
        let machine = memory::machine();
        let state = self.state.lock();
        let limit = self.capacity(machine, &state);
        let used = state.plan.reserved();
        MemoryPlan {
            total_bytes: machine.total,
            free_bytes: limit.saturating_sub(used),
            limit_bytes: limit,
            used_bytes: used,
        }
    }

    /// The models that have a replica, with the revision that it was started from.
    pub fn running(&self) -> Vec<(ModelId, u64)> {
        let state = self.state.lock();
        let mut all: Vec<_> = state.plan.entries().map(|(_, e)| (e.model.clone(), e.revision)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock())
    }

    pub(super) fn now(&self) -> Millis {
        millis(self.started.elapsed())
    }

    /// A time of the planner in milliseconds since 1970.
    pub(super) fn wall_ms(&self, at: Millis) -> i64 {
        self.started_wall_ms.saturating_add(i64::try_from(at).unwrap_or(i64::MAX))
    }

    /// Changes the planner and carries out what follows.
    fn act<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut unwanted = Vec::new();
        let result = {
            let mut state = self.state.lock();
            if state.plan.has_pending() {
                self.measure(&mut state);
            }
            let result = change(&mut state);
            self.carry_out(&mut state, &mut unwanted);
            let next = self.next_look(&state);
            if next < state.armed {
                state.armed = next;
                self.rearm.notify_one();
            }
            result
        };
        // grants whose waiter had gone: giving them back takes the lock again
        drop(unwanted);
        result
    }

    fn carry_out(&self, state: &mut State, unwanted: &mut Vec<Granted>) {
        loop {
            let actions = state.plan.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Load(id, model) => {
                        if let Err(error) = self.load(state, id, &model) {
                            state.plan.exited(self.now(), id, error.into());
                        }
                    }
                    Action::Terminate(id) => self.order(state, id, Order::Terminate),
                    Action::Kill(id) => self.order(state, id, Order::Kill),
                    Action::Grant(waiter, id) => {
                        let answer = self.granted(state, id).ok_or(Refusal::Stopped);
                        if let Some(sender) = state.waiters.remove(&waiter)
                            && let Err(Ok(granted)) = sender.send(answer)
                        {
                            unwanted.push(granted);
                        }
                    }
                    Action::Refuse(waiter, refusal) => {
                        if let Some(sender) = state.waiters.remove(&waiter) {
                            let _ = sender.send(Err(refusal));
                        }
                    }
                    Action::Abandon(id, refusal) => {
                        tracing::warn!(replica = %id, ?refusal, "a load was given up before it began");
                    }
                }
            }
        }
    }

    fn load(&self, state: &mut State, id: ReplicaId, model: &ModelId) -> Result<()> {
        let facts = state.facts.get(model).cloned().ok_or(Error::ShuttingDown)?;
        let socket = self.run_dir.socket(id);
        let spec = self.run_dir.write_spec(id, &facts.spec(socket.clone(), &self.settings))?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (died, death) = watch::channel(None);
        let now = self.now();
        let live = Live {
            orders,
            local: Arc::new(Local::new(model.to_string(), socket, death)),
            died,
            pid: 0,
            fraction: 0.0,
            stats: None,
            answered_at: now,
            stats_at: 0,
        };
        state.live.insert(id, live);
        let start = child::Start {
            id,
            model: model.to_string(),
            launcher: self.options.launcher.clone(),
            spec,
            load_timeout: self.settings.load_timeout,
            grace: self.options.stop_grace,
        };
        tracing::info!(replica = %id, %model, need = facts.ask.need, "loading");
        let this = self.this.clone();
        tokio::spawn(child::run(start, inbox, move |event| {
            if let Some(core) = this.upgrade() {
                core.happened(id, event);
            }
        }));
        Ok(())
    }

    /// What a child tells.
    fn happened(&self, id: ReplicaId, event: Event) {
        let now = self.now();
        match event {
            Event::Started { pid } => self.with_live(id, |live| live.pid = pid),
            Event::Loading(fraction) => self.with_live(id, |live| live.fraction = fraction),
            Event::Ready { memory_bytes, slots } => {
                tracing::info!(replica = %id, memory_bytes, slots, "ready");
                self.with_live(id, |live| {
                    live.fraction = 1.0;
                    live.answered_at = now;
                });
                self.act(|state| state.plan.ready(now, id, memory_bytes, slots));
            }
            Event::Exited(fault) => self.buried(id, fault),
        }
    }

    fn buried(&self, id: ReplicaId, fault: Fault) {
        let now = self.now();
        self.run_dir.clean(id);
        self.act(|state| {
            let asked_for = state
                .plan
                .entries()
                .any(|(other, e)| other == id && matches!(e.state, Phase::Stopping { .. }));
            if asked_for {
                tracing::info!(replica = %id, "ended");
            } else {
                tracing::error!(replica = %id, reason = %fault, "a replica was lost");
            }
            if let Some(live) = state.live.remove(&id) {
                live.died.send_replace(Some(fault.message.clone()));
            }
            state.plan.exited(now, id, fault);
        });
        self.ended.notify_waiters();
    }

    fn with_live(&self, id: ReplicaId, change: impl FnOnce(&mut Live)) {
        if let Some(live) = self.state.lock().live.get_mut(&id) {
            change(live);
        }
    }

    fn order(&self, state: &State, id: ReplicaId, order: Order) {
        if let Some(live) = state.live.get(&id) {
            let _ = live.orders.send(order);
        }
    }

    fn granted(&self, state: &State, id: ReplicaId) -> Option<Granted> {
        let local = state.live.get(&id)?.local.clone();
        let (this, since) = (self.this.clone(), Instant::now());
        let hold = Hold::new(move || {
            if let Some(core) = this.upgrade() {
                let now = core.now();
                core.act(|state| state.plan.release(now, id, millis(since.elapsed())));
            }
        });
        Some(Granted { id, local, hold })
    }

    fn measure(&self, state: &mut State) {
        let capacity = self.capacity(memory::machine(), state);
        state.plan.set_capacity(capacity);
    }

    fn capacity(&self, machine: memory::Machine, state: &State) -> u64 {
        if let Some(fixed) = self.options.capacity {
            return fixed;
        }
        let held = state.live.values().filter(|l| l.pid != 0).map(|l| memory::held_by(l.pid)).sum();
        memory::capacity(machine, held, self.settings.memory_limit.0)
    }

    fn next_look(&self, state: &State) -> Millis {
        let deadline = state.plan.next_deadline().unwrap_or(Millis::MAX);
        if state.plan.has_pending() { deadline.min(self.now() + REMEASURE) } else { deadline }
    }

    /// Waits until the state is so; false when it takes too long.
    async fn until(&self, most: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waiting = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if done(&self.state.lock()) {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(most, waiting).await.is_ok()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.rearm.notify_one();
    }
}

/// A waiting request; dropped before its answer, it takes itself off the list.
struct Waiting<'a> {
    core: &'a Core,
    waiter: WaiterId,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = self.core.now();
        self.core.act(|state| {
            if state.waiters.remove(&self.waiter).is_some() {
                state.plan.cancel(now, self.waiter);
            }
        });
    }
}

/// Wakes the planner when its next deadline has come.
async fn keep_time(core: Weak<Core>) {
    loop {
        let Some(strong) = core.upgrade() else { return };
        let now = strong.now();
        strong.act(|state| state.plan.tick(now));
        let next = {
            let mut state = strong.state.lock();
            state.armed = strong.next_look(&state);
            state.armed
        };
        // without a deadline it looks now and then whether there still is anybody to work for
        let wait = Duration::from_millis(next.saturating_sub(strong.now()).clamp(1, 10_000));
        let rearm = strong.rearm.clone();
        drop(strong);
        let _ = tokio::time::timeout(wait, rearm.notified()).await;
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// The planner's refusal as an error that names the model.
fn refused(model: &str, refusal: Refusal) -> Error {
    let model = model.to_owned();
    match refusal {
        Refusal::Memory { need, free, retry_after } => {
            Error::OutOfMemory { model, need_bytes: need, free_bytes: free, retry_after }
        }
        Refusal::QueueFull { bound, retry_after } => Error::QueueFull { model, bound, retry_after },
        Refusal::Failed { fault, retry_after } => {
            Error::LoadFailed { model, fault: Box::new((*fault).clone()), retry_after }
        }
        Refusal::Stopped => Error::Stopped { model },
        Refusal::ShuttingDown => Error::ShuttingDown,
    }
}
