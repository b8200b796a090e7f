//! The life of the process: read the specification, become the attempt, work, tell the end.

use std::{
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rixin_base::{Cancel, Code, Fault, Settings};
use rixin_jobs::{JobSpec, Policy, after};
use rixin_store::{AttemptScope, Blobs, Cause, Fenced, Job, Store, now_ms};
use tokio::time::Instant;

use crate::{
    gateway::Gateway,
    log,
    report::{EVERY, Reporter},
    run,
    work::{Failure, Work},
};

/// How often it is looked whether somebody asked for the end.
const LOOK: Duration = Duration::from_millis(500);
/// How long a runner may take to let go after it was asked to.
const LET_GO: Duration = Duration::from_secs(20);

/// The process had done its part: the store knows how the attempt ended.
const TOLD: u8 = 0;
/// The attempt had been given up for lost.
const GIVEN_UP: u8 = 75;
/// The store could not be told.
const UNTOLD: u8 = 76;

/// Runs an attempt from its specification's file to its end. With `lifeline` the end of standard input ends the process.
pub fn main(spec: &Path, lifeline: bool) -> u8 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // first of all: it may become another process
    let devices = crate::devices::take();
    if lifeline {
        die_with_parent();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return UNTOLD;
        }
    };
    let code = runtime.block_on(live(spec, devices));
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

/// The server holds the other end of standard input; when it dies, however it dies, this process ends too.
fn die_with_parent() {
    std::thread::spawn(|| {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while !matches!(input.read(&mut buffer), Ok(0) | Err(_)) {}
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
}

fn read_spec(path: &Path) -> Result<(JobSpec, Settings), Fault> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        Fault::new(
            Code::Internal,
            format!("the job's specification {shown} can't be read: {error}"),
            format!("无法读取任务配置 {shown}：{error}"),
        )
    })?;
    let spec: JobSpec = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::new(
            Code::Internal,
            format!("the job's specification {shown} is wrong: {error}"),
            format!("任务配置 {shown} 有误：{error}"),
        )
    })?;
    let flags: Vec<(&'static str, String)> = Settings::TABLE
        .iter()
        .filter_map(|(name, ..)| {
            let (_, value) = spec.settings.iter().find(|(given, _)| given == name)?;
            Some((*name, value.clone()))
        })
        .collect();
    let resolved = Settings::load(&flags, None, &|_| None)?;
    Ok((spec, resolved.settings))
}

async fn live(path: &Path, devices: Result<(), Fault>) -> u8 {
    let reporter = Reporter::default();
    let (spec, settings) = match read_spec(path) {
        Ok(read) => read,
        Err(fault) => {
            eprintln!("{fault}");
            return UNTOLD;
        }
    };
    log::start(&settings.log, reporter.clone());
    match attempt(spec, Arc::new(settings), reporter, devices).await {
        Ok(()) => TOLD,
        Err(Fenced::GivenUp) => {
            tracing::warn!("another attempt has taken over, or the job is over: this process ends");
            GIVEN_UP
        }
        Err(Fenced::Store(error)) => {
            tracing::error!(%error, "the store could not be told");
            UNTOLD
        }
    }
}

/// Whether a cluster started this very process again.
fn restarted() -> bool {
    std::env::var("SLURM_RESTART_COUNT").is_ok_and(|count| count.parse().unwrap_or(0) > 0)
}

async fn attempt(
    spec: JobSpec,
    settings: Arc<Settings>,
    reporter: Reporter,
    devices: Result<(), Fault>,
) -> Result<(), Fenced> {
    let store = Store::open_settings(&settings).await?;
    let (scope, job) =
        store.enter_attempt(spec.job, spec.attempt, &spec.token, restarted(), spec.lease_ms).await?;
    tracing::info!(job = %spec.job, attempt = scope.number(), kind = job.kind, "begins");
    let cancel = Cancel::new();
    let timed_out = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(Watched {
        scope: scope.clone(),
        reporter: reporter.clone(),
        cancel: cancel.clone(),
        timed_out: Arc::clone(&timed_out),
        deadline: job.resources.time_limit_secs.map(|secs| Instant::now() + Duration::from_secs(secs)),
        lease: Duration::from_millis(u64::try_from(spec.lease_ms).unwrap_or(1000)),
    }));
    let interrupted = Arc::new(AtomicBool::new(false));
    let listening = tokio::spawn(listen(cancel.clone(), Arc::clone(&interrupted)));
    let work = match devices {
        Ok(()) => work(&spec, &settings, &scope, job.clone(), reporter.clone(), cancel).await,
        Err(fault) => Err(Failure::unavailable(fault)),
    };
    let outcome = match work {
        Ok(work) => {
            // a task of its own: a panic in there is this attempt's end and is told as such
            tokio::spawn(run::run(work))
                .await
                .unwrap_or_else(|error| Err(Failure::Because(Cause::Crashed, Fault::internal(error))))
        }
        Err(failure) => Err(failure),
    };
    listening.abort();
    watching.abort();
    let _ = watching.await;
    let ended = end(
        &scope,
        &job,
        outcome,
        (timed_out.load(Ordering::Acquire), interrupted.load(Ordering::Acquire)),
        &reporter,
    )
    .await;
    store.close().await;
    ended
}

