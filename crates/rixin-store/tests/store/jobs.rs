//! Jobs: claims, fencing, dependencies, events, batches and their ledger.

use std::collections::BTreeMap;

use rixin_base::{Code, Explain as _, Fault};
use rixin_store::{
    Also, AttemptScope, Cause, Claim, Claimed, Ended, Error, Fenced, Finished, Job, JobProgress, JobQuery,
    JobState, LedgerEntry, LineAnswer, NewBatch, NewFile, NewJob, Next, Resources, Role, Store, TenantScope,
    Verdict, now_ms,
};
use serde_json::{Value, json};

use crate::{on_both, support::Database};

const LEASE: i64 = 60_000;

on_both! {
    a_job_runs_from_its_submission_to_its_result
    many_servers_claim_each_job_once
    an_attempt_that_was_given_up_changes_nothing
    a_process_that_a_cluster_starts_again_is_the_next_attempt
    a_cancelled_job_is_over_at_once_or_when_its_process_lets_go
    what_waits_for_a_job_follows_its_end
    a_job_whose_needs_failed_is_not_tried_again_before_them
    getting_further_forgives_what_was_lost
    many_jobs_of_one_executor_hide_none_of_another
    priority_goes_first_and_a_pause_is_kept
    another_tenants_job_does_not_exist
    lines_are_answered_and_counted_once
    files_that_are_read_stay
    lists_filter_and_page
}

async fn tenant(store: &Store, name: &str) -> TenantScope {
    store.operator().create_tenant(name).await.expect("a new tenant");
    let scope = store.operator().scope(name).await.expect("there");
    let key = store.create_key(&scope, "someone", Role::Member).await.expect("a key");
    crate::scope_of(store, &key.secret).await
}

fn new(kind: &str) -> NewJob {
    NewJob { kind: kind.into(), title: format!("a {kind}"), ..NewJob::default() }
}

async fn claim(store: &Store) -> Option<Claimed> {
    let claim = Claim { executor: "local", owner: "here", lease_ms: LEASE };
    store.supervisor().claim(&claim, |_| Verdict::Take).await.expect("the database works")
}

async fn enter(store: &Store, claimed: &Claimed) -> (AttemptScope, Job) {
    store
        .enter_attempt(claimed.job.id, claimed.number, &claimed.token, false, LEASE)
        .await
        .expect("the attempt is the latest")
}

fn fault(text: &str) -> Fault {
    Fault::new(Code::Internal, text, "出错")
}

fn again() -> Next {
    Next::Queue { not_before: 0, resources: None }
}

async fn state(store: &Store, scope: &TenantScope, job: &Job) -> JobState {
    store.job(scope, job.id).await.expect("there").state
}

async fn a_job_runs_from_its_submission_to_its_result(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let job = store.submit_job(&scope, new("import")).await.expect("submitted");
    assert_eq!((job.state, job.attempt), (JobState::Queued, 0));
    let claimed = claim(&store).await.expect("it waits");
    assert_eq!((claimed.job.id, claimed.number), (job.id, 1));
    assert!(claim(&store).await.is_none(), "nobody claims it twice");
    assert!(store.supervisor().whose(&claimed.token).await.expect("works").is_none(), "it does not work yet");
    let (attempt, _) = enter(&store, &claimed).await;
    let whose = store.supervisor().whose(&claimed.token).await.expect("works").expect("it works");
    assert_eq!((whose.id, whose.key), (job.id, scope.key()));
    assert_eq!(attempt.owner().tenant(), scope.tenant());
    let progress = JobProgress { fraction: Some(0.5), stage: "half".into(), ..JobProgress::default() };
    attempt.tell(Some(&progress), &[("log", json!({"lines": ["a", "b"]}))]).await.expect("told");
    attempt.checkpoint(&json!({"step": 3})).await.expect("kept");
    assert!(attempt.wanted().await.expect("the latest") && !attempt.beat(LEASE).await.expect("the latest"));
    assert_eq!(attempt.finish(&json!({"model": "m"}), &[]).await.expect("taken"), Finished::Succeeded);
    let done = store.job(&scope, job.id).await.expect("there");
    assert_eq!((done.state, done.result), (JobState::Succeeded, Some(json!({"model": "m"}))));
    assert_eq!((done.progress, done.checkpoint), (Some(progress), Some(json!({"step": 3}))));
    assert!(done.started_at.is_some() && done.ended_at.is_some());
    assert!(store.supervisor().whose(&claimed.token).await.expect("works").is_none(), "its token is spent");
    let events = store.job_events(&scope, job.id, 0).await.expect("events");
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["state", "state", "state", "progress", "log", "state"]);
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        store.job_events(&scope, job.id, 4).await.expect("events").len(),
        2,
        "a reader goes on where it stopped"
    );
    assert_eq!(store.job_attempts(&scope, job.id).await.expect("attempts")[0].cause, None);
    assert!(
        matches!(attempt.beat(LEASE).await, Err(Fenced::GivenUp)),
        "after its end an attempt writes nothing"
    );
}

