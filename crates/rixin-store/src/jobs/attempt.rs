//! What the process of an attempt may write: all of it conditional on its number.

use rixin_base::{Fault, JobId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Cause, Job, JobProgress, JobState, Next, events,
    row::job_of,
    settle::{self, Held},
};
use crate::{
    Error, Store, TenantScope,
    db::{Tx, sql},
    ledger::{self, LedgerEntry},
    now_ms,
    row::columns,
};

/// Why an attempt may not write.
#[derive(Debug, thiserror::Error)]
pub enum Fenced {
    /// Another attempt has taken over, or the job is over: this process has to end and must change nothing more.
    #[error("another attempt has taken over, or the job is over")]
    GivenUp,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The right to write as one attempt of a job.
#[derive(Clone, Debug)]
pub struct AttemptScope {
    store: Store,
    job: JobId,
    number: u32,
    owner: TenantScope,
}

/// How a job came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The result was taken.
    Succeeded,
    /// Somebody had asked for its end before the result came: the result is dropped.
    Cancelled,
}

/// An answer to a line of a job's input.
#[derive(Clone, Debug)]
pub struct LineAnswer {
    /// Counts the input's lines from 0.
    pub line: u64,
    /// Whether it is a result, and not an error.
    pub ok: bool,
    /// JSON.
    pub answer: String,
    /// What it took, if anything.
    pub used: Option<LedgerEntry>,
}

pub(super) fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

impl Store {
    /// Begins to work as an attempt. `restart`: the executor started the same process again (a cluster does so after it has lost a
    /// node); the attempt that it began is then given up, and a new one begins under the next number.
    ///
    /// # Errors
    /// The token is not that attempt's, or the attempt was given up.
    pub async fn enter_attempt(
        &self,
        job: JobId,
        number: u32,
        token: &str,
        restart: bool,
        lease_ms: i64,
    ) -> Result<(AttemptScope, Job), Fenced> {
        let mut tx = self.db().write().await?;
        let row = tx
            .fetch_optional(
                sql(concat!("SELECT ", columns!(jobs), " FROM jobs WHERE id = $1"))
                    .bind(job.to_string())
                    .locking(),
            )
            .await?
            .ok_or(Fenced::GivenUp)?;
        let mut found = tx.read(job_of(&row))?;
        let row = tx
            .fetch_optional(
                sql("SELECT number, executor, owner, place FROM attempts WHERE job_id = $1 AND token_hash = $2 AND ended_at IS NULL")
                    .bind(job.to_string())
                    .bind(token_hash(token)),
            )
            .await?
            .ok_or(Fenced::GivenUp)?;
        let latest: i64 = tx.read(row.at(0))?;
        let now = now_ms();
        if i64::from(found.attempt) != latest {
            return Err(Fenced::GivenUp);
        }
        let number = match found.state {
            JobState::Starting if found.attempt == number || restart => found.attempt,
            JobState::Running if restart => {
                let fault = lost();
                settle::close(&mut tx, job, found.attempt, Some((Cause::Lost, &fault))).await?;
                let (executor, owner): (String, String) = (tx.read(row.at(1))?, tx.read(row.at(2))?);
                let place: Option<String> = tx.read(row.at(3))?;
                let next = found.attempt + 1;
                tx.execute(
                    sql("INSERT INTO attempts (job_id, number, executor, owner, place, token_hash, lease_until, started_at, seen_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)")
                        .bind(job.to_string())
                        .bind(next)
                        .bind(executor)
                        .bind(owner)
                        .bind(place)
                        .bind(token_hash(token))
                        .bind(now + lease_ms)
                        .bind(now),
                )
                .await?;
                next
            }
            _ => return Err(Fenced::GivenUp),
        };
        tx.execute(
            sql("UPDATE jobs SET state = 'running', attempt = $2, started_at = COALESCE(started_at, $3) WHERE id = $1")
                .bind(job.to_string())
                .bind(number)
                .bind(now),
        )
        .await?;
        tx.execute(
            sql("UPDATE attempts SET seen_at = $3, lease_until = $4 WHERE job_id = $1 AND number = $2")
                .bind(job.to_string())
                .bind(number)
                .bind(now)
                .bind(now + lease_ms),
        )
        .await?;
        events::state(&mut tx, job, JobState::Running, json!({ "attempt": number })).await?;
        tx.commit().await?;
        found.state = JobState::Running;
        found.attempt = number;
        let owner = TenantScope { tenant: found.tenant, key: found.key };
        Ok((AttemptScope { store: self.clone(), job, number, owner }, found))
    }
}

