//! Who is next: first come first served inside a key, and between keys the one with the fewest places.

use std::collections::{HashMap, VecDeque};

/// A queue that is fair between keys.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    /// Keys with something waiting, the one served longest ago first.
    turns: VecDeque<String>,
    waiting: HashMap<String, VecDeque<T>>,
    len: usize,
}

impl<T> FairQueue<T> {
    pub fn new() -> Self {
        Self { turns: VecDeque::new(), waiting: HashMap::new(), len: 0 }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an item behind the others of its key.
    pub fn push(&mut self, key: &str, item: T) {
        self.line(key).push_back(item);
        self.len += 1;
    }

    /// Puts an item back in front of the others of its key, and the key in front of the others.
    pub fn push_front(&mut self, key: &str, item: T) {
        self.line(key).push_front(item);
        self.len += 1;
        if let Some(at) = self.turns.iter().position(|turn| turn == key)
            && let Some(turn) = self.turns.remove(at)
        {
            self.turns.push_front(turn);
        }
    }

    fn line(&mut self, key: &str) -> &mut VecDeque<T> {
        if !self.waiting.contains_key(key) {
            self.turns.push_back(key.to_owned());
        }
        self.waiting.entry(key.to_owned()).or_default()
    }

    /// The next item; `places` says how many a key holds already.
    pub fn pop(&mut self, places: impl Fn(&str) -> usize) -> Option<T> {
        // The first of those with the fewest: ties go to the key that was served longest ago.
        let (at, _) = self.turns.iter().enumerate().min_by_key(|(_, key)| places(key))?;
        let key = self.turns.remove(at)?;
        let line = self.waiting.get_mut(&key)?;
        let item = line.pop_front()?;
        self.len -= 1;
        if line.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        Some(item)
    }

    /// Takes out the items for which `leave` is true, in no order.
    pub fn take(&mut self, mut leave: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for line in self.waiting.values_mut() {
            if !line.iter().any(&mut leave) {
                continue;
            }
            for item in std::mem::take(line) {
                if leave(&item) { taken.push(item) } else { line.push_back(item) }
            }
        }
        self.waiting.retain(|_, line| !line.is_empty());
        self.turns.retain(|key| self.waiting.contains_key(key));
        self.len -= taken.len();
        taken
    }
}

/// Deals a budget out between claims of several keys: keys take equal shares, what one does not need goes to the others, and inside a
/// key the first claim comes first. Returns each claim's part; `first` turns the keys so that a rest goes to each in its turn.
pub(crate) fn deal(budget: usize, claims: &[(&str, usize)], first: usize) -> Vec<usize> {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in claims {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let mut parts = vec![0; claims.len()];
    if keys.is_empty() {
        return parts;
    }
    let turn = first % keys.len();
    keys.rotate_left(turn);
    let mut left = budget;
    while left > 0 {
        let open: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| claims.iter().zip(&parts).any(|(claim, part)| claim.0 == *key && *part < claim.1))
            .collect();
        if open.is_empty() {
            break;
        }
        let share = (left / open.len()).max(1);
        for key in open {
            let mut mine = share.min(left);
            for (claim, part) in claims.iter().zip(parts.iter_mut()).filter(|(claim, _)| claim.0 == key) {
                let more = (claim.1 - *part).min(mine);
                *part += more;
                mine -= more;
                left -= more;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_busy_key_does_not_keep_the_others_out() {
        let mut queue = FairQueue::new();
        for i in 0..5 {
            queue.push("busy", i);
        }
        queue.push("calm", 10);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop(|_| 0)).collect();
        assert_eq!(order, [0, 10, 1, 2, 3, 4]);
    }

    #[test]
    fn the_key_with_the_fewest_places_is_next() {
        let mut queue = FairQueue::new();
        queue.push("busy", 1);
        queue.push("calm", 2);
        assert_eq!(queue.pop(|key| if key == "busy" { 3 } else { 0 }), Some(2));
    }

    #[test]
    fn what_was_put_back_is_next() {
        let mut queue = FairQueue::new();
        queue.push("a", 1);
        queue.push("b", 2);
        queue.push_front("b", 0);
        assert_eq!(queue.pop(|_| 0), Some(0));
    }

    #[test]
    fn budgets() {
        assert_eq!(deal(100, &[("a", 500), ("b", 10)], 0), [90, 10]);
        assert_eq!(deal(100, &[("a", 500), ("a", 500), ("b", 500)], 0), [50, 0, 50]);
        assert_eq!(deal(1, &[("a", 5), ("b", 5)], 1), [0, 1]);
        assert_eq!(deal(100, &[], 3), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_key_keeps_its_order(items in prop::collection::vec(0u8..4, 0..60)) {
            let mut queue = FairQueue::new();
            for (i, key) in items.iter().enumerate() {
                queue.push(&key.to_string(), (*key, i));
            }
            prop_assert_eq!(queue.len(), items.len());
            let out: Vec<(u8, usize)> = std::iter::from_fn(|| queue.pop(|_| 0)).collect();
            prop_assert_eq!(out.len(), items.len());
            for key in 0..4 {
                let mine: Vec<usize> = out.iter().filter(|item| item.0 == key).map(|item| item.1).collect();
                prop_assert!(mine.is_sorted());
            }
            prop_assert!(queue.is_empty());
        }

        #[test]
        fn taking_out_leaves_the_others(items in prop::collection::vec((0u8..4, any::<bool>()), 0..60)) {
            let mut queue = FairQueue::new();
            for item in &items {
                queue.push(&item.0.to_string(), *item);
            }
            let taken = queue.take(|item| item.1);
            prop_assert_eq!(taken.len(), items.iter().filter(|item| item.1).count());
            let rest: Vec<(u8, bool)> = std::iter::from_fn(|| queue.pop(|_| 0)).collect();
            prop_assert_eq!(rest.len() + taken.len(), items.len());
            prop_assert!(rest.iter().all(|item| !item.1));
        }

        #[test]
        fn a_budget_is_spent_fairly(
            budget in 0usize..300,
            claims in prop::collection::vec((0usize..4, 0usize..200), 0..8),
            first in 0usize..9,
        ) {
            let names = ["a", "b", "c", "d"];
            let claims: Vec<(&str, usize)> = claims.iter().map(|&(key, n)| (names[key], n)).collect();
            let parts = deal(budget, &claims, first);
            let wanted: usize = claims.iter().map(|claim| claim.1).sum();
            prop_assert_eq!(parts.iter().sum::<usize>(), wanted.min(budget));
            prop_assert!(parts.iter().zip(&claims).all(|(part, claim)| *part <= claim.1));
            let total = |name: &str| -> (usize, usize) {
                claims.iter().zip(&parts).filter(|(c, _)| c.0 == name).map(|(c, p)| (c.1, *p)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
            };
            // A key that got less than it asked for got no less than any other, up to one token of the rest.
            for a in names {
                for b in names {
                    let ((wanted_a, got_a), (_, got_b)) = (total(a), total(b));
                    if got_a < wanted_a {
                        prop_assert!(got_a + 1 >= got_b);
                    }
                }
            }
        }
    }
}
