//! Jobs: rows, numbered attempts, events.
//!
//! Three see them, each through a type of its own. Callers hold a [`TenantScope`](crate::TenantScope): they submit, look, cancel, try again.
//! The server's supervisor holds a [`Supervisor`]: it claims what waits and buries what has ended, for all tenants. The process of
//! an attempt holds an [`AttemptScope`]: whatever it writes is conditional on its number being the job's latest, so that a process
//! that was given up for lost can't overwrite what a later one has done.

mod attempt;
mod callers;
mod events;
mod row;
pub(crate) mod settle;
mod supervise;
mod token;
mod types;

pub use attempt::{Also, AttemptScope, Fenced, Finished, LineAnswer};
pub use supervise::{Claim, Claimed, Ended, Next, OpenAttempt, Supervisor, Verdict};
pub(crate) use token::AttemptCache;
pub use types::{
    Accelerators, Attempt, Cause, Job, JobEvent, JobInput, JobProgress, JobQuery, JobState, NewJob, Resources,
};
