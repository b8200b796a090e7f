//! A server that is killed leaves nothing running and nothing lying about for longer than until the next start.

mod support;

use std::{process::Stdio, time::Duration};

use rixin_models::Registry;
use rixin_store::Store;
use serde_json::json;
use support::*;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Interest, unix::AsyncFd},
    process::Command,
};

#[tokio::test]
async fn kill_9_of_the_server_ends_its_replicas_and_the_next_start_cleans_up() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("registry");
    install(&registry, "a", MIB, json!({"deaf": true})).await;
    let mut server = Command::new(program())
        .args(["host".as_ref(), dir.path().as_os_str(), "a".as_ref()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).await.expect("reads");
    let pid: i32 = line.trim().parse().expect("the replica's number");
    let pid = rustix::process::Pid::from_raw(pid).expect("not 0");
    let replica = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it runs");
    let run = dir.path().join("run");
    let left = |run: &std::path::Path| std::fs::read_dir(run).expect("there").count();
    assert_eq!(left(&run), 1);

    server.kill().await.expect("SIGKILL");
    // a pidfd is readable when its process has ended (pidfd_open(2))
    let replica = AsyncFd::with_interest(replica, Interest::READABLE).expect("registers");
    let ended = tokio::time::timeout(Duration::from_secs(20), replica.readable()).await;
    assert!(ended.is_ok(), "the replica outlives its server");
    assert_eq!(left(&run), 1, "nobody has cleaned up yet");

    let store = Store::open(dir.path()).await.expect("store");
    let control = rixin_control::Control::start_with(options(), settings(&dir, &[]), registry, store)
        .await
        .expect("starts");
    assert_eq!(left(&run), 1, "its own");
    let request = rixin_control::AcquireRequest { model: "a", affinity: None, lang: rixin_base::Lang::En };
    drop(control.acquire(&request).await.expect("works"));
    control.shutdown(Duration::ZERO).await;
    drop(control);
    eventually("its folder is gone too", || left(&run) == 0).await;
}
