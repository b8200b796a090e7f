//! `rixin usage` and `rixin prices`: straight on the store, with or without a running server.

use clap::{Args, Subcommand};
use rixin_store::{GroupBy, Price, Store, UsageQuery, usage_csv};
use serde_json::json;

use super::quotas::day_or_today;
use crate::{
    context::{Context, by_operator},
    out::{Done, Exit},
    table::{Side, Table},
};

/// What was used and what it costs.
#[derive(Args, Debug)]
pub struct Usage {
    /// What sums are made by: some of day, month, model, key, project, kind, with commas
    #[arg(long, value_name = "WORDS", default_value = "model")]
    by: String,
    /// So many days back, today among them
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u32,
    /// The first day, such as 2026-01-31 (UTC)
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// A table for a spreadsheet
    #[arg(long)]
    csv: bool,
}

impl Usage {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let by = GroupBy::list(&self.by)?;
        let store = Store::open_settings(context.settings()).await?;
        let scope = store.operator().default_scope().await?;
        let query =
            UsageQuery { by: by.clone(), from: self.from, to: self.to, days: self.days, everyone: true };
        let lines = store.usage_report(&scope, &query).await;
        store.close().await;
        let (lines, out) = (lines?, context.out);
        if out.json {
            out.document(&json!({ "data": lines }));
            return Ok(Exit::Ok);
        }
        if self.csv {
            out.raw(&usage_csv(&by, &lines));
            return Ok(Exit::Ok);
        }
        if lines.is_empty() {
            out.note("nothing was used in this time", "这段时间内没有用量");
            return Ok(Exit::Ok);
        }
        let name = |one: &GroupBy| match one {
            GroupBy::Day => out.lang.pick("DAY", "日期"),
            GroupBy::Month => out.lang.pick("MONTH", "月份"),
            GroupBy::Model => out.lang.pick("MODEL", "模型"),
            GroupBy::Key => out.lang.pick("KEY", "密钥"),
            GroupBy::Project => out.lang.pick("PROJECT", "项目"),
            GroupBy::Kind => out.lang.pick("KIND", "种类"),
        };
        let mut columns: Vec<(&str, Side)> = by.iter().map(|one| (name(one), Side::Left)).collect();
        let figures = out.lang.pick(
            ["REQUESTS", "PROMPT", "ANSWER", "IMAGES", "JOB SECONDS", "COST"],
            ["请求", "提示词元", "回答词元", "图像", "任务秒", "费用"],
        );
        columns.extend(figures.map(|figure| (figure, Side::Right)));
        let mut table = Table::new(&columns);
        for line in &lines {
            let mut cells: Vec<String> = by
                .iter()
                .map(|one| {
                    let cell = match one {
                        GroupBy::Day => &line.day,
                        GroupBy::Month => &line.month,
                        GroupBy::Model => &line.model,
                        GroupBy::Key => &line.key_id,
                        GroupBy::Project => &line.project_id,
                        GroupBy::Kind => &line.kind,
                    };
                    cell.clone().unwrap_or_default()
                })
                .collect();
            let numbers =
                [line.requests, line.prompt_tokens, line.completion_tokens, line.images, line.job_seconds];
            cells.extend(numbers.map(|number| number.to_string()));
            let costs: Vec<_> =
                line.costs.iter().map(|cost| format!("{} {}", cost.amount, cost.currency)).collect();
            // A sum that leaves something out must not look whole.
            cells.push(if line.unpriced {
                format!("{} +?", costs.join(" + ")).trim().to_owned()
            } else {
                costs.join(" + ")
            });
            table.row(cells);
        }
        out.raw(&table.render(None));
        Ok(Exit::Ok)
    }
}

/// The commands under `rixin prices`.
#[derive(Debug, Subcommand)]
pub enum Prices {
    /// List the prices
    List,
    /// Set the price of a model from a day on
    Set {
        /// The model; for job seconds the type of accelerator or cpu; * for whatever has no price
        #[arg(value_name = "MODEL")]
        model: String,
        /// The currency, such as CNY
        #[arg(long, value_name = "CURRENCY")]
        currency: String,
        /// For a million prompt tokens, such as 0.15
        #[arg(long, value_name = "PRICE", default_value = "0")]
        prompt: String,
        /// For a million answer tokens
        #[arg(long, value_name = "PRICE", default_value = "0")]
        completion: String,
        /// For an image
        #[arg(long, value_name = "PRICE", default_value = "0")]
        image: String,
        /// For a second of a job
        #[arg(long, value_name = "PRICE", default_value = "0")]
        job_second: String,
        /// The day from which it counts, such as 2026-01-31 (UTC); today if absent
        #[arg(long, value_name = "DAY")]
        valid_from: Option<String>,
    },
    /// Remove a price
    Remove {
        /// The model
        #[arg(value_name = "MODEL")]
        model: String,
        /// The day from which it counts
        #[arg(value_name = "DAY")]
        valid_from: String,
    },
}

impl Prices {
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
            Prices::List => {
                let prices = store.prices(&scope).await?;
                if out.json {
                    out.document(&json!({ "data": prices }));
                    return Ok(Exit::Ok);
                }
                let heads = out.lang.pick(
                    ["MODEL", "FROM (UTC)", "CURRENCY", "PROMPT/M", "ANSWER/M", "IMAGE", "JOB SECOND"],
                    ["模型", "生效日（UTC）", "货币", "提示/百万", "回答/百万", "每张图像", "任务每秒"],
                );
                let sides =
                    [Side::Left, Side::Left, Side::Left, Side::Right, Side::Right, Side::Right, Side::Right];
                let columns: Vec<_> = heads.into_iter().zip(sides).collect();
                let mut table = Table::new(&columns);
                for price in prices {
                    let Price { model, valid_from, currency, prompt, completion, image, job_second } = price;
                    table.row([model, valid_from, currency, prompt, completion, image, job_second]);
                }
                out.raw(&table.render(None));
            }
            Prices::Set { model, currency, prompt, completion, image, job_second, valid_from } => {
                let valid_from = day_or_today(valid_from)?;
                let price = Price { model, valid_from, currency, prompt, completion, image, job_second };
                by_operator(&scope, store.set_price(&scope, &price)).await?;
                if out.json {
                    out.document(&price);
                } else {
                    out.say(
                        format!("the price of {} counts from {} on", price.model, price.valid_from),
                        format!("{} 的价格自 {} 起生效", price.model, price.valid_from),
                    );
                }
            }
            Prices::Remove { model, valid_from } => {
                by_operator(&scope, store.remove_price(&scope, &model, &valid_from)).await?;
                if out.json {
                    out.document(&json!({ "model": model, "valid_from": valid_from, "removed": true }));
                } else {
                    out.say(format!("the price of {model} is removed"), format!("{model} 的价格已删除"));
                }
            }
        }
        Ok(Exit::Ok)
    }
}