/// What is told of an attempt whose node or process went away.
pub(super) fn lost() -> Fault {
    Fault::new(
        rixin_base::Code::ReplicaLost,
        "the node or process that worked on it went away",
        "执行该任务的节点或进程已失联",
    )
}

impl AttemptScope {
    /// The job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The attempt's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What the job's owner may name.
    pub fn owner(&self) -> &TenantScope {
        &self.owner
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    async fn begin(&self) -> Result<(Tx, Held), Fenced> {
        let mut tx = self.store.db().write().await?;
        let held = settle::hold(&mut tx, self.job, self.number, false).await?.ok_or(Fenced::GivenUp)?;
        Ok((tx, held))
    }

    /// A transaction in which this attempt is surely the latest.
    pub(crate) async fn held(&self) -> Result<Tx, Fenced> {
        Ok(self.begin().await?.0)
    }

    /// A sign of life; tells whether somebody asked for the job's end.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn beat(&self, lease_ms: i64) -> Result<bool, Fenced> {
        let (mut tx, held) = self.begin().await?;
        let now = now_ms();
        tx.execute(
            sql("UPDATE attempts SET seen_at = $3, lease_until = $4 WHERE job_id = $1 AND number = $2")
                .bind(self.job.to_string())
                .bind(self.number)
                .bind(now)
                .bind(now + lease_ms),
        )
        .await?;
        tx.commit().await?;
        Ok(held.cancel)
    }