async fn many_servers_claim_each_job_once(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    for _ in 0..40 {
        store.submit_job(&scope, new("import")).await.expect("submitted");
    }
    let mut servers = Vec::new();
    for _ in 0..4 {
        let store = database.open().await;
        servers.push(tokio::spawn(async move {
            let mut claimed = Vec::new();
            let mut empty = 0;
            // while others hold the rows that wait, there can seem to be none
            while empty < 5 {
                match claim(&store).await {
                    Some(one) => claimed.push(one.job.id),
                    None => empty += 1,
                }
            }
            store.close().await;
            claimed
        }));
    }
    let mut all = Vec::new();
    for server in servers {
        all.extend(server.await.expect("no panic"));
    }
    while let Some(one) = claim(&store).await {
        all.push(one.job.id);
    }
    assert_eq!(all.len(), 40);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 40, "none twice");
}

async fn an_attempt_that_was_given_up_changes_nothing(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let job = store.submit_job(&scope, new("import")).await.expect("submitted");
    let first = claim(&store).await.expect("it waits");
    assert!(
        matches!(store.enter_attempt(job.id, 1, "rxj-wrong", false, LEASE).await, Err(Fenced::GivenUp)),
        "only the token opens it"
    );
    let (lost, _) = enter(&store, &first).await;
    lost.checkpoint(&json!({"by": 1})).await.expect("kept");
    let ended = Ended { cause: Cause::Lost, fault: &fault("gone"), next: again() };
    let state_then = store.supervisor().end(job.id, 1, ended.clone()).await.expect("works");
    assert_eq!(state_then, Some(JobState::Queued));
    assert_eq!(store.supervisor().end(job.id, 1, ended).await.expect("works"), None, "once");
    let second = claim(&store).await.expect("it waits again");
    let (attempt, found) = enter(&store, &second).await;
    assert_eq!((attempt.number(), found.checkpoint), (2, Some(json!({"by": 1}))));
    attempt.checkpoint(&json!({"by": 2})).await.expect("kept");
    // the first one comes back
    let line = LineAnswer { line: 0, ok: true, answer: "{}".into(), used: None };
    assert!(matches!(lost.checkpoint(&json!({"by": 1})).await, Err(Fenced::GivenUp)));
    assert!(matches!(lost.tell(None, &[("log", json!({}))]).await, Err(Fenced::GivenUp)));
    assert!(matches!(lost.answer_lines(&[line]).await, Err(Fenced::GivenUp)));
    assert!(matches!(lost.finish(&json!("wrong"), &[]).await, Err(Fenced::GivenUp)));
    assert!(matches!(lost.fail(Cause::Crashed, &fault("wrong"), Next::Fail).await, Err(Fenced::GivenUp)));
    assert!(matches!(lost.wanted().await, Err(Fenced::GivenUp)));
    attempt.finish(&json!("right"), &[]).await.expect("taken");
    let done = store.job(&scope, job.id).await.expect("there");
    assert_eq!((done.result, done.checkpoint), (Some(json!("right")), Some(json!({"by": 2}))));
    assert!(done.failures.is_empty(), "its checkpoint forgave the loss: {:?}", done.failures);
}

