//! Downloads that are cut off: by a cancel, by kill -9, by a file that changes meanwhile. What is asked for afterwards is read from
//! the server's log.

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rixin_base::{Cancel, Code, Explain, Progress};
use rixin_models::{
    Tuning,
    download::{Wanted, fetch},
    net::{Hub, Net, TokenStyle},
    source::SourceError,
};
use support::{HubServer, layout_commit, names_below, noise, sha, tuning};

const NAME: &str = "x.gguf";
const SIZE: usize = 6 << 20;
/// The environment of the process that is killed: the hub's address, the file's place and its hash.
const CHILD: [&str; 3] = ["RIXIN_TEST_CHILD_HUB", "RIXIN_TEST_CHILD_DEST", "RIXIN_TEST_CHILD_SHA"];

fn wanted(endpoint: &str, dest: PathBuf, sha256: &str) -> Wanted {
    let hub = Hub::new("Hugging Face", endpoint, None, TokenStyle::Bearer, "hf_token").expect("hub");
    Wanted {
        url: hub.url(&["org/repo", "resolve", layout_commit(), NAME], &[]),
        hub: Arc::new(hub),
        name: NAME.into(),
        page: String::new(),
        dest,
        size: Some(SIZE as u64),
        sha256: Some(sha256.parse().expect("hash")),
        git_blob: None,
    }
}

async fn get(file: &Wanted, cancel: &Cancel) -> Result<(), SourceError> {
    let tuning = Tuning { stall_timeout: Duration::from_secs(5), ..tuning() };
    let net = Arc::new(Net::new(tuning).expect("net"));
    fetch(&net, "test", std::slice::from_ref(file), &Progress::none(), cancel).await.map(|_| ())
}

/// What the journal on the disk claims.
fn journal(dest: &Path) -> Vec<(u64, u64)> {
    let path = format!("{}.part.journal", dest.display());
    let Ok(text) = std::fs::read(path) else { return Vec::new() };
    let value: serde_json::Value = serde_json::from_slice(&text).expect("a whole journal");
    serde_json::from_value(value["done"].clone()).expect("ranges")
}

fn overlap(a: &[(u64, u64)], b: &[(u64, u64)]) -> u64 {
    a.iter().flat_map(|x| b.iter().map(move |y| x.1.min(y.1).saturating_sub(x.0.max(y.0)))).sum()
}

fn total(ranges: &[(u64, u64)]) -> u64 {
    ranges.iter().map(|(start, end)| end - start).sum()
}

/// Not a test of its own: the process that `kill_9` starts and kills.
#[tokio::test]
async fn child_of_kill_9() {
    let [Ok(hub), Ok(dest), Ok(sha)] = CHILD.map(std::env::var) else { return };
    get(&wanted(&hub, dest.into(), &sha), &Cancel::new()).await.expect("download");
}

#[tokio::test]
async fn kill_9_loses_nothing_that_the_journal_has() {
    let bytes = noise(SIZE, 3);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    // 2.4 seconds for the whole: time enough to see the first entry of the journal.
    server.behave(|m| m.pace = Some(Duration::from_millis(100)));
    let dir = tempfile::tempdir().expect("temp dir");
    let dest = dir.path().join(NAME);
    let hash = sha(&bytes).to_string();
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["child_of_kill_9", "--exact", "--nocapture"])
        .envs(CHILD.iter().zip([server.state.hub.as_str(), &dest.display().to_string(), &hash]))
        .stdout(Stdio::null())
        .spawn()
        .expect("start");
    server.sent(1 << 20).await;
    while journal(&dest).is_empty() {
        tokio::task::yield_now().await;
    }
    child.kill().expect("kill -9");
    child.wait().expect("reap");
    let known = journal(&dest);
    assert!(total(&known) > 0, "something was recorded before the kill");
    assert!(!dest.exists(), "no file under its own name");

    server.take_log();
    server.behave(|m| m.pace = None);
    get(&wanted(&server.state.hub, dest.clone(), &hash), &Cancel::new()).await.expect("resume");
    let asked = server.ranges();
    assert_eq!(overlap(&asked, &known), 0, "asked {asked:?} though the journal had {known:?}");
    assert_eq!(total(&asked) + total(&known), SIZE as u64, "only what was missing");
    assert!(std::fs::read(&dest).expect("file") == bytes);
    assert_eq!(names_below(dir.path()), [NAME]);
    let log = server.take_log();
    assert!(log.iter().filter(|entry| entry.server == "storage").all(|entry| entry.if_range.is_some()));
}

