//! The ledger: append-only rows of what was used, once for each id, and their sums by day, kept in the same transactions.

use rixin_base::{JobId, KeyId, TenantId};

use crate::{
    Error,
    db::{Tx, sql},
};

/// What one piece of work took.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Names the work, so that it is never counted twice: a request's id, or a job's id with the line.
    pub id: String,
    /// Whose.
    pub tenant: TenantId,
    /// The key that asked.
    pub key: Option<KeyId>,
    /// The job that it was done in.
    pub job: Option<JobId>,
    /// Milliseconds since 1970.
    pub at: i64,
    /// `chat`, `completion`, `embedding` ...
    pub kind: String,
    /// The model that answered.
    pub model: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// What is charged of the list price, in percent.
    pub price_percent: u32,
    /// The project that it was done in.
    pub project: Option<String>,
    /// Images that were made.
    pub images: u64,
    /// Seconds of a job's attempt, times its accelerators; `model` is then their type.
    pub job_seconds: u64,
}

const DAY_MS: i64 = 86_400_000;

/// The order of the sums' keys. Who writes several entries in one transaction writes them in it: two writers of the same sums then wait
/// for each other, but never in a circle.
pub(crate) fn order(a: &LedgerEntry, b: &LedgerEntry) -> std::cmp::Ordering {
    let key = |entry: &LedgerEntry| (entry.tenant, entry.key, entry.at.div_euclid(DAY_MS));
    key(a).cmp(&key(b)).then_with(|| a.model.cmp(&b.model)).then_with(|| a.id.cmp(&b.id))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds a row and its part of the sums; a row that is there already changes nothing. Tells whether it was new.
pub(crate) async fn insert(tx: &mut Tx, entry: &LedgerEntry) -> Result<bool, Error> {
    let added = tx
        .execute(
            sql("INSERT INTO ledger (id, tenant_id, key_id, job_id, at, kind, model, prompt_tokens, completion_tokens, price_percent, \
                     project_id, images, job_seconds) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING")
                .bind(&entry.id)
                .bind(entry.tenant.to_string())
                .bind(entry.key.map(|key| key.to_string()))
                .bind(entry.job.map(|job| job.to_string()))
                .bind(entry.at)
                .bind(&entry.kind)
                .bind(&entry.model)
                .bind(signed(entry.prompt_tokens))
                .bind(signed(entry.completion_tokens))
                .bind(entry.price_percent)
                .bind(&entry.project)
                .bind(signed(entry.images))
                .bind(signed(entry.job_seconds)),
        )
        .await?;
    if added == 0 {
        return Ok(false);
    }
    tx.execute(
        sql("INSERT INTO usage_days (tenant_id, day, key_id, project_id, model, kind, price_percent, requests, prompt_tokens, \
                 completion_tokens, images, job_seconds) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11) \
             ON CONFLICT (tenant_id, day, key_id, project_id, model, kind, price_percent) DO UPDATE SET \
                 requests = usage_days.requests + 1, \
                 prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens, \
                 completion_tokens = usage_days.completion_tokens + excluded.completion_tokens, \
                 images = usage_days.images + excluded.images, \
                 job_seconds = usage_days.job_seconds + excluded.job_seconds")
        .bind(entry.tenant.to_string())
        .bind(day_text(entry.at))
        .bind(entry.key.map(|key| key.to_string()).unwrap_or_default())
        .bind(entry.project.clone().unwrap_or_default())
        .bind(&entry.model)
        .bind(&entry.kind)
        .bind(entry.price_percent)
        .bind(signed(entry.prompt_tokens))
        .bind(signed(entry.completion_tokens))
        .bind(signed(entry.images))
        .bind(signed(entry.job_seconds)),
    )
    .await?;
    Ok(true)
}

/// The day (UTC) of a time in milliseconds since 1970: `2026-01-31`. After Howard Hinnant's `civil_from_days`.
pub(crate) fn day_text(at_ms: i64) -> String {
    let days = at_ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year_of_era + era * 400, month + 3)
    } else {
        (year_of_era + era * 400 + 1, month - 9)
    };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::day_text;

    #[test]
    fn days_of_known_times() {
        for (at, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_798_675_199_999, "2026-12-30"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(day_text(at), day);
        }
    }
}
