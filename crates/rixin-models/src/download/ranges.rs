//! Sets of byte ranges.

use serde::{Deserialize, Serialize};

/// Half-open ranges of bytes: sorted, apart from one another, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Whether the invariant holds and all is below `size`: what was read from a file may say anything.
    pub fn is_sound(&self, size: u64) -> bool {
        self.0.iter().all(|(start, end)| start < end && *end <= size)
            && self.0.windows(2).all(|pair| pair[0].1 < pair[1].0)
    }

    /// Adds a range, merged with those that it touches.
    pub fn add(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|range| range.1 < start);
        let last = self.0.partition_point(|range| range.0 <= end);
        let merged = match self.0.get(first..last) {
            Some([a, .., z]) => (a.0.min(start), z.1.max(end)),
            Some([a]) => (a.0.min(start), a.1.max(end)),
            _ => (start, end),
        };
        self.0.splice(first..last, [merged]);
    }

    /// Bytes in all ranges.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// What is missing below `size`, cut into pieces of at most `piece` bytes.
    pub fn missing(&self, size: u64, piece: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        let mut at = 0;
        for (start, end) in self.0.iter().copied().chain([(size, size)]) {
            while at < start {
                let stop = start.min(at.saturating_add(piece.max(1)));
                out.push((at, stop));
                at = stop;
            }
            at = end;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_agree_with_a_bitmap(adds in prop::collection::vec((0u64..64, 0u64..64), 0..12), piece in 1u64..9) {
            let (mut ranges, mut bits) = (Ranges::default(), [false; 64]);
            for (a, b) in adds {
                ranges.add(a.min(b), a.max(b));
                bits[a.min(b) as usize..a.max(b) as usize].fill(true);
            }
            prop_assert!(ranges.is_sound(64));
            prop_assert_eq!(ranges.total(), bits.iter().filter(|bit| **bit).count() as u64);
            let missing = ranges.missing(64, piece);
            prop_assert!(missing.iter().all(|(start, end)| start < end && end - start <= piece));
            for (start, end) in missing {
                prop_assert!(bits[start as usize..end as usize].iter().all(|bit| !bit));
                bits[start as usize..end as usize].fill(true);
            }
            prop_assert!(bits.iter().all(|bit| *bit));
        }
    }
}
