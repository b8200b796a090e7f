//! A batch job as Slurm reports it.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, GresEntry, SubmitToken};

/// Slurm's number of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlurmJobId(NonZeroU32);

impl SlurmJobId {
    /// A job's number; `None` for 0 and what does not fit 32 bits.
    pub fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SlurmJobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SlurmJobId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|_| {
            Error::invalid(
                "slurm_job_id",
                format!("{text:?} is no job number"),
                format!("{text:?} 不是作业编号"),
            )
        })
    }
}

/// Whether a job waits, runs or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has no node (any more, if it was requeued).
    Waiting,
    /// It holds nodes, or Slurm is not yet done with it.
    Running,
    /// It is over and will not run again by itself.
    Ended,
}

/// A job's state: Slurm's base state, or the flag that matters more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits; [`Job::reason`] says for what.
    Pending,
    /// It was put back into the queue, by the loss of its node for instance.
    Requeued,
    /// It waits and will not start until somebody releases it.
    Held,
    /// It has nodes, which are being made ready.
    Configuring,
    /// It runs.
    Running,
    /// It is stopped, and keeps its nodes.
    Suspended,
    /// It is over, and its nodes are being cleared.
    Completing,
    /// It ended with exit code 0.
    Completed,
    /// Somebody cancelled it.
    Cancelled,
    /// It ended otherwise.
    Failed,
    /// It was over its time limit.
    TimedOut,
    /// Its node was lost, and it was not requeued.
    NodeFailed,
    /// It had to make room for another.
    Preempted,
    /// Its node did not boot.
    BootFailed,
    /// It could not start before its deadline.
    DeadlineMissed,
    /// It was over its memory.
    OutOfMemory,
    /// Another cluster of the federation has it.
    Revoked,
    /// A word that this version does not know.
    Other(String),
}

impl State {
    /// The state of Slurm's words, of which the older parsers give one, the newer a list of base state and flags.
    pub(crate) fn of(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|w| w.eq_ignore_ascii_case(word));
        // Flags first: what happens next matters more than what was.
        if has("REQUEUE_HOLD") || has("SPECIAL_EXIT") || has("RESV_DEL_HOLD") {
            return State::Held;
        }
        if has("REQUEUED") || has("REQUEUE_FED") {
            return State::Requeued;
        }
        if has("COMPLETING") || has("STAGE_OUT") {
            return State::Completing;
        }
        if has("CONFIGURING") || has("POWER_UP_NODE") {
            return State::Configuring;
        }
        if has("STOPPED") {
            return State::Suspended;
        }
        let known = words.iter().find_map(|word| {
            Some(match word.to_ascii_uppercase().as_str() {
                "PENDING" => State::Pending,
                "RUNNING" => State::Running,
                "SUSPENDED" => State::Suspended,
                "COMPLETED" => State::Completed,
                "CANCELLED" => State::Cancelled,
                "FAILED" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => State::Failed,
                "TIMEOUT" => State::TimedOut,
                "NODE_FAIL" => State::NodeFailed,
                "PREEMPTED" => State::Preempted,
                "BOOT_FAIL" => State::BootFailed,
                "DEADLINE" => State::DeadlineMissed,
                "OUT_OF_MEMORY" => State::OutOfMemory,
                "REVOKED" => State::Revoked,
                "RESIZING" | "SIGNALING" => State::Running,
                _ => return None,
            })
        });
        known.unwrap_or_else(|| State::Other(words.join(",").chars().take(80).collect()))
    }

    /// Whether it waits, runs or is over. An unknown state is not taken for the end.
    pub fn phase(&self) -> Phase {
        match self {
            State::Pending | State::Requeued | State::Held => Phase::Waiting,
            State::Configuring | State::Running | State::Suspended | State::Completing | State::Other(_) => {
                Phase::Running
            }
            State::Completed
            | State::Cancelled
            | State::Failed
            | State::TimedOut
            | State::NodeFailed
            | State::Preempted
            | State::BootFailed
            | State::DeadlineMissed
            | State::OutOfMemory
            | State::Revoked => Phase::Ended,
        }
    }
}

