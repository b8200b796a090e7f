//! Usage by key, model and day, and the ledger that it sums up. What requests took waits in memory and is written a few times a
//! second, off the path of requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rixin_base::KeyId;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use utoipa::ToSchema;

use crate::{
    Error, LedgerEntry, Store, TenantScope,
    db::{Db, sql},
    ledger::{self, day_text},
    now_ms,
    row::{count, parsed},
};

/// Entries wait this long for company.
const BATCH: Duration = Duration::from_millis(200);
/// Pause after a write that failed.
const RETRY: Duration = Duration::from_secs(5);
const DAY_MS: i64 = 86_400_000;

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
struct Waiting {
    entries: Vec<LedgerEntry>,
    used: HashMap<KeyId, i64>,
}

/// Entries on their way to the disk. Without a database no request is authenticated either, so what waits for it stays little.
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

    fn add(&self, mut entry: LedgerEntry) {
        // A text with a zero character can't be stored, and one such row would hold up all others.
        for text in [&mut entry.id, &mut entry.kind, &mut entry.model] {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{FFFD}");
            }
        }
        self.lock().entries.push(entry);
        self.wake.notify_one();
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Writes until the store is closed.
    pub async fn run(self: Arc<Self>, db: Db) {
        loop {
            self.wake.notified().await;
            let closed = self.closed.load(Ordering::Acquire);
            if !closed {
                tokio::time::sleep(BATCH).await;
            }
            if db.is_closed() {
                return;
            }
            if let Err(error) = self.write(&db).await {
                tracing::error!(%error, "what requests took could not be stored; it is kept and tried again");
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

    /// One transaction; after a failure the entries are in memory again. Where only the word of success was lost, they are there
    /// already when they are written again, and change nothing.
    pub async fn write(&self, db: &Db) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        let mut taken = std::mem::take(&mut *self.lock());
        if taken.entries.is_empty() && taken.used.is_empty() {
            return Ok(());
        }
        let result = insert(db, &mut taken).await;
        if result.is_err() {
            let mut waiting = self.lock();
            waiting.entries.append(&mut taken.entries);
            for (key, time) in taken.used {
                waiting.used.entry(key).or_insert(time);
            }
        }
        result
    }
}

async fn insert(db: &Db, waiting: &mut Waiting) -> Result<(), Error> {
    waiting.entries.sort_unstable_by(ledger::order);
    let mut used: Vec<_> = waiting.used.iter().collect();
    used.sort_unstable();
    let mut tx = db.write().await?;
    for entry in &waiting.entries {
        ledger::insert(&mut tx, entry).await?;
    }
    for (key, time) in used {
        // Another gateway may have seen it later.
        let set =
            sql("UPDATE keys SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $1)");
        tx.execute(set.bind(*time).bind(key.to_string())).await?;
    }
    tx.commit().await
}

impl Store {
    /// Enters in the ledger what a request took; returns at once. An entry whose id is there already changes nothing.
    pub fn record(&self, entry: LedgerEntry) {
        self.inner.meter.add(entry);
    }

    /// Writes the entries that are still in memory.
    ///
    /// # Errors
    /// The database failed; the entries are kept and tried again.
    pub async fn flush(&self) -> Result<(), Error> {
        self.inner.meter.write(self.db()).await
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
        let first_day = now_ms() - DAY_MS * (i64::from(days.clamp(1, 3660)) - 1);
        // A sum of integers is a NUMERIC in Postgres.
        let list = sql("SELECT day, key_id, model, CAST(SUM(requests) AS BIGINT) AS requests, \
                 CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens, CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens \
             FROM usage_days WHERE tenant_id = $1 AND day >= $2 AND ($3 IS NULL OR key_id = $3) AND key_id <> '' AND kind <> 'job' \
             GROUP BY day, key_id, model ORDER BY day DESC, key_id, model")
        .bind(scope.tenant_text())
        .bind(day_text(first_day))
        .bind(if everyone { None } else { scope.key_text() });
        let rows = self.db().fetch_all(list).await?;
        self.db().all(&rows, |row| {
            Ok(UsageRow {
                day: row.try_get("day")?,
                key_id: parsed(row, "key_id")?,
                model: row.try_get("model")?,
                requests: count(row, "requests")?,
                prompt_tokens: count(row, "prompt_tokens")?,
                completion_tokens: count(row, "completion_tokens")?,
            })
        })
    }
}