async fn work(
    spec: &JobSpec,
    settings: &Arc<Settings>,
    scope: &AttemptScope,
    job: Job,
    reporter: Reporter,
    cancel: Cancel,
) -> Result<Work, Failure> {
    tokio::fs::create_dir_all(&spec.folder).await.map_err(|error| {
        Failure::unavailable(Fault::new(
            Code::ReadOnly,
            format!("the job's folder {} can't be made: {error}", spec.folder.display()),
            format!("无法创建任务文件夹 {}：{error}", spec.folder.display()),
        ))
    })?;
    Ok(Work {
        scope: scope.clone(),
        job,
        settings: Arc::clone(settings),
        blobs: Blobs::open_settings(settings).await?,
        gateway: Gateway::new(&spec.gateway, &spec.token).map_err(Failure::unavailable)?,
        reporter,
        folder: spec.folder.clone(),
        cancel,
    })
}

/// Tells how it ended.
async fn end(
    scope: &AttemptScope,
    job: &Job,
    outcome: Result<crate::work::Done, Failure>,
    (timed_out, interrupted): (bool, bool),
    reporter: &Reporter,
) -> Result<(), Fenced> {
    match &outcome {
        Ok(_) => tracing::info!("done"),
        Err(Failure::GivenUp) => {}
        Err(Failure::Because(cause, fault)) => tracing::warn!(cause = cause.as_str(), "{}", fault.message.en),
    }
    reporter.tell(scope).await?;
    match outcome {
        Ok(done) => scope.finish(&done.result, &done.also).await.map(drop),
        Err(Failure::GivenUp) => Err(Fenced::GivenUp),
        Err(Failure::Because(Cause::Cancelled, _)) if timed_out => {
            let limit = job.resources.time_limit_secs.unwrap_or_default();
            let fault = Fault::new(
                Code::DeadlineExceeded,
                format!(
                    "it took longer than its limit of {limit} s: submit it with a larger time_limit_secs; it goes on from its checkpoint when tried again"
                ),
                format!("超过了 {limit} 秒的时限：请调大 time_limit_secs 后重新提交；重试会从检查点继续"),
            );
            fail(scope, job, Cause::TimedOut, &fault).await
        }
        Err(Failure::Because(Cause::Cancelled, _)) if interrupted => {
            let fault = Fault::new(
                Code::ShuttingDown,
                "the server or cluster took the process away; the job goes on from its checkpoint",
                "服务器或集群收回了进程；任务将从检查点继续",
            );
            fail(scope, job, Cause::Lost, &fault).await
        }
        Err(Failure::Because(cause, fault)) => fail(scope, job, cause, &fault).await,
    }
}

/// A server that stops, and a cluster that wants its node back, send SIGTERM first.
async fn listen(cancel: Cancel, interrupted: Arc<AtomicBool>) {
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        terminate.recv().await;
        interrupted.store(true, Ordering::Release);
        cancel.cancel();
    }
}

async fn fail(scope: &AttemptScope, job: &Job, cause: Cause, fault: &Fault) -> Result<(), Fenced> {
    let next = after(&Policy::default(), cause, &job.failures, &job.resources, now_ms());
    scope.fail(cause, fault, next).await.map(drop)
}

struct Watched {
    scope: AttemptScope,
    reporter: Reporter,
    cancel: Cancel,
    timed_out: Arc<AtomicBool>,
    deadline: Option<Instant>,
    lease: Duration,
}

/// Gives signs of life, tells progress, and looks whether somebody asked for the end. A process that can't reach the store for as long
/// as its lease has been given up by then, and ends itself.
async fn watch(watched: Watched) {
    let Watched { scope, reporter, cancel, timed_out, deadline, lease } = watched;
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    let beat_every = lease / 5;
    let (mut last_beat, mut last_look, mut last_answer) = (Instant::now(), Instant::now(), Instant::now());
    let mut asked_at: Option<Instant> = None;
    loop {
        tokio::time::sleep(EVERY.min(beat_every)).await;
        let mut heard: Option<Result<bool, Fenced>> = None;
        if last_beat.elapsed() >= beat_every {
            last_beat = Instant::now();
            heard = Some(scope.beat(lease_ms).await);
        } else if last_look.elapsed() >= LOOK {
            last_look = Instant::now();
            heard = Some(scope.wanted().await.map(|wanted| !wanted));
        }
        match heard {
            Some(Ok(asked)) => {
                last_answer = Instant::now();
                if asked && asked_at.is_none() {
                    asked_at = Some(Instant::now());
                    cancel.cancel();
                }
            }
            Some(Err(Fenced::GivenUp)) => {
                tracing::warn!("another attempt has taken over, or the job is over: this process ends");
                std::process::exit(i32::from(GIVEN_UP));
            }
            Some(Err(Fenced::Store(error))) => tracing::warn!(%error, "the store does not answer"),
            None => {}
        }
        if last_answer.elapsed() > lease {
            tracing::error!("the store did not answer for as long as the lease: the attempt counts as lost");
            std::process::exit(i32::from(UNTOLD));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) && asked_at.is_none() {
            asked_at = Some(Instant::now());
            timed_out.store(true, Ordering::Release);
            cancel.cancel();
        }
        if asked_at.is_some_and(|at| at.elapsed() > LET_GO) {
            tracing::error!("it did not let go in time");
            std::process::exit(i32::from(UNTOLD));
        }
        match reporter.tell(&scope).await {
            Ok(()) | Err(Fenced::Store(_)) => {}
            Err(Fenced::GivenUp) => std::process::exit(i32::from(GIVEN_UP)),
        }
    }
}
