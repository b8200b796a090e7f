//! Jobs of this server: claimed from the store when there is room, run as processes, buried when they have ended.
//!
//! The store is the only truth. A server that dies takes its processes with it (they watch a pipe); whoever looks next, this server
//! started again or another one on the same database, finds attempts whose owner is gone or whose lease has run out, ends them, and the
//! jobs are claimed again.

mod local;
mod process;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rixin_base::{Code, Fault, JobId, Settings};
use rixin_jobs::{Policy, after};
use rixin_store::{Cause, Claim, Ended, Job, OpenAttempt, Store, Supervisor, Verdict, now_ms};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use self::{
    local::{Local, Over},
    process::Process,
};
use crate::{Error, Options, Result, core::Core};

/// The executor of this machine.
const LOCAL: &str = "local";
/// How often it is looked at what waits and what runs, if nothing happens.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is over for long is forgotten.
const SWEEP: Duration = Duration::from_secs(3600);
/// A process that was asked to end gets so long to leave a checkpoint.
const LET_GO: Duration = Duration::from_secs(25);
/// A job that has waited for room so long is not passed by others any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// The jobs of this server.
pub struct Jobs {
    settings: Arc<Settings>,
    supervisor: Supervisor,
    core: Arc<Core>,
    local: Arc<Local>,
    owner: String,
    lease: Duration,
    policy: Policy,
    wake: Notify,
    /// Since when a job that waits has found no room.
    skipped: Mutex<HashMap<JobId, Instant>>,
    _task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Jobs {
    pub(crate) fn start(
        settings: Arc<Settings>,
        options: &Options,
        store: &Store,
        core: Arc<Core>,
    ) -> Arc<Self> {
        let (sender, over) = mpsc::unbounded_channel();
        let lease = options.job_lease;
        let local = Local::new(Arc::clone(&settings), options.launcher.clone(), lease, sender);
        let jobs = Arc::new(Self {
            settings,
            supervisor: store.supervisor(),
            core,
            local,
            owner: Process::own().to_string(),
            lease,
            policy: options.job_policy.clone(),
            wake: Notify::new(),
            skipped: Mutex::default(),
            _task: Mutex::default(),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(supervise(Arc::downgrade(&jobs), over)));
        *jobs._task.lock() = Some(task);
        jobs
    }

    /// Looks at once for what waits: a job was submitted.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes no more jobs, and gives those that run until `drain` to leave a checkpoint; they go on with the next server.
    pub(crate) async fn shutdown(&self, drain: Duration) {
        self._task.lock().take();
        self.local.interrupt_all();
        let deadline = tokio::time::Instant::now() + drain.min(LET_GO);
        while !self.local.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Everything that is due.
    async fn look(&self) -> Result<()> {
        let open = self.supervisor.open_attempts().await.map_err(Error::other)?;
        for attempt in open.iter().filter(|attempt| attempt.executor == LOCAL) {
            self.watch_over(attempt).await?;
        }
        self.local.keep_to_memory();
        self.core.set_jobs(self.local.held());
        while self.claim().await? {}
        Ok(())
    }

    async fn watch_over(&self, attempt: &OpenAttempt) -> Result<()> {
        if attempt.owner == self.owner && self.local.has(attempt.job, attempt.number) {
            if attempt.cancel && self.local.asked(attempt.job, attempt.number) > LET_GO {
                let why = (Cause::Cancelled, Fault::new(Code::Cancelled, "it was cancelled", "任务已取消"));
                self.local.kill(attempt.job, attempt.number, why);
            } else if attempt.lease_until < now_ms() {
                self.local.kill(attempt.job, attempt.number, (Cause::Lost, lost()));
            }
            return Ok(());
        }
        // somebody else's: only when that somebody is surely gone, or has said nothing for as long as the lease
        let owner = attempt.owner.parse::<Process>().ok();
        let gone =
            owner.is_none_or(|owner| owner.is_here() && !owner.is_alive()) || attempt.owner == self.owner;
        if !gone && attempt.lease_until >= now_ms() {
            return Ok(());
        }
        if let Some(process) = Process::from_place(attempt.place.as_ref()) {
            process.kill();
        }
        tracing::warn!(job = %attempt.job, attempt = attempt.number, "an attempt was lost with its server");
        self.bury(attempt.job, attempt.number, Cause::Lost, &lost()).await
    }

    /// Ends an attempt in the store, if its process has not done so itself.
    async fn bury(&self, job: JobId, number: u32, cause: Cause, fault: &Fault) -> Result<()> {
        let Some(found) = self.supervisor.find(job).await.map_err(Error::other)? else { return Ok(()) };
        let next = after(&self.policy, cause, &found.failures, &found.resources, now_ms());
        let ended = Ended { cause, fault, next };
        let state = self.supervisor.end(job, number, ended).await.map_err(Error::other)?;
        if let Some(state) = state {
            tracing::warn!(%job, attempt = number, cause = cause.as_str(), state = state.as_str(), "{}", fault.message.en);
        }
        Ok(())
    }

    async fn over(&self, over: Over) {
        self.core.set_jobs(self.local.held());
        if let Some((cause, fault)) = over.end
            && let Err(error) = self.bury(over.job, over.number, cause, &fault).await
        {
            // the lease will run out, and it is looked at again
            tracing::error!(job = %over.job, %error, "the end of an attempt could not be stored");
        }
    }

    /// Starts the first job that there is room for; tells whether there was one.
    async fn claim(&self) -> Result<bool> {
        let claim = Claim { executor: LOCAL, owner: &self.owner, lease_ms: self.lease_ms() };
        let mut hopeless = None;
        let claimed = self
            .supervisor
            .claim(&claim, |job| self.judge(job, &mut hopeless))
            .await
            .map_err(Error::other)?;
        let Some(claimed) = claimed else { return Ok(false) };
        let (job, number) = (claimed.job.id, claimed.number);
        if let Some(fault) = hopeless {
            self.bury(job, number, Cause::BadInput, &fault).await?;
            return Ok(true);
        }
        self.skipped.lock().remove(&job);
        match self.local.start(&claimed) {
            Ok(process) => {
                tracing::info!(%job, attempt = number, kind = claimed.job.kind, pid = process.pid, "started");
                self.core.set_jobs(self.local.held());
                let place = serde_json::to_value(&process).unwrap_or_default();
                self.supervisor.set_place(job, number, &place).await.map_err(Error::other)?;
            }
            Err(error) => {
                let fault = Fault::from(error);
                self.bury(job, number, Cause::Unavailable, &fault).await?;
            }
        }
        Ok(true)
    }

    /// Whether there is room for a job now. One that could never have room is taken too, to be given up with the figures.
    fn judge(&self, job: &Job, hopeless: &mut Option<Fault>) -> Verdict {
        let cores = self.cores();
        let wanted = &job.resources;
        if let Some(first) = wanted.accelerators.first() {
            let name = first
                .model
                .as_ref()
                .map_or(first.family.clone(), |model| format!("{}:{model}", first.family));
            *hopeless = Some(Fault::new(
                Code::Unsupported,
                format!(
                    "it asks for {} of {name}, and this machine lends none to jobs: connect a cluster, or submit it without",
                    first.count
                ),
                format!(
                    "任务需要 {} 个 {name}，而本机没有可供任务使用的加速卡：请接入集群，或去掉该项后提交",
                    first.count
                ),
            ));
            return Verdict::Take;
        }
        let most = self.core.memory_for_jobs();
        if wanted.memory_bytes > most.0 {
            let (need, have) = (rixin_base::bytes_text(wanted.memory_bytes), rixin_base::bytes_text(most.0));
            *hopeless = Some(Fault::new(
                Code::OutOfMemory,
                format!(
                    "it asks for {need} of memory, and this machine has {have} for jobs and replicas: ask for less, or use a larger machine"
                ),
                format!(
                    "任务需要 {need} 内存，而本机可用于任务与副本的内存为 {have}：请减少需求或换用更大的机器"
                ),
            ));
            return Verdict::Take;
        }
        let busy: u32 = self.local.cores();
        // a job that asks for more cores than there are gets all of them
        let fits = busy == 0 || busy + wanted.cores.min(cores) <= cores;
        if fits && self.core.claim_memory(wanted.memory_bytes) {
            return Verdict::Take;
        }
        let since = *self.skipped.lock().entry(job.id).or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE { Verdict::Stop } else { Verdict::Skip }
    }

    fn cores(&self) -> u32 {
        let all = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
        if self.settings.job_cores == 0 { all } else { self.settings.job_cores }
    }

    async fn sweep(&self) -> Result<()> {
        let supervisor = &self.supervisor;
        supervisor.expire_files(now_ms()).await.map_err(Error::other)?;
        let keep = i64::try_from(self.settings.job_retention.as_millis()).unwrap_or(i64::MAX);
        if keep == 0 {
            return Ok(());
        }
        for job in supervisor.forget(now_ms().saturating_sub(keep), 500).await.map_err(Error::other)? {
            let folder = local::folder(&self.settings, job);
            if let Err(error) = tokio::fs::remove_dir_all(&folder).await
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "a forgotten job's folder could not be removed");
            }
        }
        Ok(())
    }
}

fn lost() -> Fault {
    Fault::new(
        Code::ReplicaLost,
        "the node or process that worked on it went away",
        "执行该任务的节点或进程已失联",
    )
}

async fn supervise(jobs: std::sync::Weak<Jobs>, mut over: mpsc::UnboundedReceiver<Over>) {
    let mut swept: Option<Instant> = None;
    loop {
        let Some(strong) = jobs.upgrade() else { return };
        if let Err(error) = strong.look().await {
            tracing::error!(%error, "jobs could not be looked after; it is tried again");
        }
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            if let Err(error) = strong.sweep().await {
                tracing::error!(%error, "what is over could not be cleared away");
            }
        }
        tokio::select! {
            () = strong.wake.notified() => {}
            ended = over.recv() => match ended {
                Some(ended) => strong.over(ended).await,
                None => return,
            },
            () = tokio::time::sleep(LOOK) => {}
        }
        while let Ok(ended) = over.try_recv() {
            strong.over(ended).await;
        }
    }
}
