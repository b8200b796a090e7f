//! Reports of use: sums by whatever is asked for, and what they cost. Amounts are exact: fractions are summed and rounded once a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope, csv_line,
    db::{Row, sql},
    money::money_text,
    now_ms,
    prices::{Rates, is_day},
    row::count,
};

const DAY_MS: i64 = 86_400_000;
/// What the fraction of an amount is over: a million tokens, a hundred percent.
const PARTS: i128 = 100_000_000;

/// What sums are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// The day (UTC).
    Day,
    /// The month (UTC).
    Month,
    /// The model; of jobs the type of accelerator.
    Model,
    /// The key.
    Key,
    /// The project.
    Project,
    /// `chat`, `completion`, `embedding`, `batch`, `job` ...
    Kind,
}

impl GroupBy {
    const ALL: [(&'static str, GroupBy); 6] = [
        ("day", Self::Day),
        ("month", Self::Month),
        ("model", Self::Model),
        ("key", Self::Key),
        ("project", Self::Project),
        ("kind", Self::Kind),
    ];

    /// Reads `day,model`; `all` is one sum of everything.
    ///
    /// # Errors
    /// A word that is none of them.
    pub fn list(text: &str) -> Result<Vec<Self>, Error> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "all");
        words
            .map(|word| Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, one)| *one))
            .collect::<Option<Vec<_>>>()
            .ok_or(Error::Invalid {
                param: "by",
                en: "sums are by day, month, model, key, project and kind, with commas between them, or all",
                zh: "可按 day、month、model、key、project、kind 汇总，以逗号分隔；all 表示总计",
            })
    }
}

/// Which use.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// What sums are made by.
    pub by: Vec<GroupBy>,
    /// The first day, such as `2026-01-31`; absent: `days` back.
    pub from: Option<String>,
    /// The last day; absent: today.
    pub to: Option<String>,
    /// So many days back, today among them, where `from` is absent.
    pub days: u32,
    /// Of the whole tenant, and not of the scope's key alone.
    pub everyone: bool,
}

/// What it costs in a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// The currency.
    pub currency: String,
    /// The amount, exact to a millionth.
    pub amount: String,
}

/// One sum. What it was not made by is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageSum {
    /// The day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The month, such as `2026-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The key; empty where it was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The project; empty where it was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// What kind of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Requests answered.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Images made.
    pub images: u64,
    /// Seconds of jobs, times their accelerators.
    pub job_seconds: u64,
    /// What it costs, by currency.
    pub costs: Vec<Cost>,
    /// Whether some of it has no price.
    pub unpriced: bool,
}

#[derive(Default)]
struct Sum {
    line: UsageSum,
    costs: BTreeMap<String, i128>,
}

/// The price of a model on a day.
fn rate<'a>(rates: &'a [Rates], model: &str, day: &str) -> Option<&'a Rates> {
    let latest = |model: &str| {
        let fits = |rates: &&Rates| rates.model == model && rates.valid_from.as_str() <= day;
        rates.iter().filter(fits).max_by(|a, b| a.valid_from.cmp(&b.valid_from))
    };
    latest(model).or_else(|| latest("*"))
}

impl Sum {
    fn add(&mut self, row: &Row, rates: &[Rates]) -> Result<(), sqlx::Error> {
        let (day, model): (String, String) = (row.try_get("day")?, row.try_get("model")?);
        let percent = i128::from(row.try_get::<i64>("price_percent")?);
        let of = |column| count(row, column);
        let (prompt, completion) = (of("prompt_tokens")?, of("completion_tokens")?);
        let (images, seconds) = (of("images")?, of("job_seconds")?);
        let line = &mut self.line;
        line.requests += of("requests")?;
        line.prompt_tokens += prompt;
        line.completion_tokens += completion;
        line.images += images;
        line.job_seconds += seconds;
        match rate(rates, &model, &day) {
            None => line.unpriced = true,
            Some(rates) => {
                let tokens = i128::from(prompt) * i128::from(rates.prompt)
                    + i128::from(completion) * i128::from(rates.completion);
                let whole = i128::from(images) * i128::from(rates.image)
                    + i128::from(seconds) * i128::from(rates.job_second);
                let cost = (tokens + whole * 1_000_000) * percent;
                *self.costs.entry(rates.currency.clone()).or_default() += cost;
            }
        }
        Ok(())
    }

    fn line(self) -> UsageSum {
        let rounded = |parts: i128| (parts + PARTS / 2).div_euclid(PARTS);
        let costs = self.costs.into_iter();
        let costs =
            costs.map(|(currency, parts)| Cost { currency, amount: money_text(rounded(parts)) }).collect();
        UsageSum { costs, ..self.line }
    }
}

