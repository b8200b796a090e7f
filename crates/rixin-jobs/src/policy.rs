//! What follows when an attempt ends without a result: it depends on why, and on how often that has happened.

use std::{collections::BTreeMap, time::Duration};

use rixin_store::{Cause, Next, Resources};

/// How often and how fast attempts are made again.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The first pause before another attempt; it doubles with each one of the same cause.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { first_pause: Duration::from_secs(2), longest_pause: Duration::from_secs(300) }
    }
}

/// How many attempts of one job may end in this way before it is given up.
fn allowed(cause: Cause) -> u32 {
    match cause {
        // the next attempt would meet the same input, the same wish, the same limit
        Cause::BadInput | Cause::Cancelled | Cause::TimedOut | Cause::Dependency => 0,
        // with more memory, which may be enough
        Cause::OutOfMemory => 2,
        // perhaps chance, perhaps a defect
        Cause::Crashed => 2,
        // nothing that the job is to blame for
        Cause::Unavailable => 8,
        Cause::Lost => 1000,
    }
}

/// What follows an attempt that ended for `cause`, after the earlier ones that `failures` counts. After a lack of memory the next
/// attempt gets half as much again.
pub fn after(
    policy: &Policy,
    cause: Cause,
    failures: &BTreeMap<Cause, u32>,
    resources: &Resources,
    now_ms: i64,
) -> Next {
    if cause == Cause::Cancelled {
        return Next::Cancel;
    }
    let before = failures.get(&cause).copied().unwrap_or(0);
    if before >= allowed(cause) {
        return Next::Fail;
    }
    let pause = match cause {
        // a node that went away is no reason to wait; nor to hurry round and round where each one does
        Cause::Lost if before < 3 => Duration::ZERO,
        Cause::Lost => policy.first_pause,
        _ => policy.first_pause.saturating_mul(1 << before.min(16)).min(policy.longest_pause),
    };
    let resources = (cause == Cause::OutOfMemory).then(|| Resources {
        memory_bytes: resources.memory_bytes.saturating_add(resources.memory_bytes / 2).max(256 << 20),
        ..resources.clone()
    });
    Next::Queue {
        not_before: now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)),
        resources,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cause: Cause, before: u32) -> Next {
        let failures = BTreeMap::from([(cause, before)]);
        let resources = Resources { memory_bytes: 1 << 30, ..Resources::default() };
        after(&Policy::default(), cause, &failures, &resources, 1000)
    }

    #[test]
    fn a_lost_node_and_a_lack_of_memory_are_not_bad_input() {
        assert_eq!(next(Cause::BadInput, 0), Next::Fail);
        assert_eq!(next(Cause::Lost, 0), Next::Queue { not_before: 1000, resources: None });
        let Next::Queue { resources: Some(more), .. } = next(Cause::OutOfMemory, 0) else {
            panic!("it is tried with more")
        };
        assert_eq!(more.memory_bytes, 3 << 29);
        assert_eq!(next(Cause::OutOfMemory, 2), Next::Fail);
        assert_eq!(next(Cause::Cancelled, 0), Next::Cancel);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(next(Cause::Unavailable, 1), Next::Queue { not_before: 1000 + 4000, resources: None });
        assert_eq!(next(Cause::Unavailable, 7), Next::Queue { not_before: 1000 + 256_000, resources: None });
        assert_eq!(next(Cause::Lost, 60), Next::Queue { not_before: 1000 + 2000, resources: None });
    }
}
