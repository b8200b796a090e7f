//! What callers do with jobs: submit, look, cancel, try again, remove.

use rixin_base::JobId;
use serde_json::{Value, json};

use super::{
    Attempt, Job, JobQuery, JobState, NewJob, events,
    row::{attempt_of, job_of},
    settle,
};
use crate::{
    Error, Page, Store, TenantScope, audit,
    db::{Sql, Tx, sql},
    now_ms,
    page::{Cursor, MAX_LIMIT},
    row::{columns, parsed},
};

fn one(scope: &TenantScope, id: JobId) -> Sql {
    sql(concat!(
        "SELECT ",
        columns!(jobs),
        " FROM jobs WHERE id = $1 AND tenant_id = $2 AND ($3 IS NULL OR key_id = $3)"
    ))
    .bind(id.to_string())
    .bind(scope.tenant_text())
    .bind(scope.key_text())
}

fn missing(id: JobId) -> Error {
    Error::not_found("job", "任务", id)
}

impl Store {
    /// Submits a job. Its kind and parameters were checked by whoever knows the kind.
    ///
    /// # Errors
    /// A job that it needs does not exist in the tenant, or can't succeed any more.
    pub async fn submit_job(&self, scope: &TenantScope, new: NewJob) -> Result<Job, Error> {
        let mut tx = self.db().write().await?;
        let id = self.submit_job_in(&mut tx, scope, new).await?;
        let row = tx.fetch_one(one(&TenantScope { key: None, ..*scope }, id)).await?;
        let job = tx.read(job_of(&row))?;
        audit::noted(&mut tx, "job.submit", id, json!({ "kind": job.kind })).await?.commit(tx).await?;
        Ok(job)
    }

    pub(crate) async fn submit_job_in(
        &self,
        tx: &mut Tx,
        scope: &TenantScope,
        new: NewJob,
    ) -> Result<JobId, Error> {
        let mut open = false;
        for needed in &new.needs {
            let row = tx
                .fetch_optional(
                    sql("SELECT state FROM jobs WHERE id = $1 AND tenant_id = $2")
                        .bind(needed.to_string())
                        .bind(scope.tenant_text())
                        .locking(),
                )
                .await?
                .ok_or_else(|| missing(*needed))?;
            let state: String = tx.read(row.at(0))?;
            match JobState::from_word(&state) {
                Some(JobState::Failed | JobState::Cancelled) => {
                    return Err(Error::Invalid {
                        param: "needs",
                        en: "a job that it needs has failed or was cancelled",
                        zh: "所依赖的任务已失败或已取消",
                    });
                }
                Some(JobState::Succeeded) => {}
                _ => open = true,
            }
        }
        let id = JobId::new();
        let state = if open { JobState::Blocked } else { JobState::Queued };
        tx.execute(
            sql("INSERT INTO jobs (id, tenant_id, key_id, kind, title, params, inputs, resources, priority, state, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                .bind(id.to_string())
                .bind(scope.tenant_text())
                .bind(scope.key_text())
                .bind(new.kind)
                .bind(new.title)
                .bind(Value::Object(new.params).to_string())
                .bind(serde_json::to_string(&new.inputs).unwrap_or_default())
                .bind(serde_json::to_string(&new.resources).unwrap_or_default())
                .bind(new.priority)
                .bind(state.as_str())
                .bind(now_ms()),
        )
        .await?;
        for needed in new.needs {
            tx.execute(
                sql("INSERT INTO job_needs (job_id, needs_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(id.to_string())
                    .bind(needed.to_string()),
            )
            .await?;
        }
        events::state(tx, id, state, Value::Null).await?;
        Ok(id)
    }

    /// One job.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn job(&self, scope: &TenantScope, id: JobId) -> Result<Job, Error> {
        let row = self.db().fetch_optional(one(scope, id)).await?.ok_or_else(|| missing(id))?;
        job_of(&row).map_err(|error| self.db().failed(error))
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// A cursor that is none.
    pub async fn jobs(&self, scope: &TenantScope, query: &JobQuery) -> Result<Page<Job>, Error> {
        let limit = if query.limit == 0 { 50 } else { query.limit.min(MAX_LIMIT) };
        let cursor = query.after.as_deref().map(Cursor::decode).transpose()?;
        let mut list = sql(concat!("SELECT ", columns!(jobs), " FROM jobs WHERE tenant_id = "));
        list.push_bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            list.push(" AND key_id = ").push_bind(key);
        }
        if let Some(kind) = &query.kind {
            list.push(" AND kind = ").push_bind(kind);
        }
        if let [first, more @ ..] = query.states.as_slice() {
            list.push(" AND state IN (").push_bind(first.as_str());
            for state in more {
                list.push(", ").push_bind(state.as_str());
            }
            list.push(")");
        }
        if let Some(cursor) = cursor {
            list.push(" AND (created_at, id) < (").push_bind(cursor.time_ms);
            list.push(", ").push_bind(cursor.id).push(")");
        }
        list.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = self.db().fetch_all(list).await?;
        let mut items = self.db().all(&rows, job_of)?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor { time_ms: last.created_at, id: last.id.to_string() }.encode());
        Ok(Page { items, next })
    }

    /// The jobs that a job needs.
    ///
    /// # Errors
    /// There is no such job in the scope.
    pub async fn job_needs(&self, scope: &TenantScope, id: JobId) -> Result<Vec<JobId>, Error> {
        self.job(scope, id).await?;
        let rows = self
            .db()
            .fetch_all(
                sql("SELECT needs_id FROM job_needs WHERE job_id = $1 ORDER BY needs_id")
                    .bind(id.to_string()),
            )
            .await?;
        self.db().all(&rows, |row| parsed(row, "needs_id"))
    }