async fn a_process_that_a_cluster_starts_again_is_the_next_attempt(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let job = store.submit_job(&scope, new("import")).await.expect("submitted");
    let claimed = claim(&store).await.expect("it waits");
    let (lost, _) = enter(&store, &claimed).await;
    assert!(
        matches!(store.enter_attempt(job.id, 1, &claimed.token, false, LEASE).await, Err(Fenced::GivenUp)),
        "two processes are not one attempt"
    );
    let (again, _) =
        store.enter_attempt(job.id, 1, &claimed.token, true, LEASE).await.expect("started again");
    assert_eq!(again.number(), 2);
    assert!(matches!(lost.checkpoint(&json!(1)).await, Err(Fenced::GivenUp)));
    again.finish(&json!("done"), &[]).await.expect("taken");
    let attempts = store.job_attempts(&scope, job.id).await.expect("attempts");
    assert_eq!(attempts.iter().map(|attempt| attempt.cause).collect::<Vec<_>>(), [Some(Cause::Lost), None]);
}

async fn a_cancelled_job_is_over_at_once_or_when_its_process_lets_go(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let waiting = store.submit_job(&scope, new("import")).await.expect("submitted");
    assert_eq!(store.cancel_job(&scope, waiting.id).await.expect("there").state, JobState::Cancelled);
    assert!(claim(&store).await.is_none());
    let job = store.retry_job(&scope, waiting.id).await.expect("it was cancelled");
    assert_eq!(job.state, JobState::Queued);
    let claimed = claim(&store).await.expect("it waits");
    let (attempt, _) = enter(&store, &claimed).await;
    let asked = store.cancel_job(&scope, job.id).await.expect("there");
    assert_eq!((asked.state, asked.cancel), (JobState::Running, true));
    assert!(!attempt.wanted().await.expect("the latest") && attempt.beat(LEASE).await.expect("the latest"));
    attempt.checkpoint(&json!({"step": 9})).await.expect("kept");
    let after = attempt.fail(Cause::Crashed, &fault("in the middle"), again()).await.expect("the latest");
    assert_eq!(after, JobState::Cancelled, "what was asked for stands, whatever the process says");
    let job = store.retry_job(&scope, job.id).await.expect("it was cancelled");
    assert_eq!((job.checkpoint, job.cancel), (Some(json!({"step": 9})), false));
    let (late, _) = enter(&store, &claim(&store).await.expect("it waits")).await;
    store.cancel_job(&scope, job.id).await.expect("there");
    assert_eq!(late.finish(&json!(1), &[]).await.expect("the latest"), Finished::Cancelled);
    assert_eq!(store.job(&scope, job.id).await.expect("there").result, None);
    store.remove_job(&scope, job.id).await.expect("it is over");
    assert!(matches!(store.job(&scope, job.id).await, Err(Error::NotFound { .. })));
}

async fn what_waits_for_a_job_follows_its_end(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let first = store.submit_job(&scope, new("import")).await.expect("submitted");
    let other = store.submit_job(&scope, new("import")).await.expect("submitted");
    let both = NewJob { needs: vec![first.id, other.id], ..new("import") };
    let both = store.submit_job(&scope, both).await.expect("submitted");
    let last =
        store.submit_job(&scope, NewJob { needs: vec![both.id], ..new("import") }).await.expect("submitted");
    assert_eq!((both.state, last.state), (JobState::Blocked, JobState::Blocked));
    for _ in 0..2 {
        let (attempt, _) = enter(&store, &claim(&store).await.expect("it waits")).await;
        assert_eq!(state(&store, &scope, &both).await, JobState::Blocked);
        attempt.finish(&Value::Null, &[]).await.expect("taken");
    }
    assert_eq!(state(&store, &scope, &both).await, JobState::Queued);
    let (attempt, job) = enter(&store, &claim(&store).await.expect("it waits")).await;
    assert_eq!(job.id, both.id);
    attempt.fail(Cause::BadInput, &fault("no"), Next::Fail).await.expect("the latest");
    let failed = store.job(&scope, last.id).await.expect("there");
    assert_eq!(failed.state, JobState::Failed);
    assert!(failed.reason.expect("told").message.en.contains(&both.id.to_string()));
    let refused = store.submit_job(&scope, NewJob { needs: vec![both.id], ..new("import") }).await;
    assert_eq!(refused.expect_err("it can't succeed").code(), Code::InvalidValue);
}

