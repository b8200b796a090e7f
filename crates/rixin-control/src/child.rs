//! One replica's process: started, listened to, told to end, buried. It tells what happens and decides nothing.

use std::{
    collections::VecDeque,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rixin_base::{Code, Fault, Message, ReplicaId};
use rixin_protocol::replica::Report;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::BufReader,
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{Error, Launcher, lines::next_line, memory::oom_kills};

/// The last lines of a child's log that are kept for the case that it dies without a word.
const LAST_WORDS: usize = 5;
/// How long the pipes of a child that has ended are read on: a process that it left behind may hold them open.
const LINGER: Duration = Duration::from_millis(500);
/// How long a child may take to end after it has said that it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What a replica, which runs native code on foreign files, has no use for.
const SECRETS: [&str; 4] = ["HF_TOKEN", "RIXIN_HF_TOKEN", "RIXIN_MODELSCOPE_TOKEN", "RIXIN_CIVITAI_TOKEN"];

/// What to start.
#[derive(Debug)]
pub(crate) struct Start {
    pub id: ReplicaId,
    pub model: String,
    pub launcher: Launcher,
    pub spec: PathBuf,
    pub load_timeout: Duration,
    pub grace: Duration,
}

/// What the owner may ask for.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// End in your own time: `SIGTERM`, then `SIGKILL` after the grace.
    Terminate,
    /// End now.
    Kill,
    /// End now: it answers nothing any more.
    Hung(Duration),
}

/// What happens to a child.
#[derive(Debug)]
pub(crate) enum Event {
    /// It runs.
    Started { pid: u32 },
    /// It reads its weights: 0 to 1.
    Loading(f32),
    /// Its socket answers.
    Ready { memory_bytes: u64, slots: u32 },
    /// It has ended, for this reason; nothing follows.
    Exited(Fault),
}

type LastWords = Arc<Mutex<VecDeque<String>>>;

/// Starts a replica and stays with it until it has ended. `tell` must not block. When this future is dropped the child is killed.
pub(crate) async fn run(start: Start, mut orders: mpsc::UnboundedReceiver<Order>, tell: impl Fn(Event)) {
    let kills_before = oom_kills();
    let mut child = match spawn(&start) {
        Ok(child) => child,
        Err(error) => return tell(Event::Exited(error.into())),
    };
    let pid = child.id().unwrap_or_default();
    prefer_as_victim(pid);
    tell(Event::Started { pid });
    // the life line: when this end closes, whatever closes it, the child ends
    let life_line = child.stdin.take();
    let last_words = LastWords::default();
    let (sender, mut reports) = mpsc::channel(16);
    let listening = [
        tokio::spawn(read_reports(child.stdout.take(), sender)),
        tokio::spawn(forward_log(child.stderr.take(), start.id, start.model.clone(), last_words.clone())),
    ];

    let mut load_by = Some(Instant::now() + start.load_timeout);
    let mut kill_at: Option<Instant> = None;
    let mut reason: Option<Fault> = None;
    let mut reports_open = true;
    let mut wanted = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            report = reports.recv(), if reports_open => match report {
                Some(Report::Loading { fraction }) if load_by.is_some() => {
                    tell(Event::Loading(if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 }));
                }
                Some(Report::Ready { memory_bytes, slots, .. }) if load_by.take().is_some() => {
                    tell(Event::Ready { memory_bytes, slots });
                }
                Some(Report::Failed { fault }) => {
                    reason.get_or_insert(fault.into());
                    kill_at.get_or_insert(Instant::now() + AFTER_FAILURE);
                }
                Some(_) => {}
                None => reports_open = false,
            },
            order = orders.recv() => match order {
                Some(Order::Terminate) => {
                    wanted = true;
                    signal(pid, Signal::TERM);
                    kill_at.get_or_insert(Instant::now() + start.grace);
                }
                Some(Order::Kill) | None => {
                    wanted = true;
                    kill_at = Some(Instant::now());
                }
                Some(Order::Hung(silent)) => {
                    reason.get_or_insert(hung(&start, silent));
                    kill_at = Some(Instant::now());
                }
            },
            () = at(load_by) => {
                load_by = None;
                reason.get_or_insert(too_slow(&start));
                kill_at = Some(Instant::now());
            }
            () = at(kill_at) => {
                kill_at = None;
                signal(pid, Signal::KILL);
            }
        }
    };
    drop(life_line);
    // the last report may still be in the pipe
    let rest = async {
        while let Some(report) = reports.recv().await {
            if let Report::Failed { fault } = report {
                reason.get_or_insert(fault.into());
            }
        }
    };
    let _ = timeout(LINGER, rest).await;
    for task in listening {
        let aborter = task.abort_handle();
        if timeout(LINGER, task).await.is_err() {
            aborter.abort();
        }
    }
    let fault = match (reason, status) {
        (Some(fault), _) => fault,
        (None, Ok(_)) if wanted => Fault::new(Code::ReplicaLost, "it was stopped", "它已被停止"),
        (None, Ok(status)) => cause(status, kills_before, &last_words.lock()),
        (None, Err(error)) => Fault::internal(error),
    };
    tell(Event::Exited(fault));
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn spawn(start: &Start) -> Result<Child, Error> {
    let program = start.launcher.path();
    let mut command = Command::new(&program);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    command
        .args(&start.launcher.args)
        .arg("--spec")
        .arg(&start.spec)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // a group of its own: Ctrl-C in a terminal is for the server, which drains first
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Spawn { program, why: error.to_string() })
}