    /// A job's attempts, oldest first.
    ///
    /// # Errors
    /// There is no such job in the scope.
    pub async fn job_attempts(&self, scope: &TenantScope, id: JobId) -> Result<Vec<Attempt>, Error> {
        self.job(scope, id).await?;
        let rows = self
            .db()
            .fetch_all(
                sql(concat!(
                    "SELECT ",
                    columns!(attempts),
                    " FROM attempts WHERE job_id = $1 ORDER BY number"
                ))
                .bind(id.to_string()),
            )
            .await?;
        self.db().all(&rows, attempt_of)
    }

    /// Asks for a job's end. One that no attempt has is over at once; a running one when its process has let go.
    ///
    /// # Errors
    /// There is no such job in the scope.
    pub async fn cancel_job(&self, scope: &TenantScope, id: JobId) -> Result<Job, Error> {
        let mut tx = self.db().write().await?;
        let row = tx.fetch_optional(one(scope, id).locking()).await?.ok_or_else(|| missing(id))?;
        let job = tx.read(job_of(&row))?;
        if job.state.is_over() {
            return Ok(job);
        }
        if matches!(job.state, JobState::Blocked | JobState::Queued) {
            let end =
                "UPDATE jobs SET state = 'cancelled', cancel = 1, ended_at = $2, reason = NULL WHERE id = $1";
            tx.execute(sql(end).bind(id.to_string()).bind(now_ms())).await?;
            events::state(&mut tx, id, JobState::Cancelled, Value::Null).await?;
            settle::dependents(&mut tx, id, false).await?;
        } else if !job.cancel {
            tx.execute(sql("UPDATE jobs SET cancel = 1 WHERE id = $1").bind(id.to_string())).await?;
            events::state(&mut tx, id, job.state, json!({ "cancel": true })).await?;
        }
        audit::noted(&mut tx, "job.cancel", id, json!({ "kind": job.kind })).await?.commit(tx).await?;
        self.job(scope, id).await
    }

    /// Queues a failed or cancelled job again; it goes on from its checkpoint. One that needs jobs that are not over waits for them.
    ///
    /// # Errors
    /// There is no such job in the scope, it has neither failed nor been cancelled, or a job that it needs did not succeed.
    pub async fn retry_job(&self, scope: &TenantScope, id: JobId) -> Result<Job, Error> {
        let mut tx = self.db().write().await?;
        // What it needs is locked first, as where a needed job ends: in the other order the two could wait for each other.
        let needs = tx
            .fetch_all(
                sql("SELECT id, state FROM jobs WHERE id IN (SELECT needs_id FROM job_needs WHERE job_id = $1) ORDER BY id")
                    .bind(id.to_string())
                    .locking(),
            )
            .await?;
        let row = tx.fetch_optional(one(scope, id).locking()).await?.ok_or_else(|| missing(id))?;
        let job = tx.read(job_of(&row))?;
        if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
            return Err(Error::JobState {
                id: id.to_string(),
                en: format!(
                    "tried again while it is {}: only a failed or cancelled one can",
                    job.state.as_str()
                ),
                zh: format!("当前状态为 {}，不能重试：只有失败或已取消的任务可以重试", job.state.as_str()),
            });
        }
        let mut state = JobState::Queued;
        for needed in &needs {
            let (needed, word): (String, String) = (tx.read(needed.at(0))?, tx.read(needed.at(1))?);
            match JobState::from_word(&word) {
                Some(JobState::Succeeded) => {}
                Some(JobState::Failed | JobState::Cancelled) => {
                    return Err(Error::JobState {
                        id: id.to_string(),
                        en: format!(
                            "tried again, as the job {needed} that it needs did not succeed: try that one again first"
                        ),
                        zh: format!("不能重试，因为所依赖的任务 {needed} 未成功：请先重试该任务"),
                    });
                }
                _ => state = JobState::Blocked,
            }
        }
        tx.execute(
            sql("UPDATE jobs SET state = $2, cancel = 0, reason = NULL, failures = '{}', not_before = 0, \
                 ended_at = NULL WHERE id = $1")
            .bind(id.to_string())
            .bind(state.as_str()),
        )
        .await?;
        events::state(&mut tx, id, state, json!({ "retried": true })).await?;
        audit::noted(&mut tx, "job.retry", id, json!({ "kind": job.kind })).await?.commit(tx).await?;
        self.job(scope, id).await
    }

    /// Removes a job that is over, with its attempts and events. Files and models that it made stay.
    ///
    /// # Errors
    /// There is no such job in the scope, or it is not over.
    pub async fn remove_job(&self, scope: &TenantScope, id: JobId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let row = tx.fetch_optional(one(scope, id).locking()).await?.ok_or_else(|| missing(id))?;
        let job = tx.read(job_of(&row))?;
        if !job.state.is_over() {
            return Err(Error::JobState {
                id: id.to_string(),
                en: "removed while it is not over: cancel it first".into(),
                zh: "尚未结束，不能删除：请先取消".into(),
            });
        }
        tx.execute(sql("DELETE FROM jobs WHERE id = $1").bind(id.to_string())).await?;
        audit::noted(&mut tx, "job.remove", id, json!({ "kind": job.kind })).await?.commit(tx).await
    }
}
