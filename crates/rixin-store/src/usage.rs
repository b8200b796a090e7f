//! Usage by key, model and day. Counts are added up in memory and written a few times a second, off the path of requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rixin_base::{KeyId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, SqlitePool};
use tokio::sync::Notify;
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope, now_ms,
    row::{count, parsed},
};

/// Counts wait this long for company.
const BATCH: Duration = Duration::from_millis(200);
/// Pause after a write that failed.
const RETRY: Duration = Duration::from_secs(5);

/// What one request took.
#[derive(Clone, Debug, Default)]
pub struct UsageRecord {
    /// The model that answered.
    pub model: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
}

/// What a key took from a model in a day (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// `2026-01-31`.
    pub day: String,
    /// The key.
    #[schema(value_type = String)]
    pub key_id: KeyId,
    /// The model.
    pub model: String,
    /// Requests answered.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub completion_tokens: u64,
}

#[derive(Default)]
struct Counts {
    requests: i64,
    prompt: i64,
    completion: i64,
}

#[derive(Default)]
struct Waiting {
    usage: HashMap<(TenantId, KeyId, i64, String), Counts>,
    used: HashMap<KeyId, i64>,
}

/// Counts on their way to the disk.
#[derive(Default)]
pub(crate) struct Meter {
    waiting: Mutex<Waiting>,
    wake: Notify,
    closed: AtomicBool,
    /// One write at a time, so that `flush` returns only after a write that was under way.
    writing: tokio::sync::Mutex<()>,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn used(&self, key: KeyId, now: i64) {
        self.lock().used.insert(key, now);
        self.wake.notify_one();
    }

    fn add(&self, tenant: TenantId, key: KeyId, day: i64, record: UsageRecord) {
        let mut waiting = self.lock();
        let counts = waiting.usage.entry((tenant, key, day, record.model)).or_default();
        counts.requests += 1;
        counts.prompt += i64::try_from(record.prompt_tokens).unwrap_or(0);
        counts.completion += i64::try_from(record.completion_tokens).unwrap_or(0);
        drop(waiting);
        self.wake.notify_one();
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Writes until the store is closed.
    pub async fn run(self: Arc<Self>, writer: SqlitePool) {
        loop {
            self.wake.notified().await;
            let closed = self.closed.load(Ordering::Acquire);
            if !closed {
                tokio::time::sleep(BATCH).await;
            }
            if writer.is_closed() {
                return;
            }
            if let Err(error) = self.write(&writer).await {
                tracing::error!(%error, "usage counts could not be stored; they are kept and tried again");
                if !closed {
                    tokio::time::sleep(RETRY).await;
                    self.wake.notify_one();
                }
            }
            if closed {
                return;
            }
        }
    }

    /// One transaction; after a failure the counts are in memory again.
    pub async fn write(&self, writer: &SqlitePool) -> Result<(), sqlx::Error> {
        let _one = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.lock());
        if taken.usage.is_empty() && taken.used.is_empty() {
            return Ok(());
        }
        let result = insert(writer, &taken).await;
        if result.is_err() {
            let mut waiting = self.lock();
            for (key, counts) in taken.usage {
                let sum = waiting.usage.entry(key).or_default();
                sum.requests += counts.requests;
                sum.prompt += counts.prompt;
                sum.completion += counts.completion;
            }
            for (key, time) in taken.used {
                waiting.used.entry(key).or_insert(time);
            }
        }
        result
    }
}

async fn insert(writer: &SqlitePool, waiting: &Waiting) -> Result<(), sqlx::Error> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    for ((tenant, key, day, model), counts) in &waiting.usage {
        sqlx::query(
            "INSERT INTO usage (tenant_id, key_id, day, model, requests, prompt_tokens, completion_tokens) \
             VALUES (?, ?, date(? * 86400, 'unixepoch'), ?, ?, ?, ?) \
             ON CONFLICT (tenant_id, day, key_id, model) DO UPDATE SET \
                 requests = requests + excluded.requests, \
                 prompt_tokens = prompt_tokens + excluded.prompt_tokens, \
                 completion_tokens = completion_tokens + excluded.completion_tokens",
        )
        .bind(tenant.to_string())
        .bind(key.to_string())
        .bind(day)
        .bind(model)
        .bind(counts.requests)
        .bind(counts.prompt)
        .bind(counts.completion)
        .execute(&mut *tx)
        .await?;
    }
    for (key, time) in &waiting.used {
        sqlx::query("UPDATE keys SET last_used = ? WHERE id = ?")
            .bind(time)
            .bind(key.to_string())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}

impl Store {
    /// Counts a request of an authenticated key; returns at once. A scope of the operator has no key and is not counted.
    pub fn record(&self, scope: &TenantScope, record: UsageRecord) {
        if let Some(key) = scope.key {
            self.inner.meter.add(scope.tenant, key, now_ms() / 86_400_000, record);
        }
    }

    /// Writes the counts that are still in memory.
    ///
    /// # Errors
    /// The database failed; the counts are kept and tried again.
    pub async fn flush(&self) -> Result<(), Error> {
        self.inner.meter.write(&self.inner.writer).await.map_err(|e| self.failed(e))
    }

    /// Usage of the last `days` days (today is one), newest first; `everyone`: all keys of the tenant, else the scope's own.
    ///
    /// # Errors
    /// The database failed.
    pub async fn usage(
        &self,
        scope: &TenantScope,
        days: u32,
        everyone: bool,
    ) -> Result<Vec<UsageRow>, Error> {
        let first_day = now_ms() / 86_400_000 - i64::from(days.clamp(1, 3660)) + 1;
        let rows = sqlx::query(
            "SELECT day, key_id, model, requests, prompt_tokens, completion_tokens FROM usage \
             WHERE tenant_id = ?1 AND day >= date(?2 * 86400, 'unixepoch') AND (?3 IS NULL OR key_id = ?3) \
             ORDER BY day DESC, key_id, model",
        )
        .bind(scope.tenant_text())
        .bind(first_day)
        .bind(if everyone { None } else { scope.key_text() })
        .fetch_all(self.reader())
        .await
        .map_err(|e| self.failed(e))?;
        rows.iter()
            .map(|row| {
                Ok(UsageRow {
                    day: row.try_get("day")?,
                    key_id: parsed(row, "key_id")?,
                    model: row.try_get("model")?,
                    requests: count(row, "requests")?,
                    prompt_tokens: count(row, "prompt_tokens")?,
                    completion_tokens: count(row, "completion_tokens")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|e| self.failed(e))
    }
}