fn signal(pid: u32, signal: Signal) {
    // the number can't be in use again: the child has not been waited for yet
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// When memory runs out, the kernel should end a replica before the server.
fn prefer_as_victim(pid: u32) {
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "500");
}

async fn read_reports(stdout: Option<ChildStdout>, sender: mpsc::Sender<Report>) {
    let Some(stdout) = stdout else { return };
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    while let Ok(true) = next_line(&mut reader, &mut line).await {
        match serde_json::from_str::<Report>(&line) {
            // the pipe is read on, so that the child can't block on it
            Ok(report) => drop(sender.send(report).await),
            Err(_) if line.is_empty() => {}
            Err(error) => {
                tracing::warn!(%error, line = %cut(&line), "a replica wrote something that is no report")
            }
        }
    }
}

async fn forward_log(stderr: Option<ChildStderr>, id: ReplicaId, model: String, last_words: LastWords) {
    let Some(stderr) = stderr else { return };
    let mut reader = BufReader::new(stderr);
    let mut line = String::new();
    while let Ok(true) = next_line(&mut reader, &mut line).await {
        let text = line.trim_end();
        if text.is_empty() {
            continue;
        }
        tracing::info!(target: "rixin_replica", replica = %id, %model, "{text}");
        let mut last_words = last_words.lock();
        if last_words.len() == LAST_WORDS {
            last_words.pop_front();
        }
        last_words.push_back(cut(text).to_owned());
    }
}

/// At most 300 characters.
fn cut(text: &str) -> &str {
    text.char_indices().nth(300).map_or(text, |(at, _)| &text[..at])
}

fn too_slow(start: &Start) -> Fault {
    let secs = start.load_timeout.as_secs_f32();
    Fault::new(
        Code::LoadFailed,
        format!("it was not ready after {secs} s: raise RIXIN_LOAD_TIMEOUT if the disk is slow"),
        format!("{secs} 秒内未就绪：如果磁盘较慢，请调大 RIXIN_LOAD_TIMEOUT"),
    )
}

fn hung(start: &Start, silent: Duration) -> Fault {
    tracing::error!(replica = %start.id, model = %start.model, "the replica hangs and is killed");
    let secs = silent.as_secs_f32();
    Fault::new(
        Code::ReplicaLost,
        format!("it answered nothing for {secs} s and was ended"),
        format!("{secs} 秒没有任何响应，已被终止"),
    )
}

/// What the way it ended, and its last words, say.
fn cause(status: ExitStatus, kills_before: Option<u64>, last_words: &VecDeque<String>) -> Fault {
    let (mut en, mut zh) = match (status.code(), status.signal()) {
        (Some(0), _) => ("its process ended".to_owned(), "进程已结束".to_owned()),
        (Some(code), _) => (format!("its process ended with code {code}"), format!("进程以代码 {code} 结束")),
        (None, Some(9)) => {
            let counted = kills_before.zip(oom_kills()).is_some_and(|(before, now)| now > before);
            if counted {
                (
                    "its process was killed by the system for lack of memory".to_owned(),
                    "进程因内存不足被系统终止".to_owned(),
                )
            } else {
                ("its process was killed (out of memory?)".to_owned(), "进程被终止（内存不足？）".to_owned())
            }
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            (format!("its process crashed with signal {signal}"), format!("进程因信号 {signal} 崩溃"))
        }
    };
    // A kill from outside leaves no last words, and everyday lines of the log explain nothing.
    let silent = status.code() == Some(0) || status.signal() == Some(9);
    let everyday = |line: &str| line.contains(" INFO ") || line.contains(" DEBUG ");
    if let Some(last) = last_words.back().filter(|last| !silent && !everyday(last)) {
        en.push_str(&format!("; its last words: {last}"));
        zh.push_str(&format!("；最后的日志：{last}"));
    }
    Fault { code: Code::LoadFailed, message: Message::new(en, zh), param: None, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_it_ended_is_told() {
        let none = VecDeque::new();
        let killed = cause(ExitStatus::from_raw(9), None, &none);
        assert_eq!(killed.message.en, "its process was killed (out of memory?)");
        let killed = cause(ExitStatus::from_raw(9), oom_kills().map(|n| n.wrapping_sub(1)), &none);
        assert!(killed.message.en.contains("memory"), "{killed}");
        let crashed = cause(ExitStatus::from_raw(11), None, &VecDeque::from(["boom".to_owned()]));
        assert_eq!(crashed.message.en, "its process crashed with signal 11; its last words: boom");
        assert!(cause(ExitStatus::from_raw(3 << 8), None, &none).message.zh.contains("代码 3"));
    }
}
