//! Replicas as long jobs of the cluster: handed out, looked after, started again, ended.
//!
//! The wish for one is a row that all gateways see; one of them owns it for the moment and looks after its job. Each job is an attempt
//! with a token of its own, in a file that only this user can read. Slurm does not start such a job again by itself: the next attempt
//! is another job, so that what a lost process says later changes nothing.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use rixin_base::{Code, Fault, ModelId, ReplicaId, Settings};
use rixin_models::Registry;
use rixin_protocol::replica::{ClusterSpec, Report};
use rixin_slurm::{
    Client, Error as SlurmError, GresRequest, Job as SlurmJob, Phase, Refusal, Signal, State, Submit,
    SubmitToken,
};
use rixin_store::{Cause, ClusterReplica, ClusterReplicas, ClusterState, now_ms};
use tokio::time::Instant;

use super::{Place, Slurm, ending, newest, state_word};
use crate::{Error, Result, control::facts_of, facts::Facts, jobs::local};

/// How often the jobs are looked after.
const LOOK: Duration = Duration::from_secs(2);
/// A gateway that has said nothing for so long does not look after a replica any more.
const OWN: Duration = Duration::from_secs(20);
/// What a process takes besides the model, in bytes.
const BESIDES: u64 = 256 << 20;
/// Cores of a replica where nobody says how many.
const CORES: u32 = 4;
/// Attempts that may be lost in a row.
const LOSSES: u32 = 5;

/// Who looks after them.
pub(in crate::jobs) struct Minder {
    slurm: Arc<Slurm>,
    settings: Arc<Settings>,
    registry: Registry,
    replicas: ClusterReplicas,
    owner: String,
    lease: Duration,
    since: Instant,
}

impl Minder {
    pub fn new(
        slurm: Arc<Slurm>,
        settings: Arc<Settings>,
        registry: Registry,
        replicas: ClusterReplicas,
        owner: String,
        lease: Duration,
    ) -> Arc<Self> {
        Arc::new(Self { slurm, settings, registry, replicas, owner, lease, since: Instant::now() })
    }

    /// Looks after them as long as anybody holds this.
    pub async fn mind(this: Weak<Self>) {
        loop {
            let Some(strong) = this.upgrade() else { return };
            if let Err(error) = strong.look().await {
                strong.slurm.in_trouble(Fault::from(error));
            }
            drop(strong);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lets another gateway look after them: this one ends.
    pub async fn release(&self) {
        if let Err(error) = self.replicas.disown(&self.owner).await {
            tracing::warn!(%error, "the cluster's replicas could not be handed over; another gateway takes them a little later");
        }
    }

    async fn look(&self) -> Result<()> {
        let rows = self.replicas.list().await.map_err(Error::other)?;
        if rows.is_empty() {
            return Ok(());
        }
        let client = self.slurm.client().await?;
        let jobs = client.jobs().await.map_err(Error::other)?;
        for mut row in rows {
            let own_ms = i64::try_from(OWN.as_millis()).unwrap_or(i64::MAX);
            if !self.replicas.own(row.id, &self.owner, own_ms).await.map_err(Error::other)? {
                continue;
            }
            row.owner.clone_from(&self.owner);
            let id = row.id;
            if let Err(error) = self.one(&client, &jobs, row).await {
                tracing::error!(replica = %id, %error, "a replica of the cluster could not be looked after; it is tried again");
            }
        }
        Ok(())
    }

    async fn one(&self, client: &Client, jobs: &[SlurmJob], row: ClusterReplica) -> Result<()> {
        let job = match (row.attempt, token(row.id, row.attempt)) {
            (1.., Ok(token)) => match newest(jobs, &token) {
                Some(job) => Some(job),
                // slurmctld may have forgotten it, or the list is older than the job
                None if row.place.is_some() => client.find_by_token(&token).await.map_err(Error::other)?,
                None => None,
            },
            _ => None,
        };
        let living = job.as_ref().filter(|job| job.phase() != Phase::Ended);
        match (row.state, living) {
            (ClusterState::Stopping | ClusterState::Failed, Some(job)) if job.state != State::Completing => {
                client.cancel(job.id, Signal::Cancel).await.map_err(Error::other)
            }
            (ClusterState::Failed, _) => Ok(()),
            (ClusterState::Stopping, _) => {
                self.replicas.remove(row.id).await.map_err(Error::other)?;
                let _ = tokio::fs::remove_dir_all(self.folder(row.id)).await;
                Ok(())
            }
            (ClusterState::Starting | ClusterState::Ready, Some(job)) if row.place.is_some() => {
                self.alive(client, &row, job).await
            }
            // a gateway ended between handing it out and noting that, or its answer was lost; one that a lost node does not let go of is
            // no reason to wait
            (_, Some(job)) if job.state != State::Completing => {
                client.cancel(job.id, Signal::Cancel).await.map_err(Error::other)
            }
            (_, None) if row.place.is_some() => self.over(&row, job.as_ref()).await,
            _ if row.not_before <= now_ms() => self.hand_out(client, &row).await,
            _ => Ok(()),
        }
    }

    /// Its job waits or runs.
    async fn alive(&self, client: &Client, row: &ClusterReplica, job: &SlurmJob) -> Result<()> {
        let shown = serde_json::to_value(Place {
            slurm_job: job.id.get(),
            token: job.token.as_ref().map(ToString::to_string).unwrap_or_default(),
            node: job.nodes.clone(),
            state: state_word(&job.state),
            reason: job.reason.clone().unwrap_or_default(),
            restarts: job.restarts,
        })
        .unwrap_or_default();
        if row.place.as_ref() != Some(&shown) {
            self.replicas.set_place(row.id, row.attempt, &shown).await.map_err(Error::other)?;
        }
        // a gateway that was away itself gives everybody the time to be heard again
        let silent = row.lease_until.saturating_add(self.ms(2)) < now_ms();
        if row.state == ClusterState::Ready && silent && self.since.elapsed() > 3 * self.lease {
            client.cancel(job.id, Signal::Cancel).await.map_err(Error::other)?;
            let fault = Fault::new(
                Code::ReplicaLost,
                format!("it gave no sign of life any more (node {})", job.nodes),
                format!("已无任何响应（节点 {}）", job.nodes),
            );
            self.ended(row, &fault, true).await?;
        }
        Ok(())
    }

    fn ms(&self, leases: i64) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX / 8).saturating_mul(leases)
    }