#[tokio::test]
async fn a_cancel_is_quick_and_keeps_what_is_there() {
    let bytes = noise(SIZE, 4);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    server.behave(|m| m.pace = Some(Duration::from_millis(10)));
    let dir = tempfile::tempdir().expect("temp dir");
    let file = wanted(&server.state.hub, dir.path().join(NAME), &sha(&bytes).to_string());
    let cancel = Cancel::new();
    let stop = async {
        server.sent(1 << 20).await;
        cancel.cancel();
        Instant::now()
    };
    let (result, at) = tokio::join!(get(&file, &cancel), stop);
    assert!(at.elapsed() < Duration::from_secs(1), "within a second");
    assert_eq!(result.expect_err("cancelled").code(), Code::Cancelled);
    let known = journal(&file.dest);
    assert!(total(&known) >= 512 << 10, "{known:?}");
    server.take_log();
    server.behave(|m| m.pace = None);
    get(&file, &Cancel::new()).await.expect("resume");
    assert_eq!(overlap(&server.ranges(), &known), 0);
    assert!(std::fs::read(&file.dest).expect("file") == bytes);
}

/// Cuts a download off after a part of it.
async fn cut_off(server: &HubServer, file: &Wanted) {
    *server.state.sent.lock() = 0;
    server.behave(|m| m.pace = Some(Duration::from_millis(10)));
    let cancel = Cancel::new();
    let stop = async {
        server.sent(1 << 20).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(get(file, &cancel), stop);
    result.expect_err("cancelled");
    server.take_log();
    server.behave(|m| m.pace = None);
}

#[tokio::test]
async fn another_version_starts_over() {
    let bytes = noise(SIZE, 5);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let file = wanted(&server.state.hub, dir.path().join(NAME), &sha(&bytes).to_string());
    cut_off(&server, &file).await;
    server.behave(|m| m.version = 2);
    get(&file, &Cancel::new()).await.expect("from the start");
    assert!(std::fs::read(&file.dest).expect("file") == bytes);
    let whole = server.ranges().iter().any(|(start, _)| *start == 0);
    assert!(whole, "bytes of the old version are not kept: {:?}", server.ranges());
}

#[tokio::test]
async fn a_server_that_forgot_ranges_starts_over() {
    let bytes = noise(SIZE, 6);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let file = wanted(&server.state.hub, dir.path().join(NAME), &sha(&bytes).to_string());
    cut_off(&server, &file).await;
    server.behave(|m| m.no_ranges = true);
    get(&file, &Cancel::new()).await.expect("one stream");
    assert!(std::fs::read(&file.dest).expect("file") == bytes);
}

#[tokio::test]
async fn a_journal_or_partial_file_that_lies_costs_time_and_no_truth() {
    let bytes = noise(SIZE, 7);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let file = wanted(&server.state.hub, dir.path().join(NAME), &sha(&bytes).to_string());
    cut_off(&server, &file).await;
    let journal = dir.path().join("x.gguf.part.journal");
    std::fs::write(&journal, b"{\"version\":1,\"done\":").expect("cut short");
    get(&file, &Cancel::new()).await.expect("from the start");
    assert!(std::fs::read(&file.dest).expect("file") == bytes);

    std::fs::remove_file(&file.dest).expect("remove");
    cut_off(&server, &file).await;
    let partial = dir.path().join("x.gguf.part");
    std::fs::write(&partial, vec![0; SIZE]).expect("zeros where the journal claims bytes");
    let error = get(&file, &Cancel::new()).await.expect_err("the hash tells");
    assert_eq!(error.code(), Code::HashMismatch);
    get(&file, &Cancel::new()).await.expect("the next try starts clean");
    assert!(std::fs::read(&file.dest).expect("file") == bytes);
}
