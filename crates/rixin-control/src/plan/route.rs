//! Which of several replicas takes a request: the one that has the conversation's prefix in its cache, unless it is clearly
//! busier than another; else the least loaded.

use std::{
    collections::{HashMap, VecDeque},
    hash::{Hash, Hasher},
};

use rixin_base::ReplicaId;

/// Conversations whose replica is remembered.
const REMEMBERED: usize = 8192;

/// A replica that could take a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<I> {
    /// Its id.
    pub id: I,
    /// Its leases.
    pub active: u32,
    /// Requests that it answers at the same time.
    pub slots: u32,
    /// When it was last used.
    pub last_used: u64,
}

/// Who served which conversation last. Only departures from rendezvous hashing are kept.
#[derive(Debug)]
pub(crate) struct Routes<I = ReplicaId> {
    moved: HashMap<u64, I>,
    order: VecDeque<u64>,
}

impl<I> Default for Routes<I> {
    fn default() -> Self {
        Self { moved: HashMap::new(), order: VecDeque::new() }
    }
}

impl<I: Copy + Eq + Hash + Ord> Routes<I> {
    /// The one to ask, out of at least one.
    ///
    /// Without anything remembered a conversation belongs to the replica with the highest hash of both (rendezvous hashing,
    /// Thaler and Ravishankar 1998), so that a replica which comes or goes moves only its own share.
    pub fn choose(&mut self, all: &[Candidate<I>], affinity: Option<u64>) -> Option<I> {
        let least = all.iter().min_by_key(|c| (c.active, c.last_used, c.id))?;
        let Some(affinity) = affinity else { return Some(least.id) };
        let born = all.iter().max_by_key(|c| (score(affinity, &c.id), c.id))?;
        let remembered = self.moved.get(&affinity).and_then(|id| all.iter().find(|c| c.id == *id));
        let home = remembered.unwrap_or(born);
        // moving costs the prompt's computation anew: worth it only when the home is more than a quarter of its slots behind
        let margin = (home.slots / 4).max(2);
        if home.active <= least.active.saturating_add(margin) {
            return Some(home.id);
        }
        if least.id == born.id {
            self.moved.remove(&affinity);
        } else {
            self.remember(affinity, least.id);
        }
        Some(least.id)
    }

    /// A replica has gone.
    pub fn forget(&mut self, id: I) {
        self.moved.retain(|_, other| *other != id);
        self.order.retain(|affinity| self.moved.contains_key(affinity));
    }

    fn remember(&mut self, affinity: u64, id: I) {
        if self.moved.insert(affinity, id).is_none() {
            self.order.push_back(affinity);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.moved.remove(&oldest);
            }
        }
    }
}

fn score<I: Hash>(affinity: u64, id: &I) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    affinity.hash(&mut hasher);
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(loads: &[u32]) -> Vec<Candidate<u32>> {
        loads
            .iter()
            .enumerate()
            .map(|(id, active)| Candidate { id: id as u32, active: *active, slots: 4, last_used: 0 })
            .collect()
    }

    #[test]
    fn a_conversation_stays_until_its_replica_is_clearly_busier() {
        let mut routes = Routes::default();
        let home = routes.choose(&of(&[0, 0, 0]), Some(7)).expect("one");
        for busy in 0..=2 {
            let mut loads = [0, 0, 0];
            loads[home as usize] = busy;
            assert_eq!(routes.choose(&of(&loads), Some(7)), Some(home));
        }
        let mut loads = [0, 0, 0];
        loads[home as usize] = 9;
        let moved = routes.choose(&of(&loads), Some(7)).expect("one");
        assert_ne!(moved, home);
        assert_eq!(routes.choose(&of(&[0, 0, 0]), Some(7)), Some(moved), "its cache is there now");
        routes.forget(moved);
        assert_eq!(routes.choose(&of(&[0, 0, 0]), Some(7)), Some(home));
    }

    #[test]
    fn conversations_spread_and_a_new_replica_moves_only_its_share() {
        let mut routes = Routes::default();
        let before: Vec<u32> = (0..300).map(|a| routes.choose(&of(&[0, 0]), Some(a)).expect("one")).collect();
        let after: Vec<u32> =
            (0..300).map(|a| routes.choose(&of(&[0, 0, 0]), Some(a)).expect("one")).collect();
        assert!(before.iter().filter(|id| **id == 0).count() > 100);
        assert!(before.iter().zip(&after).all(|(b, a)| a == b || *a == 2));
    }

    #[test]
    fn without_affinity_the_least_loaded_and_longest_unused() {
        let mut routes = Routes::default();
        let mut all = of(&[2, 1, 1]);
        all[1].last_used = 5;
        assert_eq!(routes.choose(&all, None), Some(2));
    }

    #[test]
    fn memory_of_moves_is_bounded() {
        let mut routes = Routes::default();
        for affinity in 0..(3 * REMEMBERED as u64) {
            let mut loads = [0, 0];
            let home = routes.choose(&of(&loads), Some(affinity)).expect("one");
            loads[home as usize] = 9;
            routes.choose(&of(&loads), Some(affinity));
        }
        assert!(routes.moved.len() <= REMEMBERED && routes.order.len() <= REMEMBERED);
    }
}
