//! Batches: what OpenAI's protocol tells of a job that answers the lines of a file.

use rixin_base::{BatchId, FileId, JobId};
use serde_json::{Map, Value, json};

use crate::{
    AttemptScope, Error, Fenced, Job, NewJob, Page, Store, TenantScope, audit,
    db::{Row, sql},
    now_ms,
    page::{Cursor, MAX_LIMIT},
    row::{self, columns, count, parsed, parsed_opt},
};

/// A batch; its state is its job's.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// Its id.
    pub id: BatchId,
    /// The job that works on it.
    pub job: JobId,
    /// The route that its lines ask, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// The file of its lines.
    pub input: FileId,
    /// The file of answers, when it is done.
    pub output: Option<FileId>,
    /// The file of errors, if there were any.
    pub errors: Option<FileId>,
    /// The caller's notes.
    pub metadata: Map<String, Value>,
    /// The hours in which it should be done.
    pub window_hours: u32,
    /// Lines of the input, when they were counted.
    pub total: u64,
    /// Lines with a result.
    pub completed: u64,
    /// Lines with an error.
    pub failed: u64,
    /// What was wrong with the input: JSON in OpenAI's shape.
    pub faults: Option<Value>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What is needed to begin one.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// The route that its lines ask.
    pub endpoint: String,
    /// The file of its lines.
    pub input: FileId,
    /// The caller's notes.
    pub metadata: Map<String, Value>,
    /// The hours in which it should be done.
    pub window_hours: u32,
    /// The job that works on it.
    pub job: NewJob,
}

fn batch_of(row: &Row) -> Result<StoredBatch, sqlx::Error> {
    let faults: Option<String> = row.try_get("errors")?;
    Ok(StoredBatch {
        id: parsed(row, "id")?,
        job: parsed(row, "job_id")?,
        endpoint: row.try_get("endpoint")?,
        input: parsed(row, "input_file_id")?,
        output: parsed_opt(row, "output_file_id")?,
        errors: parsed_opt(row, "error_file_id")?,
        metadata: row::json(row, "metadata")?,
        window_hours: u32::try_from(count(row, "window_hours")?).unwrap_or(u32::MAX),
        total: count(row, "total")?,
        completed: count(row, "completed")?,
        failed: count(row, "failed")?,
        faults: faults.and_then(|text| serde_json::from_str(&text).ok()),
        created_at: row.try_get("created_at")?,
    })
}

macro_rules! list {
    () => {
        "SELECT b.id, b.job_id, b.endpoint, b.input_file_id, b.output_file_id, b.error_file_id, b.metadata, b.window_hours, b.total, \
         b.completed, b.failed, b.errors, b.created_at FROM batches b JOIN jobs j ON j.id = b.job_id WHERE "
    };
}
const ONE: &str = concat!(list!(), "b.id = $1 AND b.tenant_id = $2 AND ($3 IS NULL OR j.key_id = $3)");

impl Store {
    /// Begins a batch and its job.
    ///
    /// # Errors
    /// The input is not a file of the scope.
    pub async fn create_batch(
        &self,
        scope: &TenantScope,
        new: NewBatch,
    ) -> Result<(StoredBatch, Job), Error> {
        self.file(scope, new.input).await?;
        let id = BatchId::new();
        let mut tx = self.db().write().await?;
        let job = self.submit_job_in(&mut tx, scope, new.job).await?;
        tx.execute(
            sql("INSERT INTO batches (id, tenant_id, job_id, endpoint, input_file_id, metadata, window_hours, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(id.to_string())
                .bind(scope.tenant_text())
                .bind(job.to_string())
                .bind(new.endpoint)
                .bind(new.input.to_string())
                .bind(Value::Object(new.metadata).to_string())
                .bind(new.window_hours)
                .bind(now_ms()),
        )
        .await?;
        let told = json!({ "job": job, "input_file_id": new.input });
        audit::noted(&mut tx, "batch.create", id, told).await?.commit(tx).await?;
        self.batch(scope, id).await
    }

    /// A batch and its job.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn batch(&self, scope: &TenantScope, id: BatchId) -> Result<(StoredBatch, Job), Error> {
        let row = self
            .db()
            .fetch_optional(sql(ONE).bind(id.to_string()).bind(scope.tenant_text()).bind(scope.key_text()))
            .await?
            .ok_or_else(|| Error::not_found("batch", "批处理", id))?;
        let batch = batch_of(&row).map_err(|error| self.db().failed(error))?;
        let job = self.job(scope, batch.job).await?;
        Ok((batch, job))
    }

    /// Batches, newest first. `after` is a batch's id, as in OpenAI's protocol.
    ///
    /// # Errors
    /// `after` is not a batch of the scope.
    pub async fn batches(
        &self,
        scope: &TenantScope,
        limit: u32,
        after: Option<BatchId>,
    ) -> Result<Page<(StoredBatch, Job)>, Error> {
        let limit = if limit == 0 { 20 } else { limit.min(MAX_LIMIT) };
        let mut list = sql(concat!(list!(), "b.tenant_id = "));
        list.push_bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            list.push(" AND j.key_id = ").push_bind(key);
        }
        if let Some(after) = after {
            let (after, _) = self.batch(scope, after).await?;
            list.push(" AND (b.created_at, b.id) < (").push_bind(after.created_at);
            list.push(", ").push_bind(after.id.to_string()).push(")");
        }
        list.push(" ORDER BY b.created_at DESC, b.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = self.db().fetch_all(list).await?;
        let mut batches = self.db().all(&rows, batch_of)?;
        let more = batches.len() > limit as usize;
        batches.truncate(limit as usize);
        let mut items = Vec::with_capacity(batches.len());
        for batch in batches {
            let job = self.job(scope, batch.job).await?;
            items.push((batch, job));
        }
        let next = items
            .last()
            .filter(|_| more)
            .map(|(last, _)| Cursor { time_ms: last.created_at, id: last.id.to_string() }.encode());
        Ok(Page { items, next })
    }
}

impl AttemptScope {
    /// The batch that this attempt works on.
    ///
    /// # Errors
    /// The job is not a batch's.
    pub async fn batch(&self) -> Result<StoredBatch, Error> {
        let db = self.store().db();
        let row = db
            .fetch_optional(
                sql(concat!("SELECT ", columns!(batches), " FROM batches WHERE job_id = $1"))
                    .bind(self.job().to_string()),
            )
            .await?
            .ok_or_else(|| Error::not_found("batch of the job", "该任务的批处理", self.job()))?;
        batch_of(&row).map_err(|error| db.failed(error))
    }

    /// Tells the counts of a batch, and what was wrong with its input.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn count_batch(&self, total: u64, faults: Option<&Value>) -> Result<(), Fenced> {
        let mut tx = self.held().await?;
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        tx.execute(
            sql("UPDATE batches SET total = $2, errors = COALESCE($3, errors), \
                 completed = (SELECT COUNT(*) FROM job_lines WHERE job_id = $1 AND ok = 1), \
                 failed = (SELECT COUNT(*) FROM job_lines WHERE job_id = $1 AND ok = 0) WHERE job_id = $1")
            .bind(self.job().to_string())
            .bind(signed(total))
            .bind(faults.map(Value::to_string)),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
