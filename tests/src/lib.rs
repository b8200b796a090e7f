//! Helpers of the tests that cross crates: a suite started from the built binary, in a data folder of its own.
//!
//! The binary is `$RIXIN_BIN`, else `rixin` beside the test's own target folder; `make test` builds it first.

mod process;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub use process::{children_of, is_alive, kill_hard, resident_bytes};
use serde_json::Value;
use tempfile::TempDir;

/// The model that the suite's tests talk to.
pub const MODEL: &str = "smollm2-135m-instruct";

/// The built binary.
///
/// # Panics
/// Where there is none, with the command that builds it.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("RIXIN_BIN") {
        return path.into();
    }
    let exe = std::env::current_exe().expect("a test has a path");
    let release = exe.ancestors().nth(2).expect("a test lies in target/release/deps");
    let path = release.join("rixin");
    assert!(path.exists(), "{} is missing: run `make build` first", path.display());
    path
}

/// The real SmolLM2 file; `None`, said aloud, where it was not fetched.
pub fn smollm2() -> Option<PathBuf> {
    let cache = std::env::var_os("RIXIN_TEST_CACHE").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache/rixin/test-models"))
    })?;
    let file = cache.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if !file.exists() {
        eprintln!("skipped: {} is missing (scripts/test-models fetches it)", file.display());
        return None;
    }
    Some(file)
}

/// A running suite; dropped, it is killed together with its folder.
pub struct Suite {
    /// Its data folder.
    pub data: TempDir,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// An admin key.
    pub key: String,
    /// The gateway's process.
    pub server: Child,
    env: Vec<(String, String)>,
}

impl Suite {
    /// A suite with the real model, or `None` where that is missing. `env` are further settings.
    pub fn with_model(env: &[(&str, &str)]) -> Option<Suite> {
        let file = smollm2()?;
        let data = tempfile::tempdir().expect("temp dir");
        let file = file.display().to_string();
        let args = ["models", "import", &file, "--id", MODEL, "--licence", "Apache-2.0", "--yes", "--json"];
        let env = settings(data.path(), env);
        run(&env, &args);
        Some(Self::start(data, env))
    }

    /// A suite without models.
    pub fn empty(env: &[(&str, &str)]) -> Suite {
        let data = tempfile::tempdir().expect("temp dir");
        let env = settings(data.path(), env);
        Self::start(data, env)
    }

    fn start(data: TempDir, env: Vec<(String, String)>) -> Suite {
        let made = run(&env, &["keys", "create", "tests", "--role", "admin", "--json"]);
        let key = made["key"].as_str().expect("a key").to_owned();
        let listen =
            env.iter().find(|(name, _)| name == "RIXIN_LISTEN").map(|(_, v)| v.clone()).expect("an address");
        let url = format!("http://{listen}");
        let server = serve(&env);
        Suite { data, url, key, server, env }
    }

    /// Kills the gateway without warning and starts another one on the same data folder and port.
    pub fn crash_and_restart(&mut self) {
        kill_hard(self.server.id());
        self.server.wait().expect("it was our child");
        self.server = serve(&self.env);
    }

    /// Runs a command of the suite; its JSON.
    pub fn run(&self, args: &[&str]) -> Value {
        run(&self.env, args)
    }

    /// A command of the suite, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.env, args)
    }

    /// A client with the admin key.
    pub fn client(&self) -> reqwest::Client {
        // The second call finds the first one's provider, which is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = http::HeaderMap::new();
        let value = format!("Bearer {}", self.key).parse().expect("a key is a header value");
        headers.insert(http::header::AUTHORIZATION, value);
        reqwest::Client::builder().default_headers(headers).build().expect("a client")
    }

    /// The replicas' processes.
    pub fn replica_pids(&self) -> Vec<u32> {
        children_of(self.server.id())
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        kill_hard(self.server.id());
        let _ = self.server.wait();
    }
}

/// The environment of a suite on a free port.
pub fn settings(data: &Path, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let mut env: Vec<(String, String)> = vec![
        ("RIXIN_DATA_DIR".into(), data.display().to_string()),
        ("RIXIN_LISTEN".into(), format!("127.0.0.1:{port}")),
        ("RIXIN_LANG".into(), "en".into()),
        ("RIXIN_LOG".into(), "warn".into()),
    ];
    env.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    env
}

/// A command with only these settings.
pub fn command(env: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIXIN_")) {
        command.env_remove(name);
    }
    command.envs(env.iter().map(|(k, v)| (k, v))).args(args);
    command
}

fn run(env: &[(String, String)], args: &[&str]) -> Value {
    let output = command(env, args).output().expect("the binary runs");
    assert!(output.status.success(), "rixin {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Starts a gateway and waits until it says that it is ready.
pub fn serve(env: &[(String, String)]) -> Child {
    let mut child = command(env, &["serve", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the binary runs");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let (sent, ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if line.contains("ready") {
                let _ = sent.send(());
            }
        }
    });
    ready.recv_timeout(Duration::from_secs(30)).expect("the gateway becomes ready");
    child
}

/// Asks again and again until `done` holds.
///
/// # Panics
/// With `what` when it does not hold in time.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, limit: Duration, mut done: F) {
    let end = Instant::now() + limit;
    while !done().await {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
