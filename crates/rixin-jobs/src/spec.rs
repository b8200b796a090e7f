//! What the process of an attempt is told by the server that started it: a file that only this user can read.

use std::path::PathBuf;

use rixin_base::JobId;
use serde::{Deserialize, Serialize};

/// The attempt, how it proves itself, and where things are.
#[derive(Clone, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job.
    pub job: JobId,
    /// The attempt's number.
    pub attempt: u32,
    /// Proves to store and gateway that the process is that attempt.
    pub token: String,
    /// The gateway's address, such as `http://127.0.0.1:8460`.
    pub gateway: String,
    /// The job's folder: checkpoints and scratch, shared by its attempts.
    pub folder: PathBuf,
    /// The settings of the server, by name.
    pub settings: Vec<(String, String)>,
    /// How long an attempt lives without a sign of life, in milliseconds.
    pub lease_ms: i64,
}

impl std::fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobSpec")
            .field("job", &self.job)
            .field("attempt", &self.attempt)
            .field("gateway", &self.gateway)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
