//! What control runs by, besides the settings: the program of a replica, and the times that tests shorten.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How a replica's process is started. `--spec FILE` is appended.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program; `None`: this very binary.
    pub program: Option<PathBuf>,
    /// The arguments before `--spec`.
    pub args: Vec<String>,
}

impl Launcher {
    /// This very binary: `rixin replica run`.
    pub fn own() -> Self {
        Self { program: None, args: vec!["replica".into(), "run".into()] }
    }

    /// The path to start. Where an update has replaced the file of this binary, the running one is taken, so that both sides
    /// are of one version.
    pub(crate) fn path(&self) -> PathBuf {
        if let Some(program) = &self.program {
            return program.clone();
        }
        let running = PathBuf::from("/proc/self/exe");
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        match std::env::current_exe() {
            Ok(named) if !running.exists() || identity(&named) == identity(&running) => named,
            _ => running,
        }
    }
}

/// Times and the program. [`Options::default`] is what a server uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// How a replica's process is started.
    pub launcher: Launcher,
    /// How long a load waits for busy replicas to make room.
    pub memory_patience: Duration,
    /// The first back-off after a failed load; it doubles with each one.
    pub backoff_first: Duration,
    /// The longest back-off.
    pub backoff_most: Duration,
    /// A replica that lived this long before it crashed starts a new count.
    pub stable_after: Duration,
    /// How long a process that was told to end may take before it is killed.
    pub stop_grace: Duration,
    /// How often the figures of replicas are fetched.
    pub stats_every: Duration,
    /// A replica that answers nothing for so long has hung, and is killed.
    pub hung_after: Duration,
    /// How often an external engine is checked.
    pub check_every: Duration,
    /// The longest a check may take.
    pub check_timeout: Duration,
    /// Overrides the idle time of the settings, which counts in whole seconds.
    pub keep_alive: Option<Duration>,
    /// Overrides what the machine is found to have, in bytes for all replicas.
    pub capacity: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            launcher: Launcher::own(),
            memory_patience: Duration::from_secs(30),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(300),
            stable_after: Duration::from_secs(60),
            stop_grace: Duration::from_secs(5),
            stats_every: Duration::from_secs(2),
            hung_after: Duration::from_secs(120),
            check_every: Duration::from_secs(15),
            check_timeout: Duration::from_secs(5),
            keep_alive: None,
            capacity: None,
        }
    }
}
