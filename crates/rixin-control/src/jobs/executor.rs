//! What can run attempts: this machine, a cluster.

use std::{future::Future, sync::Arc};

use rixin_base::{Fault, JobId};
use rixin_store::{Cause, Claimed, Job, OpenAttempt, Verdict};
use serde_json::Value;

use crate::Result;

/// What became of an attempt that was to start.
pub(super) enum Started {
    /// It was handed over; the executor knows it by this.
    At(Value),
    /// Nobody knows; the next look, or its lease, will tell.
    Perhaps,
    /// It was not.
    Not(Cause, Fault),
}

/// What the executor says of an attempt that has not ended in the store.
pub(super) enum Watched {
    /// It waits for its turn or works, whether its process says so or not; what it is known by, where that has changed.
    Alive(Option<Value>),
    /// It will not come to a result any more.
    Over(Cause, Fault),
}

/// Somebody who runs attempts. The store decides which attempt counts: an executor starts, looks and ends, and may be wrong about what
/// it can't see.
pub(super) trait Executor: Send + Sync {
    /// Its name in the store.
    const NAME: &'static str;
    /// What it sees when it looks.
    type Sight: Send + Sync;

    /// Looks at its side, before the store is asked which attempts are open: what it sees then was claimed before.
    fn look(&self) -> impl Future<Output = Result<Self::Sight>> + Send;

    /// Looks after the attempts that have not ended. Those of which it has nothing to say are left out.
    fn watch(
        &self,
        sight: Self::Sight,
        open: &[OpenAttempt],
    ) -> impl Future<Output = Vec<(JobId, u32, Watched)>> + Send;

    /// Whether there is room for a job now. One that could never have room is taken too, with the reason, to be given up.
    fn judge(&self, job: &Job, hopeless: &mut Option<Fault>) -> Verdict;

    /// Starts an attempt.
    fn start(self: &Arc<Self>, claimed: &Claimed) -> impl Future<Output = Started> + Send;
}
