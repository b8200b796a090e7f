//! The end of an attempt or a job, and what follows for those that wait for it.

use std::collections::BTreeMap;

use rixin_base::{Code, Fault, JobId};
use serde_json::{Value, json};

use super::{Cause, JobState, Next, events};
use crate::{
    Error, LedgerEntry, Resources,
    db::{Tx, sql},
    ledger, now_ms,
    quotas::counted_as,
    row::{self, parsed, parsed_opt},
};

/// What is known of a job whose attempt ends.
pub(super) struct Held {
    pub failures: BTreeMap<Cause, u32>,
    pub cancel: bool,
}

/// Locks a job's row if `number` is its latest attempt and is in one of `states` (as SQL words); `None`: it was given up.
pub(super) async fn hold(
    tx: &mut Tx,
    job: JobId,
    number: u32,
    starting_too: bool,
) -> Result<Option<Held>, Error> {
    let text = if starting_too {
        "SELECT failures, cancel FROM jobs WHERE id = $1 AND attempt = $2 AND state IN ('starting', 'running')"
    } else {
        "SELECT failures, cancel FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running'"
    };
    let row = tx.fetch_optional(sql(text).bind(job.to_string()).bind(number).locking()).await?;
    let Some(row) = row else { return Ok(None) };
    let failures: String = tx.read(row.at(0))?;
    let cancel: i64 = tx.read(row.at(1))?;
    Ok(Some(Held { failures: serde_json::from_str(&failures).unwrap_or_default(), cancel: cancel != 0 }))
}

/// Closes an attempt's row.
pub(super) async fn close(
    tx: &mut Tx,
    job: JobId,
    number: u32,
    cause: Option<(Cause, &Fault)>,
) -> Result<(), Error> {
    tx.execute(
        sql("UPDATE attempts SET ended_at = $3, cause = $4, reason = $5, token_hash = NULL WHERE job_id = $1 AND number = $2")
            .bind(job.to_string())
            .bind(number)
            .bind(now_ms())
            .bind(cause.map(|(cause, _)| cause.as_str()))
            .bind(cause.map(|(_, fault)| fault.to_line())),
    )
    .await
    .map(drop)
}

/// Enters in the ledger what an attempt took, from when it was handed out to its end. The last thing in its transaction: the sums' rows
/// are shared by many jobs, and whoever has one must not go on to wait for a job's.
pub(super) async fn meter(tx: &mut Tx, job: JobId, number: u32) -> Result<(), Error> {
    let row = tx
        .fetch_optional(
            sql("SELECT j.tenant_id, j.key_id, j.resources, a.started_at, a.ended_at FROM jobs j \
                 JOIN attempts a ON a.job_id = j.id WHERE j.id = $1 AND a.number = $2")
            .bind(job.to_string())
            .bind(number),
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let tenant = tx.read(parsed(&row, "tenant_id"))?;
    let key = tx.read(parsed_opt(&row, "key_id"))?;
    let resources: Resources = tx.read(row::json(&row, "resources"))?;
    let (began, ended): (i64, Option<i64>) =
        (tx.read(row.try_get("started_at"))?, tx.read(row.try_get("ended_at"))?);
    let at = ended.unwrap_or_else(now_ms);
    let seconds = u64::try_from(at - began).unwrap_or(0).div_ceil(1000);
    for (accelerator, count) in counted_as(&resources) {
        let entry = LedgerEntry {
            id: format!("{job}/attempt/{number}/{accelerator}"),
            tenant,
            key,
            job: Some(job),
            at,
            kind: "job".into(),
            model: accelerator,
            prompt_tokens: 0,
            completion_tokens: 0,
            price_percent: 100,
            project: None,
            images: 0,
            job_seconds: seconds.saturating_mul(count),
        };
        ledger::insert(tx, &entry).await?;
    }
    Ok(())
}

/// Ends an attempt without a result. Where somebody asked for the job's end, that is what follows.
pub(super) async fn fail(
    tx: &mut Tx,
    job: JobId,
    number: u32,
    mut held: Held,
    (cause, fault): (Cause, &Fault),
    next: Next,
) -> Result<JobState, Error> {
    close(tx, job, number, Some((cause, fault))).await?;
    let next = if held.cancel { Next::Cancel } else { next };
    *held.failures.entry(cause).or_default() += 1;
    let failures = serde_json::to_string(&held.failures).unwrap_or_default();
    let (state, not_before, ended, resources) = match next {
        Next::Queue { not_before, resources } => (JobState::Queued, not_before, None, resources),
        Next::Fail => (JobState::Failed, 0, Some(now_ms()), None),
        Next::Cancel => (JobState::Cancelled, 0, Some(now_ms()), None),
    };
    tx.execute(
        sql("UPDATE jobs SET state = $2, reason = $3, failures = $4, not_before = $5, ended_at = $6, \
             resources = COALESCE($7, resources) WHERE id = $1")
        .bind(job.to_string())
        .bind(state.as_str())
        .bind((state != JobState::Cancelled).then(|| fault.to_line()))
        .bind(failures)
        .bind(not_before)
        .bind(ended)
        .bind(resources.map(|resources| serde_json::to_string(&resources).unwrap_or_default())),
    )
    .await?;
    let told =
        json!({ "attempt": number, "cause": cause, "reason": fault.message, "code": fault.code.as_str() });
    events::state(tx, job, state, told).await?;
    if state.is_over() {
        dependents(tx, job, false).await?;
    }
    meter(tx, job, number).await?;
    Ok(state)
}

/// Queues what waited for a job that has succeeded, if it waits for nothing else; or fails it and what waits for it in turn.
pub(super) async fn dependents(tx: &mut Tx, job: JobId, succeeded: bool) -> Result<(), Error> {
    let mut over = vec![job.to_string()];
    while let Some(id) = over.pop() {
        let rows = tx
            .fetch_all(
                sql("SELECT j.id FROM jobs j JOIN job_needs n ON n.job_id = j.id WHERE n.needs_id = $1 AND j.state = 'blocked' ORDER BY j.id")
                    .bind(&id),
            )
            .await?;
        for row in rows {
            let waiting: String = tx.read(row.at(0))?;
            let Ok(waiting_id) = waiting.parse::<JobId>() else { continue };
            if succeeded {
                let queued = tx
                    .execute(
                        sql("UPDATE jobs SET state = 'queued' WHERE id = $1 AND state = 'blocked' AND NOT EXISTS \
                             (SELECT 1 FROM job_needs n JOIN jobs j ON j.id = n.needs_id WHERE n.job_id = $1 AND j.state <> 'succeeded')")
                            .bind(&waiting),
                    )
                    .await?;
                if queued > 0 {
                    events::state(tx, waiting_id, JobState::Queued, Value::Null).await?;
                }
                continue;
            }
            let fault = Fault::new(
                Code::Conflict,
                format!("the job {id} that it needs did not succeed: try that one again, then this one"),
                format!("所依赖的任务 {id} 未成功：请先重试该任务，再重试此任务"),
            );
            let failed = tx
                .execute(
                    sql("UPDATE jobs SET state = 'failed', reason = $2, ended_at = $3 WHERE id = $1 AND state = 'blocked'")
                        .bind(&waiting)
                        .bind(fault.to_line())
                        .bind(now_ms()),
                )
                .await?;
            if failed > 0 {
                let told = json!({ "cause": Cause::Dependency, "reason": fault.message, "code": fault.code.as_str() });
                events::state(tx, waiting_id, JobState::Failed, told).await?;
                over.push(waiting);
            }
        }
    }
    Ok(())
}
