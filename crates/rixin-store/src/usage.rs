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
use tokio::sync::Notify;
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope,
    db::{Db, sql},
    now_ms,
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
        // A model's name with a zero character can't be stored, and one such row would hold up all others.
        let model = record.model.replace('\0', "\u{FFFD}");
        let mut waiting = self.lock();
        let counts = waiting.usage.entry((tenant, key, day, model)).or_default();
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
    pub async fn write(&self, db: &Db) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.lock());
        if taken.usage.is_empty() && taken.used.is_empty() {
            return Ok(());
        }
        let result = insert(db, &taken).await;
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

/// In the order of the keys: two gateways that write the same rows then wait for each other, but never in a circle.
async fn insert(db: &Db, waiting: &Waiting) -> Result<(), Error> {
    let mut usage: Vec<_> = waiting.usage.iter().collect();
    usage.sort_unstable_by_key(|(key, _)| *key);
    let mut used: Vec<_> = waiting.used.iter().collect();
    used.sort_unstable();
    let mut tx = db.write().await?;
    for ((tenant, key, day, model), counts) in usage {
        let add = sql(
            "INSERT INTO usage (tenant_id, key_id, day, model, requests, prompt_tokens, completion_tokens) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant_id, day, key_id, model) DO UPDATE SET \
                 requests = usage.requests + excluded.requests, \
                 prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens, \
                 completion_tokens = usage.completion_tokens + excluded.completion_tokens",
        )
        .bind(tenant.to_string())
        .bind(key.to_string())
        .bind(date(*day))
        .bind(model)
        .bind(counts.requests)
        .bind(counts.prompt)
        .bind(counts.completion);
        tx.execute(add).await?;
    }
    for (key, time) in used {
        // Another gateway may have seen it later.
        let set =
            sql("UPDATE keys SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $1)");
        tx.execute(set.bind(*time).bind(key.to_string())).await?;
    }
    tx.commit().await
}

/// `2026-01-31` of a day since 1970 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
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
        let first_day = now_ms() / 86_400_000 - i64::from(days.clamp(1, 3660)) + 1;
        let list = sql("SELECT day, key_id, model, requests, prompt_tokens, completion_tokens FROM usage \
             WHERE tenant_id = $1 AND day >= $2 AND ($3 IS NULL OR key_id = $3) ORDER BY day DESC, key_id, model")
        .bind(scope.tenant_text())
        .bind(date(first_day))
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

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_have_the_names_of_the_calendar() {
        for (day, name) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_454, "2026-01-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(day), name);
        }
    }
}
