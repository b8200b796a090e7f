//! The executor of this machine: a process an attempt, started, watched, told to end.

use std::{
    collections::HashMap,
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::{fs::DirBuilderExt as _, fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rixin_base::{Code, Fault, JobId, Settings};
use rixin_jobs::JobSpec;
use rixin_store::{Cause, Claimed, Job, OpenAttempt, Verdict, now_ms};
use tokio::{process::ChildStdin, sync::mpsc, time::Instant};

use super::{
    LET_GO,
    executor::{Executor, Started, Watched},
    lost,
    process::Process,
};
use crate::{Error, Launcher, Result, core::Core, memory::oom_kills};

/// A job that has waited for room so long is not passed by others any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a worker exits with when it found that it was given up for lost.
const GIVEN_UP: i32 = 75;
/// The end of a log that is looked at for last words, in bytes.
const LAST_WORDS: u64 = 2000;

/// An attempt whose process has ended.
#[derive(Debug)]
pub(super) struct Over {
    pub job: JobId,
    pub number: u32,
    /// How, where the process may not have told the store itself.
    pub end: Option<(Cause, Fault)>,
}

struct Running {
    process: Process,
    /// Its standard input: it ends when this is dropped.
    _lifeline: Option<ChildStdin>,
    memory_bytes: u64,
    cores: u32,
    /// Why it was killed, where we did it.
    killed: Option<(Cause, Fault)>,
    /// When it was seen that somebody had asked for its end.
    asked_at: Option<Instant>,
}

/// Processes of attempts on this machine.
pub(super) struct Local {
    settings: Arc<Settings>,
    launcher: Launcher,
    lease: Duration,
    running: Mutex<HashMap<(JobId, u32), Running>>,
    over: mpsc::UnboundedSender<Over>,
    core: Arc<Core>,
    /// This server.
    owner: String,
    /// Since when a job that waits has found no room.
    skipped: Mutex<HashMap<JobId, Instant>>,
}

impl Executor for Local {
    const NAME: &'static str = "local";
    type Sight = ();

    async fn look(&self) -> Result<()> {
        Ok(())
    }

    async fn watch(&self, (): (), open: &[OpenAttempt]) -> Vec<(JobId, u32, Watched)> {
        let gone = open.iter().filter(|attempt| self.is_gone(attempt));
        let gone =
            gone.map(|attempt| (attempt.job, attempt.number, Watched::Over(Cause::Lost, lost()))).collect();
        self.keep_to_memory();
        self.core.set_jobs(self.held());
        gone
    }

    fn judge(&self, job: &Job, hopeless: &mut Option<Fault>) -> Verdict {
        self.room(job, hopeless)
    }

    async fn start(self: &Arc<Self>, claimed: &Claimed) -> Started {
        self.skipped.lock().remove(&claimed.job.id);
        match self.spawn(claimed) {
            Ok(process) => {
                self.core.set_jobs(self.held());
                Started::At(serde_json::to_value(&process).unwrap_or_default())
            }
            Err(error) => Started::Not(Cause::Unavailable, Fault::from(error)),
        }
    }
}

/// The folder of a job: checkpoints, scratch and logs.
pub(super) fn folder(settings: &Settings, job: JobId) -> PathBuf {
    settings.data_dir.join("jobs").join(job.to_string())
}

impl Local {
    pub fn new(
        settings: Arc<Settings>,
        launcher: Launcher,
        lease: Duration,
        core: Arc<Core>,
        over: mpsc::UnboundedSender<Over>,
    ) -> Arc<Self> {
        let owner = Process::own().to_string();
        let (running, skipped) = (Mutex::default(), Mutex::default());
        Arc::new(Self { settings, launcher, lease, running, over, core, owner, skipped })
    }

    /// Starts the process of an attempt.
    fn spawn(self: &Arc<Self>, claimed: &Claimed) -> Result<Process> {
        let (job, number) = (claimed.job.id, claimed.number);
        let folder = folder(&self.settings, job);
        let spec = write_spec(&self.settings, claimed, &folder, self.lease)?;
        let log = folder.join(format!("attempt-{number}.log"));
        let stderr = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log)
            .map_err(|e| Error::io(&log, &e))?;
        let program = self.launcher.path();
        let threads = claimed.job.resources.cores.max(1).to_string();
        let kills_before = oom_kills();
        let mut child = tokio::process::Command::new(&program)
            .args(["job", "run", "--lifeline", "--spec"])
            .arg(&spec)
            .env("OMP_NUM_THREADS", &threads)
            .env("RAYON_NUM_THREADS", &threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Spawn { program, why: error.to_string() })?;
        let pid = child.id().unwrap_or(0);
        // answers of models go first, and when memory runs out a job is ended before a replica or the server
        let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "800");
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::setpriority_process(Some(pid), 5);
        }
        let process = Process::of(pid).unwrap_or(Process { boot: String::new(), pid, start: 0 });
        let running = Running {
            process: process.clone(),
            _lifeline: child.stdin.take(),
            memory_bytes: claimed.job.resources.memory_bytes,
            cores: claimed.job.resources.cores.max(1),
            killed: None,
            asked_at: None,
        };
        self.running.lock().insert((job, number), running);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let status = child.wait().await;
            let running = this.running.lock().remove(&(job, number));
            let _ = std::fs::remove_file(spec);
            let end = match (running.and_then(|running| running.killed), status) {
                (Some(end), _) => Some(end),
                (None, Ok(status)) => cause(status, kills_before, &log),
                (None, Err(error)) => Some((Cause::Crashed, Fault::internal(error))),
            };
            let _ = this.over.send(Over { job, number, end });
        });
        Ok(process)
    }

    /// Whether the process of an attempt is ours and runs.
    pub fn has(&self, job: JobId, number: u32) -> bool {
        self.running.lock().contains_key(&(job, number))
    }

    /// Ends the process of an attempt, and tells that as the reason.
    pub fn kill(&self, job: JobId, number: u32, why: (Cause, Fault)) {
        if let Some(running) = self.running.lock().get_mut(&(job, number)) {
            running.killed.get_or_insert(why);
            running.process.kill();
        }
    }

    /// Looks after an attempt; tells whether nobody does its work any more.
    fn is_gone(&self, attempt: &OpenAttempt) -> bool {
        if attempt.owner == self.owner && self.has(attempt.job, attempt.number) {
            if attempt.cancel && self.asked(attempt.job, attempt.number) > LET_GO {
                let why = (Cause::Cancelled, Fault::new(Code::Cancelled, "it was cancelled", "任务已取消"));
                self.kill(attempt.job, attempt.number, why);
            } else if attempt.lease_until < now_ms() {
                self.kill(attempt.job, attempt.number, (Cause::Lost, lost()));
            }
            return false;
        }
        // somebody else's: only when that somebody is surely gone, or has said nothing for as long as the lease
        let owner = attempt.owner.parse::<Process>().ok();
        let gone =
            owner.is_none_or(|owner| owner.is_here() && !owner.is_alive()) || attempt.owner == self.owner;
        if !gone && attempt.lease_until >= now_ms() {
            return false;
        }
        if let Some(process) = Process::from_place(attempt.place.as_ref()) {
            process.kill();
        }
        tracing::warn!(job = %attempt.job, attempt = attempt.number, "an attempt was lost with its server");
        true
    }

    /// Notes that somebody has asked for the end of an attempt; tells since when.
    pub fn asked(&self, job: JobId, number: u32) -> Duration {
        let mut running = self.running.lock();
        let Some(running) = running.get_mut(&(job, number)) else { return Duration::ZERO };
        running.asked_at.get_or_insert_with(Instant::now).elapsed()
    }

    /// Ends attempts that hold more memory than they asked for by half.
    pub fn keep_to_memory(&self) {
        let mut running = self.running.lock();
        for ((job, _), attempt) in running.iter_mut() {
            let held = crate::memory::held_by(attempt.process.pid);
            let most = attempt.memory_bytes.saturating_add(attempt.memory_bytes / 2).max(512 << 20);
            if attempt.memory_bytes == 0 || held <= most || attempt.killed.is_some() {
                continue;
            }
            let (held, asked) = (rixin_base::bytes_text(held), rixin_base::bytes_text(attempt.memory_bytes));
            tracing::warn!(%job, held, asked, "a job takes more memory than it asked for and is ended");
            attempt.killed = Some((
                Cause::OutOfMemory,
                Fault::new(
                    Code::OutOfMemory,
                    format!(
                        "it took {held} of memory and had asked for {asked}: submit it with more resources.memory_bytes"
                    ),
                    format!("占用内存 {held}，超出申请的 {asked}：请调大 resources.memory_bytes 后重新提交"),
                ),
            ));
            attempt.process.kill();
        }
    }

    /// Whether there is room for a job now. One that could never have room is taken too, to be given up with the figures.
    fn room(&self, job: &Job, hopeless: &mut Option<Fault>) -> Verdict {
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
        let busy: u32 = self.cores_held();
        // a job that asks for more cores than there are gets all of them
        let fits = busy == 0 || busy + wanted.cores.min(cores) <= cores;
        if fits && self.core.claim_memory(wanted.memory_bytes) {
            return Verdict::Take;
        }
        let since = *self.skipped.lock().entry(job.id).or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE { Verdict::Stop } else { Verdict::Skip }
    }

    /// The cores that all jobs together may use.
    pub fn cores(&self) -> u32 {
        let all = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
        if self.settings.job_cores == 0 { all } else { self.settings.job_cores }
    }

    /// The processes that run, with what they asked for.
    pub fn held(&self) -> Vec<(u32, u64)> {
        self.running.lock().values().map(|running| (running.process.pid, running.memory_bytes)).collect()
    }

    /// The cores that all running ones asked for.
    pub fn cores_held(&self) -> u32 {
        self.running.lock().values().map(|running| running.cores).fold(0, u32::saturating_add)
    }

    /// Asks every process to leave a checkpoint and end.
    pub fn interrupt_all(&self) {
        for running in self.running.lock().values() {
            if let Some(pid) =
                i32::try_from(running.process.pid).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.running.lock().is_empty()
    }
}