async fn a_job_whose_needs_failed_is_not_tried_again_before_them(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let first = store.submit_job(&scope, new("import")).await.expect("submitted");
    let needs = NewJob { needs: vec![first.id], ..new("batch") };
    let second = store.submit_job(&scope, needs).await.expect("submitted");
    let error = store.retry_job(&scope, second.id).await.expect_err("it waits");
    assert_eq!(error.code(), Code::Conflict, "{error}");
    store.cancel_job(&scope, first.id).await.expect("cancelled");
    assert_eq!(state(&store, &scope, &second).await, JobState::Failed);
    let error = store.retry_job(&scope, second.id).await.expect_err("what it needs did not succeed");
    assert_eq!(error.code(), Code::Conflict, "{error}");
    assert!(error.to_string().contains(&first.id.to_string()), "{error}");
    store.retry_job(&scope, first.id).await.expect("queued");
    assert_eq!(store.retry_job(&scope, second.id).await.expect("waits").state, JobState::Blocked);
    let (attempt, _) = enter(&store, &claim(&store).await.expect("the first")).await;
    attempt.finish(&json!({}), &[]).await.expect("taken");
    assert_eq!(state(&store, &scope, &second).await, JobState::Queued);
    let error = store.remove_job(&scope, second.id).await.expect_err("not over");
    assert_eq!(error.code(), Code::Conflict, "{error}");
}

async fn getting_further_forgives_what_was_lost(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let job = store.submit_job(&scope, new("import")).await.expect("submitted");
    let failures = async || store.job(&scope, job.id).await.expect("there").failures;
    let lose = async |line: Option<u64>, checkpoint: Option<u64>| {
        let (attempt, _) = enter(&store, &claim(&store).await.expect("queued")).await;
        if let Some(line) = line {
            let answer = LineAnswer { line, ok: true, answer: "{}".into(), used: None };
            attempt.answer_lines(&[answer]).await.expect("kept");
        }
        if let Some(step) = checkpoint {
            attempt.checkpoint(&json!({ "step": step })).await.expect("kept");
        }
        attempt.fail(Cause::Lost, &fault("lost"), again()).await.expect("taken");
    };
    lose(None, None).await;
    lose(None, None).await;
    assert_eq!(failures().await, BTreeMap::from([(Cause::Lost, 2)]));
    lose(Some(1), None).await;
    assert_eq!(failures().await, BTreeMap::from([(Cause::Lost, 1)]), "a new line was answered");
    lose(Some(1), None).await;
    assert_eq!(failures().await, BTreeMap::from([(Cause::Lost, 2)]), "the line had its answer");
    lose(None, Some(1)).await;
    assert_eq!(failures().await, BTreeMap::from([(Cause::Lost, 1)]), "a new checkpoint");
    lose(None, Some(1)).await;
    assert_eq!(failures().await, BTreeMap::from([(Cause::Lost, 2)]), "the same checkpoint again");
}

/// Jobs that one executor has no room for do not hide those of another.
async fn many_jobs_of_one_executor_hide_none_of_another(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    for _ in 0..150 {
        store.submit_job(&scope, new("import")).await.expect("submitted");
    }
    let other = store.submit_job(&scope, new("batch")).await.expect("submitted");
    let claim = Claim { executor: "slurm", owner: "here", lease_ms: LEASE };
    let judge = |job: &Job| if job.kind == "batch" { Verdict::Take } else { Verdict::Skip };
    let claimed = store.supervisor().claim(&claim, judge).await.expect("works").expect("found");
    assert_eq!(claimed.job.id, other.id);
}

