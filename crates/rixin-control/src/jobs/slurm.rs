//! The executor of a Slurm cluster: an attempt is a batch job that runs `rixin job run` on a node.
//!
//! The specification, with the attempt's token and the settings, lies in the shared folder in a file that only this user can read. It is
//! neither on the command line nor in the script or environment: those are in slurmctld's state, and in slurmdbd where it keeps
//! them. The cluster's job is named after job and attempt, so that a server that was killed finds it again; what is not there after
//! the lease was never taken, and if it arrives after all, its process finds the attempt given up and ends.
//!
//! Slurm starts a job of a lost node again by itself, under the same number; its process then takes over as the next attempt.

pub(super) mod replicas;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rixin_base::{Code, Fault, JobId, Settings, TenantId};
use rixin_slurm::{
    Account, Client, Error as SlurmError, GresRequest, Job as SlurmJob, Node, Options, Phase, Refusal,
    Signal, State, Submit, SubmitToken, TokenSource,
};
use rixin_store::{Cause, Claimed, Job, OpenAttempt, Resources, Supervisor, Verdict, now_ms};
use serde::{Deserialize, Serialize};

use super::{
    executor::{Executor, Started, Watched},
    local::{self, last_words},
};
use crate::{Error, Launcher, Result};

/// What the store calls this executor.
pub(super) const SLURM: &str = "slurm";
/// A job that names no memory gets so much.
const MEMORY: u64 = 1 << 30;
/// Slurm's time limit lies behind the job's own, which the process keeps by itself and leaves a checkpoint.
const LIMIT_AFTER: Duration = Duration::from_secs(120);

/// What is known of an attempt on the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    slurm_job: u32,
    token: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    restarts: u32,
}

/// A cluster.
pub(super) struct Slurm {
    settings: Arc<Settings>,
    supervisor: Supervisor,
    launcher: Launcher,
    lease: Duration,
    client: tokio::sync::Mutex<Option<Client>>,
    /// Why the cluster can't be used at the moment.
    trouble: Mutex<Option<Fault>>,
    /// The accounts of tenants that are there already.
    accounts: Mutex<HashMap<TenantId, String>>,
    /// The last list of the suite's jobs.
    seen: Mutex<Vec<SlurmJob>>,
    /// When somebody's wish for an attempt's end was seen first.
    asked: Mutex<HashMap<(JobId, u32), tokio::time::Instant>>,
}

impl Slurm {
    pub fn new(
        settings: &Arc<Settings>,
        launcher: Launcher,
        lease: Duration,
        supervisor: Supervisor,
    ) -> Option<Arc<Self>> {
        (!settings.slurm_url.is_empty()).then(|| {
            Arc::new(Self {
                settings: Arc::clone(settings),
                supervisor,
                launcher,
                lease,
                client: tokio::sync::Mutex::default(),
                trouble: Mutex::default(),
                accounts: Mutex::default(),
                seen: Mutex::default(),
                asked: Mutex::default(),
            })
        })
    }

    /// Why it can't be used at the moment.
    pub fn trouble(&self) -> Option<Fault> {
        self.trouble.lock().clone()
    }

    /// The suite's jobs as the last look found them.
    pub fn seen(&self) -> Vec<SlurmJob> {
        self.seen.lock().clone()
    }

