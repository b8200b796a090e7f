//! Failed loads and crashes: how often in a row, and when the next try may begin. Trying again is left to the next request.

use std::{sync::Arc, time::Duration};

use rixin_base::{Fault, ModelId, ReplicaId};

use super::{Entry, Millis, Plan, Refusal, State};

/// The last failures of a model.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The replica that failed last.
    pub id: ReplicaId,
    /// How many in a row.
    pub count: u32,
    /// When the last one was.
    pub at: Millis,
    /// When the next try may begin.
    pub until: Millis,
    /// Why.
    pub fault: Arc<Fault>,
    /// The model's revision at that time.
    pub revision: u64,
}

impl Failure {
    /// The refusal during the back-off.
    pub fn refusal(&self, now: Millis, revision: u64) -> Option<Refusal> {
        (now < self.until && revision == self.revision).then(|| Refusal::Failed {
            fault: self.fault.clone(),
            retry_after: Some(Duration::from_millis(self.until - now)),
        })
    }
}

impl Plan {
    /// Records a failure. A first crash of a replica that served is forgiven: the next request starts it at once.
    pub(super) fn fail(&mut self, now: Millis, id: ReplicaId, entry: &Entry, fault: Fault, crashed: bool) {
        let earlier =
            self.failures.get(&entry.model).filter(|f| f.revision == entry.revision).map_or(0, |f| f.count);
        let count =
            if crashed && entry.lived(now) >= self.rules.stable { 1 } else { earlier.saturating_add(1) };
        let doublings = if crashed { count.checked_sub(2) } else { Some(count - 1) };
        let wait = doublings.map_or(0, |n| {
            let doubled = self.rules.backoff_first.saturating_mul(1u64.checked_shl(n).unwrap_or(u64::MAX));
            doubled.min(self.rules.backoff_most)
        });
        let failure = Failure {
            id,
            count,
            at: now,
            until: now.saturating_add(wait),
            fault: Arc::new(fault),
            revision: entry.revision,
        };
        self.failures.insert(entry.model.clone(), failure);
    }

    /// After a replica has gone: where no other one runs or is coming, its waiters hear why.
    pub(super) fn answer_without_hope(&mut self, now: Millis, model: &ModelId) {
        let alive = self.entries.values().any(|e| {
            e.model == *model && (e.is_pending() || matches!(e.state, State::Loading | State::Ready))
        });
        if alive {
            self.serve(now, model);
            return;
        }
        if !self.waiters.contains_key(model) {
            return;
        }
        let refusal = match self.failures.get(model) {
            Some(failure) => Refusal::Failed {
                fault: failure.fault.clone(),
                retry_after: (failure.until > now).then(|| Duration::from_millis(failure.until - now)),
            },
            None => Refusal::Stopped,
        };
        self.refuse_all(model, &refusal);
    }
}