/// Writes what the process of an attempt is told into the job's folder, for this user alone.
pub(super) fn write_spec(
    settings: &Settings,
    claimed: &Claimed,
    folder: &Path,
    lease: Duration,
) -> Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, &e))?;
    let spec = JobSpec {
        job: claimed.job.id,
        attempt: claimed.number,
        token: claimed.token.clone(),
        gateway: gateway(settings),
        folder: folder.join("work"),
        settings: settings.to_texts().into_iter().map(|(name, text)| (name.to_owned(), text)).collect(),
        lease_ms: i64::try_from(lease.as_millis()).unwrap_or(i64::MAX),
    };
    let path = folder.join(format!("attempt-{}.json", claimed.number));
    let json = serde_json::to_vec(&spec).map_err(|error| Error::io(&path, &error.into()))?;
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&json)
    };
    write().map_err(|error| Error::io(&path, &error))?;
    Ok(path)
}

/// Where the job's process asks models.
pub(super) fn gateway(settings: &Settings) -> String {
    if !settings.gateway_url.is_empty() {
        return settings.gateway_url.clone();
    }
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        let local: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(local);
    }
    format!("http://{address}")
}

/// What the way it ended says, for the case that the process could not tell the store itself.
fn cause(status: ExitStatus, kills_before: Option<u64>, log: &Path) -> Option<(Cause, Fault)> {
    let (cause, code, en, zh) = match (status.code(), status.signal()) {
        (Some(0 | GIVEN_UP), _) => return None,
        (_, Some(9)) if kills_before.zip(oom_kills()).is_some_and(|(before, now)| now > before) => (
            Cause::OutOfMemory,
            Code::OutOfMemory,
            "its process was ended by the system for lack of memory".to_owned(),
            "进程因内存不足被系统终止".to_owned(),
        ),
        (_, Some(9 | 15)) => (
            Cause::Lost,
            Code::ReplicaLost,
            "its process was killed from outside".to_owned(),
            "进程被外部终止".to_owned(),
        ),
        (Some(code), _) => (
            Cause::Crashed,
            Code::Internal,
            format!("its process ended with code {code}"),
            format!("进程以代码 {code} 结束"),
        ),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            (
                Cause::Crashed,
                Code::Internal,
                format!("its process crashed with signal {signal}"),
                format!("进程因信号 {signal} 崩溃"),
            )
        }
    };
    let (mut en, mut zh) = (en, zh);
    if let Some(last) = last_words(log).filter(|_| cause == Cause::Crashed) {
        en.push_str(&format!("; its last words: {last}"));
        zh.push_str(&format!("；最后的日志：{last}"));
    }
    Some((cause, Fault::new(code, en, zh)))
}

pub(super) fn last_words(log: &Path) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS))).ok()?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().take(300).collect())
}
