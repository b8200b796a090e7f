//! What the server's supervisor does with jobs, for all tenants: claim what waits, watch over what runs, bury what has ended.

use rand::{RngExt as _, distr::Alphanumeric};
use rixin_base::{Fault, JobId};
use serde_json::{Value, json};

use super::{Cause, Job, JobState, Resources, attempt::token_hash, events, row::job_of, settle};
use crate::{
    Error, Store,
    db::{Db, sql},
    now_ms,
    row::{columns, parsed},
};

/// Jobs that are looked at for one claim.
const LOOKED_AT: i64 = 64;

/// The right to move jobs of all tenants. Nothing that serves a caller's request may make one.
#[derive(Clone, Debug)]
pub struct Supervisor {
    store: Store,
}

/// Who claims, and for how long without a sign of life.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The executor.
    pub executor: &'a str,
    /// This server, by a name that no other has.
    pub owner: &'a str,
    /// The first lease, in milliseconds.
    pub lease_ms: i64,
}

/// What to do with a job that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it.
    Take,
    /// There is no room for it now; look at the next.
    Skip,
    /// There is no room for it now, and none that came later may pass it.
    Stop,
}

/// An attempt that may be started.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The job.
    pub job: Job,
    /// The attempt's number.
    pub number: u32,
    /// What its process proves itself with.
    pub token: String,
}

/// An attempt that has not ended.
#[derive(Clone, Debug)]
pub struct OpenAttempt {
    /// Its job.
    pub job: JobId,
    /// Its number.
    pub number: u32,
    /// Whether its process has begun to work.
    pub running: bool,
    /// Which executor has it.
    pub executor: String,
    /// The server that started it.
    pub owner: String,
    /// What the executor knows it by.
    pub place: Option<Value>,
    /// Until when it lives without another sign, in milliseconds since 1970.
    pub lease_until: i64,
    /// When it was handed out.
    pub started_at: i64,
    /// Whether somebody asked for its job's end.
    pub cancel: bool,
    /// What it may take.
    pub resources: Resources,
    /// What kind of work it is.
    pub kind: String,
}

/// What follows an attempt without a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Another attempt.
    Queue {
        /// Not earlier, in milliseconds since 1970.
        not_before: i64,
        /// With other resources.
        resources: Option<Resources>,
    },
    /// The job is given up.
    Fail,
    /// Nobody wants it any more.
    Cancel,
}

/// An attempt's end as the supervisor saw it.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// Why.
    pub cause: Cause,
    /// The same, told.
    pub fault: &'a Fault,
    /// What follows.
    pub next: Next,
}

impl Store {
    /// Acts for the server's supervisor of jobs.
    pub fn supervisor(&self) -> Supervisor {
        Supervisor { store: self.clone() }
    }
}