async fn priority_goes_first_and_a_pause_is_kept(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let usual = store.submit_job(&scope, new("import")).await.expect("submitted");
    let urgent = store.submit_job(&scope, NewJob { priority: 5, ..new("import") }).await.expect("submitted");
    let first = claim(&store).await.expect("it waits");
    assert_eq!(first.job.id, urgent.id);
    let later = now_ms() + 60_000;
    let more = Resources { memory_bytes: 77, ..Resources::default() };
    let next = Next::Queue { not_before: later, resources: Some(more.clone()) };
    let ended = Ended { cause: Cause::OutOfMemory, fault: &fault("full"), next };
    store.supervisor().end(urgent.id, 1, ended).await.expect("works");
    assert_eq!(claim(&store).await.expect("it waits").job.id, usual.id, "the urgent one pauses");
    assert!(claim(&store).await.is_none());
    assert_eq!(store.supervisor().next_start().await.expect("works"), Some(later));
    assert_eq!(store.job(&scope, urgent.id).await.expect("there").resources, more);
    // room is for the judge to know
    let waiting = store.submit_job(&scope, new("import")).await.expect("submitted");
    let claim = Claim { executor: "local", owner: "here", lease_ms: LEASE };
    let none = store.supervisor().claim(&claim, |_| Verdict::Skip).await.expect("works");
    assert!(none.is_none() && state(&store, &scope, &waiting).await == JobState::Queued);
}

async fn another_tenants_job_does_not_exist(database: Database) {
    let store = database.open().await;
    let (one, two) = (tenant(&store, "one").await, tenant(&store, "two").await);
    let job = store.submit_job(&one, new("import")).await.expect("submitted").id;
    let none = |error: Error| assert!(matches!(error, Error::NotFound { .. }), "{error}");
    none(store.job(&two, job).await.expect_err("hidden"));
    none(store.cancel_job(&two, job).await.expect_err("hidden"));
    none(store.retry_job(&two, job).await.expect_err("hidden"));
    none(store.remove_job(&two, job).await.expect_err("hidden"));
    none(store.job_events(&two, job, 0).await.expect_err("hidden"));
    none(store.job_attempts(&two, job).await.expect_err("hidden"));
    none(store.submit_job(&two, NewJob { needs: vec![job], ..new("import") }).await.expect_err("hidden"));
    assert!(store.jobs(&two, &JobQuery::default()).await.expect("works").items.is_empty());
    assert_eq!(state(&store, &one, &store.job(&one, job).await.expect("there")).await, JobState::Queued);
}

fn used(scope: &TenantScope, job: &Job, line: u64) -> LedgerEntry {
    LedgerEntry {
        id: format!("{}:{line}", job.id),
        tenant: scope.tenant(),
        key: scope.key(),
        job: Some(job.id),
        at: now_ms(),
        kind: "batch".into(),
        model: "m".into(),
        prompt_tokens: 10,
        completion_tokens: 2,
        price_percent: 50,
        project: None,
        images: 0,
        job_seconds: 0,
    }
}

