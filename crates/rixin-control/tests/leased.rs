//! Replicas of a cluster: registered ones are asked with their key, those whose lease ran out are not, and a stopped one has to end.

mod support;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rixin_base::{Code, Explain as _, ReplicaId};
use rixin_control::{ReplicaPlace, ReplicaState};
use rixin_store::{Registration, Resources};
use serde_json::json;
use support::*;
use tokio::{net::TcpListener, task::JoinSet};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789a";

/// A process that answers on a port and remembers which keys came.
struct Process {
    address: SocketAddr,
    keys: Arc<Mutex<Vec<String>>>,
    /// How often the suite's own header came.
    own: Arc<Mutex<u32>>,
    _tasks: JoinSet<()>,
}

async fn process() -> Process {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let keys = Arc::<Mutex<Vec<String>>>::default();
    let own = Arc::<Mutex<u32>>::default();
    let (seen, owned, mut tasks) = (Arc::clone(&keys), Arc::clone(&own), JoinSet::new());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.expect("accepts");
            let (seen, owned) = (Arc::clone(&seen), Arc::clone(&owned));
            connections.spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let key = request
                        .headers()
                        .get("authorization")
                        .and_then(|v| v.to_str().ok())
                        .unwrap_or_default();
                    seen.lock().push(key.to_owned());
                    *owned.lock() += u32::from(request.headers().contains_key("x-rixin-usage-comment"));
                    let body = json!({"object": "list", "data": [{"id": "m"}]}).to_string();
                    async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    Process { address, keys, own, _tasks: tasks }
}

/// A replica that was handed out: its id and the token of its attempt.
async fn wished(bed: &Bed) -> (ReplicaId, String) {
    let replicas = bed.store.cluster_replicas();
    let id = replicas.add("m", &Resources::default()).await.expect("added").id;
    assert!(replicas.own(id, "here", 60_000).await.expect("asked"));
    let row = replicas.get(id).await.expect("there");
    let (_, token) = replicas.begin(&row).await.expect("begun").expect("wanted");
    (id, token)
}

fn said(address: SocketAddr) -> Registration {
    Registration {
        address: format!("http://{address}/v1"),
        key: KEY.into(),
        slots: 2,
        context_length: 2048,
        memory_bytes: 7 * MIB,
    }
}

#[tokio::test]
async fn a_registered_replica_is_asked_with_its_key_until_it_is_stopped() {
    let bed = Bed::new().await;
    let process = process().await;
    let (id, token) = wished(&bed).await;
    assert!(bed.acquire("m").await.is_err(), "it has not registered");
    let wrong = bed.control.register_replica(id, "rxr-wrong", &said(process.address)).await.expect("asked");
    assert!(wrong.is_none());
    let lease = bed.control.register_replica(id, &token, &said(process.address)).await.expect("asked");
    assert!(lease.is_some());

    let lease = bed.acquire("m").await.expect("it is up");
    assert_eq!((lease.replica(), lease.is_external()), (id.to_string().as_str(), false));
    let mut request = ask("echo");
    request.headers_mut().insert("x-rixin-usage-comment", http::HeaderValue::from_static("1"));
    lease.send(request).await.expect("an answer");
    assert_eq!(*process.own.lock(), 1, "what the ledger needs of a stream is asked for");
    assert!(process.keys.lock().iter().all(|key| *key == format!("Bearer {KEY}")));
    let shown = bed.local("m");
    assert_eq!(
        (shown[0].place, shown[0].state, shown[0].active),
        (ReplicaPlace::Cluster, ReplicaState::Ready, 1)
    );
    assert_eq!((shown[0].slots, shown[0].memory_bytes), (2, 7 * MIB));
    drop(lease);
    assert_eq!(bed.states("m"), [ReplicaState::Idle]);

    assert!(bed.control.renew_replica(id, "another").await.expect("asked").is_none());
    assert!(bed.control.renew_replica(id, KEY).await.expect("asked").is_some());
    bed.control.stop_replica(id).await.expect("stopped");
    assert!(bed.control.renew_replica(id, KEY).await.expect("asked").is_none(), "it has to end");
    assert_eq!(bed.acquire("m").await.expect_err("nobody").code(), Code::ModelNotFound);
}

#[tokio::test]
async fn one_whose_lease_ran_out_is_dropped_and_comes_back_with_a_sign_of_life() {
    let mut options = options();
    options.replica_lease = Duration::from_millis(300);
    let bed = Bed::with(options, &[]).await;
    let process = process().await;
    let (id, token) = wished(&bed).await;
    bed.control.register_replica(id, &token, &said(process.address)).await.expect("asked").expect("known");
    bed.acquire("m").await.expect("it is up");
    eventually("the lease runs out", || bed.states("m") == [ReplicaState::Failed]).await;
    assert_eq!(bed.acquire("m").await.expect_err("silent").code(), Code::ModelNotFound);
    let why = bed.local("m")[0].error.clone().expect("told");
    assert!(why.message.en.contains("lease"), "{why}");
    bed.control.renew_replica(id, KEY).await.expect("asked").expect("still wanted");
    bed.acquire("m").await.expect("it is up again");
}

#[tokio::test]
async fn what_a_process_says_is_checked() {
    let bed = Bed::with(options(), &[("offline", "true")]).await;
    let (id, token) = wished(&bed).await;
    let mut bad = said("127.0.0.1:9".parse().expect("an address"));
    bad.key = "short".into();
    let error = bed.control.register_replica(id, &token, &bad).await.expect_err("too short");
    assert_eq!(error.code(), Code::InvalidValue);
    bad = Registration { address: "http://10.0.0.7:4000/v1".into(), key: KEY.into(), ..bad };
    let error = bed.control.register_replica(id, &token, &bad).await.expect_err("elsewhere");
    assert_eq!(error.code(), Code::Offline);
    bad.address = "ftp://127.0.0.1".into();
    assert!(bed.control.register_replica(id, &token, &bad).await.is_err());
}
