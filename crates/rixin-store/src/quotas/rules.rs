//! Setting, listing and removing quotas.

use super::{Exceeded, Holder, Limit, Measure, NewQuota, Period, Quota, QuotaUse, Subject, window};
use crate::{
    Error, Store, TenantScope, audit,
    db::{Row, Sql, Tx, sql},
    now_ms,
    row::{count, word},
};

const COLUMNS: &str = "id, subject, subject_id, measure, accelerator, period, amount, created_at";

pub(super) fn quota_of(row: &Row) -> Result<Quota, sqlx::Error> {
    Ok(Quota {
        id: row.try_get("id")?,
        subject: word(row, "subject", Subject::from_word)?,
        subject_id: row.try_get("subject_id")?,
        measure: word(row, "measure", Measure::from_word)?,
        accelerator: row.try_get("accelerator")?,
        period: word(row, "period", Period::from_word)?,
        amount: count(row, "amount")?,
        created_at: row.try_get("created_at")?,
    })
}

pub(super) fn of_tenant(tenant: &str) -> Sql {
    let mut list = sql("SELECT ");
    list.push(COLUMNS).push(" FROM quotas WHERE tenant_id = ").push_bind(tenant);
    list.push(" ORDER BY subject, subject_id, measure, accelerator, period");
    list
}

/// What gateways keep of the quotas in memory is out of date.
async fn changed(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(sql("UPDATE epochs SET value = value + 1 WHERE name = 'quotas'")).await.map(drop)
}

impl NewQuota {
    fn check(&self) -> Result<(), Error> {
        let wrong = |param, en, zh| Err(Error::Invalid { param, en, zh });
        let standing = matches!(self.measure, Measure::StorageBytes | Measure::ConcurrentJobs);
        if standing != (self.period == Period::Standing) {
            return wrong(
                "period",
                "storage_bytes and concurrent_jobs are standing, everything else has a minute, an hour, a day or a month",
                "storage_bytes 与 concurrent_jobs 为 standing，其余为 minute、hour、day 或 month",
            );
        }
        if matches!(self.subject, Subject::Project | Subject::Key) == self.subject_id.is_empty() {
            return wrong(
                "subject_id",
                "a project's or a key's quota names it by its id, and others name nothing",
                "项目或密钥的配额须给出其编号，其他配额不填",
            );
        }
        if self.subject_id.len() > 100 || self.accelerator.len() > 100 {
            return wrong("subject_id", "it is over 100 bytes", "超过 100 字节");
        }
        if !self.accelerator.is_empty() && self.measure != Measure::JobSeconds {
            return wrong(
                "accelerator",
                "only job_seconds are counted by accelerator",
                "只有 job_seconds 按加速卡类型计量",
            );
        }
        if i64::try_from(self.amount).is_err() {
            return wrong("amount", "it is over 9223372036854775807", "超过 9223372036854775807");
        }
        Ok(())
    }
}

impl Store {
    /// The quotas of a tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn quotas(&self, scope: &TenantScope) -> Result<Vec<Quota>, Error> {
        let rows = self.db().fetch_all(of_tenant(&scope.tenant_text())).await?;
        self.db().all(&rows, quota_of)
    }

    /// Sets a quota: the one that there is for the same subject, measure and window gets the new amount and keeps what was used.
    ///
    /// # Errors
    /// It makes no sense, or its key is not of the tenant.
    pub async fn set_quota(&self, scope: &TenantScope, new: &NewQuota) -> Result<Quota, Error> {
        new.check()?;
        let mut tx = self.db().write().await?;
        if new.subject == Subject::Key {
            let there: bool = tx
                .scalar(
                    sql("SELECT EXISTS (SELECT 1 FROM keys WHERE tenant_id = $1 AND id = $2)")
                        .bind(scope.tenant_text())
                        .bind(&new.subject_id),
                )
                .await?;
            if !there {
                return Err(Error::not_found("key", "密钥", &new.subject_id));
            }
        }
        let row = tx
            .fetch_one(
                sql("INSERT INTO quotas (id, tenant_id, subject, subject_id, measure, accelerator, period, amount, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                     ON CONFLICT (tenant_id, subject, subject_id, measure, accelerator, period) DO UPDATE SET amount = excluded.amount \
                     RETURNING id, subject, subject_id, measure, accelerator, period, amount, created_at")
                    .bind(format!("quota_{}", uuid::Uuid::now_v7().simple()))
                    .bind(scope.tenant_text())
                    .bind(new.subject.as_str())
                    .bind(&new.subject_id)
                    .bind(new.measure.as_str())
                    .bind(&new.accelerator)
                    .bind(new.period.as_str())
                    .bind(i64::try_from(new.amount).unwrap_or(i64::MAX))
                    .bind(now_ms()),
            )
            .await?;
        let quota = tx.read(quota_of(&row))?;
        changed(&mut tx).await?;
        let told = serde_json::to_value(&quota).unwrap_or_default();
        audit::noted(&mut tx, "quota.set", &quota.id, told).await?.commit(tx).await?;
        self.inner.gate.forget();
        Ok(quota)
    }

    /// Removes a quota: what it limited is free.
    ///
    /// # Errors
    /// There is none with this id in the tenant.
    pub async fn remove_quota(&self, scope: &TenantScope, id: &str) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let gone = sql("DELETE FROM quotas WHERE tenant_id = $1 AND id = $2");
        if tx.execute(gone.bind(scope.tenant_text()).bind(id)).await? == 0 {
            return Err(Error::not_found("quota", "配额", id));
        }
        changed(&mut tx).await?;
        audit::noted(&mut tx, "quota.remove", id, serde_json::Value::Null).await?.commit(tx).await?;
        self.inner.gate.forget();
        Ok(())
    }

    /// The quotas that a scope sees, with what is used: all of the tenant for the whole tenant, else those that are about the key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn quota_use(&self, scope: &TenantScope, everyone: bool) -> Result<Vec<QuotaUse>, Error> {
        let now = now_ms();
        let asker = Holder::new(scope, None);
        let mut all = Vec::new();
        for quota in self.quotas(scope).await? {
            let holder = asker.of(&quota);
            if !everyone && holder.is_none() {
                continue;
            }
            let holder = match quota.subject {
                Subject::Key | Subject::Project => Some(quota.subject_id.clone()),
                _ => holder,
            };
            let (starts, ends) = window::of(quota.period, now);
            let used = match (&holder, quota.measure) {
                (None, _) => 0,
                (Some(_), Measure::StorageBytes | Measure::ConcurrentJobs | Measure::JobSeconds) => {
                    self.room_used(scope, &quota, holder.as_deref().unwrap_or_default(), starts).await?
                }
                (Some(holder), _) => self.counted(&quota.id, holder, starts).await?,
            };
            let renews_at = (quota.period != Period::Standing).then_some(ends);
            all.push(QuotaUse { quota, used, renews_at });
        }
        Ok(all)
    }

    /// What all gateways have claimed, less what this one holds of it unspent.
    async fn counted(&self, id: &str, holder: &str, starts: i64) -> Result<u64, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql("SELECT used FROM quota_use WHERE quota_id = $1 AND holder = $2 AND starts = $3")
                    .bind(id)
                    .bind(holder)
                    .bind(starts),
            )
            .await?;
        let claimed: i64 = match row {
            Some(row) => row.at(0).map_err(|error| self.db().failed(error))?,
            None => 0,
        };
        let unspent = self.inner.gate.unspent(id, holder, starts);
        Ok(u64::try_from(claimed - unspent).unwrap_or(0))
    }
}

