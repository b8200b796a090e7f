//! Prices and reports, to the last millionth.

use rixin_store::{
    Error, GroupBy, LedgerEntry, Price, Role, Store, TenantScope, UsageQuery, UsageSum, usage_csv,
};

use crate::{on_both, scope_of, support::Database, took};

on_both! {
    sums_are_by_what_is_asked_for_and_cost_what_the_list_says
    a_member_sees_its_own_and_another_tenant_nothing
    prices_are_checked
}

fn price(model: &str, valid_from: &str, prompt: &str, completion: &str) -> Price {
    Price {
        model: model.into(),
        valid_from: valid_from.into(),
        currency: "CNY".into(),
        prompt: prompt.into(),
        completion: completion.into(),
        image: "0.5".into(),
        job_second: "0.000001".into(),
    }
}

fn by(words: &str) -> UsageQuery {
    UsageQuery {
        by: GroupBy::list(words).expect("words"),
        from: Some("2026-01-01".into()),
        to: None,
        days: 1,
        everyone: true,
    }
}

/// 2026-01-31T00:00:00Z and days after it.
fn day(after: i64) -> i64 {
    1_769_817_600_000 + after * 86_400_000
}

async fn filled(database: &Database) -> (Store, TenantScope, TenantScope) {
    let store = database.open().await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let other = store.create_key(&scope, "other", Role::Member).await.expect("key");
    let other = scope_of(&store, &other.secret).await;
    store.set_price(&scope, &price("big", "2026-01-01", "3", "15")).await.expect("set");
    store.set_price(&scope, &price("big", "2026-02-01", "0.333333", "1")).await.expect("set");
    store
        .set_price(&scope, &Price { currency: "USD".into(), ..price("*", "2026-01-01", "1", "1") })
        .await
        .expect("set");
    let entry = |scope: &TenantScope, model: &str, after: i64, prompt: u64, completion: u64| LedgerEntry {
        at: day(after),
        ..took(scope, model, prompt, completion)
    };
    store.record(entry(&scope, "big", 0, 1_000_000, 100));
    store.record(entry(&other, "big", 0, 1, 0));
    store.record(LedgerEntry { price_percent: 50, kind: "batch".into(), ..entry(&scope, "big", 1, 3, 1) });
    store.record(entry(&other, "small", 1, 7, 0));
    store.record(LedgerEntry {
        kind: "job".into(),
        job_seconds: 90,
        images: 2,
        ..entry(&scope, "cpu", 1, 0, 0)
    });
    store.flush().await.expect("written");
    (store, scope, other)
}

fn costs(line: &UsageSum) -> Vec<(&str, &str)> {
    line.costs.iter().map(|cost| (cost.currency.as_str(), cost.amount.as_str())).collect()
}

async fn sums_are_by_what_is_asked_for_and_cost_what_the_list_says(database: Database) {
    let (store, scope, _) = filled(&database).await;
    let all = store.usage_report(&scope, &by("")).await.expect("report");
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].requests, all[0].prompt_tokens, all[0].job_seconds, all[0].images),
        (4, 1_000_011, 90, 2)
    );
    // January 3.000003 + 0.0015; February (3 * 0.333333 + 1) / 10^6 / 2 = 0.0000009999995, rounded once with the rest.
    // USD: 7 / 10^6, and for the job 90 * 0.000001 + 2 * 0.5.
    assert_eq!(costs(&all[0]), [("CNY", "3.001504"), ("USD", "1.000097")]);
    let months = store.usage_report(&scope, &by("month,model")).await.expect("report");
    let told: Vec<_> = months
        .iter()
        .map(|line| (line.month.as_deref().unwrap_or(""), line.model.as_deref().unwrap_or(""), costs(line)))
        .collect();
    assert_eq!(
        told,
        [
            ("2026-02", "big", vec![("CNY", "0.000001")]),
            ("2026-02", "cpu", vec![("USD", "1.00009")]),
            ("2026-02", "small", vec![("USD", "0.000007")]),
            ("2026-01", "big", vec![("CNY", "3.001503")]),
        ]
    );
    let kinds = store.usage_report(&scope, &by("kind")).await.expect("report");
    assert_eq!(
        kinds.iter().map(|line| line.kind.as_deref().unwrap_or("")).collect::<Vec<_>>(),
        ["batch", "chat", "job"]
    );
    let keys = store.usage_report(&scope, &by("key")).await.expect("report");
    assert_eq!(keys.iter().map(|line| line.requests).sum::<u64>(), 4);
    let january = UsageQuery { to: Some("2026-01-31".into()), ..by("day") };
    let january = store.usage_report(&scope, &january).await.expect("report");
    assert_eq!((january.len(), january[0].requests), (1, 2));
    let csv = usage_csv(&by("month,model").by, &months);
    assert!(csv.starts_with("month,model,requests,prompt_tokens,"), "{csv}");
    assert!(csv.contains("2026-01,big,2,1000001,100,0,0,CNY,3.001503,false\r\n"), "{csv}");
    store.remove_price(&scope, "*", "2026-01-01").await.expect("removed");
    let without = store.usage_report(&scope, &by("")).await.expect("report");
    assert!(without[0].unpriced && costs(&without[0]) == [("CNY", "3.001504")]);
}

async fn a_member_sees_its_own_and_another_tenant_nothing(database: Database) {
    let (store, _, other) = filled(&database).await;
    let own = UsageQuery { everyone: false, ..by("model") };
    let own = store.usage_report(&other, &own).await.expect("report");
    assert_eq!(own.iter().map(|line| line.requests).sum::<u64>(), 2);
    store.operator().create_tenant("elsewhere").await.expect("made");
    let theirs = store.operator().scope("elsewhere").await.expect("scope");
    assert!(store.usage_report(&theirs, &by("model")).await.expect("report").is_empty());
    assert!(store.prices(&theirs).await.expect("list").is_empty());
}

async fn prices_are_checked(database: Database) {
    let (store, scope, _) = filled(&database).await;
    let good = price("m", "2026-01-01", "1", "1");
    for bad in [
        Price { model: String::new(), ..good.clone() },
        Price { currency: "a b".into(), ..good.clone() },
        Price { valid_from: "2026-02-30".into(), ..good.clone() },
        Price { prompt: "-1".into(), ..good.clone() },
        Price { job_second: "0.0000001".into(), ..good.clone() },
    ] {
        assert!(matches!(store.set_price(&scope, &bad).await, Err(Error::Invalid { .. })), "{bad:?}");
    }
    assert!(matches!(store.remove_price(&scope, "m", "2026-01-01").await, Err(Error::NotFound { .. })));
    let list = store.prices(&scope).await.expect("list");
    assert_eq!((list.len(), list[1].prompt.as_str(), list[1].job_second.as_str()), (3, "3.00", "0.000001"));
    assert!(GroupBy::list("day,weather").is_err());
    let wrong = UsageQuery { from: Some("yesterday".into()), ..by("day") };
    assert!(store.usage_report(&scope, &wrong).await.is_err());
}
