//! Runs the real binary in a data folder of its own.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// A data folder.
pub struct Home {
    pub dir: TempDir,
}

/// What a run gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The document on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The error object on standard error: its code and message.
    pub fn error(&self) -> (String, String) {
        let last = self.stderr.lines().last().unwrap_or_default();
        let json: Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"));
        let text = |name: &str| json["error"][name].as_str().expect("a text").to_owned();
        (text("code"), text("message"))
    }
}

/// The binary with none of this environment's settings.
pub fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rixin"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("RIXIN_") || name.starts_with("LC_"))
    {
        command.env_remove(name);
    }
    command.env_remove("HF_TOKEN").env("LANG", "C").args(args).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn ran(mut command: Command) -> Ran {
    let output = command.output().expect("the binary runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp dir") }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("RIXIN_DATA_DIR", self.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args))
    }

    /// Runs what has to work; its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "rixin {args:?}: {ran:?}");
        ran.json()
    }
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
    pub ready: Value,
}

impl Server {
    /// Starts it and waits for its line.
    pub fn start(home: &Home, args: &[&str]) -> Self {
        let port = free_port().to_string();
        let mut all = vec!["serve", "--json", "--port", &port];
        all.extend(args);
        let mut command = home.command(&all);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sent, line) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sent.send(line);
            }
        });
        let line = line.recv_timeout(Duration::from_secs(60)).expect("the server gets ready");
        let ready = serde_json::from_str(&line).expect("a line of JSON");
        Self { child, ready }
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn url(&self) -> String {
        self.ready["url"].as_str().expect("an address").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real SmolLM2; `None`, said aloud, where it was not fetched.
pub fn smollm2() -> Option<PathBuf> {
    let cache = std::env::var_os("RIXIN_TEST_CACHE").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache/rixin/test-models"))
    })?;
    let file = cache.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if file.exists() {
        return Some(file);
    }
    eprintln!("skipped: {} is missing (scripts/test-models fetches it)", file.display());
    None
}