impl Exceeded {
    /// Whether waiting helps.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.renews_at.and_then(|at| u64::try_from(at - now_ms()).ok())
    }

    /// As headers tell of it.
    pub fn limit(&self) -> Option<Limit> {
        let renews_at = self.renews_at?;
        let left = self.quota.amount.saturating_sub(self.used);
        Some(Limit { measure: self.quota.measure, amount: self.quota.amount, left, renews_at })
    }

    /// For a person, in English and Chinese.
    pub fn message(&self) -> (String, String) {
        let Quota { subject, measure, accelerator, period, amount, .. } = &self.quota;
        let (who, who_zh) = match subject {
            Subject::Tenant => ("the organisation", "本组织"),
            Subject::Project => ("the project", "该项目"),
            Subject::Key | Subject::EachKey => ("this key", "该密钥"),
        };
        let (what, what_zh) = match measure {
            Measure::Tokens => ("tokens", "词元"),
            Measure::Requests => ("requests", "个请求"),
            Measure::Images => ("images", "张图像"),
            Measure::JobSeconds => ("job seconds", "任务秒"),
            Measure::StorageBytes => ("bytes of files", "字节文件"),
            Measure::ConcurrentJobs => ("jobs that are not over", "个未结束的任务"),
        };
        let on = if accelerator.is_empty() { String::new() } else { format!(" on {accelerator}") };
        let (every, every_zh) = match period {
            Period::Minute => (" a minute", "每分钟"),
            Period::Hour => (" an hour", "每小时"),
            Period::Day => (" a day", "每天"),
            Period::Month => (" a month", "每月"),
            Period::Standing => ("", ""),
        };
        let (used, wanted) = (self.used, self.wanted);
        let (then, then_zh) = match self.renews_at {
            Some(at) => {
                let at = time_text(at);
                (format!("it renews at {at}"), format!("将于 {at} 更新"))
            }
            None if *measure == Measure::StorageBytes => (
                "remove files, or ask an administrator for more".into(),
                "请删除文件，或请管理员提高配额".into(),
            ),
            None if *measure == Measure::ConcurrentJobs => (
                "wait until one is over, or ask an administrator for more".into(),
                "请等待任务结束，或请管理员提高配额".into(),
            ),
            None => (
                "this is more than the quota ever allows: ask for less, or an administrator for more".into(),
                "超过该配额的总量：请减小请求，或请管理员提高配额".into(),
            ),
        };
        (
            format!(
                "{who} may use {amount} {what}{on}{every}; {used} are used and this needs {wanted}: {then}"
            ),
            format!(
                "{who_zh}{every_zh}可用 {amount} {what_zh}{on}；已用 {used}，本次需要 {wanted}：{then_zh}"
            ),
        )
    }
}

/// `2026-01-31 23:59:00 UTC`.
fn time_text(at: i64) -> String {
    let second = at.rem_euclid(86_400_000) / 1000;
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("{} {hours:02}:{minutes:02}:{seconds:02} UTC", crate::ledger::day_text(at))
}