/// How the batch script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

impl Exit {
    /// Of a wait status, as the older parsers give it.
    pub(crate) fn of_wait_status(status: i64) -> Option<Self> {
        let status = u16::try_from(status).ok()?;
        let signal = (status & 0x7f) as u8;
        Some(if signal == 0 { Exit::Code((status >> 8) as u8) } else { Exit::Signal(signal) })
    }
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// From slurmctld, which knows jobs until some minutes after their end.
    Controller,
    /// From slurmdbd, which knows them for long, without comment and devices.
    Accounting,
}

/// A batch job. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Slurm's number.
    pub id: SlurmJobId,
    /// Its name in Slurm.
    pub name: String,
    /// The token of its submission, if a suite of this name submitted it.
    pub token: Option<SubmitToken>,
    /// Its comment.
    pub comment: String,
    /// The account that it is charged to.
    pub account: String,
    /// The user that it runs as.
    pub user: String,
    /// Its partition.
    pub partition: String,
    /// Its state.
    pub state: State,
    /// Why it is in that state, in Slurm's word: `Resources`, `Priority`, `NonZeroExitCode`.
    pub reason: Option<String>,
    /// How it ended. Absent before its end, and where Slurm does not say.
    pub exit: Option<Exit>,
    /// The nodes that it has or had last, as a host list.
    pub nodes: String,
    /// How often it was put back into the queue.
    pub restarts: u32,
    /// When it was submitted.
    pub submitted_at_secs: Option<u64>,
    /// When it started last; for a waiting job, when Slurm expects to start it, if it does.
    pub started_at_secs: Option<u64>,
    /// When it ended; for a running job, when its time limit is over.
    pub ended_at_secs: Option<u64>,
    /// The devices that it has now, per node.
    pub gres: Vec<Vec<GresEntry>>,
    /// Where this report comes from.
    pub record: Record,
}

impl Job {
    /// Whether it waits, runs or is over.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }
}

/// A signal to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends the job as `scancel` does: SIGTERM, then after KillWait SIGKILL; the job becomes `Cancelled`.
    Cancel,
    /// SIGTERM alone: the job may save its work, and ends as its script ends.
    Terminate,
    /// SIGUSR1, for the job to take as it likes.
    User1,
    /// SIGUSR2.
    User2,
}

impl Signal {
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Signal::Cancel => None,
            Signal::Terminate => Some("SIGTERM"),
            Signal::User1 => Some("SIGUSR1"),
            Signal::User2 => Some("SIGUSR2"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(words: &[&str]) -> State {
        State::of(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_say_more_than_base_states() {
        assert_eq!(state(&["RUNNING"]), State::Running);
        assert_eq!(state(&["RUNNING", "COMPLETING"]), State::Completing);
        assert_eq!(state(&["NODE_FAIL", "REQUEUED"]), State::Requeued);
        assert_eq!(state(&["PENDING", "REQUEUE_HOLD"]), State::Held);
        assert_eq!(state(&["RUNNING", "CONFIGURING"]), State::Configuring);
        assert_eq!(state(&["completed"]), State::Completed);
    }

    #[test]
    fn an_unknown_state_is_not_the_end() {
        assert_eq!(state(&["DREAMING"]).phase(), Phase::Running);
        assert_eq!(state(&[]).phase(), Phase::Running);
    }

    #[test]
    fn wait_statuses() {
        assert_eq!(Exit::of_wait_status(1792), Some(Exit::Code(7)));
        assert_eq!(Exit::of_wait_status(15), Some(Exit::Signal(15)));
        assert_eq!(Exit::of_wait_status(0), Some(Exit::Code(0)));
        assert_eq!(Exit::of_wait_status(-1), None);
    }
}
