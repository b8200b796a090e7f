//! What a job is made of.

use std::collections::BTreeMap;

use rixin_base::{Fault, JobId, KeyId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for other jobs.
    Blocked,
    /// Waits for room.
    Queued,
    /// An attempt was handed to an executor.
    Starting,
    /// An attempt works.
    Running,
    /// It is done; the result is there.
    Succeeded,
    /// It is given up; the reason is there.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [JobState; 7] = [
        Self::Blocked,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn from_word(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether it will not change any more by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl std::str::FromStr for JobState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_word(text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("{text:?} is not a job's state: {}", all.join(", "))
        })
    }
}

/// Why an attempt ended without a result; what follows depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The parameters or inputs can't give a result, however often it is tried.
    BadInput,
    /// It needed more memory than it had.
    OutOfMemory,
    /// The node, its connection or the server that watched it went away.
    Lost,
    /// The process ended by itself, without a word or with one that explains nothing.
    Crashed,
    /// It took longer than its limit.
    TimedOut,
    /// Something that it depends on did not answer.
    Unavailable,
    /// Somebody did not want it any more.
    Cancelled,
    /// A job that it needs did not succeed.
    Dependency,
}

impl Cause {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::OutOfMemory => "out_of_memory",
            Self::Lost => "lost",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Dependency => "dependency",
        }
    }

    pub(crate) fn from_word(text: &str) -> Option<Self> {
        [
            Self::BadInput,
            Self::OutOfMemory,
            Self::Lost,
            Self::Crashed,
            Self::TimedOut,
            Self::Unavailable,
            Self::Cancelled,
            Self::Dependency,
        ]
        .into_iter()
        .find(|cause| cause.as_str() == text)
    }
}

/// Accelerators of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accelerators {
    /// The vendor's family, in the words of the cluster: `gpu`, `dcu`, `npu`, `mlu`, `musa`.
    pub family: String,
    /// The model, such as `h100`; absent: any of the family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many, at least one.
    pub count: u32,
}

/// What an attempt may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processor cores; 0: one.
    pub cores: u32,
    /// Memory in bytes; 0: as the kind thinks.
    pub memory_bytes: u64,
    /// Accelerators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accelerators: Vec<Accelerators>,
    /// The longest time of one attempt in seconds; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit_secs: Option<u64>,
    /// Room in the job's folder, in bytes; 0: as the kind thinks.
    pub scratch_bytes: u64,
}

/// Something that a job reads, which is kept as long as the job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "type", content = "id")]
pub enum JobInput {
    /// An uploaded file.
    File(String),
    /// A model of the registry.
    Model(String),
    /// Something that another job made.
    Artifact(String),
}

/// How far the running attempt says it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// Of the whole job, 0 to 1, where it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// A stable word for what is being done.
    #[serde(default)]
    pub stage: String,
    /// What the stage works on; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub item: String,
    /// Done in this stage.
    #[serde(default)]
    pub done: u64,
    /// All of it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted: `bytes`, `items`, `steps`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The key that asked for it, while that exists.
    pub key: Option<KeyId>,
    /// What kind of work it is.
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// The kind's parameters, checked when it was submitted.
    pub params: Map<String, Value>,
    /// What it reads.
    pub inputs: Vec<JobInput>,
    /// What an attempt may take.
    pub resources: Resources,
    /// Higher goes first; 0 is usual.
    pub priority: i64,
    /// How far it is.
    pub state: JobState,
    /// Why it failed, or why the last attempt ended.
    pub reason: Option<Fault>,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    /// How often attempts ended, by cause.
    pub failures: BTreeMap<Cause, u32>,
    /// How far the last attempt said it was.
    pub progress: Option<JobProgress>,
    /// Where the next attempt goes on.
    pub checkpoint: Option<Value>,
    /// What came out.
    pub result: Option<Value>,
    /// Whether somebody asked for its end.
    pub cancel: bool,
    /// Not to be started earlier, in milliseconds since 1970.
    pub not_before: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When the first attempt began to work.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
}

/// What is needed to submit one.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// What kind of work it is.
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// The kind's parameters.
    pub params: Map<String, Value>,
    /// What it reads.
    pub inputs: Vec<JobInput>,
    /// What an attempt may take.
    pub resources: Resources,
    /// Higher goes first.
    pub priority: i64,
    /// Jobs of the same tenant that have to succeed first.
    pub needs: Vec<JobId>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobAttempt)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Which executor has it: `local`, `slurm`.
    pub executor: String,
    /// What the executor knows it by: process, cluster job, nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub place: Option<Value>,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// When it last gave a sign of life.
    pub seen_at: i64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Why it ended without a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The same, told.
    #[serde(skip)]
    pub reason: Option<Fault>,
}

/// Something that happened to a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobEvent {
    /// Counts the job's events from 1.
    pub seq: u64,
    /// The attempt that it belongs to; 0 before the first.
    pub attempt: u32,
    /// Milliseconds since 1970.
    pub at: i64,
    /// `state`, `progress`, `metric`, `log` or `preview`.
    pub kind: String,
    /// What happened.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// In one of these states; empty: any.
    pub states: Vec<JobState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// At most so many, 1 to 200; 0: 50.
    pub limit: u32,
    /// The `next` of the page before.
    pub after: Option<String>,
}
