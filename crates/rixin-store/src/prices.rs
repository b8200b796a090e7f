//! What use is charged at, for billing inside an organisation: by model, from a day (UTC) on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope, audit,
    db::{Row, sql},
    money::{money_text, parse_money},
};

/// A price. All amounts are text such as `0.15`, exact to a millionth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The model; for seconds of jobs the type of accelerator, or `cpu`; `*` for everything that has no price of its own.
    pub model: String,
    /// The day from which it counts, such as `2026-01-31` (UTC).
    pub valid_from: String,
    /// The currency, such as `CNY`.
    pub currency: String,
    /// For a million prompt tokens.
    #[serde(default = "zero")]
    pub prompt: String,
    /// For a million answer tokens.
    #[serde(default = "zero")]
    pub completion: String,
    /// For an image.
    #[serde(default = "zero")]
    pub image: String,
    /// For a second of a job.
    #[serde(default = "zero")]
    pub job_second: String,
}

fn zero() -> String {
    "0.00".into()
}

/// The same in millionths.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub model: String,
    pub valid_from: String,
    pub currency: String,
    pub prompt: i64,
    pub completion: i64,
    pub image: i64,
    pub job_second: i64,
}

fn rates_of(row: &Row) -> Result<Rates, sqlx::Error> {
    Ok(Rates {
        model: row.try_get("model")?,
        valid_from: row.try_get("valid_from")?,
        currency: row.try_get("currency")?,
        prompt: row.try_get("prompt")?,
        completion: row.try_get("completion")?,
        image: row.try_get("image")?,
        job_second: row.try_get("job_second")?,
    })
}

/// Whether a text is a day that there is.
pub(crate) fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() });
    if !shape {
        return false;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap_or(0);
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

impl Price {
    fn check(&self) -> Result<Rates, Error> {
        let wrong = |param, en, zh| Err(Error::Invalid { param, en, zh });
        let plain = |text: &str, most: usize| {
            !text.is_empty()
                && text.len() <= most
                && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        if !plain(&self.model, 200) {
            return wrong(
                "model",
                "a model's name, or *: 1 to 200 bytes without spaces",
                "模型名称或 *：1 到 200 字节，不含空格",
            );
        }
        if !plain(&self.currency, 16) {
            return wrong(
                "currency",
                "a currency such as CNY: 1 to 16 bytes without spaces",
                "货币，例如 CNY：1 到 16 字节，不含空格",
            );
        }
        if !is_day(&self.valid_from) {
            return wrong("valid_from", "a day such as 2026-01-31", "日期，例如 2026-01-31");
        }
        Ok(Rates {
            model: self.model.clone(),
            valid_from: self.valid_from.clone(),
            currency: self.currency.clone(),
            prompt: parse_money("prompt", &self.prompt)?,
            completion: parse_money("completion", &self.completion)?,
            image: parse_money("image", &self.image)?,
            job_second: parse_money("job_second", &self.job_second)?,
        })
    }
}

impl Store {
    pub(crate) async fn rates(&self, scope: &TenantScope) -> Result<Vec<Rates>, Error> {
        let list =
            sql("SELECT model, valid_from, currency, prompt, completion, image, job_second FROM prices \
             WHERE tenant_id = $1 ORDER BY model, valid_from");
        let rows = self.db().fetch_all(list.bind(scope.tenant_text())).await?;
        self.db().all(&rows, rates_of)
    }

    /// The price list, by model and day.
    ///
    /// # Errors
    /// The database failed.
    pub async fn prices(&self, scope: &TenantScope) -> Result<Vec<Price>, Error> {
        let text = |micros: i64| money_text(micros.into());
        let shown = |rates: Rates| Price {
            prompt: text(rates.prompt),
            completion: text(rates.completion),
            image: text(rates.image),
            job_second: text(rates.job_second),
            model: rates.model,
            valid_from: rates.valid_from,
            currency: rates.currency,
        };
        Ok(self.rates(scope).await?.into_iter().map(shown).collect())
    }

    /// Sets the price of a model from a day on. Reports of days after it change with it, those before do not.
    ///
    /// # Errors
    /// Something of it is no price.
    pub async fn set_price(&self, scope: &TenantScope, price: &Price) -> Result<(), Error> {
        let rates = price.check()?;
        let mut tx = self.db().write().await?;
        tx.execute(
            sql("INSERT INTO prices (tenant_id, model, valid_from, currency, prompt, completion, image, job_second) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant_id, model, valid_from) DO UPDATE SET \
                 currency = excluded.currency, prompt = excluded.prompt, completion = excluded.completion, \
                 image = excluded.image, job_second = excluded.job_second")
                .bind(scope.tenant_text())
                .bind(rates.model)
                .bind(rates.valid_from)
                .bind(rates.currency)
                .bind(rates.prompt)
                .bind(rates.completion)
                .bind(rates.image)
                .bind(rates.job_second),
        )
        .await?;
        let told = serde_json::to_value(price).unwrap_or_default();
        audit::noted(&mut tx, "price.set", &price.model, told).await?.commit(tx).await
    }

    /// Removes a price.
    ///
    /// # Errors
    /// There is none of that model and day.
    pub async fn remove_price(
        &self,
        scope: &TenantScope,
        model: &str,
        valid_from: &str,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let gone = sql("DELETE FROM prices WHERE tenant_id = $1 AND model = $2 AND valid_from = $3");
        if tx.execute(gone.bind(scope.tenant_text()).bind(model).bind(valid_from)).await? == 0 {
            return Err(Error::not_found("price", "价格", format!("{model} {valid_from}")));
        }
        let told = serde_json::json!({ "valid_from": valid_from });
        audit::noted(&mut tx, "price.remove", model, told).await?.commit(tx).await
    }
}

#[cfg(test)]
mod tests {
    use super::is_day;

    #[test]
    fn days_that_there_are() {
        for good in ["2026-01-31", "2024-02-29", "2000-02-29", "1970-12-01"] {
            assert!(is_day(good), "{good}");
        }
        for bad in [
            "",
            "2026-1-31",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-01-00",
            "２０２６-01-01",
        ] {
            assert!(!is_day(bad), "{bad}");
        }
    }
}