    /// Its job is over, or nobody knows it.
    async fn over(&self, row: &ClusterReplica, job: Option<&SlurmJob>) -> Result<()> {
        let stem = self.folder(row.id).join(format!("attempt-{}", row.attempt));
        let _ = std::fs::remove_file(stem.with_extension("json"));
        let Some(job) = job else {
            return self.ended(row, &super::super::lost(), true).await;
        };
        let (cause, fault) = ending(job, &stem.with_extension("log"));
        match cause {
            Cause::Lost | Cause::TimedOut => self.ended(row, &fault, true).await,
            Cause::Crashed => {
                self.ended(row, &said(&stem.with_extension("out")).unwrap_or(fault), false).await
            }
            _ => self.ended(row, &fault, false).await,
        }
    }

    async fn ended(&self, row: &ClusterReplica, fault: &Fault, again: bool) -> Result<()> {
        let again_at = (again && row.failures < LOSSES)
            .then(|| now_ms().saturating_add(i64::from(row.failures).saturating_mul(10_000)));
        let done = self.replicas.ended(row.id, row.attempt, fault, again_at).await.map_err(Error::other)?;
        if done {
            tracing::warn!(replica = %row.id, model = row.model, attempt = row.attempt, again = again_at.is_some(), "{}", fault.message.en);
        }
        Ok(())
    }

    /// The next attempt, as a job.
    async fn hand_out(&self, client: &Client, row: &ClusterReplica) -> Result<()> {
        let facts = match self.facts(&row.model).await {
            Ok(facts) => facts,
            Err(error) => return self.ended(row, &Fault::from(error), false).await,
        };
        let Some((number, key)) = self.replicas.begin(row).await.map_err(Error::other)? else {
            return Ok(());
        };
        let begun = ClusterReplica { attempt: number, ..row.clone() };
        let submitted = match self.submission(&begun, &facts, key) {
            Ok(submit) => client.submit(&submit).await.map(|id| (id, submit.token)),
            Err(error) => return self.ended(&begun, &Fault::from(error), false).await,
        };
        match submitted {
            Ok((id, token)) => {
                tracing::info!(replica = %row.id, model = row.model, attempt = number, slurm_job = %id, "a replica was handed to the cluster");
                let place = Place {
                    slurm_job: id.get(),
                    token: token.to_string(),
                    node: String::new(),
                    state: "pending".into(),
                    reason: String::new(),
                    restarts: 0,
                };
                let place = serde_json::to_value(&place).unwrap_or_default();
                self.replicas.set_place(row.id, number, &place).await.map_err(Error::other)
            }
            // if it is there after all, the next look ends it and hands out another one
            Err(SlurmError::OutcomeUnknown { .. }) => Ok(()),
            Err(error) => {
                let hopeless = matches!(
                    error,
                    SlurmError::Refused { kind: Refusal::Resources | Refusal::Partition, .. }
                        | SlurmError::Invalid { .. }
                );
                self.ended(&begun, &Fault::from(error), !hopeless).await
            }
        }
    }