    /// Whether the attempt still is the latest and nobody asked for its job's end; reads only.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn wanted(&self) -> Result<bool, Fenced> {
        let row = self
            .store
            .db()
            .fetch_optional(
                sql("SELECT cancel FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running'")
                    .bind(self.job.to_string())
                    .bind(self.number),
            )
            .await?
            .ok_or(Fenced::GivenUp)?;
        let cancel: i64 = row.at(0).map_err(|error| self.store.db().failed(error))?;
        Ok(cancel == 0)
    }

    /// Tells how far it is, and events in their order (kind and data).
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn tell(&self, progress: Option<&JobProgress>, told: &[(&str, Value)]) -> Result<(), Fenced> {
        let (mut tx, _) = self.begin().await?;
        if let Some(progress) = progress {
            let text = serde_json::to_value(progress).unwrap_or_default();
            tx.execute(
                sql("UPDATE jobs SET progress = $2 WHERE id = $1")
                    .bind(self.job.to_string())
                    .bind(text.to_string()),
            )
            .await?;
            events::add(&mut tx, self.job, "progress", &text).await?;
        }
        for (kind, data) in told {
            events::add(&mut tx, self.job, kind, data).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes where the next attempt goes on. Getting further forgives the attempts that were lost on the way here, so that work whose
    /// node goes away now and then is not made to wait longer each time.
    ///
    /// # Errors
    /// The attempt was given up: the checkpoint of the one that took over stands.
    pub async fn checkpoint(&self, checkpoint: &Value) -> Result<(), Fenced> {
        let (mut tx, _) = self.begin().await?;
        tx.execute(
            sql("UPDATE jobs SET failures = CASE WHEN checkpoint = $2 THEN failures ELSE '{}' END, checkpoint = $2 WHERE id = $1")
                .bind(self.job.to_string())
                .bind(checkpoint.to_string()),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps answers to lines of the input, and what they took, in one transaction. A line that has an answer keeps it. As with a
    /// checkpoint, getting further forgives earlier losses.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn answer_lines(&self, answers: &[LineAnswer]) -> Result<(), Fenced> {
        let (mut tx, held) = self.begin().await?;
        let mut used = Vec::new();
        let mut further = false;
        for answer in answers {
            let added = tx
                .execute(
                    sql("INSERT INTO job_lines (job_id, line, ok, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                        .bind(self.job.to_string())
                        .bind(i64::try_from(answer.line).unwrap_or(i64::MAX))
                        .bind(answer.ok)
                        .bind(&answer.answer),
                )
                .await?;
            if added > 0 {
                further = true;
                used.extend(&answer.used);
            }
        }
        // In the order in which the gateway's writer takes the sums' rows, so that two never wait for each other.
        used.sort_by(|a, b| a.model.cmp(&b.model).then(a.at.cmp(&b.at)));
        for used in used {
            ledger::insert(&mut tx, used).await?;
        }
        if further && !held.failures.is_empty() {
            let forgive = sql("UPDATE jobs SET failures = '{}' WHERE id = $1");
            tx.execute(forgive.bind(self.job.to_string())).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The lines that have an answer, by number; for an attempt that goes on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answered_lines(&self) -> Result<Vec<u64>, Error> {
        let db = self.store.db();
        let rows = db
            .fetch_all(
                sql("SELECT line FROM job_lines WHERE job_id = $1 ORDER BY line").bind(self.job.to_string()),
            )
            .await?;
        db.all(&rows, |row| row.at::<i64>(0).map(|line| u64::try_from(line).unwrap_or(0)))
    }

    /// Answers after a line, in the input's order, at most `most`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn line_answers(
        &self,
        after: Option<u64>,
        most: u32,
    ) -> Result<Vec<(u64, bool, String)>, Error> {
        let db = self.store.db();
        let after = after.map_or(-1, |line| i64::try_from(line).unwrap_or(i64::MAX));
        let rows = db
            .fetch_all(
                sql("SELECT line, ok, answer FROM job_lines WHERE job_id = $1 AND line > $2 ORDER BY line LIMIT $3")
                    .bind(self.job.to_string())
                    .bind(after)
                    .bind(i64::from(most)),
            )
            .await?;
        db.all(&rows, |row| {
            Ok((u64::try_from(row.at::<i64>(0)?).unwrap_or(0), row.at::<i64>(1)? != 0, row.at(2)?))
        })
    }

    /// Ends the job with a result. `also` runs in the same transaction: what becomes visible with the result.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn finish(&self, result: &Value, also: &[Also]) -> Result<Finished, Fenced> {
        let (mut tx, held) = self.begin().await?;
        settle::close(&mut tx, self.job, self.number, None).await?;
        if held.cancel {
            let end = "UPDATE jobs SET state = 'cancelled', ended_at = $2 WHERE id = $1";
            tx.execute(sql(end).bind(self.job.to_string()).bind(now_ms())).await?;
            events::state(&mut tx, self.job, JobState::Cancelled, Value::Null).await?;
            settle::dependents(&mut tx, self.job, false).await?;
            tx.commit().await?;
            return Ok(Finished::Cancelled);
        }
        for also in also {
            also.run(&mut tx, self).await?;
        }
        tx.execute(
            sql("UPDATE jobs SET state = 'succeeded', reason = NULL, result = $2, ended_at = $3 WHERE id = $1")
                .bind(self.job.to_string())
                .bind(result.to_string())
                .bind(now_ms()),
        )
        .await?;
        events::state(&mut tx, self.job, JobState::Succeeded, Value::Null).await?;
        settle::dependents(&mut tx, self.job, true).await?;
        tx.commit().await?;
        Ok(Finished::Succeeded)
    }

    /// Ends the attempt without a result.
    ///
    /// # Errors
    /// The attempt was given up.
    pub async fn fail(&self, cause: Cause, fault: &Fault, next: Next) -> Result<JobState, Fenced> {
        let (mut tx, held) = self.begin().await?;
        let state = settle::fail(&mut tx, self.job, self.number, held, (cause, fault), next).await?;
        tx.commit().await?;
        Ok(state)
    }
}

/// What becomes visible together with a job's result.
#[derive(Clone, Debug)]
pub enum Also {
    /// A file of the job's owner.
    File(crate::NewFile, rixin_base::FileId),
    /// Something that the job made; the server seals it. The same name of the same job is there once.
    Artifact(Box<crate::NewArtifact>, rixin_base::ArtifactId),
    /// The files of a batch.
    Batch {
        /// Answers.
        output: Option<rixin_base::FileId>,
        /// Errors.
        errors: Option<rixin_base::FileId>,
    },
    /// The answers to lines go: they are in files now.
    DropLines,
}

impl Also {
    async fn run(&self, tx: &mut Tx, attempt: &AttemptScope) -> Result<(), Error> {
        let job = attempt.job.to_string();
        match self {
            Also::File(file, id) => crate::files::insert(tx, &attempt.owner, *id, file).await,
            Also::Artifact(new, id) => {
                let from = (*id, Some(attempt.job), crate::ArtifactOrigin::Made);
                crate::artifacts::insert(tx, &attempt.owner, from, new).await.map(drop)
            }
            Also::Batch { output, errors } => tx
                .execute(
                    sql("UPDATE batches SET output_file_id = $2, error_file_id = $3 WHERE job_id = $1")
                        .bind(job)
                        .bind(output.map(|id| id.to_string()))
                        .bind(errors.map(|id| id.to_string())),
                )
                .await
                .map(drop),
            Also::DropLines => {
                tx.execute(sql("DELETE FROM job_lines WHERE job_id = $1").bind(job)).await.map(drop)
            }
        }
    }
}