    /// The nodes, asked for now.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        self.client().await?.nodes().await.map_err(Error::other)
    }

    /// The client, connected and checked the first time. What stands in the way is told once in the log and kept for the page.
    async fn client(&self) -> Result<Client> {
        let mut held = self.client.lock().await;
        if let Some(client) = &*held {
            return Ok(client.clone());
        }
        match self.connect().await {
            Ok(client) => {
                tracing::info!(url = %self.settings.slurm_url, "connected to the cluster");
                *self.trouble.lock() = None;
                *held = Some(client.clone());
                Ok(client)
            }
            Err(error) => {
                let fault = Fault::from(error);
                self.in_trouble(fault.clone());
                Err(Error::Other(Box::new(fault)))
            }
        }
    }

    /// Notes what stands in the way, and tells it in the log when it is new.
    pub fn in_trouble(&self, fault: Fault) {
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&fault) {
            tracing::error!("the cluster can't be used: {}", fault.message.en);
        }
        *trouble = Some(fault);
    }

    async fn connect(&self) -> Result<Client> {
        let settings = &self.settings;
        let server = settings.slurm_url.parse().map_err(Error::other)?;
        let token = TokenSource::parse(&settings.slurm_token, &settings.slurm_user).map_err(Error::other)?;
        let mut options = Options::new(server, settings.slurm_user.clone(), token);
        options.suite = settings.slurm_suite.parse().map_err(Error::other)?;
        let client = Client::connect(options).await.map_err(Error::other)?;
        let nodes = client.nodes().await.map_err(Error::other)?;
        self.can_reach_us(&nodes)?;
        Ok(client)
    }

    /// Processes on other machines need an address of the gateway and a database that they can reach.
    fn can_reach_us(&self, nodes: &[Node]) -> Result<()> {
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let far = nodes.iter().find(|node| short(&node.host) != short(&own));
        let Some(far) = far else { return Ok(()) };
        let refuse = |en: String, zh: String| Err(Error::Other(Box::new(Fault::new(Code::InvalidValue, en, zh))));
        if self.settings.database_url.reveal().is_none() {
            return refuse(
                format!(
                    "jobs on the cluster's node {} (machine {}) can't reach the SQLite database of this machine: set database_url to a Postgres database that the nodes reach",
                    far.name, far.host
                ),
                format!(
                    "集群节点 {}（主机 {}）上的任务无法访问本机的 SQLite 数据库：请将 database_url 设为各节点可访问的 Postgres 数据库",
                    far.name, far.host
                ),
            );
        }
        if self.settings.gateway_url.is_empty() && self.settings.listen.ip().is_loopback() {
            return refuse(
                format!(
                    "jobs on the cluster's node {} can't reach this server at {}: set gateway_url to an address that the nodes reach, and listen accordingly",
                    far.name, self.settings.listen
                ),
                format!(
                    "集群节点 {} 上的任务无法通过 {} 访问本服务器：请将 gateway_url 设为各节点可访问的地址，并相应设置 listen",
                    far.name, self.settings.listen
                ),
            );
        }
        if self.settings.gateway_url.is_empty() && self.settings.listen.ip().is_unspecified() {
            return refuse(
                format!(
                    "jobs on the cluster's node {} don't know where this server is: set gateway_url, such as http://{own}:{}",
                    far.name,
                    self.settings.listen.port()
                ),
                format!(
                    "集群节点 {} 上的任务不知道本服务器的地址：请设置 gateway_url，例如 http://{own}:{}",
                    far.name,
                    self.settings.listen.port()
                ),
            );
        }
        Ok(())
    }

    fn folder(&self, job: JobId) -> PathBuf {
        folder(&self.settings, job)
    }

    /// The account that a tenant's jobs are charged to: its own, made where slurmdbd runs and lets this user make it.
    async fn account(&self, client: &Client, tenant: TenantId) -> Result<String, SlurmError> {
        if !self.settings.slurm_account.is_empty() {
            return Ok(self.settings.slurm_account.clone());
        }
        if let Some(known) = self.accounts.lock().get(&tenant) {
            return Ok(known.clone());
        }
        let name = format!("{}_{}", self.settings.slurm_suite, tenant).to_ascii_lowercase();
        let account = Account {
            name: name.parse()?,
            description: format!("tenant {tenant}"),
            organization: self.settings.slurm_suite.clone(),
        };
        let made = async {
            client.ensure_account(&account).await?;
            client.ensure_association(&account.name, &self.settings.slurm_user).await
        };
        let found = match made.await {
            Ok(()) => name,
            Err(SlurmError::NoAccounting { .. }) => String::new(),
            Err(error @ (SlurmError::Refused { .. } | SlurmError::Denied { .. })) => {
                tracing::warn!(%error, "a tenant's account can't be made: its jobs go to the user's default account");
                String::new()
            }
            Err(error) => return Err(error),
        };
        self.accounts.lock().insert(tenant, found.clone());
        Ok(found)
    }

    /// A script that becomes a command of the suite.
    fn script(&self, command: &str, spec: &std::path::Path) -> String {
        let program = if self.settings.slurm_program.is_empty() {
            self.launcher.path().display().to_string()
        } else {
            self.settings.slurm_program.clone()
        };
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        format!(
            "#!/bin/sh\numask 077\nexec {} {command} --spec {}\n",
            quoted(&program),
            quoted(&spec.display().to_string())
        )
    }

    /// What the settings add to the environment.
    fn environment(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let pairs = self.settings.slurm_environment.split_whitespace();
        pairs.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    async fn submission(&self, client: &Client, claimed: &Claimed) -> Result<Submit, Refused> {
        let job = &claimed.job;
        let folder = self.folder(job.id);
        let spec = local::write_spec(&self.settings, claimed, &folder, self.lease)?;
        let log = folder.join(format!("attempt-{}.log", claimed.number));
        let threads = job.resources.cores.max(1).to_string();
        let mut environment = BTreeMap::from([
            ("OMP_NUM_THREADS".to_owned(), threads.clone()),
            ("RAYON_NUM_THREADS".to_owned(), threads),
        ]);
        environment.extend(self.environment());
        let mut gres = Vec::new();
        for wanted in &job.resources.accelerators {
            gres.push(GresRequest::new(&wanted.family, wanted.model.as_deref(), wanted.count)?);
        }
        Ok(Submit {
            token: token(job.id, claimed.number)?,
            comment: format!("{}: {}", job.kind, job.title).chars().take(200).collect(),
            account: self.account(client, job.tenant).await?,
            partition: self.settings.slurm_partition.clone(),
            script: self.script("job run", &spec),
            environment,
            cwd: folder,
            stdout: log.clone(),
            stderr: log,
            cpus: job.resources.cores.max(1),
            memory_bytes: if job.resources.memory_bytes == 0 { MEMORY } else { job.resources.memory_bytes },
            gres,
            time_limit: job.resources.time_limit_secs.map(|secs| Duration::from_secs(secs) + LIMIT_AFTER),
            requeue: true,
            dependencies: Vec::new(),
        })
    }

    /// Ends what runs there for an attempt that is over, or that nobody knows.
    async fn clear(&self, client: &Client, jobs: &[SlurmJob], open: &[OpenAttempt]) {
        let known: HashMap<JobId, (u32, Option<String>)> = open
            .iter()
            .map(|attempt| (attempt.job, (attempt.number, place(attempt).map(|place| place.token))))
            .collect();
        for job in jobs.iter().filter(|job| job.phase() != Phase::Ended) {
            let Some((id, number)) = job.token.as_ref().and_then(parts) else { continue };
            let wanted = known.get(&id).is_some_and(|(latest, token)| match token {
                Some(token) => job.token.as_ref().is_some_and(|own| own.as_str() == token),
                None => number == *latest,
            });
            if wanted || !matches!(self.supervisor.find(id).await, Ok(Some(_))) {
                // one of another installation with the same suite's name is none of ours
                continue;
            }
            tracing::warn!(slurm_job = %job.id, job = %id, "an attempt that is over still is on the cluster and is ended");
            if let Err(error) = client.cancel(job.id, Signal::Cancel).await {
                tracing::warn!(slurm_job = %job.id, %error, "it could not be ended; it is tried again");
            }
        }
        // what was told to processes that have ended is of no use to anybody any more
        for (job, number) in
            jobs.iter().filter(|job| job.phase() == Phase::Ended).filter_map(|job| parts(job.token.as_ref()?))
        {
            if known.get(&job).is_none_or(|(latest, _)| *latest < number) {
                let _ = std::fs::remove_file(self.folder(job).join(format!("attempt-{number}.json")));
            }
        }
    }

    /// What an attempt's job on the cluster means for it.
    async fn judge_attempt(
        &self,
        client: &Client,
        attempt: &OpenAttempt,
        job: &SlurmJob,
    ) -> Result<Watched, SlurmError> {
        let shown = Place {
            slurm_job: job.id.get(),
            token: job.token.as_ref().map(ToString::to_string).unwrap_or_default(),
            node: job.nodes.clone(),
            state: state_word(&job.state),
            reason: job.reason.clone().unwrap_or_default(),
            restarts: job.restarts,
        };
        let changed = (place(attempt).as_ref() != Some(&shown))
            .then(|| serde_json::to_value(&shown).unwrap_or_default());
        if attempt.cancel {
            // a process that works sees it by itself and leaves a checkpoint
            let since = *self
                .asked
                .lock()
                .entry((attempt.job, attempt.number))
                .or_insert_with(tokio::time::Instant::now);
            let works = attempt.running && job.phase() == Phase::Running;
            if !works || since.elapsed() > super::LET_GO {
                client.cancel(job.id, Signal::Cancel).await?;
                self.asked.lock().remove(&(attempt.job, attempt.number));
                let fault = Fault::new(Code::Cancelled, "it was cancelled", "任务已取消");
                return Ok(Watched::Over(Cause::Cancelled, fault));
            }
        }
        if job.state == State::Held {
            client.cancel(job.id, Signal::Cancel).await?;
            let why = job.reason.as_deref().unwrap_or("held");
            return Ok(Watched::Over(
                Cause::Lost,
                Fault::new(
                    Code::ReplicaLost,
                    format!("the cluster put it back and holds it ({why})"),
                    format!("集群将其放回队列并暂停（{why}）"),
                ),
            ));
        }
        if job.phase() == Phase::Ended {
            let log = self
                .folder(attempt.job)
                .join(format!("attempt-{}.log", parts_number(job).unwrap_or(attempt.number)));
            let (cause, fault) = ending(job, &log);
            return Ok(Watched::Over(cause, fault));
        }
        Ok(Watched::Alive(changed))
    }
}

