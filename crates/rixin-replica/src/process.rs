//! The life of the process: read the specification, load, report, serve, drain.

use std::{
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use rixin_base::{Code, Fault};
use rixin_chat::{Engine, EngineOptions};
use rixin_protocol::replica::{FaultReport, ReplicaKind, ReplicaSpec, Report};

use crate::server::{App, router};

/// Threads that read requests and write answers; the engine has its own.
const IO_THREADS: usize = 2;
/// llama.cpp's reader of grammars recurses on the thread of the request.
const STACK_BYTES: usize = 8 << 20;
/// The longest path of a unix socket on Linux, without its NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Runs a replica from its specification's file to its end. Standard output carries [`Report`]s, standard error the log; the end of
/// standard input ends the process at once.
pub fn main(spec: &Path) -> ExitCode {
    die_with_parent();
    match run(spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tracing::error!(code = fault.code.as_str(), "{}", fault.message.en);
            report(&Report::Failed { fault: FaultReport::from(&fault) });
            ExitCode::FAILURE
        }
    }
}

/// The parent holds the other end of standard input. When it dies, however it dies, reading ends, and so does this process: also in
/// the middle of loading, and without waiting for the engine's thread.
fn die_with_parent() {
    std::thread::spawn(|| {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while !matches!(input.read(&mut buffer), Ok(0) | Err(_)) {}
        // No destructors and no exit handlers: a native thread may be in the middle of anything.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
}

/// One line on standard output. A parent that does not read is no reason to stop.
fn report(report: &Report) {
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

fn read_spec(path: &Path) -> Result<ReplicaSpec, Fault> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        Fault::new(
            Code::LoadFailed,
            format!("the replica's specification {shown} can't be read: {error}"),
            format!("无法读取副本配置 {shown}：{error}"),
        )
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Fault::new(
            Code::LoadFailed,
            format!("the replica's specification {shown} is wrong: {error}"),
            format!("副本配置 {shown} 有误：{error}"),
        )
    })
}

fn log(filter: &str) {
    let (filter, bad) = match tracing_subscriber::EnvFilter::try_new(filter) {
        Ok(filter) => (filter, false),
        Err(_) => (tracing_subscriber::EnvFilter::new("info"), true),
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    if bad {
        tracing::warn!("the log's filter is not valid: using info");
    }
}

fn run(path: &Path) -> Result<(), Fault> {
    let spec = read_spec(path)?;
    log(&spec.log);
    if spec.socket.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
        let shown = spec.socket.display();
        return Err(Fault::new(
            Code::LoadFailed,
            format!(
                "the socket's path {shown} is longer than {MAX_SOCKET_PATH} bytes: choose a shorter data folder"
            ),
            format!("套接字路径 {shown} 超过 {MAX_SOCKET_PATH} 字节：请选择更短的数据文件夹路径"),
        ));
    }
    report(&Report::Loading { fraction: 0.0 });
    let mut shown = 0.0_f32;
    let options = EngineOptions {
        path: spec.file.clone(),
        threads: spec.threads,
        context_length: spec.context_length,
        slots: spec.slots,
        cache_tokens: spec.cache_tokens,
        batch_tokens: spec.batch_tokens,
        gpu_layers: spec.gpu_layers,
        embeddings: spec.kind == ReplicaKind::Embedding,
        queue: spec.queue,
    };
    let engine = Engine::load(options, |fraction| {
        if fraction - shown >= 0.05 {
            shown = fraction;
            report(&Report::Loading { fraction });
        }
        true
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| {
            Fault::new(
                Code::LoadFailed,
                format!("the replica's threads can't be started: {error}"),
                format!("副本线程无法启动：{error}"),
            )
        })?;
    let socket = spec.socket.clone();
    let served = runtime.block_on(serve(App::new(spec, engine)));
    let _ = std::fs::remove_file(socket);
    served
}

fn socket_fault(path: &Path, error: &std::io::Error) -> Fault {
    let shown = path.display();
    Fault::new(
        Code::LoadFailed,
        format!("the replica can't listen on {shown}: {error}"),
        format!("副本无法监听 {shown}：{error}"),
    )
}

/// The socket of a process that is gone is replaced; nobody but this user can open the new one.
fn listen(path: &Path) -> std::io::Result<tokio::net::UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = tokio::net::UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

async fn serve(app: App) -> Result<(), Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let path = app.spec.socket.clone();
    let fail = |error: std::io::Error| socket_fault(&path, &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    // Ctrl-C in a terminal reaches the whole group; the parent decides when a replica ends.
    let _interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let listener = listen(&path).map_err(fail)?;
    let info = app.engine.info();
    report(&Report::Ready {
        context_length: info.context_length,
        slots: info.slots,
        memory_bytes: info.memory_bytes,
    });
    tracing::info!(model = %app.spec.model, socket = %path.display(), "ready");
    axum::serve(listener, router(Arc::new(app)))
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            tracing::info!("draining");
        })
        .await
        .map_err(fail)
}
