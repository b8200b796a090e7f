//! Real processes: loading, waiting, failing, crashing, making room, ending.

mod support;

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use rixin_base::{Code, Explain, Lang, ReplicaId};
use rixin_control::{AcquireRequest, Error, ReplicaState};
use serde_json::json;
use support::*;

#[tokio::test]
async fn a_request_starts_the_replica_and_the_next_one_finds_it() {
    let bed = Bed::new().await;
    bed.install("a", json!({"memory_bytes": 250 * MIB})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let first = echo(&lease).await;
    assert_eq!(first["model"], "a");
    assert_eq!(first["lang"], "en");
    let status = &bed.local("a")[0];
    assert_eq!((status.state, status.active, status.memory_bytes), (ReplicaState::Ready, 1, 250 * MIB));
    assert_eq!(status.id, lease.replica());
    drop(lease);
    assert_eq!(bed.states("a"), [ReplicaState::Idle]);
    assert!(bed.local("a")[0].idle_unload_at_ms.is_some());
    let request = AcquireRequest { model: "a", affinity: None, lang: Lang::Zh };
    let second = echo(&bed.control.acquire(&request).await.expect("runs")).await;
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(second["lang"], "zh-CN");
    eventually("figures were fetched", || bed.local("a")[0].stats.as_ref().is_some_and(|s| s.model == "a"))
        .await;
    let memory = bed.control.memory();
    assert_eq!((memory.used_bytes, memory.limit_bytes), (250 * MIB, 1000 * MIB));
    bed.control.shutdown(Duration::from_secs(5)).await;
    assert!(bed.control.replicas().is_empty());
    assert!(matches!(bed.acquire("a").await, Err(Error::ShuttingDown)));
}

#[tokio::test]
async fn a_stream_counts_until_its_end_and_dropping_it_frees_the_replica_at_once() {
    let bed = Bed::new().await;
    bed.install("a", json!({})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let response = lease.send(ask("stream")).await.expect("an answer");
    drop(lease);
    assert_eq!(bed.local("a")[0].active, 1, "the body counts");
    assert_eq!(text(response).await.expect("whole"), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    assert_eq!(bed.local("a")[0].active, 0);

    let lease = bed.acquire("a").await.expect("runs");
    let mut held = lease.send(ask("hold")).await.expect("an answer").into_body();
    first_chunk(&mut held).await;
    let busy = |n: u32| bed.local("a")[0].stats.as_ref().is_some_and(|s| s.active == n);
    eventually("the replica answers", || busy(1)).await;
    drop(held);
    eventually("the replica has stopped answering", || busy(0)).await;

    // the same before the head of the answer has come
    let late = lease.send(ask("late"));
    let gone = tokio::time::timeout(Duration::from_millis(100), late).await;
    assert!(gone.is_err(), "no answer comes");
    eventually("the replica has given it up", || busy(0)).await;
}

#[tokio::test]
async fn many_waiters_share_one_load() {
    let bed = Bed::with(options(), &[("slots", "8"), ("queue", "8")]).await;
    let (gate, starts) = (bed.path("gate"), bed.path("starts"));
    bed.install("a", json!({"gate": gate, "starts": starts})).await;
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let control = bed.control.clone();
            tokio::spawn(async move {
                control.acquire(&AcquireRequest { model: "a", affinity: None, lang: Lang::En }).await
            })
        })
        .collect();
    eventually("it loads", || bed.local("a").iter().any(|r| r.load_fraction == Some(0.5))).await;
    let full = async {
        loop {
            match tokio::time::timeout(Duration::from_millis(20), bed.acquire("a")).await {
                Ok(answer) => return answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let refused = full.await.expect_err("sixteen wait already");
    assert_eq!(refused.code(), Code::QueueFull);
    assert!(refused.retry_after().is_some_and(|after| after >= Duration::from_secs(1)));
    std::fs::write(&gate, "").expect("opens");
    let mut leases = Vec::new();
    for waiter in waiting {
        leases.push(waiter.await.expect("no panic").expect("granted"));
    }
    assert_eq!(lines(&starts), 1);
    assert_eq!(bed.local("a")[0].active, 16);
    let error = bed.acquire("a").await.expect_err("its queue is full");
    assert!(matches!(error, Error::QueueFull { bound: 16, .. }), "{error}");
    leases.pop();
    assert!(bed.acquire("a").await.is_ok());
}

#[tokio::test]
async fn a_failing_load_tells_its_reason_and_blocks_nothing() {
    let bed = Bed::new().await;
    let starts = bed.path("starts");
    bed.install("bad", json!({"fail": "the header lies", "starts": starts})).await;
    bed.install("good", json!({})).await;
    let (bad, other, good) = tokio::join!(bed.acquire("bad"), bed.acquire("bad"), bed.acquire("good"));
    for error in [bad.expect_err("fails"), other.expect_err("fails")] {
        assert_eq!(error.code(), Code::LoadFailed);
        assert!(error.to_string().contains("the header lies"), "{error}");
        assert!(error.message().zh.contains("原因"), "{}", error.message().zh);
    }
    assert!(good.is_ok());
    let told = bed.acquire("bad").await.expect_err("in the back-off");
    assert!(told.to_string().contains("the header lies") && told.retry_after().is_some(), "{told}");
    assert_eq!(lines(&starts), 1, "told without another try");
    let status = &bed.local("bad")[0];
    assert_eq!((status.state, status.restarts), (ReplicaState::Failed, 1));
    assert!(status.error.is_some());

    // what is mended may be tried at once: forgotten by an administrator, or installed anew
    let id: ReplicaId = status.id.parse().expect("an id");
    bed.control.stop_replica(id).await.expect("forgets it");
    assert!(bed.acquire("bad").await.is_err());
    assert_eq!(lines(&starts), 2);
    bed.install("bad", json!({"starts": starts})).await;
    assert!(bed.acquire("bad").await.is_ok());
}

#[tokio::test]
async fn the_ways_to_die_while_loading() {
    let bed = Bed::with(options(), &[("load_timeout", "1")]).await;
    bed.install_sized("killed", MIB, json!({"die": true})).await;
    bed.install_sized("exits", MIB, json!({"exit": 7})).await;
    bed.install_sized("hangs", MIB, json!({"gate": bed.path("never")})).await;
    let (killed, exits, hangs) =
        tokio::join!(bed.acquire("killed"), bed.acquire("exits"), bed.acquire("hangs"));
    let killed = killed.expect_err("dies").to_string();
    assert!(killed.contains("memory"), "{killed}");
    let exits = exits.expect_err("ends").to_string();
    assert!(exits.contains("code 7") && exits.contains("upside down"), "{exits}");
    let hangs = hangs.expect_err("hangs").to_string();
    assert!(hangs.contains("RIXIN_LOAD_TIMEOUT"), "{hangs}");
    assert_eq!(bed.control.memory().used_bytes, 0);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let mut options = options();
    options.launcher.program = Some("/nowhere/rixin".into());
    let bed = Bed::with(options, &[]).await;
    bed.install("a", json!({})).await;
    let error = bed.acquire("a").await.expect_err("no program").to_string();
    assert!(error.contains("/nowhere/rixin"), "{error}");
}

#[tokio::test]
async fn a_crash_in_mid_stream_is_an_error_and_the_next_request_works() {
    let bed = Bed::new().await;
    bed.install("a", json!({})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let pid = echo(&lease).await["pid"].clone();
    let mut body = lease.send(ask("die")).await.expect("an answer").into_body();
    first_chunk(&mut body).await;
    let error = loop {
        match body.frame().await.expect("no silent end") {
            Ok(_) => continue,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::ReplicaLost);
    assert!(error.to_string().contains("killed"), "the cause is told: {error}");
    assert!(body.frame().await.is_none(), "then it ends");
    drop((body, lease));
    let next = bed.acquire("a").await.expect("starts again");
    assert_ne!(echo(&next).await["pid"], pid);

    // fast crashes in a row are told at once for the back-off
    let _ = text(next.send(ask("die")).await.expect("an answer")).await.expect_err("dies again");
    drop(next);
    eventually("it was buried", || bed.states("a") == [ReplicaState::Failed]).await;
    let error = bed.acquire("a").await.expect_err("in the back-off");
    assert!(error.retry_after().is_some() && error.to_string().contains("killed"), "{error}");
    let restarted = async {
        loop {
            match bed.acquire("a").await {
                Ok(lease) => return lease,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let lease = tokio::time::timeout(Duration::from_secs(10), restarted).await.expect("after the back-off");
    assert_eq!(echo(&lease).await["model"], "a");
}

#[tokio::test]
async fn a_replica_killed_from_outside_between_requests_is_replaced() {
    let bed = Bed::new().await;
    bed.install("a", json!({})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let pid = echo(&lease).await["pid"].as_i64().expect("a number");
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not 0");
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).expect("ours");
    let error = lease.send(ask("echo")).await;
    if let Err(error) = error {
        assert_eq!(error.code(), Code::ReplicaLost, "{error}");
    }
    drop(lease);
    eventually("it was buried", || bed.states("a") == [ReplicaState::Failed]).await;
    assert_ne!(echo(&bed.acquire("a").await.expect("starts again")).await["pid"], pid);
}

#[tokio::test]
async fn room_is_made_by_the_longest_unused_or_refused_with_the_figures() {
    let bed = Bed::new().await;
    for id in ["one", "two", "three", "four"] {
        bed.install(id, json!({})).await;
    }
    bed.install_sized("huge", 2000 * MIB, json!({})).await;
    let one = bed.acquire("one").await.expect("fits");
    drop(bed.acquire("two").await.expect("fits"));
    tokio::time::sleep(Duration::from_millis(2)).await;
    drop(bed.acquire("three").await.expect("fits"));
    let error = bed.acquire("huge").await.expect_err("never fits");
    assert!(
        error.to_string().starts_with("model \"huge\" needs 2.0 GiB, 700.0 MiB are free: stop a replica"),
        "{error}"
    );
    assert!(error.retry_after().is_none());
    let four = bed.acquire("four").await.expect("two makes room");
    assert!(bed.states("two").is_empty(), "two was unused for longest");
    assert_eq!(bed.states("three"), [ReplicaState::Idle]);
    let three = bed.acquire("three").await.expect("still there");

    let error = bed.acquire("two").await.expect_err("all are busy");
    assert_eq!(error.code(), Code::OutOfMemory);
    assert!(error.to_string().contains("100.0 MiB are free"), "{error}");
    assert!(error.retry_after().is_some(), "it may fit later");
    let control = bed.control.clone();
    let waiting = tokio::spawn(async move {
        control.acquire(&AcquireRequest { model: "two", affinity: None, lang: Lang::En }).await
    });
    eventually("it waits", || bed.states("two") == [ReplicaState::Loading]).await;
    drop(four);
    assert!(waiting.await.expect("no panic").is_ok(), "four went as soon as it was idle");
    assert!(bed.states("four").is_empty());
    drop((one, three));
}

#[tokio::test]
async fn a_waiter_that_goes_away_takes_its_load_along_if_that_has_not_begun() {
    let mut options = options();
    options.memory_patience = Duration::from_secs(60);
    let bed = Bed::with(options, &[]).await;
    bed.install_sized("big", 900 * MIB, json!({})).await;
    bed.install_sized("other", 900 * MIB, json!({})).await;
    let lease = bed.acquire("big").await.expect("fits");
    let gone = tokio::time::timeout(Duration::from_millis(50), bed.acquire("other")).await;
    assert!(gone.is_err(), "it waits");
    assert!(bed.states("other").is_empty());
    drop(lease);
    assert_eq!(bed.states("big"), [ReplicaState::Idle], "nobody needs its memory");
}

#[tokio::test]
async fn idle_replicas_are_unloaded() {
    let mut options = options();
    options.keep_alive = Some(Duration::from_millis(100));
    let bed = Bed::with(options, &[]).await;
    bed.install("a", json!({})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let held = lease.send(ask("hold")).await.expect("an answer");
    drop(lease);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bed.states("a"), [ReplicaState::Ready], "a stream keeps it");
    drop(held);
    eventually("it is gone", || bed.control.replicas().is_empty()).await;
    assert_eq!(bed.control.memory().used_bytes, 0);
}

#[tokio::test]
async fn stopping_drains_and_then_kills() {
    let bed = Bed::with(options(), &[("drain", "60")]).await;
    bed.install("a", json!({})).await;
    bed.install("deaf", json!({"deaf": true})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let mut held = lease.send(ask("hold")).await.expect("an answer").into_body();
    first_chunk(&mut held).await;
    let id: ReplicaId = lease.replica().parse().expect("an id");
    bed.control.stop_replica(id).await.expect("known");
    assert_eq!(bed.states("a"), [ReplicaState::Stopping]);
    // the model is wanted again: a new replica beside the one that drains
    let next = bed.acquire("a").await.expect("a second one");
    assert_ne!(next.replica(), lease.replica());
    drop((held, lease));
    eventually("the first has ended", || bed.local("a").len() == 1).await;

    drop(bed.acquire("deaf").await.expect("starts"));
    let id: ReplicaId = bed.local("deaf")[0].id.parse().expect("an id");
    bed.control.stop_replica(id).await.expect("known");
    eventually("it was killed after the grace", || bed.states("deaf").is_empty()).await;
    assert!(matches!(bed.control.stop_replica(id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn stopping_while_loading_wakes_the_waiters() {
    let bed = Bed::new().await;
    bed.install("a", json!({"gate": bed.path("never")})).await;
    let stop = async {
        eventually("it loads", || bed.states("a") == [ReplicaState::Loading]).await;
        bed.control.stop_model(&"a".parse().expect("an id")).await;
    };
    let (answer, ()) = tokio::join!(bed.acquire("a"), stop);
    assert!(matches!(answer, Err(Error::Stopped { .. })), "{answer:?}");
    assert!(bed.control.replicas().is_empty());
}

#[tokio::test]
async fn a_replica_that_hangs_is_replaced() {
    let mut options = options();
    options.hung_after = Duration::from_millis(200);
    let bed = Bed::with(options, &[]).await;
    bed.install("a", json!({"silent": true})).await;
    let lease = bed.acquire("a").await.expect("starts");
    let error = text(lease.send(ask("hold")).await.expect("an answer")).await.expect_err("never ends");
    assert_eq!(error.code(), Code::ReplicaLost);
    assert!(error.to_string().contains("answered nothing"), "{error}");
}

#[tokio::test]
async fn conversations_keep_to_their_replica_and_load_is_shared() {
    let bed = Bed::with(options(), &[("slots", "4")]).await;
    bed.install("a", json!({})).await;
    drop(bed.acquire("a").await.expect("starts"));
    let status = bed.control.start_replica("a").await.expect("fits");
    assert_eq!(status.state, ReplicaState::Loading);
    eventually("both run", || bed.states("a") == [ReplicaState::Idle, ReplicaState::Idle]).await;

    let home = bed.acquire_for("a", Some(42)).await.expect("runs").replica().to_owned();
    for _ in 0..5 {
        assert_eq!(bed.acquire_for("a", Some(42)).await.expect("runs").replica(), home);
    }
    let without: Vec<_> =
        [bed.acquire("a").await, bed.acquire("a").await].into_iter().map(|l| l.expect("runs")).collect();
    assert_ne!(without[0].replica(), without[1].replica(), "least loaded");
    let crowd: Vec<_> =
        futures::future::join_all((0..6).map(|_| bed.acquire_for("a", Some(42)))).await.into_iter().collect();
    let elsewhere = crowd.iter().flatten().filter(|lease| lease.replica() != home).count();
    assert!((1..=3).contains(&elsewhere), "only what is too much for one moves: {elsewhere}");
    drop((crowd, without));

    bed.control.start_replica("a").await.expect("300 MiB each");
    let error = bed.control.start_replica("a").await.expect_err("a fourth does not fit, and siblings stay");
    assert_eq!(error.code(), Code::OutOfMemory);
}

#[tokio::test]
async fn names_that_are_unknown() {
    let bed = Bed::with(options(), &[("default_model", "main")]).await;
    bed.install("qwen3-0.6b", json!({})).await;
    let error = bed.acquire("").await.expect_err("no default yet");
    assert!(matches!(&error, Error::NoDefault { name } if name == "main"), "{error}");
    let error = bed.acquire("qwen3-06b").await.expect_err("a typing error");
    assert_eq!((error.code(), error.param().as_deref()), (Code::ModelNotFound, Some("model")));
    assert!(error.to_string().contains("did you mean \"qwen3-0.6b\"?"), "{error}");
    bed.install("main", json!({})).await;
    assert_eq!(bed.acquire("default").await.expect("there now").model(), "main");
    assert_eq!(bed.control.resolve(" ").await.expect("there"), "main");
    let models = bed.control.models().await.expect("listed");
    assert_eq!(models.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["main", "qwen3-0.6b"]);
}

#[tokio::test]
async fn a_request_that_finds_a_closed_connection_takes_another() {
    let bed = Bed::new().await;
    bed.install("a", json!({})).await;
    let lease = bed.acquire("a").await.expect("starts");
    // the replica closes this connection after its answer
    let closing =
        Request::get("/pid").header("connection", "close").body(bytes::Bytes::new()).expect("a request");
    text(lease.send(closing).await.expect("an answer")).await.expect("a body");
    for _ in 0..20 {
        echo(&lease).await;
    }
    let many = futures::future::join_all((0..300).map(|_| echo(&lease))).await;
    assert_eq!(many.len(), 300, "more at once than the socket's backlog and the pool hold");
}
