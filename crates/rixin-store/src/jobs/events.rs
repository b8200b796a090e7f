//! Events: numbered by job, in the transaction that they tell of.

use rixin_base::JobId;
use serde_json::{Value, json};

use super::{JobEvent, JobState, row::event_of};
use crate::{
    Error, Store, TenantScope,
    db::{Tx, sql},
    now_ms,
};

/// The most events that one reading gives.
const MOST: i64 = 500;
/// A job keeps so many events; the oldest progress and log lines go first.
const KEPT: i64 = 20_000;

/// Writes an event; the row of the job is locked by it, so that numbers become visible in their order.
pub(super) async fn add(tx: &mut Tx, job: JobId, kind: &str, data: &Value) -> Result<u64, Error> {
    let row = tx
        .fetch_one(
            sql("UPDATE jobs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event, attempt")
                .bind(job.to_string()),
        )
        .await?;
    let (seq, attempt): (i64, i64) = (tx.read(row.at(0))?, tx.read(row.at(1))?);
    tx.execute(
        sql("INSERT INTO job_events (job_id, seq, attempt, at, kind, data) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(job.to_string())
            .bind(seq)
            .bind(attempt)
            .bind(now_ms())
            .bind(kind)
            .bind(data.to_string()),
    )
    .await?;
    if seq % 1000 == 0 {
        tx.execute(
            sql("DELETE FROM job_events WHERE job_id = $1 AND seq <= $2 AND kind IN ('progress', 'log')")
                .bind(job.to_string())
                .bind(seq - KEPT),
        )
        .await?;
    }
    Ok(u64::try_from(seq).unwrap_or(0))
}

/// Tells a change of state.
pub(super) async fn state(tx: &mut Tx, job: JobId, state: JobState, more: Value) -> Result<(), Error> {
    let mut data = json!({ "state": state });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    add(tx, job, "state", &data).await.map(drop)
}

impl Store {
    /// Events of a job after the one numbered `after`, oldest first, at most 500.
    ///
    /// # Errors
    /// There is no such job in the scope.
    pub async fn job_events(
        &self,
        scope: &TenantScope,
        job: JobId,
        after: u64,
    ) -> Result<Vec<JobEvent>, Error> {
        self.job(scope, job).await?;
        let rows = self
            .db()
            .fetch_all(
                sql("SELECT seq, attempt, at, kind, data FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
                    .bind(job.to_string())
                    .bind(i64::try_from(after).unwrap_or(i64::MAX))
                    .bind(MOST),
            )
            .await?;
        self.db().all(&rows, event_of)
    }

    /// Events of one kind of a job (such as `log` or `metric`), the last `most`, oldest first.
    ///
    /// # Errors
    /// There is no such job in the scope.
    pub async fn job_events_of(
        &self,
        scope: &TenantScope,
        job: JobId,
        kind: &str,
        most: u32,
    ) -> Result<Vec<JobEvent>, Error> {
        self.job(scope, job).await?;
        let rows = self
            .db()
            .fetch_all(
                sql("SELECT seq, attempt, at, kind, data FROM job_events WHERE job_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT $3")
                    .bind(job.to_string())
                    .bind(kind)
                    .bind(i64::from(most)),
            )
            .await?;
        let mut events = self.db().all(&rows, event_of)?;
        events.reverse();
        Ok(events)
    }
}
