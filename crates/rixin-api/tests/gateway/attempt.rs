//! An attempt of a job, played by the test: the process that the executor has started only waits, and its token lies beside it.

use std::time::Duration;

use rixin_base::JobId;
use rixin_jobs::JobSpec;
use rixin_store::{AttemptScope, Job};

use crate::suite::Suite;

const LEASE_MS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// An attempt that works.
pub struct Played {
    pub scope: AttemptScope,
    pub job: Job,
    pub token: String,
}

impl Suite {
    /// Waits until the executor has taken a job, and works as its attempt `number`.
    pub async fn play(&self, job: &str, number: u32) -> Played {
        let id: JobId = job.parse().expect("a job's id");
        let path = self.folder().join("jobs").join(job).join(format!("attempt-{number}.json"));
        let found = async {
            let mut look = tokio::time::interval(Duration::from_millis(10));
            loop {
                look.tick().await;
                if let Ok(text) = std::fs::read(&path)
                    && let Ok(spec) = serde_json::from_slice::<JobSpec>(&text)
                {
                    return spec;
                }
            }
        };
        let spec = tokio::time::timeout(PATIENCE, found).await.expect("the executor takes the job");
        let entered = self.store.enter_attempt(id, number, &spec.token, false, LEASE_MS).await;
        let (scope, job) = entered.expect("the attempt is the latest");
        Played { scope, job, token: spec.token }
    }
}
