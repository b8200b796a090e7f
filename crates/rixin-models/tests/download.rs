//! The downloader against a hub that misbehaves: every way in which a transfer can go wrong, and what is asked for when it goes on.

mod support;

use std::{
    path::{Path, PathBuf},
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
use support::{HubServer, Trouble, layout_commit, names_below, noise, sha, tuning};

const NAME: &str = "x.gguf";
const MIB: usize = 1 << 20;

fn hub(endpoint: &str, token: Option<&str>) -> Arc<Hub> {
    Arc::new(Hub::new("Hugging Face", endpoint, token, TokenStyle::Bearer, "hf_token").expect("hub"))
}

fn wanted(endpoint: &str, name: &str, folder: &Path, bytes: &[u8]) -> Wanted {
    let hub = hub(endpoint, None);
    Wanted {
        url: hub.url(&["org/repo", "resolve", layout_commit(), name], &[]),
        hub,
        name: name.into(),
        page: format!("{endpoint}/org/repo"),
        dest: folder.join(name),
        size: Some(bytes.len() as u64),
        sha256: Some(sha(bytes)),
        git_blob: None,
    }
}

async fn get(tuning: Tuning, file: &Wanted) -> Result<(), SourceError> {
    let net = Arc::new(Net::new(tuning).expect("net"));
    fetch(&net, "test", std::slice::from_ref(file), &Progress::none(), &Cancel::new()).await.map(|_| ())
}

/// A server with one file, and where it shall go.
async fn set_up(len: usize) -> (HubServer, tempfile::TempDir, Vec<u8>, Wanted) {
    let bytes = noise(len, 1);
    let server = HubServer::start(&[(NAME, bytes.clone())]).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let file = wanted(&server.state.hub, NAME, dir.path(), &bytes);
    (server, dir, bytes, file)
}

fn assert_whole(file: &Wanted, bytes: &[u8]) {
    assert!(std::fs::read(&file.dest).expect("the file") == bytes, "the bytes differ");
    assert_eq!(names_below(file.dest.parent().expect("folder")), [NAME], "nothing else stays");
}

/// No byte of the storage is asked for twice.
fn assert_disjoint(mut ranges: Vec<(u64, u64)>) {
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
}

#[tokio::test]
async fn ranges_cover_the_file_once_and_the_token_stays_at_the_hub() {
    let (server, _dir, bytes, mut file) = set_up(2 * MIB + 12345).await;
    server.behave(|m| m.token = Some("hf_secret".into()));
    file.hub = hub(&server.state.hub, Some("hf_secret"));
    get(tuning(), &file).await.expect("download");
    assert_whole(&file, &bytes);
    assert_disjoint(server.ranges());
    assert_eq!(server.ranges().iter().map(|(start, end)| end - start).sum::<u64>(), bytes.len() as u64);
    let log = server.take_log();
    assert!(log.iter().filter(|entry| entry.server == "hub").all(|entry| entry.authorization.is_some()));
    for entry in log.iter().filter(|entry| entry.server == "storage") {
        assert_eq!((&entry.authorization, &entry.cookie), (&None, &None), "the token left the hub");
    }
    // A second call finds the file and asks for nothing.
    get(tuning(), &file).await.expect("it is there");
    assert!(server.take_log().is_empty());
}

#[tokio::test]
async fn sizes_at_the_edges() {
    for len in [0, 1, 256 << 10, (256 << 10) + 1] {
        for known in [true, false] {
            let (_server, _dir, bytes, mut file) = set_up(len).await;
            if !known {
                file.size = None;
            }
            get(tuning(), &file).await.unwrap_or_else(|error| panic!("{len} {known}: {error}"));
            assert_whole(&file, &bytes);
        }
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_one_stream() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    server.behave(|m| {
        m.no_ranges = true;
        m.storage.push_back(Trouble::Break(100_000));
    });
    get(tuning(), &file).await.expect("download");
    assert_whole(&file, &bytes);
    let requests = server.take_log().iter().filter(|entry| entry.server == "storage").count();
    assert_eq!(requests, 2, "one that broke and one that did not");
}

#[tokio::test]
async fn ranges_with_the_status_200_are_ranges() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    server.behave(|m| m.ranges_as_200 = true);
    get(tuning(), &file).await.expect("download");
    assert_whole(&file, &bytes);
    assert_disjoint(server.ranges());
}

#[tokio::test]
async fn broken_and_stalled_connections_go_on_where_they_stopped() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    server.behave(|m| {
        m.storage.extend([
            Trouble::Break(100_000),
            Trouble::Stall(70_000),
            Trouble::Status(503, vec![], "busy".into()),
            Trouble::Break(0),
        ]);
        m.hub.push_back(Trouble::Status(500, vec![], "{\"error\":\"oops\"}".into()));
    });
    get(tuning(), &file).await.expect("download");
    assert_whole(&file, &bytes);
}

