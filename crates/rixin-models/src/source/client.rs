//! The ordinary client of a package index as a child process: watched by the bytes that it brings, ended with all its children.

use std::{
    ffi::OsStr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Instant,
};

use rixin_base::Cancel;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use super::SourceError;
use crate::{download::Meter, net::Tuning};

/// What is kept of each output.
const KEEP: usize = 16 << 10;

/// A package client.
pub(super) struct Client {
    /// The command, for messages.
    pub command: String,
    /// `pypi` or `npm`.
    pub scheme: &'static str,
    /// Times and sizes.
    pub tuning: Tuning,
}

/// How a run ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    /// The last words of its error output.
    pub stderr: String,
}

/// Ends the child and all that it has started when it goes out of scope.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Client {
    /// A client by its command: a program and its first arguments, split at blanks.
    pub fn new(command: &str, scheme: &'static str, tuning: Tuning) -> Result<Self, SourceError> {
        let client = Self { command: command.trim().to_owned(), scheme, tuning };
        match client.command.is_empty() {
            true => Err(client.missing("the setting is empty".into())),
            false => Ok(client),
        }
    }

    /// The error of a client that is not there.
    pub fn missing(&self, why: String) -> SourceError {
        let (mend, setting) = match self.scheme {
            "npm" => ("apt install npm", "RIXIN_NPM"),
            _ => ("apt install python3-pip", "RIXIN_PIP"),
        };
        SourceError::ClientMissing { command: self.command.clone(), scheme: self.scheme, why, mend, setting }
    }

    /// Runs it in `folder`, whose growth is its progress: `meter` shows `before` and the bytes in the folder.
    ///
    /// # Errors
    /// The program is missing, brings no bytes for too long, or was cancelled.
    pub async fn run(
        &self,
        args: &[&OsStr],
        env: &[(&str, &OsStr)],
        folder: &Path,
        meter: &Meter,
        before: u64,
        cancel: &Cancel,
    ) -> Result<Ended, SourceError> {
        let mut words = self.command.split_whitespace();
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(program)
            .args(words)
            .args(args)
            .envs(env.iter().copied())
            // An empty folder of our own: nothing in the user's working folder can stand in for the client's modules.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => self.missing(format!("{program} is not installed")),
                _ => self.missing(error.to_string()),
            })?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let output = async { tokio::join!(last_words(stdout), last_words(stderr)) };
        let work = async {
            let (status, (_, stderr)) = tokio::join!(child_end(&mut child), output);
            status.map(|status| Ended { status, stderr })
        };
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SourceError::Cancelled),
            ended = work => ended.map_err(|error| self.missing(error.to_string()))?,
            error = self.watch(folder, meter, before) => return Err(error),
        };
        // Reaped: its number may belong to another process soon.
        group.0 = None;
        Ok(ended)
    }

    /// Shows the folder's growth; ends when it has not grown for too long.
    async fn watch(&self, folder: &Path, meter: &Meter, before: u64) -> SourceError {
        let (mut bytes, mut since) = (0, Instant::now());
        let mut tick = tokio::time::interval(self.tuning.watch_interval);
        loop {
            tick.tick().await;
            let now = bytes_below(folder, 0);
            if now != bytes {
                (bytes, since) = (now, Instant::now());
                meter.set(before + now);
            }
            if since.elapsed() >= self.tuning.client_stall {
                return SourceError::Stalled {
                    host: self.command.clone(),
                    file: "a package".into(),
                    after: self.tuning.client_stall,
                };
            }
        }
    }
}

async fn child_end(child: &mut Child) -> std::io::Result<ExitStatus> {
    child.wait().await
}

/// Reads an output to its end and keeps the last of it.
async fn last_words(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * KEEP {
            kept.drain(..kept.len() - KEEP);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Bytes in the files below a folder; what vanishes meanwhile counts nothing.
fn bytes_below(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() && depth < 12 => bytes_below(&entry.path(), depth + 1),
            Ok(data) if data.is_file() => data.len(),
            _ => 0,
        })
        .sum()
}

/// Why there was no connection, in the few words that a person needs of pip's or npm's.
pub(super) fn no_network(stderr: &str) -> String {
    const KNOWN: [&str; 12] = [
        "Connection refused",
        "Temporary failure in name resolution",
        "Name or service not known",
        "Network is unreachable",
        "certificate verify failed",
        "Read timed out",
        "timed out",
        "ECONNREFUSED",
        "ENOTFOUND",
        "EAI_AGAIN",
        "ETIMEDOUT",
        "ECONNRESET",
    ];
    KNOWN
        .iter()
        .find(|words| stderr.contains(**words))
        .map_or_else(|| gist(stderr), |words| (*words).to_owned())
}

/// The lines of an error output that say something, at most 600 characters of the last.
pub(super) fn gist(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("[notice]") && !line.starts_with("npm notice"))
        .collect();
    let last = lines[lines.len().saturating_sub(6)..].join(" | ");
    let skip = last.chars().count().saturating_sub(600);
    last.chars().skip(skip).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