/// Why it was not submitted.
enum Refused {
    Slurm(SlurmError),
    Here(Error),
}

impl From<SlurmError> for Refused {
    fn from(error: SlurmError) -> Self {
        Self::Slurm(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl Executor for Slurm {
    const NAME: &'static str = SLURM;

    type Sight = (Client, Vec<SlurmJob>);

    async fn look(&self) -> Result<Self::Sight> {
        let client = self.client().await?;
        let jobs = client.jobs().await.map_err(Error::other)?;
        *self.trouble.lock() = None;
        (*self.seen.lock()).clone_from(&jobs);
        Ok((client, jobs))
    }

    fn judge(&self, _: &Job, _: &mut Option<Fault>) -> Verdict {
        // its queue is the cluster's
        Verdict::Take
    }

    async fn start(self: &Arc<Self>, claimed: &Claimed) -> Started {
        let submitted = async {
            let client = self.client().await?;
            let submit = self.submission(&client, claimed).await?;
            let id = client.submit(&submit).await?;
            Ok::<_, Refused>((id, submit.token))
        };
        match submitted.await {
            Ok((id, token)) => {
                let place = Place {
                    slurm_job: id.get(),
                    token: token.to_string(),
                    node: String::new(),
                    state: "pending".into(),
                    reason: String::new(),
                    restarts: 0,
                };
                Started::At(serde_json::to_value(&place).unwrap_or_default())
            }
            // it may be there: the next look says so, or the lease runs out
            Err(Refused::Slurm(error @ SlurmError::OutcomeUnknown { .. })) => {
                tracing::warn!(job = %claimed.job.id, %error, "it is not known whether the cluster took a job");
                Started::Perhaps
            }
            Err(Refused::Slurm(error)) => {
                let cause = match &error {
                    SlurmError::Refused { kind: Refusal::Resources | Refusal::Partition, .. }
                    | SlurmError::Invalid { .. } => Cause::BadInput,
                    _ => Cause::Unavailable,
                };
                Started::Not(cause, Fault::from(error))
            }
            Err(Refused::Here(error)) => Started::Not(Cause::Unavailable, Fault::from(error)),
        }
    }

    async fn watch(&self, (client, jobs): Self::Sight, open: &[OpenAttempt]) -> Vec<(JobId, u32, Watched)> {
        self.clear(&client, &jobs, open).await;
        let living: HashSet<(JobId, u32)> =
            open.iter().map(|attempt| (attempt.job, attempt.number)).collect();
        self.asked.lock().retain(|key, _| living.contains(key));
        let mut seen = Vec::with_capacity(open.len());
        for attempt in open {
            let known = match place(attempt) {
                Some(place) => place.token.parse().ok(),
                None => token(attempt.job, attempt.number).ok(),
            };
            let Some(known): Option<SubmitToken> = known else { continue };
            let mut found = newest(&jobs, &known);
            if found.is_none() {
                // the list may be older than the job, or slurmctld has forgotten it
                found = match client.find_by_token(&known).await {
                    Ok(found) => found,
                    Err(error) => {
                        tracing::warn!(job = %attempt.job, %error, "the cluster does not tell of a job");
                        continue;
                    }
                };
            }
            let watched = match found {
                Some(job) => match self.judge_attempt(&client, attempt, &job).await {
                    Ok(watched) => watched,
                    Err(error) => {
                        tracing::warn!(job = %attempt.job, %error, "a job on the cluster could not be looked after");
                        continue;
                    }
                },
                None if attempt.lease_until < now_ms() => Watched::Over(Cause::Lost, super::lost()),
                None => continue,
            };
            seen.push((attempt.job, attempt.number, watched));
        }
        seen
    }
}

fn place(attempt: &OpenAttempt) -> Option<Place> {
    serde_json::from_value(attempt.place.clone()?).ok()
}

fn token(job: JobId, number: u32) -> Result<SubmitToken, SlurmError> {
    format!("{job}.{number}").replace('.', "__").parse()
}

/// Job and attempt that a submission was for.
fn parts(token: &SubmitToken) -> Option<(JobId, u32)> {
    let (job, number) = token.as_str().rsplit_once("__")?;
    Some((job.parse().ok()?, number.parse().ok()?))
}

fn parts_number(job: &SlurmJob) -> Option<u32> {
    job.token.as_ref().and_then(parts).map(|(_, number)| number)
}

/// Of several with one token, the one that was not refused.
fn newest(jobs: &[SlurmJob], token: &SubmitToken) -> Option<SlurmJob> {
    jobs.iter()
        .filter(|job| job.token.as_ref() == Some(token))
        .max_by_key(|job| (job.phase() != Phase::Ended || job.started_at_secs.is_some(), job.id))
        .cloned()
}

/// What Slurm's end of a job says, for the case that its process could not tell the store itself.
fn ending(job: &SlurmJob, log: &std::path::Path) -> (Cause, Fault) {
    let node = if job.nodes.is_empty() { "-" } else { &job.nodes };
    let reason = job.reason.as_deref().filter(|reason| *reason != "None").unwrap_or("-");
    let say = |cause, code, en: &str, zh: &str| {
        (
            cause,
            Fault::new(
                code,
                format!("{en} (node {node}, reason {reason})"),
                format!("{zh}（节点 {node}，原因 {reason}）"),
            ),
        )
    };
    match &job.state {
        State::OutOfMemory => say(
            Cause::OutOfMemory,
            Code::OutOfMemory,
            "it took more memory than it had asked for and was ended by the cluster",
            "占用内存超出申请量，被集群终止",
        ),
        State::TimedOut | State::DeadlineMissed => say(
            Cause::TimedOut,
            Code::DeadlineExceeded,
            "it was over the cluster's time limit",
            "超过了集群的时限",
        ),
        State::NodeFailed | State::BootFailed | State::Revoked => {
            say(Cause::Lost, Code::ReplicaLost, "its node was lost", "节点丢失")
        }
        State::Preempted => {
            say(Cause::Lost, Code::ReplicaLost, "it had to make room for another job", "被其他作业抢占")
        }
        State::Cancelled => {
            say(Cause::Cancelled, Code::Cancelled, "it was cancelled on the cluster", "作业在集群上被取消")
        }
        _ => {
            let exit = match job.exit {
                Some(rixin_slurm::Exit::Code(code)) => (format!("code {code}"), format!("代码 {code}")),
                Some(rixin_slurm::Exit::Signal(signal)) => {
                    (format!("signal {signal}"), format!("信号 {signal}"))
                }
                None => ("no code".into(), "无代码".into()),
            };
            let last = last_words(log);
            let tail = last.as_ref().map_or_else(String::new, |last| format!("; its last words: {last}"));
            let tail_zh = last.as_ref().map_or_else(String::new, |last| format!("；最后的日志：{last}"));
            say(
                Cause::Crashed,
                Code::Internal,
                &format!("its process ended with {}{tail}", exit.0),
                &format!("进程以{}结束{tail_zh}", exit.1),
            )
        }
    }
}

/// The suite's job that a job on the cluster is for.
pub(super) fn job_of(job: &SlurmJob) -> Option<JobId> {
    job.token.as_ref().and_then(parts).map(|(job, _)| job)
}

/// A word for a state.
pub(super) fn state_word(state: &State) -> String {
    match state {
        State::Other(word) => word.to_ascii_lowercase(),
        State::TimedOut => "timed_out".into(),
        State::NodeFailed => "node_failed".into(),
        State::BootFailed => "boot_failed".into(),
        State::DeadlineMissed => "deadline_missed".into(),
        State::OutOfMemory => "out_of_memory".into(),
        known => format!("{known:?}").to_ascii_lowercase(),
    }
}

/// The folder of a job on the cluster.
pub(super) fn folder(settings: &Settings, job: JobId) -> PathBuf {
    if settings.slurm_folder.is_empty() {
        local::folder(settings, job)
    } else {
        PathBuf::from(&settings.slurm_folder).join(job.to_string())
    }
}

/// Whether a job goes to the cluster.
pub(super) fn wants_cluster(settings: &Settings, kind: &str, resources: &Resources) -> bool {
    if settings.slurm_url.is_empty() {
        return false;
    }
    if !resources.accelerators.is_empty() {
        return true;
    }
    settings.executor == SLURM && !settings.local_kinds.split(',').any(|local| local.trim() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submissions_name_tells_job_and_attempt() {
        let job = JobId::new();
        let name = token(job, 12).expect("a name that Slurm takes");
        assert_eq!(parts(&name), Some((job, 12)));
        assert_eq!(parts(&"somebody-elses".parse().expect("a name")), None);
    }

    #[test]
    fn what_asks_for_an_accelerator_goes_to_the_cluster() {
        let load = |more: &[(&'static str, String)]| {
            Settings::load(more, None, &|_| None).expect("settings").settings
        };
        let gpu = Resources {
            accelerators: vec![rixin_store::Accelerators { family: "gpu".into(), model: None, count: 1 }],
            ..Resources::default()
        };
        let none = load(&[]);
        assert!(!wants_cluster(&none, "batch", &gpu), "there is no cluster");
        let there = load(&[("slurm_url", "http://head:6820".into())]);
        assert!(wants_cluster(&there, "batch", &gpu));
        assert!(!wants_cluster(&there, "batch", &Resources::default()));
        let all = load(&[("slurm_url", "http://head:6820".into()), ("executor", "slurm".into())]);
        assert!(wants_cluster(&all, "batch", &Resources::default()));
        assert!(!wants_cluster(&all, "import", &Resources::default()), "of local_kinds");
    }
}