impl Store {
    /// Sums of use, by what is asked for, the latest first. What is still in memory is not in them: see [`Store::flush`].
    ///
    /// # Errors
    /// A day that is none.
    pub async fn usage_report(
        &self,
        scope: &TenantScope,
        query: &UsageQuery,
    ) -> Result<Vec<UsageSum>, Error> {
        for (param, day) in [("from", &query.from), ("to", &query.to)] {
            if day.as_ref().is_some_and(|day| !is_day(day)) {
                return Err(Error::Invalid {
                    param,
                    en: "a day such as 2026-01-31",
                    zh: "日期，例如 2026-01-31",
                });
            }
        }
        let back = DAY_MS * (i64::from(query.days.clamp(1, 3660)) - 1);
        let from = query.from.clone().unwrap_or_else(|| crate::ledger::day_text(now_ms() - back));
        let by = |one: GroupBy| query.by.contains(&one);
        // The day, the model and the percentage decide the price, so that these are always apart.
        let columns = match (by(GroupBy::Key), by(GroupBy::Project), by(GroupBy::Kind)) {
            (false, false, false) => "day, model, price_percent",
            (true, false, false) => "day, model, price_percent, key_id",
            (false, true, false) => "day, model, price_percent, project_id",
            (false, false, true) => "day, model, price_percent, kind",
            (true, true, false) => "day, model, price_percent, key_id, project_id",
            (true, false, true) => "day, model, price_percent, key_id, kind",
            (false, true, true) => "day, model, price_percent, project_id, kind",
            (true, true, true) => "day, model, price_percent, key_id, project_id, kind",
        };
        let mut list = sql("SELECT ");
        list.push(columns).push(
            ", CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens, \
             CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens, CAST(SUM(images) AS BIGINT) AS images, \
             CAST(SUM(job_seconds) AS BIGINT) AS job_seconds FROM usage_days WHERE tenant_id = ",
        );
        list.push_bind(scope.tenant_text());
        list.push(" AND day >= ").push_bind(from);
        if let Some(to) = &query.to {
            list.push(" AND day <= ").push_bind(to);
        }
        if let Some(key) = scope.key_text().filter(|_| !query.everyone) {
            list.push(" AND key_id = ").push_bind(key);
        }
        list.push(" GROUP BY ").push(columns);
        let rates = self.rates(scope).await?;
        let mut sums: BTreeMap<[String; 6], Sum> = BTreeMap::new();
        for row in self.db().fetch_all(list).await? {
            let read = |row: &Row| {
                let column = |name: &str, wanted: bool| match wanted {
                    true => row.try_get::<String>(name).map(Some),
                    false => Ok(None),
                };
                let day: String = row.try_get("day")?;
                let month = by(GroupBy::Month).then(|| day.chars().take(7).collect::<String>());
                let line = UsageSum {
                    day: by(GroupBy::Day).then_some(day),
                    month,
                    model: column("model", by(GroupBy::Model))?,
                    key_id: column("key_id", by(GroupBy::Key))?,
                    project_id: column("project_id", by(GroupBy::Project))?,
                    kind: column("kind", by(GroupBy::Kind))?,
                    ..UsageSum::default()
                };
                let name = [&line.month, &line.day, &line.key_id, &line.project_id, &line.model, &line.kind]
                    .map(|part| part.clone().unwrap_or_default());
                sums.entry(name).or_insert_with(|| Sum { line, ..Sum::default() }).add(row, &rates)
            };
            let mut read = read;
            read(&row).map_err(|error| self.db().failed(error))?;
        }
        let mut lines: Vec<UsageSum> = sums.into_values().map(Sum::line).collect();
        lines.sort_by(|a, b| (&b.month, &b.day).cmp(&(&a.month, &a.day)));
        Ok(lines)
    }
}

/// The report as RFC 4180 text; a currency has a line of its own where there are several.
pub fn usage_csv(by: &[GroupBy], lines: &[UsageSum]) -> String {
    let name =
        |one: &GroupBy| GroupBy::ALL.iter().find(|(_, other)| other == one).map_or("", |(name, _)| *name);
    let mut heads: Vec<&str> = by.iter().map(name).collect();
    heads.extend([
        "requests",
        "prompt_tokens",
        "completion_tokens",
        "images",
        "job_seconds",
        "currency",
        "cost",
        "unpriced",
    ]);
    let mut text = csv_line(heads);
    for line in lines {
        let none = [Cost { currency: String::new(), amount: String::new() }];
        let costs = if line.costs.is_empty() { &none[..] } else { &line.costs[..] };
        for (at, cost) in costs.iter().enumerate() {
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
            // Figures once, so that a column's sum is right.
            let figures =
                [line.requests, line.prompt_tokens, line.completion_tokens, line.images, line.job_seconds];
            cells.extend(figures.map(|figure| if at == 0 { figure.to_string() } else { "0".into() }));
            cells.extend([cost.currency.clone(), cost.amount.clone(), line.unpriced.to_string()]);
            text.push_str(&csv_line(cells));
        }
    }
    text
}