#[tokio::test]
async fn a_signed_address_that_expires_is_asked_for_anew() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    server.behave(|m| m.signature_uses = Some(2));
    get(Tuning { parallel: 1, ..tuning() }, &file).await.expect("download");
    assert_whole(&file, &bytes);
    let through_hub = server.take_log().iter().filter(|entry| entry.server == "hub").count();
    assert_eq!(through_hub, 2, "4 pieces, 2 a signature");
}

#[tokio::test]
async fn what_stays_broken_is_told() {
    let troubles: [(Trouble, Code, &str); 5] = [
        (Trouble::Break(0), Code::SourceFailed, "can't reach"),
        (Trouble::Stall(0), Code::SourceFailed, "sent nothing for 0.1 s"),
        (
            Trouble::Status(500, vec![], "{\"error\":\"database is down\"}".into()),
            Code::SourceFailed,
            "database is down",
        ),
        (Trouble::Page, Code::SourceFailed, "a web page instead of the file"),
        (Trouble::WrongRange, Code::SourceFailed, "where bytes 0-"),
    ];
    for (trouble, code, words) in troubles {
        let (server, dir, _, file) = set_up(MIB).await;
        server.behave(|m| m.storage.extend(vec![trouble.clone(); 40]));
        let short = Tuning { stall_timeout: Duration::from_millis(100), retries: 2, ..tuning() };
        let error = get(short, &file).await.expect_err("trouble");
        assert_eq!(error.code(), code, "{trouble:?}");
        assert!(error.to_string().contains(words), "{trouble:?}: {error}");
        assert!(!error.message().zh.is_ascii(), "{trouble:?} is told in Chinese too");
        assert!(!names_below(dir.path()).contains(&NAME.to_owned()), "{trouble:?} leaves no file");
    }
}

