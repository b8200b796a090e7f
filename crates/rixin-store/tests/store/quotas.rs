//! Quotas: exact under many at once, shared by gateways, kept across restarts.

use std::sync::Arc;

use rixin_store::{
    Error, Exceeded, Holder, Measure, NewFile, NewJob, NewQuota, Period, Reservation, Resources, Role, Store,
    Subject, TenantScope,
};

use crate::{on_both, scope_of, support::Database, took};

on_both! {
    two_hundred_at_once_get_what_there_is_and_no_more
    what_was_not_taken_is_there_again
    two_gateways_never_use_more_than_there_is
    a_restart_forgets_nothing_that_was_used
    an_answer_beyond_its_reservation_counts
    a_refused_request_takes_nothing_from_any_quota
    quotas_are_about_whom_they_name
    a_changed_quota_counts_at_once_here_and_soon_elsewhere
    storage_and_jobs_are_decided_where_they_are_added
    nonsense_is_refused
    a_second_write_of_an_entry_counts_once
}

async fn opened(database: &Database) -> (Store, TenantScope) {
    let store = database.open().await;
    let secret = match store.first_key().await.expect("works") {
        Some(first) => first.secret,
        None => {
            let scope = store.operator().default_scope().await.expect("scope");
            store.create_key(&scope, "another", Role::Owner).await.expect("key").secret
        }
    };
    let scope = scope_of(&store, &secret).await;
    (store, scope)
}

/// A month does not end while a test runs, but for one in 2.6 million runs of a second.
fn a_month(measure: Measure, amount: u64) -> NewQuota {
    NewQuota {
        subject: Subject::Tenant,
        subject_id: String::new(),
        measure,
        accelerator: String::new(),
        period: Period::Month,
        amount,
    }
}

async fn ask(store: &Store, scope: &TenantScope, tokens: u64) -> Result<Reservation, Error> {
    let wants = [(Measure::Requests, 1, 1), (Measure::Tokens, tokens, tokens)];
    store.reserve(&Holder::new(scope, None), &wants, false).await.map(|(reservation, _)| reservation)
}

fn exceeded(result: Result<Reservation, Error>) -> Exceeded {
    match result {
        Err(Error::Quota(exceeded)) => *exceeded,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was allowed"),
    }
}

/// Many at once on some gateways; how many were allowed. All settle with what they reserved.
async fn many(stores: &[Store], scope: TenantScope, count: usize, tokens: u64) -> usize {
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let store = stores[n % stores.len()].clone();
            tokio::spawn(async move {
                match ask(&store, &scope, tokens).await {
                    Ok(reservation) => {
                        reservation.settle(&[(Measure::Requests, 1), (Measure::Tokens, tokens)]);
                        true
                    }
                    Err(Error::Quota(_)) => false,
                    Err(error) => panic!("{error}"),
                }
            })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.expect("no panic"));
    }
    allowed
}

async fn two_hundred_at_once_get_what_there_is_and_no_more(database: Database) {
    let (store, scope) = opened(&database).await;
    store.set_quota(&scope, &a_month(Measure::Requests, 137)).await.expect("set");
    assert_eq!(many(std::slice::from_ref(&store), scope, 200, 10).await, 137);
    let refused = exceeded(ask(&store, &scope, 10).await);
    assert_eq!((refused.used, refused.wanted, refused.quota.amount), (137, 1, 137));
    assert!(refused.renews_at.is_some() && refused.retry_after_ms().is_some());
    // Tokens: 1000 for requests of 7 each.
    store.set_quota(&scope, &a_month(Measure::Requests, 100_000)).await.expect("set");
    store.set_quota(&scope, &a_month(Measure::Tokens, 1000)).await.expect("set");
    assert_eq!(many(std::slice::from_ref(&store), scope, 200, 7).await, 142);
}

async fn what_was_not_taken_is_there_again(database: Database) {
    let (store, scope) = opened(&database).await;
    store.set_quota(&scope, &a_month(Measure::Tokens, 1000)).await.expect("set");
    let held = ask(&store, &scope, 900).await.expect("allowed");
    exceeded(ask(&store, &scope, 200).await);
    held.settle(&[(Measure::Tokens, 100)]);
    let dropped = ask(&store, &scope, 900).await.expect("allowed");
    drop(dropped);
    let held = ask(&store, &scope, 900).await.expect("what a dropped one held is there again");
    held.settle(&[(Measure::Tokens, 850)]);
    let used = store.quota_use(&scope, true).await.expect("list");
    assert_eq!(used[0].used, 950);
    ask(&store, &scope, 50).await.expect("allowed").settle(&[(Measure::Tokens, 50)]);
    assert_eq!(exceeded(ask(&store, &scope, 1).await).used, 1000);
}

