//! Jobs of this server: claimed from the store when there is room, run as processes, buried when they have ended.
//!
//! The store is the only truth. A server that dies takes its processes with it (they watch a pipe); whoever looks next, this server
//! started again or another one on the same database, finds attempts whose owner is gone or whose lease has run out, ends them, and the
//! jobs are claimed again.

mod cluster;
mod executor;
mod local;
mod process;
mod slurm;

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rixin_base::{Code, Fault, JobId, Settings};
use rixin_jobs::{Policy, after};
use rixin_models::Registry;
use rixin_store::{Cause, Claim, Ended, Store, Supervisor, Verdict, now_ms};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

pub use self::cluster::{
    AcceleratorView, ClusterJobView, ClusterNodeView, ClusterState, ClusterView, MachineView,
};
use self::{
    executor::{Executor, Started, Watched},
    local::{Local, Over},
    process::Process,
    slurm::{Slurm, replicas::Minder},
};
use crate::{Error, Options, Result, core::Core};

/// How often it is looked at what waits and what runs, if nothing happens.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is over for long is forgotten.
const SWEEP: Duration = Duration::from_secs(3600);
/// A process that was asked to end gets so long to leave a checkpoint.
const LET_GO: Duration = Duration::from_secs(25);
/// A cluster that does not answer is asked again after this time.
const AGAIN: Duration = Duration::from_secs(5);

/// The jobs of this server.
pub struct Jobs {
    settings: Arc<Settings>,
    supervisor: Supervisor,
    core: Arc<Core>,
    local: Arc<Local>,
    slurm: Option<Arc<Slurm>>,
    owner: String,
    lease: Duration,
    policy: Policy,
    wake: Notify,
    wake_cluster: Notify,
    /// Looks after the cluster's replicas.
    minder: Option<Arc<Minder>>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Jobs {
    pub(crate) fn start(
        settings: Arc<Settings>,
        options: &Options,
        store: &Store,
        core: Arc<Core>,
        registry: &Registry,
    ) -> Arc<Self> {
        let (sender, over) = mpsc::unbounded_channel();
        let lease = options.job_lease;
        let local =
            Local::new(Arc::clone(&settings), options.launcher.clone(), lease, Arc::clone(&core), sender);
        let supervisor = store.supervisor();
        let slurm = Slurm::new(&settings, options.launcher.clone(), lease, supervisor.clone());
        let owner = Process::own().to_string();
        let minder = slurm.as_ref().map(|slurm| {
            let replicas = store.cluster_replicas();
            let (slurm, settings) = (Arc::clone(slurm), Arc::clone(&settings));
            Minder::new(slurm, settings, registry.clone(), replicas, owner.clone(), options.replica_lease)
        });
        let jobs = Arc::new(Self {
            settings,
            supervisor,
            core,
            local,
            slurm,
            owner,
            lease,
            policy: options.job_policy.clone(),
            wake: Notify::new(),
            wake_cluster: Notify::new(),
            minder,
            tasks: Mutex::default(),
        });
        let mut tasks = vec![AbortOnDropHandle::new(tokio::spawn(supervise(Arc::downgrade(&jobs), over)))];
        if let Some(slurm) = &jobs.slurm {
            let tending = tend_cluster(Arc::downgrade(&jobs), Arc::clone(slurm));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(tending)));
        }
        if let Some(minder) = &jobs.minder {
            tasks.push(AbortOnDropHandle::new(tokio::spawn(Minder::mind(Arc::downgrade(minder)))));
        }
        *jobs.tasks.lock() = tasks;
        jobs
    }

    /// Looks at once for what waits: a job was submitted.
    pub fn wake(&self) {
        self.wake.notify_one();
        self.wake_cluster.notify_one();
    }

    /// Takes no more jobs, and gives those that run until `drain` to leave a checkpoint; they go on with the next server. What is on
    /// a cluster goes on there.
    pub(crate) async fn shutdown(&self, drain: Duration) {
        self.tasks.lock().clear();
        self.local.interrupt_all();
        if let Some(minder) = &self.minder {
            minder.release().await;
        }
        let deadline = tokio::time::Instant::now() + drain.min(LET_GO);
        while !self.local.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Everything that is due with one executor.
    async fn tend<E: Executor>(&self, executor: &Arc<E>) -> Result<()> {
        let sight = executor.look().await?;
        let mut open = self.supervisor.open_attempts().await.map_err(Error::other)?;
        open.retain(|attempt| attempt.executor == E::NAME);
        for (job, number, watched) in executor.watch(sight, &open).await {
            match watched {
                Watched::Alive(place) => {
                    if let Some(place) = place {
                        self.supervisor.set_place(job, number, &place).await.map_err(Error::other)?;
                    }
                    let attempt = open.iter().find(|attempt| attempt.job == job && attempt.number == number);
                    if attempt.is_some_and(|attempt| attempt.lease_until < now_ms() + self.lease_ms() / 2) {
                        self.supervisor.renew(job, number, self.lease_ms()).await.map_err(Error::other)?;
                    }
                }
                Watched::Over(cause, fault) => self.bury(job, number, cause, &fault).await?,
            }
        }
        while self.claim(executor).await? {}
        Ok(())
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

    /// Starts the first job that the executor has room for; tells whether there was one.
    async fn claim<E: Executor>(&self, executor: &Arc<E>) -> Result<bool> {
        let claim = Claim { executor: E::NAME, owner: &self.owner, lease_ms: self.lease_ms() };
        let mut hopeless = None;
        let claimed = self
            .supervisor
            .claim(&claim, |job| {
                let cluster = slurm::wants_cluster(&self.settings, &job.kind, &job.resources);
                if cluster == (E::NAME == slurm::SLURM) {
                    executor.judge(job, &mut hopeless)
                } else {
                    Verdict::Skip
                }
            })
            .await
            .map_err(Error::other)?;
        let Some(claimed) = claimed else { return Ok(false) };
        let (job, number) = (claimed.job.id, claimed.number);
        if let Some(fault) = hopeless {
            self.bury(job, number, Cause::BadInput, &fault).await?;
            return Ok(true);
        }
        match executor.start(&claimed).await {
            Started::At(place) => {
                tracing::info!(%job, attempt = number, kind = claimed.job.kind, executor = E::NAME, %place, "started");
                self.supervisor.set_place(job, number, &place).await.map_err(Error::other)?;
            }
            Started::Perhaps => {}
            Started::Not(cause, fault) => self.bury(job, number, cause, &fault).await?,
        }
        Ok(true)
    }

    async fn sweep(&self) -> Result<()> {
        let supervisor = &self.supervisor;
        supervisor.expire_files(now_ms()).await.map_err(Error::other)?;
        let keep = i64::try_from(self.settings.job_retention.as_millis()).unwrap_or(i64::MAX);
        if keep == 0 {
            return Ok(());
        }
        for job in supervisor.forget(now_ms().saturating_sub(keep), 500).await.map_err(Error::other)? {
            for folder in [local::folder(&self.settings, job), slurm::folder(&self.settings, job)] {
                if let Err(error) = tokio::fs::remove_dir_all(&folder).await
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(folder = %folder.display(), %error, "a forgotten job's folder could not be removed");
                }
            }
        }
        Ok(())
    }
}

