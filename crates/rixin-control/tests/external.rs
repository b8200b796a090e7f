//! External engines against a real server on this machine: names, keys, health that changes, broken streams.

mod support;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rixin_base::{Code, Explain};
use rixin_control::{Control, Error, ExternalState, NewEngine, ReplicaPlace};
use serde_json::{Value, json};
use support::*;
use tokio::{net::TcpListener, task::JoinSet};

/// An engine that answers as it is told.
#[derive(Default)]
struct Engine {
    /// The status of every answer; 0: 200.
    status: AtomicU32,
    models: Mutex<Vec<String>>,
    seen: Mutex<Vec<(String, Value, http::HeaderMap)>>,
}

impl Engine {
    fn new(models: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            models: Mutex::new(models.iter().map(|m| (*m).to_owned()).collect()),
            ..Self::default()
        })
    }

    /// Serves until the set is dropped.
    async fn serve(self: &Arc<Self>, at: Option<SocketAddr>) -> (SocketAddr, JoinSet<()>) {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("allowed");
        socket.bind(at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))).expect("free");
        let listener: TcpListener = socket.listen(64).expect("listens");
        let address = listener.local_addr().expect("bound");
        let (this, mut tasks) = (self.clone(), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("accepts");
                let this = this.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| this.clone().answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        (address, tasks)
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let breaks = value["do"] == "break";
        self.seen.lock().push((path.clone(), value, parts.headers));
        let text = if path.ends_with("/models") {
            let data: Vec<Value> =
                self.models.lock().iter().map(|id| json!({"id": id, "object": "model"})).collect();
            json!({"object": "list", "data": data}).to_string()
        } else {
            "data: 0\n\n".to_owned()
        };
        let first = [Ok(Frame::data(Bytes::from(text)))];
        let rest = futures::stream::iter(breaks.then_some(())).then(|()| async {
            // what was written has to leave first
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            Err(std::io::Error::other("broken"))
        });
        let body = StreamBody::new(futures::stream::iter(first).chain(rest)).boxed_unsync();
        let mut response = Response::new(body);
        let status = u16::try_from(self.status.load(Ordering::SeqCst)).expect("a status");
        if status != 0 {
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        }
        Ok(response)
    }

    fn last(&self) -> (String, Value, http::HeaderMap) {
        self.seen
            .lock()
            .iter()
            .rev()
            .find(|(path, ..)| !path.ends_with("/models"))
            .cloned()
            .expect("was asked")
    }
}

fn engine(name: &str, address: SocketAddr, models: &[&str]) -> NewEngine {
    NewEngine {
        name: name.into(),
        base_url: format!("http://{address}"),
        api_key: Some("sk-theirs".into()),
        models: models.iter().map(|m| (*m).to_owned()).collect(),
    }
}

async fn ids(control: &Control) -> Vec<String> {
    control.models().await.expect("listed").into_iter().map(|m| m.id).collect()
}

#[tokio::test]
async fn its_models_are_asked_with_its_key_and_its_names() {
    let bed = Bed::new().await;
    bed.install("shared", json!({})).await;
    let server = Engine::new(&["Qwen/Qwen3-8B", "shared"]);
    let (address, _serving) = server.serve(None).await;
    let status = bed.control.add_external(engine("gpu", address, &[])).await.expect("added");
    assert_eq!((status.state, status.has_key), (ExternalState::Ok, true));
    assert_eq!(status.base_url, format!("http://{address}/v1"));
    assert_eq!(ids(&bed.control).await, ["shared", "Qwen/Qwen3-8B", "gpu/shared"]);

    let lease = bed.acquire("Qwen/Qwen3-8B").await.expect("there");
    assert!(lease.is_external());
    let mut request = ask("x");
    request.headers_mut().insert("authorization", "Bearer sk-callers".parse().expect("valid"));
    request.headers_mut().insert("x-rixin-fairness", "key_1".parse().expect("valid"));
    assert_eq!(text(lease.send(request).await.expect("answers")).await.expect("whole"), "data: 0\n\n");
    let (path, body, headers) = server.last();
    assert_eq!(path, "/v1/chat/completions");
    assert_eq!(body["model"], "Qwen/Qwen3-8B", "the name there, not the one in the body");
    assert_eq!(headers["authorization"], "Bearer sk-theirs");
    assert!(!headers.contains_key("x-rixin-fairness"));

    assert!(!bed.acquire("shared").await.expect("installed").is_external(), "the installed one comes first");
    let long = bed.acquire("gpu/shared").await.expect("there");
    text(long.send(ask("x")).await.expect("answers")).await.expect("whole");
    assert_eq!(server.last().1["model"], "shared");
    let row = bed.control.replicas().into_iter().find(|r| r.place == ReplicaPlace::External).expect("listed");
    assert_eq!((row.model.as_str(), row.active), ("gpu", 2));

    let second =
        bed.control.add_external(engine("fast", address, &["quick=Qwen/Qwen3-8B"])).await.expect("added");
    text(bed.acquire("quick").await.expect("an alias").send(ask("x")).await.expect("answers"))
        .await
        .expect("whole");
    assert_eq!(server.last().1["model"], "Qwen/Qwen3-8B");
    assert!(bed.control.add_external(engine("fast", address, &[])).await.is_err(), "the name is taken");
    bed.control.remove_external(second.id).await.expect("known");
    assert_eq!(bed.acquire("quick").await.expect_err("gone").code(), Code::ModelNotFound);

    // another server on the same data folder finds it in the store
    let again =
        Control::start_with(options(), settings(&bed.dir, &[]), bed.registry.clone(), bed.store.clone())
            .await
            .expect("starts");
    let request =
        rixin_control::AcquireRequest { model: "Qwen/Qwen3-8B", affinity: None, lang: Default::default() };
    assert!(again.acquire(&request).await.expect("its first check is waited for").is_external());
}