#[tokio::test]
async fn no_server_is_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let file = wanted(&format!("http://{free}"), NAME, dir.path(), b"x");
    let error = get(tuning(), &file).await.expect_err("nobody listens");
    assert!(matches!(&error, SourceError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_not_kept() {
    let (server, dir, _, file) = set_up(MIB).await;
    server.behave(|m| m.corrupt = true);
    let error = get(tuning(), &file).await.expect_err("one bit differs");
    assert_eq!(error.code(), Code::HashMismatch, "{error}");
    assert!(names_below(dir.path()).is_empty(), "neither the file nor a part of it stays");
}

#[tokio::test]
async fn a_wrong_length_is_refused() {
    for change in [-10, 10] {
        let (server, dir, _, file) = set_up(MIB).await;
        server.behave(|m| m.lengthen = change);
        let error = get(tuning(), &file).await.expect_err("another length");
        assert!(
            matches!(error, SourceError::SizeMismatch { expected, .. } if expected == MIB as u64),
            "{error}"
        );
        assert!(!names_below(dir.path()).contains(&NAME.to_owned()));
    }
}

#[tokio::test]
async fn a_hash_that_contradicts_the_hubs_shows_before_the_bytes() {
    let (server, _dir, _, mut file) = set_up(MIB).await;
    file.sha256 = Some(sha(b"another"));
    let error = get(tuning(), &file).await.expect_err("another file");
    assert_eq!(error.code(), Code::HashMismatch);
    assert!(*server.state.sent.lock() < MIB as u64 / 2, "the answer to the first request says enough");
}

#[tokio::test]
async fn without_a_hash_the_hubs_own_is_checked() {
    let (server, _dir, _, mut file) = set_up(MIB).await;
    file.sha256 = None;
    server.behave(|m| m.corrupt = true);
    assert_eq!(get(tuning(), &file).await.expect_err("linked etag").code(), Code::HashMismatch);
    // A small file is named by git alone.
    let text = b"{\"a\": 1}".to_vec();
    let server = HubServer::start(&[("config.json", text.clone())]).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let mut small = wanted(&server.state.hub, "config.json", dir.path(), &text);
    (small.sha256, small.git_blob) = (None, Some("70b6e5ba4bf1c4bd4a1b5c4bd8c6f8f5f3d9f5a1".into()));
    let error = get(tuning(), &small).await.expect_err("another blob");
    assert!(error.to_string().contains("git hash"), "{error}");
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_within_reason() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    let limited = |after: &str| Trouble::Status(429, vec![("retry-after", after.into())], "slow down".into());
    server.behave(|m| m.hub.push_back(limited("1")));
    let start = Instant::now();
    get(tuning(), &file).await.expect("after a second");
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is kept");
    assert_whole(&file, &bytes);

    let (server, _dir, _, file) = set_up(MIB).await;
    server.behave(|m| m.hub.push_back(limited("3600")));
    let error = get(tuning(), &file).await.expect_err("an hour is too long");
    assert_eq!((error.code(), error.retry_after()), (Code::SourceBusy, Some(Duration::from_secs(3600))));
    assert_eq!(server.take_log().len(), 1, "no second request");
}

#[tokio::test]
async fn a_full_disk_shows_before_the_download() {
    let (server, dir, _, mut file) = set_up(MIB).await;
    file.size = Some(1 << 60);
    let error = get(tuning(), &file).await.expect_err("an exbibyte");
    assert!(
        matches!(error, SourceError::DiskFull { need, free, .. } if need >= 1 << 60 && free > 0),
        "{error}"
    );
    assert!(server.take_log().is_empty() && names_below(dir.path()).is_empty());
}

/// A small file system of its own, where this user may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, bytes: usize) -> Option<Self> {
        let options = format!("size={bytes}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).output();
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_meanwhile_is_told_with_figures() {
    let (server, _dir, bytes, mut file) = set_up(4 * MIB).await;
    let small = tempfile::tempdir().expect("temp dir");
    let Some(disk) = SmallDisk::mount(small.path(), 2 * MIB) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    file.dest = small.path().join(NAME);
    file.size = None;
    for no_ranges in [false, true] {
        server.behave(|m| m.no_ranges = no_ranges);
        let error = get(tuning(), &file).await.expect_err("4 MiB on 2 MiB");
        assert!(matches!(error, SourceError::DiskFull { free, .. } if free <= 2 * MIB as u64), "{error}");
        assert_eq!(error.code(), Code::DiskFull);
    }
    drop(disk);
    server.behave(|m| m.no_ranges = false);
    get(tuning(), &file).await.expect("with room");
    assert_whole(&file, &bytes);
}

#[tokio::test]
async fn two_downloads_of_one_file_exclude_each_other() {
    let (server, _dir, bytes, file) = set_up(MIB).await;
    server.behave(|m| m.pace = Some(Duration::from_millis(5)));
    let (one, two) = tokio::join!(get(tuning(), &file), get(tuning(), &file));
    one.and(two).expect("both have the file");
    assert_whole(&file, &bytes);
    assert_disjoint(server.ranges());
}