async fn two_gateways_never_use_more_than_there_is(database: Database) {
    let (one, scope) = opened(&database).await;
    let other = database.open().await;
    one.set_quota(&scope, &a_month(Measure::Requests, 300)).await.expect("set");
    let allowed = many(&[one.clone(), other.clone()], scope, 400, 1).await;
    // A slice of a gateway may be in hand when the other one is refused: 300 / 64 each.
    assert!((292..=300).contains(&allowed), "{allowed}");
    // What was in hand goes back when a gateway ends, and the other one may use it.
    one.close().await;
    let rest = many(std::slice::from_ref(&other), scope, 50, 1).await;
    assert_eq!(allowed + rest, 300);
    assert_eq!(other.quota_use(&scope, true).await.expect("list")[0].used, 300);
}

async fn a_restart_forgets_nothing_that_was_used(database: Database) {
    let (store, scope) = opened(&database).await;
    store.set_quota(&scope, &a_month(Measure::Tokens, 6400)).await.expect("set");
    assert_eq!(many(std::slice::from_ref(&store), scope, 30, 100).await, 30);
    store.close().await;
    drop(store);
    let store = database.open().await;
    assert_eq!(store.quota_use(&scope, true).await.expect("list")[0].used, 3000);
    assert_eq!(many(std::slice::from_ref(&store), scope, 40, 100).await, 34);
    // A process that dies gives nothing back: its slice is lost, and never used twice.
    let crashed = database.open().await;
    store.set_quota(&scope, &a_month(Measure::Tokens, 12_800)).await.expect("set");
    std::mem::forget(ask(&crashed, &scope, 100).await.expect("allowed"));
    drop(crashed);
    let left = many(std::slice::from_ref(&store), scope, 100, 100).await;
    assert!((61..=63).contains(&left), "{left}");
}

async fn an_answer_beyond_its_reservation_counts(database: Database) {
    let (store, scope) = opened(&database).await;
    store.set_quota(&scope, &a_month(Measure::Tokens, 1000)).await.expect("set");
    ask(&store, &scope, 100).await.expect("allowed").settle(&[(Measure::Tokens, 990)]);
    assert_eq!(store.quota_use(&scope, true).await.expect("list")[0].used, 990);
    exceeded(ask(&store, &scope, 11).await);
    ask(&store, &scope, 10).await.expect("allowed").settle(&[(Measure::Tokens, 500)]);
    assert_eq!(exceeded(ask(&store, &scope, 1).await).used, 1490);
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.quota_use(&scope, true).await.expect("list")[0].used, 1490);
    exceeded(ask(&store, &scope, 1).await);
}

async fn a_refused_request_takes_nothing_from_any_quota(database: Database) {
    let (store, scope) = opened(&database).await;
    store.set_quota(&scope, &a_month(Measure::Requests, 5)).await.expect("set");
    store.set_quota(&scope, &a_month(Measure::Tokens, 100)).await.expect("set");
    for _ in 0..20 {
        let refused = exceeded(ask(&store, &scope, 101).await);
        assert_eq!((refused.quota.measure, refused.renews_at), (Measure::Tokens, None), "it never fits");
    }
    for _ in 0..5 {
        ask(&store, &scope, 20)
            .await
            .expect("allowed")
            .settle(&[(Measure::Requests, 1), (Measure::Tokens, 20)]);
    }
    exceeded(ask(&store, &scope, 0).await);
}

async fn quotas_are_about_whom_they_name(database: Database) {
    let (store, scope) = opened(&database).await;
    let other = store.create_key(&scope, "other", Role::Member).await.expect("key");
    let second = scope_of(&store, &other.secret).await;
    let about = |subject, subject_id: &str, amount| NewQuota {
        subject,
        subject_id: subject_id.into(),
        ..a_month(Measure::Requests, amount)
    };
    store.set_quota(&scope, &about(Subject::EachKey, "", 10)).await.expect("set");
    store.set_quota(&scope, &about(Subject::Key, &other.key.id.to_string(), 3)).await.expect("set");
    store.set_quota(&scope, &about(Subject::Project, "p1", 2)).await.expect("set");
    assert_eq!(many(std::slice::from_ref(&store), second, 20, 1).await, 3);
    assert_eq!(many(std::slice::from_ref(&store), scope, 20, 1).await, 10);
    store.operator().create_tenant("elsewhere").await.expect("made");
    let theirs = store.operator().scope("elsewhere").await.expect("scope");
    let stranger = store.create_key(&theirs, "stranger", Role::Owner).await.expect("key");
    let stranger = scope_of(&store, &stranger.secret).await;
    assert_eq!(
        many(std::slice::from_ref(&store), stranger, 20, 1).await,
        20,
        "another tenant's quotas are not theirs"
    );
    assert!(store.quota_use(&stranger, true).await.expect("list").is_empty());
    assert!(matches!(
        store.set_quota(&theirs, &about(Subject::Key, &other.key.id.to_string(), 3)).await,
        Err(Error::NotFound { .. })
    ));
    let in_project = Holder::new(&stranger, Some("p1".into()));
    store
        .reserve(&in_project, &[(Measure::Requests, 1, 1)], false)
        .await
        .expect("a project of that name elsewhere");
    let seen = store.quota_use(&second, false).await.expect("list");
    assert_eq!(seen.iter().map(|one| one.used).collect::<Vec<_>>(), [3, 3], "its own and each key's");
}

