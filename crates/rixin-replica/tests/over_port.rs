//! A replica on a cluster's node: it listens on a port, answers to its key alone, and ends when it is not wanted any more.

mod common;

use common::*;
use http_body_util::Full;
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use rixin_protocol::replica::{ClusterSpec, Report};
use serde_json::Value;

/// Not a test: what [`Replica::start`] runs.
#[test]
fn child_process() {
    be_the_child();
}

async fn ask(port: u16, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let mut request = Request::post(path).header("host", "replica");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).expect("a request");
    read(sender.send_request(request).await.expect("a reply")).await
}

#[tokio::test]
async fn it_answers_to_its_key_alone_and_ends_when_it_is_not_wanted() {
    let cluster = ClusterSpec {
        replica: rixin_base::ReplicaId::new(),
        gateway: "http://127.0.0.1:9".into(),
        token: "rxr-token".into(),
    };
    let Some(mut replica) = Replica::start(|spec| spec.cluster = Some(cluster)) else { return };
    assert!(matches!(replica.last, Report::Ready { .. }), "{:?}", replica.last);
    let served = replica.served();
    let port = u16::try_from(served["port"].as_u64().expect("a port")).expect("a port");
    let key = served["key"].as_str().expect("a key");
    let body = chat("Hi");
    for wrong in [None, Some("another")] {
        let (status, reply) = ask(port, "/v1/chat/completions", &body, wrong).await;
        assert_eq!((status, &reply["error"]["code"]), (401, &"invalid_api_key".into()), "{reply}");
    }
    let (status, reply) = ask(port, "/v1/chat/completions", &body, Some(key)).await;
    assert_eq!(status, 200, "{reply}");
    // nobody holds its pipe: on a node there is none
    drop(replica.stdin.take());
    let (status, _) = ask(port, "/v1/chat/completions", &body, Some(key)).await;
    assert_eq!(status, 200);
    replica.unwanted();
    let ended = tokio::task::spawn_blocking(move || replica.child.wait().expect("it was our child"))
        .await
        .expect("waited");
    assert_eq!(ended.code(), Some(1), "it says that this was not its own wish");
}
