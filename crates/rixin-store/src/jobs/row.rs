//! Rows of the job tables as values.

use rixin_base::Fault;
use serde::de::DeserializeOwned;

use super::{Attempt, Cause, Job, JobEvent, JobState};
use crate::{
    db::Row,
    row::{count, json, parsed, parsed_opt, word},
};

fn small(row: &Row, column: &str) -> Result<u32, sqlx::Error> {
    Ok(u32::try_from(count(row, column)?).unwrap_or(u32::MAX))
}

fn json_opt<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into())))
        .transpose()
}

/// A reason that this version can't read (it has a code of a later one) is left out.
fn fault(row: &Row, column: &str) -> Result<Option<Fault>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.and_then(|text| Fault::from_line(&text)))
}

pub(super) fn job_of(row: &Row) -> Result<Job, sqlx::Error> {
    Ok(Job {
        id: parsed(row, "id")?,
        tenant: parsed(row, "tenant_id")?,
        key: parsed_opt(row, "key_id")?,
        kind: row.try_get("kind")?,
        title: row.try_get("title")?,
        params: json(row, "params")?,
        inputs: json(row, "inputs")?,
        resources: json(row, "resources")?,
        priority: row.try_get("priority")?,
        state: word(row, "state", JobState::from_word)?,
        reason: fault(row, "reason")?,
        attempt: small(row, "attempt")?,
        failures: json(row, "failures")?,
        progress: json_opt(row, "progress")?,
        checkpoint: json_opt(row, "checkpoint")?,
        result: json_opt(row, "result")?,
        cancel: row.try_get::<i64>("cancel")? != 0,
        not_before: row.try_get("not_before")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
    })
}

pub(super) fn attempt_of(row: &Row) -> Result<Attempt, sqlx::Error> {
    let cause: Option<String> = row.try_get("cause")?;
    Ok(Attempt {
        number: small(row, "number")?,
        executor: row.try_get("executor")?,
        place: json_opt(row, "place")?,
        started_at: row.try_get("started_at")?,
        seen_at: row.try_get("seen_at")?,
        ended_at: row.try_get("ended_at")?,
        cause: cause.as_deref().and_then(Cause::from_word),
        reason: fault(row, "reason")?,
    })
}

pub(super) fn event_of(row: &Row) -> Result<JobEvent, sqlx::Error> {
    Ok(JobEvent {
        seq: count(row, "seq")?,
        attempt: small(row, "attempt")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        data: json(row, "data")?,
    })
}