    async fn facts(&self, model: &str) -> Result<Facts> {
        let missing = || Error::NotInstalled { name: model.to_owned() };
        let id: ModelId = model.parse().map_err(|_| missing())?;
        let manifest = self.registry.find(&id).await.map_err(Error::other)?.ok_or_else(missing)?;
        facts_of(&self.registry, &manifest, &self.settings)
    }

    fn folder(&self, id: ReplicaId) -> PathBuf {
        let base = match self.settings.slurm_folder.as_str() {
            "" => self.settings.data_dir.join("jobs"),
            folder => PathBuf::from(folder),
        };
        base.join("replicas").join(id.to_string())
    }

    fn submission(&self, row: &ClusterReplica, facts: &Facts, key: String) -> Result<Submit> {
        let folder = self.folder(row.id);
        let stem = folder.join(format!("attempt-{}", row.attempt));
        let wanted = &row.resources;
        let cores = match (wanted.cores, self.settings.threads) {
            (0, 0) => CORES,
            (0, threads) => threads,
            (cores, _) => cores,
        };
        let mut spec = facts.spec(PathBuf::new(), &self.settings);
        spec.threads = cores;
        spec.cluster =
            Some(ClusterSpec { replica: row.id, gateway: local::gateway(&self.settings), token: key });
        let path = stem.with_extension("json");
        write(&folder, &path, &serde_json::to_vec(&spec).map_err(|error| Error::io(&path, &error.into()))?)?;
        let mut environment = BTreeMap::from([("OMP_NUM_THREADS".to_owned(), cores.to_string())]);
        environment.extend(self.slurm.environment());
        let gres = wanted
            .accelerators
            .iter()
            .map(|one| GresRequest::new(&one.family, one.model.as_deref(), one.count))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(Error::other)?;
        Ok(Submit {
            token: token(row.id, row.attempt).map_err(Error::other)?,
            comment: format!("replica: {}", row.model),
            account: self.settings.slurm_account.clone(),
            partition: self.settings.slurm_partition.clone(),
            script: self.slurm.script("replica run", &path),
            environment,
            cwd: folder,
            stdout: stem.with_extension("out"),
            stderr: stem.with_extension("log"),
            cpus: cores,
            memory_bytes: if wanted.memory_bytes == 0 {
                facts.ask.need.saturating_add(BESIDES)
            } else {
                wanted.memory_bytes
            },
            gres,
            time_limit: wanted.time_limit_secs.map(Duration::from_secs),
            requeue: false,
            dependencies: Vec::new(),
        })
    }
}

fn token(id: ReplicaId, attempt: u32) -> std::result::Result<SubmitToken, SlurmError> {
    format!("{id}__{attempt}").parse()
}

/// For this user alone: it holds the token.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, &e))?;
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)
    };
    written().map_err(|error| Error::io(path, &error))
}

/// What a process that did not come up has said of it.
fn said(out: &Path) -> Option<Fault> {
    let text = std::fs::read_to_string(out).ok()?;
    text.lines().rev().take(50).find_map(|line| match serde_json::from_str(line) {
        Ok(Report::Failed { fault }) => Some(fault.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_said_is_found_in_its_output() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("attempt-1.out");
        assert_eq!(said(&out), None);
        let fault = Fault::new(Code::LoadFailed, "no such file", "文件不存在");
        let line = serde_json::to_string(&Report::Failed { fault: (&fault).into() }).expect("JSON");
        std::fs::write(&out, format!("{{\"event\":\"loading\",\"fraction\":0.0}}\n{line}\n"))
            .expect("written");
        assert_eq!(said(&out), Some(fault));
    }

    #[test]
    fn a_replicas_job_is_not_taken_for_one_of_a_job() {
        let name = token(ReplicaId::new(), 3).expect("a name that Slurm takes");
        assert_eq!(super::super::parts(&name), None);
    }
}
