//! A cluster for a run of the tests, and a proxy that loses answers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rixin_slurm::{Client, Job, Options, Phase, Result, Server, SlurmJobId, Submit, TokenSource};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The status of `tests/cluster/up` where the machine can't hold a cluster.
const CANNOT: i32 = 77;

/// A cluster, which is stopped when this is dropped.
pub struct Cluster {
    about: Value,
    // Before the folder: what is stopped is named by a file in it.
    down: Down,
    _root: tempfile::TempDir,
    failed: Mutex<Vec<String>>,
}

struct Down(Vec<String>);

impl Drop for Down {
    fn drop(&mut self) {
        let known = Path::new(&self.0[1]).join("state.json").exists();
        let status = Command::new(&self.0[0]).args(&self.0[1..]).status();
        if !std::thread::panicking() {
            assert!(
                known && status.is_ok_and(|status| status.success()),
                "the cluster left something behind"
            );
        }
    }
}

impl Cluster {
    /// Starts a cluster; none, with a line that says why, where it can't be had.
    pub fn up() -> Option<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cluster");
        let root = tempfile::Builder::new().prefix("rixin-cluster-").tempdir().expect("a folder");
        let started = Instant::now();
        let output = Command::new(scripts.join("up")).arg(root.path()).stdin(Stdio::null()).output();
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                println!("skipped: {} can't be run: {error}", scripts.join("up").display());
                return None;
            }
        };
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(CANNOT) {
            println!("skipped: no Slurm cluster here: {}", words.trim());
            return None;
        }
        assert!(output.status.success(), "tests/cluster/up failed: {words}");
        print!("{words}");
        println!("up after {:.1} s", started.elapsed().as_secs_f64());
        let about: Value = serde_json::from_slice(&output.stdout).expect("a description");
        let down = Down(list(&about["down_command"]));
        Some(Self { about, down, _root: root, failed: Mutex::new(Vec::new()) })
    }

    pub fn text(&self, name: &str) -> String {
        self.about[name].as_str().expect("a text").to_owned()
    }

    pub fn has_accounting(&self) -> bool {
        self.about["accounting"] == true
    }

    /// Runs a part of the test; its failure does not hide the others'.
    pub async fn scenario(&self, name: &str, work: impl Future<Output = ()>) {
        let started = Instant::now();
        let outcome = std::panic::AssertUnwindSafe(work).catch_unwind().await;
        println!(
            "{} {name} ({:.1} s)",
            if outcome.is_ok() { "ok" } else { "FAILED" },
            started.elapsed().as_secs_f64()
        );
        if outcome.is_err() {
            self.failed.lock().expect("a lock").push(name.to_owned());
        }
    }

    pub fn finish(&self) {
        let failed = self.failed.lock().expect("a lock");
        assert!(failed.is_empty(), "failed: {failed:?}");
        assert!(!self.down.0.is_empty());
    }

    pub fn tokens(&self, lifespan: &str) -> TokenSource {
        let mut words = list(&self.about["token_command"]);
        words.push(format!("lifespan={lifespan}"));
        TokenSource::Command(words)
    }

    pub fn make_token(&self, lifespan: &str) -> String {
        let TokenSource::Command(words) = self.tokens(lifespan) else { unreachable!("a command") };
        let output = Command::new(&words[0]).args(&words[1..]).output().expect("scontrol runs");
        String::from_utf8(output.stdout).expect("a token")
    }

    pub async fn client(&self) -> Client {
        self.client_at(self.text("url").parse().expect("an address"), self.tokens("3600")).await
    }

    pub async fn client_at(&self, server: Server, token: TokenSource) -> Client {
        self.client_or(server, token).await.expect("a client")
    }

    pub async fn client_or(&self, server: Server, token: TokenSource) -> Result<Client> {
        Client::connect(Options::new(server, self.text("user"), token)).await
    }

    pub fn submit(&self, token: &str, script: &str) -> Submit {
        let shared = PathBuf::from(self.text("shared"));
        Submit {
            token: token.parse().expect("a token"),
            comment: "a test".into(),
            account: String::new(),
            partition: self.text("partition"),
            script: format!("#!/bin/sh\n{script}\n"),
            environment: BTreeMap::from([("SLURM_CONF".into(), self.text("slurm_conf"))]),
            stdout: shared.join(format!("{token}.out")),
            stderr: shared.join(format!("{token}.err")),
            cwd: shared,
            cpus: 1,
            memory_bytes: 64 << 20,
            gres: Vec::new(),
            time_limit: Some(Duration::from_secs(600)),
            requeue: true,
            dependencies: Vec::new(),
        }
    }

    pub async fn ended(&self, client: &Client, id: SlurmJobId) -> Job {
        let done = async || client.job(id).await.ok().filter(|job| job.phase() == Phase::Ended);
        until(&format!("job {id} ends"), 120, done).await
    }

    pub async fn output(&self, name: &str) -> String {
        tokio::fs::read_to_string(Path::new(&self.text("shared")).join(name)).await.expect("an output")
    }

    /// Waits for a line in a job's output.
    pub async fn line(&self, name: &str, line: &str) {
        let path = Path::new(&self.text("shared")).join(name);
        let seen = async || {
            tokio::fs::read_to_string(&path).await.ok().filter(|text| text.lines().any(|l| l == line))
        };
        until(&format!("{name} has {line:?}"), 60, seen).await;
    }

    /// `tests/cluster/node ROOT WHAT NODE`.
    pub fn node(&self, what: &str, node: &str) {
        let command = list(&self.about["node_command"]);
        let status = Command::new(&command[0]).args(&command[1..]).args([what, node]).status().expect("runs");
        assert!(status.success(), "{what} {node}");
    }

    pub async fn node_usable(&self, client: &Client, name: &str) {
        let usable = async || {
            client.nodes().await.ok()?.into_iter().find(|node| node.name == name && node.is_usable())
        };
        until(&format!("{name} is back"), 240, usable).await;
    }
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// Asks until there is an answer.
pub async fn until<T>(what: &str, seconds: u64, ask: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Passes everything on, but ends the connection instead of answering a submission.
pub struct LossyProxy {
    address: std::net::SocketAddr,
}

impl LossyProxy {
    pub async fn before(url: &str) -> Self {
        let upstream = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&upstream).await.expect("slurmrestd");
                tokio::spawn(pass(client, upstream));
            }
        });
        Self { address }
    }

    pub fn server(&self) -> Server {
        format!("http://{}", self.address).parse().expect("an address")
    }
}

async fn pass(mut client: TcpStream, mut upstream: TcpStream) {
    let mut first = vec![0; 64 << 10];
    let Ok(count) = client.read(&mut first).await else { return };
    let submission = first.starts_with(b"POST");
    if upstream.write_all(&first[..count]).await.is_err() {
        return;
    }
    if !submission {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        return;
    }
    // The rest of the request goes on until slurmrestd answers; the answer is thrown away.
    let (mut from_client, _to_client) = client.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let mut answer = [0; 1024];
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_upstream) => {}
        _ = from_upstream.read(&mut answer) => {}
    }
}
