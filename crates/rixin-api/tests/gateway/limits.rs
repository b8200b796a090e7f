//! What is refused, and how.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::suite::{Suite, json_of};

fn address(suite: &Suite) -> &str {
    suite.url.trim_start_matches("http://")
}

/// Sends raw bytes and reads until the gateway closes or has said enough.
async fn raw(suite: &Suite, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address(suite)).await.expect("connects");
    socket.write_all(bytes).await.expect("sent");
    let mut answer = vec![0; 4096];
    let mut got = 0;
    while got < answer.len() {
        match socket.read(&mut answer[got..]).await {
            Ok(0) | Err(_) => break,
            Ok(n) => got += n,
        }
        if answer[..got].ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer[..got]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_refused_before_it_is_read() {
    let suite = Suite::start(&[("body_limit", "64KiB")]).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        suite.admin
    );
    let answer = raw(&suite, format!("{head}Content-Length: 1073741824\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    let piece = format!("{:x}\r\n{}\r\n", 40_000, " ".repeat(40_000));
    let answer =
        raw(&suite, format!("{head}Transfer-Encoding: chunked\r\n\r\n{piece}{piece}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let unauthorised = head.replace(&suite.admin, "rx-wrong");
    let answer = raw(&suite, format!("{unauthorised}Content-Length: 1073741824\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "nobody's body is looked at before the key: {answer}");
}

/// Sends a head, waits, then the body, as clients do that write them apart; gives what comes back for both and for a second
/// request on the same connection.
async fn twice(suite: &Suite, head: &str, body: &[u8]) -> (String, String) {
    let mut socket = TcpStream::connect(address(suite)).await.expect("connects");
    let mut answers = Vec::new();
    for _ in 0..2 {
        socket.write_all(head.as_bytes()).await.expect("the head is sent");
        socket.flush().await.expect("flushed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let _ = socket.write_all(body).await;
        let mut answer = vec![0; 4096];
        let got = socket.read(&mut answer).await.unwrap_or(0);
        answers.push(String::from_utf8_lossy(&answer[..got]).into_owned());
        if answers[0].to_ascii_lowercase().contains("connection: close") {
            break;
        }
    }
    (answers[0].clone(), answers.get(1).cloned().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_keeps_the_connection_or_says_that_it_ends() {
    let suite = Suite::start(&[("body_limit", "64KiB")]).await;
    let head = |length: usize| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer rx-wrong\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let (first, second) = twice(&suite, &head(1000), &[b' '; 1000]).await;
    assert!(
        first.starts_with("HTTP/1.1 401") && second.starts_with("HTTP/1.1 401"),
        "{first}\n---\n{second}"
    );
    let (first, _) = twice(&suite, &head(1 << 30), b"").await;
    let said = first.to_ascii_lowercase();
    assert!(said.starts_with("http/1.1 401") && said.contains("connection: close"), "{first}");
    let asking = head(1000).replace("Content-Type", "Expect: 100-continue\r\nContent-Type");
    let (first, _) = twice(&suite, &asking, b"").await;
    let said = first.to_ascii_lowercase();
    assert!(said.starts_with("http/1.1 401") && said.contains("connection: close"), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_limits() {
    let suite = Suite::start(&[]).await;
    let long = "x".repeat(40_000);
    let (status, error) = json_of(suite.bare(Method::GET, "/api/health").header("x-long", &long)).await;
    assert_eq!((status, error["error"]["code"].as_str()), (431, Some("headers_too_large")));
    let answer = raw(
        &suite,
        format!("GET /api/health HTTP/1.1\r\nHost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(200_000))
            .as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_and_other_names_are_refused() {
    let suite = Suite::start(&[]).await;
    let get = |name: &'static str, value: String| json_of(suite.get("/api/me").header(name, value));
    assert_eq!(get("host", "evil.example".into()).await.0, 403);
    assert_eq!(get("origin", "https://evil.example".into()).await.1["error"]["code"], "forbidden");
    assert_eq!(get("origin", "null".into()).await.0, 403);
    assert_eq!(get("origin", suite.url.clone()).await.0, 200);
    let reply = suite.get("/api/me").header("host", "localhost:1").send().await.expect("an answer");
    assert_eq!(reply.status(), 200);
    assert!(!reply.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_is_taken() {
    let suite = Suite::start(&[]).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = suite.post("/v1/chat/completions").header("content-type", kind).body("{}");
        let (status, error) = json_of(request).await;
        assert_eq!((status, error["error"]["code"].as_str()), (415, Some("unsupported_media_type")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_so_many_requests_a_minute() {
    let (suite, _engine) = Suite::with_engine(&[("requests_per_minute", "2")]).await;
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..2 {
        assert_eq!(json_of(suite.post("/v1/chat/completions").json(&body)).await.0, 200);
    }
    let reply = suite.post("/v1/chat/completions").json(&body).send().await.expect("an answer");
    assert_eq!(reply.status(), 429);
    let after: u64 = reply.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&after));
    let error: Value = reply.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "rate_limited");
    let other = suite.key("other", rixin_store::Role::Member).await;
    assert_eq!(
        json_of(suite.with_key(Method::POST, "/v1/chat/completions", &other).json(&body)).await.0,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_kept_if_it_is_plain() {
    let suite = Suite::start(&[]).await;
    let reply = suite.get("/api/me").header("x-request-id", "trace-1").send().await.expect("an answer");
    assert_eq!(reply.headers()["x-request-id"], "trace-1");
    let reply = suite.get("/api/me").header("x-request-id", "a b").send().await.expect("an answer");
    assert!(reply.headers()["x-request-id"].to_str().expect("text").starts_with("req_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_do_not_keep_others_out() {
    let suite = Suite::start(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut socket = TcpStream::connect(address(&suite)).await.expect("connects");
        socket.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n").await.expect("sent");
        silent.push(socket);
    }
    assert_eq!(json_of(suite.get("/api/health")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_stream_with_an_error_event() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "endless"}], "stream": true});
    let request = suite.post("/v1/chat/completions").header("x-rixin-deadline-ms", "300").json(&body);
    let events = crate::suite::events_of(request.send().await.expect("an answer")).await;
    assert!(events.last().expect("events").1.contains("deadline_exceeded"));
}
