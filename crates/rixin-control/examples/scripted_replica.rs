//! A replica without an engine, for the tests of this crate: it keeps the contract between supervisor and replica, and does what the
//! JSON in its model file and in its requests tells it to do, such as failing and dying.
//!
//! `scripted_replica host DATA_DIR MODEL` is the other side: a server that holds a lease until it is killed.

use std::{
    convert::Infallible,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rixin_base::{Code, Fault};
use rixin_protocol::replica::{ReplicaSpec, Report, Stats};
use serde::Deserialize;
use tokio::net::UnixListener;

/// What the model file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    /// A file that gets a line for every start.
    starts: Option<PathBuf>,
    /// Not ready before this file is there.
    gate: Option<PathBuf>,
    /// The reason of a load that fails.
    fail: Option<String>,
    /// Killed while loading.
    die: bool,
    /// Ends with this code while loading, after a line in its log.
    exit: Option<i32>,
    /// The memory that it reports.
    memory_bytes: u64,
    /// Does not end on SIGTERM.
    deaf: bool,
    /// Never answers `/stats`.
    silent: bool,
}

/// What a request says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// `echo`, `stream`, `hold`, `die`, `late`.
    r#do: String,
}

struct Replica {
    spec: ReplicaSpec,
    script: Script,
    active: AtomicU32,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "host", data_dir, model] => runtime.block_on(host(Path::new(data_dir), model)),
        [_, "replica", "run", "--spec", spec] => runtime.block_on(replica(Path::new(spec))),
        _ => panic!("{args:?} is neither `host` nor `replica run --spec`"),
    }
}

async fn host(data_dir: &Path, model: &str) {
    let mut options = rixin_control::Options::default();
    options.launcher.program = Some(std::env::current_exe().expect("own path"));
    let get = |name: &str| (name == "RIXIN_DATA_DIR").then(|| data_dir.display().to_string());
    let settings = Arc::new(rixin_base::Settings::load(&[], None, &get).expect("settings").settings);
    let registry = rixin_models::Registry::open(data_dir).await.expect("registry");
    let store = rixin_store::Store::open(data_dir).await.expect("store");
    let control =
        rixin_control::Control::start_with(options, settings, registry, store).await.expect("control");
    let request = rixin_control::AcquireRequest { model, affinity: None, lang: rixin_base::Lang::En };
    let lease = control.acquire(&request).await.expect("a lease");
    let response =
        lease.send(Request::get("/pid").body(Bytes::new()).expect("valid")).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    std::future::pending::<()>().await;
}

fn say(report: &Report) {
    println!("{}", serde_json::to_string(report).expect("serialises"));
    std::io::stdout().flush().expect("the parent reads");
}

fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .expect("may kill itself");
    unreachable!("killed")
}

async fn replica(spec: &Path) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let spec: ReplicaSpec = serde_json::from_slice(&std::fs::read(spec).expect("spec")).expect("a spec");
    let script: Script =
        serde_json::from_slice(&std::fs::read(&spec.file).expect("model")).expect("a script");
    if let Some(path) = &script.starts {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("opens");
        writeln!(file, "{}", std::process::id()).expect("writes");
    }
    println!("this line is no report");
    say(&Report::Loading { fraction: 0.5 });
    if script.die {
        die();
    }
    if let Some(code) = script.exit {
        eprintln!("the tensors are upside down");
        std::process::exit(code);
    }
    if let Some(reason) = &script.fail {
        let fault = Fault::new(Code::BadModelFile, reason.clone(), format!("原因：{reason}"));
        say(&Report::Failed { fault: (&fault).into() });
        std::process::exit(1);
    }
    while script.gate.as_ref().is_some_and(|gate| !gate.exists()) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let listener = UnixListener::bind(&spec.socket).expect("binds");
    let (slots, memory_bytes) = (spec.slots, script.memory_bytes);
    let this = Arc::new(Replica { spec, script, active: AtomicU32::new(0) });
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a handler");
    say(&Report::Ready { context_length: 1024, slots, memory_bytes });
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted.expect("accepts");
                let this = this.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| this.clone().answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
            _ = terminate.recv() => if !this.script.deaf { std::process::exit(0) },
        }
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

fn whole(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync())
}

/// Counts a request for as long as its body lives.
struct Active(Arc<Replica>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

fn chunk(number: usize) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(Bytes::from(format!("data: {number}\n\n"))))
}

impl Replica {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let head = |name: &str| {
            request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let lang = head("accept-language");
        match request.uri().path() {
            "/pid" => return Ok(whole(std::process::id().to_string())),
            "/stats" => {
                if self.script.silent {
                    std::future::pending::<()>().await;
                }
                let stats = Stats {
                    model: self.spec.model.to_string(),
                    active: self.active.load(Ordering::SeqCst),
                    slots: self.spec.slots,
                    ..Stats::default()
                };
                return Ok(whole(serde_json::to_vec(&stats).expect("serialises")));
            }
            _ => {}
        }
        let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let asked: Asked = serde_json::from_slice(&body).unwrap_or_default();
        self.active.fetch_add(1, Ordering::SeqCst);
        let active = Active(self.clone());
        let chunks =
            |active: Active, body: stream::BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>| {
                let counted = body.map(move |frame| {
                    let _ = &active;
                    frame
                });
                Response::new(StreamBody::new(counted).boxed_unsync())
            };
        Ok(match asked.r#do.as_str() {
            "stream" => chunks(active, stream::iter((0..3).map(chunk)).boxed()),
            "hold" => chunks(active, stream::iter([chunk(0)]).chain(stream::pending()).boxed()),
            "die" => chunks(
                active,
                stream::iter([chunk(0), chunk(1)])
                    .chain(stream::once(async {
                        // what was written has to leave first
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        die()
                    }))
                    .boxed(),
            ),
            "late" => {
                // no head of an answer ever comes
                let _active = active;
                std::future::pending::<()>().await;
                unreachable!("pending")
            }
            _ => whole(
                serde_json::json!({
                    "pid": std::process::id(),
                    "model": self.spec.model,
                    "lang": lang,
                })
                .to_string(),
            ),
        })
    }
}
