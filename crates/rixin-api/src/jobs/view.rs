//! Jobs as callers see them.

use std::collections::BTreeMap;

use rixin_base::{Fault, Lang};
use rixin_store::{Attempt, Cause, JobInput, JobProgress, JobState, Resources};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Why a job or an attempt ended without a result.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct JobReason {
    /// A stable word.
    pub code: String,
    /// The same, told in the caller's language.
    pub message: String,
}

impl JobReason {
    fn of(fault: &Fault, lang: Lang) -> Self {
        Self { code: fault.code.as_str().to_owned(), message: fault.text(lang).to_owned() }
    }
}

/// A job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Job {
    /// Its id.
    pub id: String,
    /// The key that asked for it.
    pub key_id: Option<String>,
    /// What kind of work it is.
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// How far it is.
    pub state: JobState,
    /// Somebody asked for its end, and its process has not let go yet.
    pub cancelling: bool,
    /// Why it failed, or why the last attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<JobReason>,
    /// The kind's parameters.
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// What it reads.
    pub inputs: Vec<JobInput>,
    /// What an attempt may take.
    pub resources: Resources,
    /// Higher goes first; 0 is usual.
    pub priority: i64,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    /// How often attempts ended without a result, by cause.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub failures: BTreeMap<Cause, u32>,
    /// How far the last attempt said it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// What came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Not to be started again earlier, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When the first attempt began to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
}

impl Job {
    /// In a language.
    pub fn of(job: rixin_store::Job, lang: Lang) -> Self {
        Self {
            id: job.id.to_string(),
            key_id: job.key.map(|key| key.to_string()),
            kind: job.kind,
            title: job.title,
            cancelling: job.cancel && !job.state.is_over(),
            state: job.state,
            reason: job.reason.map(|fault| JobReason::of(&fault, lang)),
            params: job.params,
            inputs: job.inputs,
            resources: job.resources,
            priority: job.priority,
            attempt: job.attempt,
            failures: job.failures,
            progress: job.progress,
            result: job.result,
            not_before: Some(job.not_before).filter(|at| *at > 0),
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
        }
    }
}

/// An attempt, with why it ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AttemptView {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// Why it ended without a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<JobReason>,
}

impl AttemptView {
    /// In a language.
    pub fn of(attempt: Attempt, lang: Lang) -> Self {
        let reason = attempt.reason.as_ref().map(|fault| JobReason::of(fault, lang));
        Self { attempt, reason }
    }
}

/// A job with its attempts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WholeJob {
    /// The job.
    pub job: Job,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The jobs that have to succeed first.
    pub needs: Vec<String>,
}
