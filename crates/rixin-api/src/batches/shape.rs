//! Batches in OpenAI's shape: most of it follows from the job.

use rixin_base::Lang;
use rixin_store::{Cause, Job, JobEvent, JobState, StoredBatch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// How many lines.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchCounts {
    /// In the input.
    pub total: u64,
    /// Answered.
    pub completed: u64,
    /// Answered with an error.
    pub failed: u64,
}

/// Something wrong with a batch.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchError {
    /// A stable word.
    pub code: Option<String>,
    /// What is wrong.
    pub message: Option<String>,
    /// The field.
    pub param: Option<String>,
    /// The line of the input, from 1.
    pub line: Option<u64>,
}

/// What is wrong with a batch.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchErrors {
    /// `list`.
    #[serde(default)]
    pub object: String,
    /// The errors.
    pub data: Vec<BatchError>,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BatchStatus {
    /// The input waits, or is read.
    Validating,
    /// The input or the batch was no good.
    Failed,
    /// Lines are answered.
    InProgress,
    /// All lines are answered, and the files of answers are made.
    Finalizing,
    /// It is done.
    Completed,
    /// It took longer than it may.
    Expired,
    /// It was cancelled, and ends.
    Cancelling,
    /// It was cancelled.
    Cancelled,
}

impl BatchStatus {
    /// By the job.
    pub fn of(batch: &StoredBatch, job: &Job) -> Self {
        match job.state {
            JobState::Succeeded => Self::Completed,
            JobState::Failed if job.failures.contains_key(&Cause::TimedOut) => Self::Expired,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
            _ if job.cancel => Self::Cancelling,
            _ if batch.total == 0 => Self::Validating,
            _ => match &job.progress {
                Some(progress) if progress.done > 0 && progress.total == Some(progress.done) => {
                    Self::Finalizing
                }
                _ => Self::InProgress,
            },
        }
    }
}

/// A batch.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchObject {
    /// Its id.
    pub id: String,
    /// `batch`.
    pub object: String,
    /// The route that its lines ask.
    pub endpoint: String,
    /// What was wrong with it.
    pub errors: Option<BatchErrors>,
    /// The file of its lines.
    pub input_file_id: String,
    /// `24h`.
    pub completion_window: String,
    /// How far it is.
    pub status: BatchStatus,
    /// The file of answers, in the order of the input.
    pub output_file_id: Option<String>,
    /// The file of errors.
    pub error_file_id: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When the first line was asked.
    pub in_progress_at: Option<i64>,
    /// When it should be done. It goes on after that.
    pub expires_at: Option<i64>,
    /// When all lines were answered.
    pub finalizing_at: Option<i64>,
    /// When it was done.
    pub completed_at: Option<i64>,
    /// When it failed.
    pub failed_at: Option<i64>,
    /// When it was given up for its time.
    pub expired_at: Option<i64>,
    /// When somebody asked for its end.
    pub cancelling_at: Option<i64>,
    /// When it ended because of that.
    pub cancelled_at: Option<i64>,
    /// How many lines.
    pub request_counts: BatchCounts,
    /// The caller's notes.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A page of batches.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchList {
    /// `list`.
    pub object: String,
    /// The batches, newest first.
    pub data: Vec<BatchObject>,
    /// The id of the first.
    pub first_id: Option<String>,
    /// The id of the last: the `after` of the next page.
    pub last_id: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl BatchList {
    pub fn new(data: Vec<BatchObject>, has_more: bool) -> Self {
        let id = |batch: Option<&BatchObject>| batch.map(|batch| batch.id.clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Self { object: "list".into(), data, first_id, last_id, has_more }
    }
}

/// What was wrong: with the lines, or else with the job.
fn errors(batch: &StoredBatch, job: &Job, lang: Lang) -> Option<BatchErrors> {
    let told = batch.faults.clone().and_then(|faults| serde_json::from_value(faults).ok());
    told.or_else(|| {
        let reason = job.reason.as_ref().filter(|_| job.state == JobState::Failed)?;
        let error = BatchError {
            code: Some(reason.code.as_str().to_owned()),
            message: Some(reason.text(lang).to_owned()),
            param: reason.param.clone(),
            line: None,
        };
        Some(BatchErrors { object: "list".into(), data: vec![error] })
    })
}

/// When somebody asked for the end, by the job's events.
pub(super) fn cancelled_at(job: &Job, states: &[JobEvent]) -> Option<i64> {
    let asked = states.iter().rev().find(|event| event.data["cancel"] == true);
    job.cancel.then(|| asked.map(|event| event.at).or(job.ended_at)).flatten()
}

/// A batch and its job in OpenAI's shape; `cancelled_at` in milliseconds.
pub(super) fn shown(batch: &StoredBatch, job: &Job, cancelled_at: Option<i64>, lang: Lang) -> BatchObject {
    let status = BatchStatus::of(batch, job);
    let secs = |ms: i64| ms / 1000;
    let ended = |wanted: BatchStatus| job.ended_at.filter(|_| status == wanted).map(secs);
    BatchObject {
        id: batch.id.to_string(),
        object: "batch".into(),
        endpoint: batch.endpoint.clone(),
        errors: errors(batch, job, lang),
        input_file_id: batch.input.to_string(),
        completion_window: format!("{}h", batch.window_hours),
        status,
        output_file_id: batch.output.map(|id| id.to_string()),
        error_file_id: batch.errors.map(|id| id.to_string()),
        created_at: secs(batch.created_at),
        in_progress_at: job.started_at.filter(|_| batch.total > 0).map(secs),
        expires_at: Some(secs(batch.created_at) + i64::from(batch.window_hours) * 3600),
        finalizing_at: ended(BatchStatus::Completed),
        completed_at: ended(BatchStatus::Completed),
        failed_at: ended(BatchStatus::Failed),
        expired_at: ended(BatchStatus::Expired),
        cancelling_at: cancelled_at.map(secs),
        cancelled_at: ended(BatchStatus::Cancelled),
        request_counts: BatchCounts { total: batch.total, completed: batch.completed, failed: batch.failed },
        metadata: (!batch.metadata.is_empty()).then(|| batch.metadata.clone()),
    }
}