impl Supervisor {
    pub(crate) fn db(&self) -> &Db {
        self.store.db()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Claims the first waiting job that `judge` takes: by priority, then by age. Several servers may claim at the same time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(
        &self,
        claim: &Claim<'_>,
        mut judge: impl FnMut(&Job) -> Verdict + Send,
    ) -> Result<Option<Claimed>, Error> {
        let db = self.store.db();
        let waiting = |now: i64| {
            sql(concat!("SELECT ", columns!(jobs), " FROM jobs WHERE state = 'queued' AND not_before <= $1 ORDER BY priority DESC, created_at, id LIMIT $2"))
                .bind(now)
                .bind(LOOKED_AT)
        };
        // looked at without a lock first: most of the time there is nothing
        if db.fetch_all(waiting(now_ms())).await?.is_empty() {
            return Ok(None);
        }
        let mut tx = db.write().await?;
        let now = now_ms();
        let mut taken = None;
        for row in tx.fetch_all(waiting(now).claiming()).await? {
            let job = tx.read(job_of(&row))?;
            match judge(&job) {
                Verdict::Take => {
                    taken = Some(job);
                    break;
                }
                Verdict::Skip => {}
                Verdict::Stop => break,
            }
        }
        let Some(mut job) = taken else { return Ok(None) };
        let token: String = rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect();
        let token = format!("rxj-{token}");
        let number = job.attempt + 1;
        tx.execute(
            sql("UPDATE jobs SET state = 'starting', attempt = $2, progress = NULL WHERE id = $1")
                .bind(job.id.to_string())
                .bind(number),
        )
        .await?;
        tx.execute(
            sql("INSERT INTO attempts (job_id, number, executor, owner, token_hash, lease_until, started_at, seen_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7)")
                .bind(job.id.to_string())
                .bind(number)
                .bind(claim.executor)
                .bind(claim.owner)
                .bind(token_hash(&token))
                .bind(now + claim.lease_ms)
                .bind(now),
        )
        .await?;
        events::state(
            &mut tx,
            job.id,
            JobState::Starting,
            json!({ "attempt": number, "executor": claim.executor }),
        )
        .await?;
        tx.commit().await?;
        job.state = JobState::Starting;
        job.attempt = number;
        Ok(Some(Claimed { job, number, token }))
    }

    /// When the next waiting job that is held back may start, in milliseconds since 1970.
    ///
    /// # Errors
    /// The database failed.
    pub async fn next_start(&self) -> Result<Option<i64>, Error> {
        self.store
            .db()
            .scalar(
                sql("SELECT MIN(not_before) FROM jobs WHERE state = 'queued' AND not_before > $1")
                    .bind(now_ms()),
            )
            .await
    }

    /// Notes what the executor knows an attempt by.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_place(&self, job: JobId, number: u32, place: &Value) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        tx.execute(
            sql("UPDATE attempts SET place = $3 WHERE job_id = $1 AND number = $2 AND ended_at IS NULL")
                .bind(job.to_string())
                .bind(number)
                .bind(place.to_string()),
        )
        .await?;
        tx.commit().await
    }

    /// Prolongs the lease of an attempt that the executor says is alive or still waits for its turn.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew(&self, job: JobId, number: u32, lease_ms: i64) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        tx.execute(
            sql("UPDATE attempts SET lease_until = $3 WHERE job_id = $1 AND number = $2 AND ended_at IS NULL AND lease_until < $3")
                .bind(job.to_string())
                .bind(number)
                .bind(now_ms() + lease_ms),
        )
        .await?;
        tx.commit().await
    }

    /// Attempts that have not ended, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, Error> {
        let db = self.store.db();
        let rows = db
            .fetch_all(sql(
                "SELECT a.job_id, a.number, a.executor, a.owner, a.place, a.lease_until, a.started_at, j.state, j.cancel, j.resources, j.kind \
                 FROM attempts a JOIN jobs j ON j.id = a.job_id AND j.attempt = a.number \
                 WHERE a.ended_at IS NULL ORDER BY a.started_at, a.job_id",
            ))
            .await?;
        db.all(&rows, |row| {
            let place: Option<String> = row.try_get("place")?;
            let resources: String = row.try_get("resources")?;
            Ok(OpenAttempt {
                job: parsed(row, "job_id")?,
                number: u32::try_from(row.try_get::<i64>("number")?).unwrap_or(0),
                running: row.try_get::<String>("state")? == JobState::Running.as_str(),
                executor: row.try_get("executor")?,
                owner: row.try_get("owner")?,
                place: place.and_then(|text| serde_json::from_str(&text).ok()),
                lease_until: row.try_get("lease_until")?,
                started_at: row.try_get("started_at")?,
                cancel: row.try_get::<i64>("cancel")? != 0,
                resources: serde_json::from_str(&resources).unwrap_or_default(),
                kind: row.try_get("kind")?,
            })
        })
    }

    /// Ends an attempt that has left no result; gives the job's state then, or `None` where it had ended already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, job: JobId, number: u32, ended: Ended<'_>) -> Result<Option<JobState>, Error> {
        let mut tx = self.store.db().write().await?;
        let Some(held) = settle::hold(&mut tx, job, number, true).await? else { return Ok(None) };
        let state = settle::fail(&mut tx, job, number, held, (ended.cause, ended.fault), ended.next).await?;
        tx.commit().await?;
        Ok(Some(state))
    }

    /// A job of whatever tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, job: JobId) -> Result<Option<Job>, Error> {
        let db = self.store.db();
        let row = db
            .fetch_optional(
                sql(concat!("SELECT ", columns!(jobs), " FROM jobs WHERE id = $1")).bind(job.to_string()),
            )
            .await?;
        row.map(|row| job_of(&row)).transpose().map_err(|error| db.failed(error))
    }

    /// Whose attempt a token is, while that attempt works: what a job's process may do at the gateway is what its owner may.
    ///
    /// # Errors
    /// The database failed.
    pub async fn whose(&self, token: &str) -> Result<Option<Job>, Error> {
        let db = self.store.db();
        let row = db
            .fetch_optional(
                sql("SELECT j.* FROM attempts a JOIN jobs j ON j.id = a.job_id AND j.attempt = a.number \
                     WHERE a.token_hash = $1 AND a.ended_at IS NULL AND j.state = 'running'")
                .bind(token_hash(token)),
            )
            .await?;
        row.map(|row| job_of(&row)).transpose().map_err(|error| db.failed(error))
    }

    /// Removes jobs that were over before `before_ms`, with their attempts and events; gives their ids, so that their folders can go.
    /// Jobs that another job still waits for stay.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget(&self, before_ms: i64, most: u32) -> Result<Vec<JobId>, Error> {
        let mut tx = self.store.db().write().await?;
        let rows = tx
            .fetch_all(
                sql("SELECT id FROM jobs WHERE state IN ('succeeded', 'failed', 'cancelled') AND ended_at < $1 \
                     AND NOT EXISTS (SELECT 1 FROM job_needs n JOIN jobs j ON j.id = n.job_id WHERE n.needs_id = jobs.id AND j.state = 'blocked') \
                     AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.job_id = jobs.id) \
                     ORDER BY ended_at LIMIT $2")
                .bind(before_ms)
                .bind(i64::from(most)),
            )
            .await?;
        let mut gone = Vec::new();
        for row in rows {
            let id: JobId = tx.read(parsed(&row, "id"))?;
            tx.execute(sql("DELETE FROM jobs WHERE id = $1").bind(id.to_string())).await?;
            gone.push(id);
        }
        tx.commit().await?;
        Ok(gone)
    }
}
