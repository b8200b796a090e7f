//! A server that is killed leaves nothing running and nothing lying about for longer than until the next start.

mod support;

use std::{process::Stdio, time::Duration};

use rixin_models::Registry;
use rixin_store::Store;
use serde_json::json;
use support::*;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixStream,
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
    line.trim().parse::<u32>().expect("the replica's number: it answers");
    let run = dir.path().join("run");
    let left = |run: &std::path::Path| std::fs::read_dir(run).expect("there").count();
    assert_eq!(left(&run), 1);
    // a connection to the replica ends when its process does, and not before
    let folder = std::fs::read_dir(&run).expect("there").next().expect("one").expect("readable").path();
    let sockets = std::fs::read_dir(&folder).expect("there").flatten().map(|entry| entry.path());
    let socket = sockets.into_iter().find(|path| path.extension().is_none() && !path.ends_with("lock"));
    let mut replica = UnixStream::connect(socket.expect("its socket")).await.expect("listens");

    server.kill().await.expect("SIGKILL");
    let mut byte = [0];
    let ended = tokio::time::timeout(Duration::from_secs(20), replica.read(&mut byte)).await;
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
