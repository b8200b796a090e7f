//! `rixin quotas`: straight on the store, with or without a running server.

use clap::Subcommand;
use rixin_base::{Code, Fault};
use rixin_store::{Measure, NewQuota, Period, Store, Subject};
use serde_json::json;

use crate::{
    context::{Context, by_operator},
    out::{Done, Exit},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin quotas`.
#[derive(Debug, Subcommand)]
pub enum Quotas {
    /// List quotas and what is used of them
    List,
    /// Set a quota; one for the same subject, measure and window gets the new amount and keeps what was used
    Set {
        /// tokens, requests, images, job_seconds, storage_bytes or concurrent_jobs
        #[arg(value_name = "MEASURE")]
        measure: Measure,
        /// How much
        #[arg(value_name = "AMOUNT")]
        amount: u64,
        /// When it renews: minute, hour, day, month (UTC), or standing for storage_bytes and concurrent_jobs
        #[arg(long, value_name = "WINDOW", default_value = "month")]
        per: Period,
        /// Who shares it: tenant, each_key, key or project
        #[arg(long = "for", value_name = "SUBJECT", default_value = "tenant")]
        subject: Subject,
        /// The key's or the project's id
        #[arg(long, value_name = "ID", default_value = "")]
        id: String,
        /// Only job seconds on accelerators of this type; cpu: on none
        #[arg(long, value_name = "TYPE", default_value = "")]
        accelerator: String,
    },
    /// Remove a quota
    Remove {
        /// Its id, as `quotas list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl Quotas {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context, &store).await;
        store.close().await;
        done
    }

    async fn on(self, context: &Context, store: &Store) -> Done {
        let scope = store.operator().default_scope().await?;
        let out = context.out;
        match self {
            Quotas::List => return list(context, store).await,
            Quotas::Set { measure, amount, per, subject, id, accelerator } => {
                // What stands needs no word about when it renews.
                let standing = matches!(measure, Measure::StorageBytes | Measure::ConcurrentJobs);
                let period = if standing && per == Period::Month { Period::Standing } else { per };
                let new = NewQuota { subject, subject_id: id, measure, accelerator, period, amount };
                let quota = by_operator(&scope, store.set_quota(&scope, &new)).await?;
                if out.json {
                    out.document(&quota);
                } else {
                    out.line(&quota.id);
                }
            }
            Quotas::Remove { id } => {
                by_operator(&scope, store.remove_quota(&scope, &id)).await?;
                if out.json {
                    out.document(&json!({ "id": id, "removed": true }));
                } else {
                    out.say(format!("the quota {id} is removed"), format!("配额 {id} 已删除"));
                }
            }
        }
        Ok(Exit::Ok)
    }
}

async fn list(context: &Context, store: &Store) -> Done {
    let scope = store.operator().default_scope().await?;
    let quotas = store.quota_use(&scope, true).await?;
    let out = context.out;
    if out.json {
        out.document(&json!({ "data": quotas }));
        return Ok(Exit::Ok);
    }
    if quotas.is_empty() {
        out.note(
            "there are no quotas: rixin quotas set MEASURE AMOUNT",
            "没有配额：rixin quotas set 计量项 数量",
        );
        return Ok(Exit::Ok);
    }
    let heads = out.lang.pick(
        ["MEASURE", "USED", "AMOUNT", "WINDOW", "RENEWS (UTC)", "FOR", "ID"],
        ["计量项", "已用", "数量", "窗口", "更新时间（UTC）", "对象", "编号"],
    );
    let sides = [Side::Left, Side::Right, Side::Right, Side::Left, Side::Left, Side::Left, Side::Left];
    let columns: Vec<_> = heads.into_iter().zip(sides).collect();
    let mut table = Table::new(&columns);
    for one in &quotas {
        let quota = &one.quota;
        let measure = match quota.accelerator.as_str() {
            "" => quota.measure.as_str().to_owned(),
            accelerator => format!("{} ({accelerator})", quota.measure.as_str()),
        };
        let subject = match quota.subject_id.as_str() {
            "" => quota.subject.as_str().to_owned(),
            id => format!("{} {id}", quota.subject.as_str()),
        };
        // Of each key by itself there is no one figure.
        let used = if quota.subject == Subject::EachKey { "-".into() } else { one.used.to_string() };
        table.row([
            measure,
            used,
            quota.amount.to_string(),
            quota.period.as_str().into(),
            one.renews_at.map(minute).unwrap_or_default(),
            subject,
            quota.id.clone(),
        ]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}

/// A day that somebody typed, or today.
pub(super) fn day_or_today(given: Option<String>) -> Result<String, Fault> {
    match given {
        Some(day) => Ok(day),
        None => minute(rixin_store::now_ms())
            .get(..10)
            .map(str::to_owned)
            .ok_or_else(|| Fault::new(Code::Internal, "the clock tells no day", "时钟无法给出日期")),
    }
}
