//! What is decided in the transaction that adds to it: storage, jobs at a time, job seconds. Deciders of a tenant take turns at its row.

use super::{Exceeded, Holder, Measure, Period, Quota, Subject, rules, window};
use crate::{
    Accelerators, Error, Resources, Store, TenantScope,
    db::{Sql, Tx, sql},
    keys::lock_tenant,
    now_ms,
};

/// The statement that measures what is used of a quota.
fn measure(scope: &TenantScope, quota: &Quota, holder: &str, starts: i64) -> Sql {
    let mut sum = sql(match quota.measure {
        Measure::StorageBytes => {
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM files WHERE tenant_id = "
        }
        Measure::ConcurrentJobs => {
            "SELECT COUNT(*) FROM jobs WHERE state IN ('blocked', 'queued', 'starting', 'running') AND tenant_id = "
        }
        _ => {
            "SELECT CAST(COALESCE(SUM(job_seconds), 0) AS BIGINT) FROM ledger WHERE job_seconds > 0 AND tenant_id = "
        }
    });
    sum.push_bind(scope.tenant_text());
    if matches!(quota.subject, Subject::Key | Subject::EachKey) {
        sum.push(" AND key_id = ").push_bind(holder);
    }
    if quota.measure == Measure::JobSeconds {
        sum.push(" AND at >= ").push_bind(starts);
        if quota.subject == Subject::Project {
            sum.push(" AND project_id = ").push_bind(holder);
        }
        if !quota.accelerator.is_empty() {
            sum.push(" AND model = ").push_bind(&quota.accelerator);
        }
    }
    sum
}

async fn check(
    tx: &mut Tx,
    scope: &TenantScope,
    project: Option<String>,
    wanted: impl Fn(&Quota) -> Option<u64>,
) -> Result<(), Error> {
    let rows = tx.fetch_all(rules::of_tenant(&scope.tenant_text())).await?;
    let holder = Holder::new(scope, project);
    let mut locked = false;
    for row in &rows {
        let quota = tx.read(rules::quota_of(row))?;
        let (Some(wanted), Some(holder)) = (wanted(&quota), holder.of(&quota)) else { continue };
        if !locked {
            lock_tenant(tx, scope).await?;
            locked = true;
        }
        let (starts, ends) = window::of(quota.period, now_ms());
        let used: i64 = tx.scalar(measure(scope, &quota, &holder, starts)).await?;
        let used = u64::try_from(used).unwrap_or(0);
        if used.saturating_add(wanted) > quota.amount {
            let renews_at = (quota.period != Period::Standing && wanted <= quota.amount).then_some(ends);
            return Err(Error::Quota(Box::new(Exceeded { quota, used, wanted, renews_at })));
        }
    }
    Ok(())
}

/// Whether a job may be added: one more that is not over, and its seconds. A job without a time limit needs one second that is left:
/// how long it takes is known afterwards.
pub(crate) async fn check_job(tx: &mut Tx, scope: &TenantScope, resources: &Resources) -> Result<(), Error> {
    let each = resources.time_limit_secs.unwrap_or(1).max(1);
    let counted = counted_as(resources);
    check(tx, scope, None, |quota| match quota.measure {
        Measure::ConcurrentJobs => Some(1),
        Measure::JobSeconds => {
            let about =
                |(kind, _): &&(String, u64)| quota.accelerator.is_empty() || quota.accelerator == *kind;
            let counts: u64 = counted.iter().filter(about).map(|(_, count)| count).sum();
            (counts > 0).then(|| each.saturating_mul(counts))
        }
        _ => None,
    })
    .await
}

/// What an attempt is counted as: for each type of accelerator how many, or one processor.
pub(crate) fn counted_as(resources: &Resources) -> Vec<(String, u64)> {
    let name = |wanted: &Accelerators| wanted.model.clone().unwrap_or_else(|| wanted.family.clone());
    let all: Vec<_> =
        resources.accelerators.iter().map(|wanted| (name(wanted), u64::from(wanted.count))).collect();
    if all.is_empty() { vec![("cpu".into(), 1)] } else { all }
}

/// Whether a file may be added.
pub(crate) async fn check_file(tx: &mut Tx, scope: &TenantScope, bytes: u64) -> Result<(), Error> {
    check(tx, scope, None, |quota| (quota.measure == Measure::StorageBytes).then_some(bytes)).await
}

impl Store {
    /// Whether there is room for a file of so many bytes; asked before it is read, and decided when it is added.
    ///
    /// # Errors
    /// [`Error::Quota`]: there is not.
    pub async fn check_storage(&self, scope: &TenantScope, bytes: u64) -> Result<(), Error> {
        let asker = Holder::new(scope, None);
        for quota in self.quotas(scope).await? {
            let (true, Some(holder)) = (quota.measure == Measure::StorageBytes, asker.of(&quota)) else {
                continue;
            };
            let used = self.room_used(scope, &quota, &holder, 0).await?;
            if used.saturating_add(bytes) > quota.amount {
                return Err(Error::Quota(Box::new(Exceeded { quota, used, wanted: bytes, renews_at: None })));
            }
        }
        Ok(())
    }

    pub(super) async fn room_used(
        &self,
        scope: &TenantScope,
        quota: &Quota,
        holder: &str,
        starts: i64,
    ) -> Result<u64, Error> {
        let used: i64 = self.db().scalar(measure(scope, quota, holder, starts)).await?;
        Ok(u64::try_from(used).unwrap_or(0))
    }
}
