//! A replica as the planner sees it.

use rixin_base::ModelId;

use super::{Ask, Millis};

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for memory, until then.
    Pending {
        /// When it is given up.
        give_up_at: Millis,
    },
    /// Its process reads the weights.
    Loading,
    /// It answers.
    Ready,
    /// It takes no more.
    Stopping {
        /// When it is told to end even though it is busy.
        drain_until: Millis,
        /// Whether it has been told.
        signalled: bool,
    },
}

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its model.
    pub model: ModelId,
    /// What it is doing.
    pub state: State,
    /// What it is said to need, in bytes.
    pub need: u64,
    /// What is reserved for it, in bytes; nothing while it is pending.
    pub reserved: u64,
    /// Requests that it answers at the same time.
    pub slots: u32,
    /// Requests that wait at it.
    pub queue: u32,
    /// The model's revision.
    pub revision: u64,
    /// Whether an administrator asked for it.
    pub wanted: bool,
    /// Leases.
    pub active: u32,
    /// When the state began.
    pub since: Millis,
    /// When it became ready.
    pub ready_at: Option<Millis>,
    /// When a lease last began or ended.
    pub last_used: Millis,
    /// The running mean of how long a lease is held.
    pub mean_hold: Millis,
}

impl Entry {
    /// A load that waits for memory.
    pub fn pending(now: Millis, ask: &Ask, give_up_at: Millis, wanted: bool) -> Self {
        Self {
            model: ask.model.clone(),
            state: State::Pending { give_up_at },
            need: ask.need,
            reserved: 0,
            slots: ask.slots.max(1),
            queue: ask.queue,
            revision: ask.revision,
            wanted,
            active: 0,
            since: now,
            ready_at: None,
            last_used: now,
            mean_hold: 0,
        }
    }

    /// Memory is reserved and the process starts.
    pub fn become_loading(&mut self, now: Millis) {
        self.state = State::Loading;
        self.reserved = self.need;
        self.since = now;
    }

    /// The process answers and says what it took; 0 where it can't tell.
    pub fn become_ready(&mut self, now: Millis, memory: u64, slots: u32) {
        self.state = State::Ready;
        self.since = now;
        self.ready_at = Some(now);
        self.last_used = now;
        if memory > 0 {
            self.reserved = memory;
        }
        if slots > 0 {
            self.slots = slots;
        }
    }

    /// A lease has ended.
    pub fn release(&mut self, now: Millis, held: Millis) {
        self.active = self.active.saturating_sub(1);
        self.last_used = now;
        self.mean_hold = if self.mean_hold == 0 { held } else { (self.mean_hold * 7 + held) / 8 };
    }

    /// Most leases at a time.
    pub fn bound(&self) -> u32 {
        self.slots.saturating_add(self.queue).max(1)
    }

    /// Whether it waits for memory.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// Whether it runs and nobody asks.
    pub fn is_idle(&self) -> bool {
        self.state == State::Ready && self.active == 0
    }

    /// How long it has been ready.
    pub fn lived(&self, now: Millis) -> Millis {
        self.ready_at.map_or(0, |at| now.saturating_sub(at))
    }
}
