//! The life of the process: read the specification, load, report, serve, drain.

use std::{
    future::Future,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
};

use rand::{RngExt as _, distr::Alphanumeric};
use rixin_base::{Code, Fault};
use rixin_chat::{Engine, EngineOptions};
use rixin_protocol::replica::{ClusterSpec, FaultReport, ReplicaKind, ReplicaSpec, Report};

use crate::server::{App, router};

/// Threads that read requests and write answers; the engine has its own.
const IO_THREADS: usize = 2;
/// llama.cpp's reader of grammars recurses on the thread of the request.
const STACK_BYTES: usize = 8 << 20;
/// The longest path of a unix socket on Linux, without its NUL.
const MAX_SOCKET_PATH: usize = 107;

/// A replica that answers on a port.
#[derive(Clone, Debug)]
pub struct Serving {
    /// How it becomes known.
    pub cluster: ClusterSpec,
    /// The port, on all addresses of the machine.
    pub port: u16,
    /// What has to come with each request, as `Authorization: Bearer`.
    pub key: String,
    /// Longest prompt and answer, in tokens.
    pub context_length: u32,
    /// Requests at the same time.
    pub slots: u32,
    /// Weights, cache and buffers, in bytes.
    pub memory_bytes: u64,
}

/// Keeps a replica on a cluster's node known to the gateways; ends, with the reason, when it is not wanted any more. A replica itself
/// asks nobody anything.
pub type Keep = fn(Serving) -> Pin<Box<dyn Future<Output = Fault> + Send>>;

/// Runs a replica from its specification's file to its end. Standard output carries [`Report`]s, standard error the log. The end of
/// standard input ends the process at once, unless the specification is that of a cluster's node: there `keep` says when.
pub fn main(spec: &Path, keep: Keep) -> ExitCode {
    match run(spec, keep) {
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

fn run(path: &Path, keep: Keep) -> Result<(), Fault> {
    let spec = read_spec(path)?;
    if spec.cluster.is_none() {
        die_with_parent();
    }
    log(&spec.log);
    if spec.cluster.is_none() && spec.socket.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
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
    if spec.cluster.is_some() {
        return runtime.block_on(serve_cluster(App::new(spec, engine), keep));
    }
    let socket = spec.socket.clone();
    let served = runtime.block_on(serve(App::new(spec, engine)));
    let _ = std::fs::remove_file(socket);
    served
}

/// On a port, for whoever has the key, as long as it is wanted.
async fn serve_cluster(app: App, keep: Keep) -> Result<(), Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let fail = |error: std::io::Error| {
        Fault::new(
            Code::LoadFailed,
            format!("the replica can't listen on a port: {error}"),
            format!("副本无法监听端口：{error}"),
        )
    };
    let Some(cluster) = app.spec.cluster.clone() else { return Ok(()) };
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).await.map_err(fail)?;
    let port = listener.local_addr().map_err(fail)?.port();
    let key: String = rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect();
    let info = app.engine.info();
    let (context_length, slots, memory_bytes) = (info.context_length, info.slots, info.memory_bytes);
    report(&Report::Ready { context_length, slots, memory_bytes });
    tracing::info!(model = %app.spec.model, port, "ready");
    let routes = router(Arc::new(app))
        .layer(axum::middleware::from_fn_with_state(Arc::<str>::from(key.as_str()), with_key));
    let unwanted = Arc::new(std::sync::OnceLock::new());
    let told = Arc::clone(&unwanted);
    let kept = keep(Serving { cluster, port, key, context_length, slots, memory_bytes });
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                fault = kept => drop(told.set(fault)),
            }
            tracing::info!("draining");
        })
        .await
        .map_err(fail)?;
    unwanted.get().cloned().map_or(Ok(()), Err)
}

/// Nobody else on the network may ask it.
async fn with_key(
    axum::extract::State(key): axum::extract::State<Arc<str>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    use subtle::ConstantTimeEq as _;
    let given = request.headers().get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    if bool::from(given.ct_eq(key.as_bytes())) {
        return next.run(request).await;
    }
    let fault = Fault::new(
        Code::InvalidKey,
        "this replica answers to its gateways only: ask one of them",
        "此副本只应答网关：请向网关发送请求",
    );
    let lang = crate::context::RequestContext::read(request.headers(), rixin_base::Lang::default()).lang;
    crate::context::error_reply(&fault, lang)
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