#[tokio::test]
async fn health_follows_the_engine() {
    let bed = Bed::new().await;
    let server = Engine::new(&["m"]);
    let (address, serving) = server.serve(None).await;
    bed.control.add_external(engine("gpu", address, &[])).await.expect("added");
    let state = || bed.control.externals()[0].state;
    assert_eq!(state(), ExternalState::Ok);

    server.status.store(500, Ordering::SeqCst);
    eventually("it fails its checks", || state() == ExternalState::Failed).await;
    let error = bed.acquire("m").await.expect_err("down");
    assert_eq!(error.code(), Code::ReplicaLost);
    assert!(error.to_string().contains("500"), "{error}");
    assert_eq!(ids(&bed.control).await, ["m"], "its models are still known");
    assert_eq!(bed.control.resolve("m").await.expect("known"), "m");
    server.status.store(0, Ordering::SeqCst);
    eventually("it is asked again", || state() == ExternalState::Ok).await;

    // gone altogether: the request that finds out marks it, before the next check
    let lease = bed.acquire("m").await.expect("up");
    drop(serving);
    eventually("nobody listens", || std::net::TcpStream::connect(address).is_err()).await;
    let error = lease.send(ask("x")).await.expect_err("refused");
    assert!(matches!(error, Error::ExternalDown { .. }), "{error}");
    eventually("that is known", || state() == ExternalState::Failed).await;
    let (_, _serving) = server.serve(Some(address)).await;
    eventually("it has come back", || state() == ExternalState::Ok).await;
    assert!(bed.acquire("m").await.is_ok());
}

#[tokio::test]
async fn what_is_no_answer_to_the_caller_is_an_error() {
    let bed = Bed::new().await;
    let server = Engine::new(&["m"]);
    let (address, _serving) = server.serve(None).await;
    bed.control.add_external(engine("gpu", address, &[])).await.expect("added");
    let lease = bed.acquire("m").await.expect("up");
    let error = text(lease.send(ask("break")).await.expect("a head")).await.expect_err("cut short");
    assert_eq!(error.code(), Code::ReplicaLost);
    for (status, code) in [(401, Code::BadUpstream), (308, Code::BadUpstream)] {
        server.status.store(status, Ordering::SeqCst);
        assert_eq!(lease.send(ask("x")).await.expect_err("not for the caller").code(), code);
    }
    server.status.store(400, Ordering::SeqCst);
    assert_eq!(lease.send(ask("x")).await.expect("the caller's own mistake").status(), 400);
}

#[tokio::test]
async fn two_engines_with_one_model_are_two_replicas_of_it() {
    let bed = Bed::new().await;
    let (one, two) = (Engine::new(&["m"]), Engine::new(&["m"]));
    let (at_one, serving_one) = one.serve(None).await;
    let (at_two, _serving_two) = two.serve(None).await;
    bed.control.add_external(engine("one", at_one, &[])).await.expect("added");
    bed.control.add_external(engine("two", at_two, &[])).await.expect("added");
    assert_eq!(ids(&bed.control).await, ["m"]);
    let leases = [bed.acquire("m").await.expect("up"), bed.acquire("m").await.expect("up")];
    assert_ne!(leases[0].replica(), leases[1].replica(), "least loaded");
    drop(leases);
    let home = bed.acquire_for("m", Some(9)).await.expect("up").replica().to_owned();
    assert_eq!(bed.acquire_for("m", Some(9)).await.expect("up").replica(), home);
    assert_eq!(bed.acquire("two/m").await.expect("up").replica(), bed.control.externals()[1].id.to_string());
    drop(serving_one);
    eventually("one is down", || bed.control.externals()[0].state == ExternalState::Failed).await;
    for affinity in 0..8 {
        let lease = bed.acquire_for("m", Some(affinity)).await.expect("the other one is up");
        assert_eq!(lease.replica(), bed.control.externals()[1].id.to_string());
    }
}

#[tokio::test]
async fn offline_means_this_machine_only() {
    let bed = Bed::with(options(), &[("offline", "true")]).await;
    let elsewhere =
        NewEngine { name: "x".into(), base_url: "https://203.0.113.1/v1".into(), ..NewEngine::default() };
    let error = bed.control.add_external(elsewhere).await.expect_err("elsewhere");
    assert_eq!(error.code(), Code::Offline);
    let server = Engine::new(&["m"]);
    let (address, _serving) = server.serve(None).await;
    bed.control.add_external(engine("here", address, &[])).await.expect("here");
    assert!(bed.acquire("m").await.is_ok());
    for (name, url) in [("a/b", "http://127.0.0.1:1"), ("", "http://127.0.0.1:1"), ("x", "nonsense")] {
        let bad = NewEngine { name: name.into(), base_url: url.into(), ..NewEngine::default() };
        let error = bed.control.add_external(bad).await.expect_err("refused");
        assert_eq!(error.code(), Code::InvalidValue, "{error}");
        assert!(error.param().is_some());
    }
}

#[tokio::test]
async fn an_engine_that_is_down_from_the_start_is_kept_and_says_why() {
    let bed = Bed::new().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("free").local_addr().expect("bound");
    let status = bed.control.add_external(engine("later", unused, &["m"])).await.expect("kept");
    assert_eq!(status.state, ExternalState::Failed);
    assert!(status.error.is_some_and(|fault| fault.message.en.contains("can't be reached")));
    assert!(bed.acquire("m").await.is_err());
    let server = Engine::new(&["m"]);
    let (_, _serving) = server.serve(Some(unused)).await;
    eventually("it came up", || bed.control.externals()[0].state == ExternalState::Ok).await;
    assert!(bed.acquire("m").await.is_ok());
}
