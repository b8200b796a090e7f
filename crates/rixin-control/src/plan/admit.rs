//! Admission: pending loads in their order of arrival get free memory, or the memory of idle replicas, or wait for busy ones, or
//! are refused with the figures.

use std::time::Duration;

use rixin_base::ReplicaId;

use super::{Action, Ask, Entry, Millis, Plan, Refusal, State};

/// When a load that had to give way to busy replicas may be tried again.
const RETRY_BUSY: Duration = Duration::from_secs(10);

impl Plan {
    /// Queues a load.
    pub(super) fn pend(&mut self, now: Millis, ask: &Ask, wanted: bool) -> ReplicaId {
        let id = ReplicaId::new();
        let give_up_at = if wanted { now } else { now.saturating_add(self.rules.patience) };
        self.entries.insert(id, Entry::pending(now, ask, give_up_at, wanted));
        id
    }

    /// Starts what fits, makes room for what would fit, refuses what can't or has waited long enough.
    ///
    /// A load that waits for a replica to end has a claim on what that one gives back; a load that waits for busy ones has none,
    /// so that smaller loads behind it can pass.
    pub(super) fn schedule(&mut self, now: Millis) {
        let pending: Vec<ReplicaId> =
            self.entries.iter().filter(|(_, e)| e.is_pending()).map(|(id, _)| *id).collect();
        let mut claimed: u64 = 0;
        for id in pending {
            let Some(entry) = self.entries.get(&id) else { continue };
            let State::Pending { give_up_at } = entry.state else { continue };
            let (need, model) = (entry.need, entry.model.clone());
            let free = self.capacity.saturating_sub(self.reserved());
            if need.saturating_add(claimed) <= free {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.become_loading(now);
                    self.actions.push(Action::Load(id, model));
                }
                continue;
            }
            // what will be free once everything that is ending has ended, and every idle replica too
            let kept: u64 = self
                .entries
                .values()
                .filter(|e| !matches!(e.state, State::Stopping { .. }) && !self.evictable(e, id))
                .map(|e| e.reserved)
                .fold(0, u64::saturating_add);
            let most = self.capacity.saturating_sub(kept);
            if need.saturating_add(claimed) <= most {
                self.evict_for(now, id, need.saturating_add(claimed));
                claimed = claimed.saturating_add(need);
                continue;
            }
            // no other replica's end would help
            let unmoved: u64 = self
                .entries
                .values()
                .filter(|e| e.is_idle() && !self.evictable(e, id))
                .map(|e| e.reserved)
                .fold(0, u64::saturating_add);
            let hopeless = need > self.capacity.saturating_sub(unmoved);
            if hopeless || now >= give_up_at {
                self.entries.remove(&id);
                let retry_after = (!hopeless).then_some(RETRY_BUSY);
                let refusal = Refusal::Memory { need, free: most.saturating_sub(claimed), retry_after };
                self.actions.push(Action::Abandon(id, refusal.clone()));
                let alive = self.entries.values().any(|e| {
                    e.model == model && (e.is_pending() || matches!(e.state, State::Loading | State::Ready))
                });
                if !alive {
                    self.refuse_all(&model, &refusal);
                } else {
                    self.serve(now, &model);
                }
            }
        }
    }

    /// Whether an idle replica may be unloaded for the load `id`: a second replica does not take the place of the first.
    fn evictable(&self, entry: &Entry, id: ReplicaId) -> bool {
        entry.is_idle() && self.entries.get(&id).is_none_or(|load| load.model != entry.model)
    }

    /// Unloads idle replicas, the one longest unused first, until `bytes` are free or about to be.
    fn evict_for(&mut self, now: Millis, id: ReplicaId, bytes: u64) {
        loop {
            let staying: u64 = self
                .entries
                .values()
                .filter(|e| !matches!(e.state, State::Stopping { .. }))
                .map(|e| e.reserved)
                .fold(0, u64::saturating_add);
            if self.capacity.saturating_sub(staying) >= bytes {
                return;
            }
            let victim = self
                .entries
                .iter()
                .filter(|(_, e)| self.evictable(e, id))
                .min_by_key(|(id, e)| (e.last_used, **id))
                .map(|(id, _)| *id);
            let Some(victim) = victim else { return };
            if let Some(entry) = self.entries.get_mut(&victim) {
                entry.state = State::Stopping { drain_until: now, signalled: true };
                entry.since = now;
                self.actions.push(Action::Terminate(victim));
            }
        }
    }
}