async fn a_changed_quota_counts_at_once_here_and_soon_elsewhere(database: Database) {
    let (one, scope) = opened(&database).await;
    let other = database.open().await;
    let quota = one.set_quota(&scope, &a_month(Measure::Requests, 1000)).await.expect("set");
    assert_eq!(many(&[one.clone(), other.clone()], scope, 20, 1).await, 20);
    let again = one.set_quota(&scope, &a_month(Measure::Requests, 5)).await.expect("set");
    assert_eq!(again.id, quota.id);
    exceeded(ask(&one, &scope, 1).await);
    let started = std::time::Instant::now();
    while ask(&other, &scope, 1).await.is_ok() {
        assert!(started.elapsed().as_millis() < 3000, "the other gateway does not hear of it");
        tokio::task::yield_now().await;
    }
    one.remove_quota(&scope, &quota.id).await.expect("removed");
    ask(&one, &scope, 1).await.expect("free");
    assert!(matches!(one.remove_quota(&scope, &quota.id).await, Err(Error::NotFound { .. })));
}

async fn storage_and_jobs_are_decided_where_they_are_added(database: Database) {
    let (store, scope) = opened(&database).await;
    let standing = |measure, amount| NewQuota { period: Period::Standing, ..a_month(measure, amount) };
    store.set_quota(&scope, &standing(Measure::StorageBytes, 100)).await.expect("set");
    store.set_quota(&scope, &standing(Measure::ConcurrentJobs, 3)).await.expect("set");
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let file = NewFile {
                    purpose: "user_data".into(),
                    name: format!("{n}"),
                    bytes: 30,
                    sha256: format!("{n:064}"),
                    expires_at: None,
                };
                let file = store.add_file(&scope, &file).await.is_ok();
                let job = NewJob { kind: "import".into(), title: "t".into(), ..NewJob::default() };
                (file, store.submit_job(&scope, job).await.map(|job| job.id))
            })
        })
        .collect();
    let (mut files, mut jobs) = (0, Vec::new());
    for task in tasks {
        let (file, job) = task.await.expect("no panic");
        files += usize::from(file);
        jobs.extend(job.ok());
    }
    assert_eq!((files, jobs.len()), (3, 3));
    assert!(matches!(store.check_storage(&scope, 11).await, Err(Error::Quota(_))));
    store.check_storage(&scope, 10).await.expect("room");
    store.cancel_job(&scope, jobs[0]).await.expect("cancelled");
    let job = |limit| NewJob {
        kind: "import".into(),
        title: "t".into(),
        resources: Resources { time_limit_secs: Some(limit), ..Resources::default() },
        ..NewJob::default()
    };
    let seconds = NewQuota { accelerator: "cpu".into(), ..a_month(Measure::JobSeconds, 60) };
    store.set_quota(&scope, &seconds).await.expect("set");
    assert!(matches!(store.submit_job(&scope, job(61)).await, Err(Error::Quota(_))));
    store.submit_job(&scope, job(60)).await.expect("allowed");
}

async fn nonsense_is_refused(database: Database) {
    let (store, scope) = opened(&database).await;
    let base = a_month(Measure::Tokens, 5);
    for bad in [
        NewQuota { period: Period::Standing, ..base.clone() },
        NewQuota { measure: Measure::StorageBytes, ..base.clone() },
        NewQuota { subject: Subject::Key, ..base.clone() },
        NewQuota { subject_id: "x".into(), ..base.clone() },
        NewQuota { accelerator: "h100".into(), ..base.clone() },
        NewQuota { amount: u64::MAX, ..base.clone() },
    ] {
        assert!(matches!(store.set_quota(&scope, &bad).await, Err(Error::Invalid { .. })), "{bad:?}");
    }
    store.set_quota(&scope, &NewQuota { amount: 0, ..base }).await.expect("nothing at all is a quota too");
    exceeded(ask(&store, &scope, 1).await);
}

/// A commit whose word was lost is written again, and by whichever gateway: the entry's own id decides.
async fn a_second_write_of_an_entry_counts_once(database: Database) {
    let (store, scope) = opened(&database).await;
    let other = database.open().await;
    let entry = took(&scope, "m", 7, 3);
    store.record(entry.clone());
    store.flush().await.expect("written");
    for again in [&store, &other] {
        again.record(entry.clone());
        again.record(entry.clone());
        again.flush().await.expect("written");
    }
    let rows = store.usage(&scope, 2, true).await.expect("rows");
    assert_eq!(
        (rows.len(), rows[0].requests, rows[0].prompt_tokens, rows[0].completion_tokens),
        (1, 1, 7, 3)
    );
}