/// Settings of executors that can't be meant.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let (en, zh) = match settings.executor.as_str() {
        "local" => return Ok(()),
        "slurm" if settings.slurm_url.is_empty() => (
            "executor is slurm, and slurm_url does not say where the cluster is: set it to slurmrestd's address, such as http://head:6820".to_owned(),
            "executor 为 slurm，但未设置 slurm_url：请设为 slurmrestd 的地址，例如 http://head:6820".to_owned(),
        ),
        "slurm" => return Ok(()),
        other => (
            format!("executor is {other:?}: there are local and slurm"),
            format!("executor 为 {other:?}：可用值为 local 与 slurm"),
        ),
    };
    Err(Error::Other(Box::new(Fault::new(Code::InvalidValue, en, zh))))
}

fn lost() -> Fault {
    Fault::new(
        Code::ReplicaLost,
        "the node or process that worked on it went away",
        "执行该任务的节点或进程已失联",
    )
}

async fn supervise(jobs: Weak<Jobs>, mut over: mpsc::UnboundedReceiver<Over>) {
    let mut swept: Option<Instant> = None;
    loop {
        let Some(strong) = jobs.upgrade() else { return };
        if let Err(error) = strong.tend(&strong.local).await {
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

/// The cluster in a task of its own: one that does not answer must not hold up this machine's jobs.
async fn tend_cluster(jobs: Weak<Jobs>, slurm: Arc<Slurm>) {
    loop {
        let Some(strong) = jobs.upgrade() else { return };
        // told in the log when it begins, and on the page as long as it lasts
        let pause = match strong.tend(&slurm).await {
            Ok(()) => LOOK,
            Err(error) => {
                slurm.in_trouble(Fault::from(error));
                AGAIN
            }
        };
        tokio::select! {
            () = strong.wake_cluster.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