async fn lines_are_answered_and_counted_once(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let file = |name: &str| NewFile {
        purpose: "batch".into(),
        name: name.into(),
        bytes: 5,
        sha256: "00".repeat(32),
        expires_at: None,
    };
    let input = store.add_file(&scope, &file("in.jsonl")).await.expect("added");
    let batch = NewBatch {
        endpoint: "/v1/embeddings".into(),
        input: input.id,
        metadata: serde_json::Map::new(),
        window_hours: 24,
        job: new("batch"),
    };
    let (batch, job) = store.create_batch(&scope, batch).await.expect("made");
    let (attempt, _) = enter(&store, &claim(&store).await.expect("it waits")).await;
    let answer = |line: u64, text: &str| LineAnswer {
        line,
        ok: line != 1,
        answer: text.into(),
        used: (line != 1).then(|| used(&scope, &job, line)),
    };
    attempt.answer_lines(&[answer(2, "c"), answer(0, "a")]).await.expect("kept");
    attempt.answer_lines(&[answer(0, "again"), answer(1, "b")]).await.expect("kept");
    assert_eq!(attempt.answered_lines().await.expect("works"), [0, 1, 2]);
    attempt.count_batch(3, None).await.expect("counted");
    let first = attempt.line_answers(None, 2).await.expect("works");
    assert_eq!(
        first,
        [(0, true, "a".into()), (1, false, "b".into())],
        "in order, and the first answer stands"
    );
    assert_eq!(attempt.line_answers(Some(1), 9).await.expect("works"), [(2, true, "c".into())]);
    let output = rixin_base::FileId::new();
    let also = [
        Also::File(file("out.jsonl"), output),
        Also::Batch { output: Some(output), errors: None },
        Also::DropLines,
    ];
    attempt.finish(&Value::Null, &also).await.expect("taken");
    assert!(attempt.answered_lines().await.expect("works").is_empty());
    let (done, _) = store.batch(&scope, batch.id).await.expect("there");
    assert_eq!((done.total, done.completed, done.failed, done.output), (3, 2, 1, Some(output)));
    assert_eq!(store.file(&scope, output).await.expect("the owner's").name, "out.jsonl");
    let usage = store.usage(&scope, 1, true).await.expect("works");
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].requests, usage[0].prompt_tokens, usage[0].completion_tokens), (2, 20, 4));
}

async fn files_that_are_read_stay(database: Database) {
    let store = database.open().await;
    let (one, two) = (tenant(&store, "one").await, tenant(&store, "two").await);
    let new_file = NewFile {
        purpose: "batch".into(),
        name: "in.jsonl".into(),
        bytes: 5,
        sha256: "ab".repeat(32),
        expires_at: Some(now_ms() + 60_000),
    };
    let file = store.add_file(&one, &new_file).await.expect("added");
    assert!(matches!(store.file(&two, file.id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.remove_file(&two, file.id).await, Err(Error::NotFound { .. })));
    let reading = NewJob { inputs: vec![rixin_store::JobInput::File(file.id.to_string())], ..new("batch") };
    let job = store.submit_job(&one, reading).await.expect("submitted");
    assert_eq!(store.remove_file(&one, file.id).await.expect_err("in use").code(), Code::Conflict);
    let supervisor = store.supervisor();
    assert_eq!(supervisor.expire_files(now_ms() + 120_000).await.expect("works"), 0);
    assert!(supervisor.blob_is_named(&new_file.sha256).await.expect("works"));
    assert_eq!(supervisor.stored_bytes(one.tenant()).await.expect("works"), 5);
    store.cancel_job(&one, job.id).await.expect("there");
    assert_eq!(supervisor.expire_files(now_ms() + 120_000).await.expect("works"), 1);
    assert!(!supervisor.blob_is_named(&new_file.sha256).await.expect("works"));
}

async fn lists_filter_and_page(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    for kind in ["import", "batch", "import", "import"] {
        store.submit_job(&scope, new(kind)).await.expect("submitted");
    }
    let mut seen = Vec::new();
    let mut query = JobQuery { kind: Some("import".into()), limit: 2, ..JobQuery::default() };
    loop {
        let page = store.jobs(&scope, &query).await.expect("works");
        seen.extend(page.items.iter().map(|job| job.id));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
    let queued = JobQuery { states: vec![JobState::Running, JobState::Queued], ..JobQuery::default() };
    assert_eq!(store.jobs(&scope, &queued).await.expect("works").items.len(), 4);
    let over = JobQuery { states: vec![JobState::Failed], ..JobQuery::default() };
    assert!(store.jobs(&scope, &over).await.expect("works").items.is_empty());
    // what is over is forgotten after its time, and not before
    for job in seen {
        store.cancel_job(&scope, job).await.expect("there");
    }
    assert!(store.supervisor().forget(now_ms() - 60_000, 10).await.expect("works").is_empty());
    assert_eq!(store.supervisor().forget(now_ms() + 1, 2).await.expect("works").len(), 2);
}
