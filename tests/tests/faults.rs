//! What goes wrong in the field, done to a real suite with a real model: each fault ends in a clear message, and nothing is lost.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use futures::StreamExt;
use rixin_protocol::sse::{Item, Parser};
use rixin_tests::{MODEL, Suite, is_alive, kill_hard, resident_bytes, until};
use serde_json::{Value, json};

fn story(max_tokens: u32) -> Value {
    json!({"model": MODEL, "stream": true, "max_tokens": max_tokens, "temperature": 0,
           "messages": [{"role": "user", "content": "Tell me a long story about a lighthouse."}]})
}

async fn ask(suite: &Suite, body: &Value) -> reqwest::Response {
    let url = format!("{}/v1/chat/completions", suite.url);
    suite.client().post(url).json(body).send().await.expect("the gateway answers")
}

/// Reads a stream's events to its end: the data of each, and whether it ended with [DONE].
async fn drain(response: reqwest::Response) -> (Vec<Value>, bool) {
    let mut parser = Parser::new();
    let mut bytes = response.bytes_stream();
    let (mut events, mut done) = (Vec::new(), false);
    while let Some(Ok(piece)) = bytes.next().await {
        parser.push(&piece);
        while let Some(item) = parser.next().expect("a valid event stream") {
            match item {
                Item::Event(event) if event.data == "[DONE]" => done = true,
                Item::Event(event) => events.push(serde_json::from_str(&event.data).expect("JSON")),
                Item::Comment(_) => {}
            }
        }
    }
    (events, done)
}

async fn get(suite: &Suite, path: &str) -> Value {
    let response = suite.client().get(format!("{}{path}", suite.url)).send().await.expect("an answer");
    response.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_in_mid_stream_ends_in_an_error_event_and_the_next_request_works() {
    let Some(suite) = Suite::with_model(&[]) else { return };
    let response = ask(&suite, &story(4000)).await;
    let mut bytes = response.bytes_stream();
    bytes.next().await.expect("the stream starts").expect("bytes");
    let pids = suite.replica_pids();
    assert_eq!(pids.len(), 1, "one replica runs");
    kill_hard(pids[0]);
    let mut rest = Vec::new();
    while let Some(piece) = bytes.next().await {
        rest.extend_from_slice(&piece.expect("the gateway ends the stream in order"));
    }
    let text = String::from_utf8(rest).expect("UTF-8");
    assert!(text.contains("replica_lost"), "{text}");
    assert!(!text.contains("[DONE]"), "an answer cut short must not look whole");
    let (events, done) = drain(ask(&suite, &story(8)).await).await;
    assert!(done && events.len() > 2, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_loses_nothing_and_leaves_no_orphan() {
    let Some(mut suite) = Suite::with_model(&[]) else { return };
    let made = suite
        .client()
        .post(format!("{}/api/conversations", suite.url))
        .json(&json!({"model": MODEL, "title": "灯塔"}))
        .send()
        .await
        .expect("an answer");
    assert!(made.status().is_success());
    let id = made.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned();
    let response = ask(&suite, &story(4000)).await;
    let mut bytes = response.bytes_stream();
    bytes.next().await.expect("the stream starts").expect("bytes");
    let replicas = suite.replica_pids();
    assert!(!replicas.is_empty());
    suite.crash_and_restart();
    until("the old replicas are gone", Duration::from_secs(5), async || {
        replicas.iter().all(|pid| !is_alive(*pid))
    })
    .await;
    let kept = get(&suite, &format!("/api/conversations/{id}")).await;
    assert_eq!(kept["conversation"]["title"], "灯塔");
    let (_, done) = drain(ask(&suite, &story(4)).await).await;
    assert!(done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_streams_at_once_finish_or_are_refused() {
    let Some(suite) = Suite::with_model(&[("RIXIN_QUEUE", "64"), ("RIXIN_SLOTS", "16")]) else { return };
    drain(ask(&suite, &story(2)).await).await;
    let before = resident_bytes(suite.server.id());
    let client = suite.client();
    let url = format!("{}/v1/chat/completions", suite.url);
    let runs = (0..500).map(|i| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let body = json!({"model": MODEL, "stream": true, "max_tokens": 6, "seed": i,
                              "messages": [{"role": "user", "content": "Say hello."}]});
            let response = client.post(url).json(&body).send().await.expect("an answer");
            match response.status().as_u16() {
                200 => {
                    let (_, done) = drain(response).await;
                    assert!(done, "an admitted stream finishes");
                    200
                }
                429 => {
                    assert!(response.headers().contains_key("retry-after"));
                    let body: Value = response.json().await.expect("JSON");
                    assert_eq!(body["error"]["code"], "queue_full");
                    429
                }
                other => panic!("status {other}"),
            }
        }
    });
    let statuses: Vec<u16> = futures::future::join_all(runs).await;
    let finished = statuses.iter().filter(|s| **s == 200).count();
    assert!(finished >= 64, "{finished} finished");
    let grown = resident_bytes(suite.server.id()).saturating_sub(before);
    assert!(grown < 64 << 20, "the gateway grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_does_not_stall_the_others() {
    let Some(suite) = Suite::with_model(&[]) else { return };
    let slow = ask(&suite, &story(2000)).await;
    let (events, done) = drain(ask(&suite, &story(24)).await).await;
    assert!(done && events.len() > 10);
    drop(slow);
    until("the slow reader's slot is free", Duration::from_secs(10), async || {
        get(&suite, "/api/replicas").await["data"][0]["active"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_wrong_are_told_what_is_wrong() {
    let suite = Suite::empty(&[]);
    let url = format!("{}/v1/chat/completions", suite.url);
    let message = json!([{"role": "user", "content": "x"}]);
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"{".to_vec(), 400, "invalid_json"),
        (b"\xff\xfe".to_vec(), 400, "invalid_json"),
        ("[".repeat(200_000).into_bytes(), 400, "invalid_json"),
        (b"[]".to_vec(), 400, "invalid_value"),
        (b"{}".to_vec(), 400, "missing_field"),
        (json!({"model": MODEL, "messages": []}).to_string().into_bytes(), 400, "invalid_value"),
        (json!({"model": "none", "messages": message}).to_string().into_bytes(), 404, "model_not_found"),
    ];
    for (body, status, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let response =
            suite.client().post(&url).header("content-type", "application/json").body(body).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), status, "{shown}");
        let answer: Value = response.json().await.expect("OpenAI's shape");
        assert_eq!(answer["error"]["code"], code, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_in_any_field_names_the_field() {
    let suite = Suite::empty(&[]);
    let good = json!({
        "model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": false, "stream_options": {"include_usage": true},
        "max_tokens": 1, "max_completion_tokens": 1, "n": 1, "temperature": 1, "top_p": 1, "top_k": 1, "min_p": 0,
        "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0, "seed": 1, "logit_bias": {}, "logprobs": true,
        "top_logprobs": 1, "stop": "x", "tools": [], "tool_choice": "auto", "parallel_tool_calls": true,
        "response_format": {"type": "text"}, "grammar": "root ::= \"x\"", "truncation": "auto", "chat_template_kwargs": {}, "user": "u"
    });
    for field in good.as_object().expect("an object").keys() {
        for wrong in [json!([[[1]]]), json!({"a": {"b": 1}}), json!("\u{0}x"), json!(-1.5e300), json!(true)] {
            let mut body = good.clone();
            body[field] = wrong.clone();
            let response = ask(&suite, &body).await;
            let status = response.status().as_u16();
            let answer: Value = response.json().await.expect("OpenAI's shape");
            assert!((400..500).contains(&status), "{field} = {wrong}: {status} {answer}");
            if answer["error"]["code"] == "invalid_value" {
                let param = answer["error"]["param"].as_str().unwrap_or_default();
                assert!(param.starts_with(field.as_str()), "{field} = {wrong}: {answer}");
            }
        }
    }
}

#[test]
fn a_body_of_a_gigabyte_is_refused_before_it_is_read() {
    let suite = Suite::empty(&[]);
    let before = resident_bytes(suite.server.id());
    let mut socket = TcpStream::connect(suite.url.trim_start_matches("http://")).expect("connects");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n",
        suite.key
    );
    socket.write_all(head.as_bytes()).expect("sent");
    let mut answer = [0u8; 512];
    let got = socket.read(&mut answer).expect("an answer without the body");
    assert!(
        String::from_utf8_lossy(&answer[..got]).starts_with("HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer[..got])
    );

    // The same without a length: the limit holds while it is read.
    let mut socket = TcpStream::connect(suite.url.trim_start_matches("http://")).expect("connects");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        suite.key
    );
    socket.write_all(head.as_bytes()).expect("sent");
    let chunk = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    let mut sent = 0u64;
    while sent < 1024 && socket.write_all(&chunk).is_ok() {
        sent += 1;
    }
    assert!(sent < 200, "{sent} MiB were taken");
    let grown = resident_bytes(suite.server.id()).saturating_sub(before);
    assert!(grown < 80 << 20, "the gateway grew by {grown} bytes");
}

#[test]
fn half_open_connections_do_not_keep_others_out() {
    let suite = Suite::empty(&[]);
    let address = suite.url.trim_start_matches("http://");
    let mut silent: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(address).expect("connects")).collect();
    for socket in &mut silent {
        socket.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n").expect("sent");
    }
    let mut socket = TcpStream::connect(address).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    socket
        .write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_model_file_cut_short_or_lying_is_refused_and_nothing_is_installed() {
    let Some(file) = rixin_tests::smollm2() else { return };
    let suite = Suite::empty(&[]);
    let whole = std::fs::read(file).expect("read");
    let dir = tempfile::tempdir().expect("temp dir");
    let mut lying = whole[..1 << 20].to_vec();
    lying[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    for (name, bytes) in
        [("short.gguf", &whole[..whole.len() / 2]), ("lying.gguf", &lying[..]), ("empty.gguf", &[][..])]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        let path = path.display().to_string();
        let output = suite
            .command(&["models", "import", &path, "--id", "bad", "--licence", "MIT", "--yes"])
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(name), "{name}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    assert_eq!(suite.run(&["models", "list", "--json"])["data"].as_array().map(Vec::len), Some(0));
}

/// A small file system of its own, unmounted when dropped; `None`, said aloud, where mounting is not allowed.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(flags: rustix::mount::MountFlags, options: &str) -> Option<Mount> {
        let dir = tempfile::tempdir().expect("temp dir");
        let options = std::ffi::CString::new(options).expect("no NUL");
        match rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, Some(options.as_c_str())) {
            Ok(()) => Some(Mount(dir)),
            Err(error) => {
                eprintln!("skipped: mounting a tmpfs is not allowed here ({error})");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_is_named_with_its_figures() {
    let Some(file) = rixin_tests::smollm2() else { return };
    let Some(mount) = Mount::new(rustix::mount::MountFlags::empty(), "size=40m") else { return };
    let env = rixin_tests::settings(&mount.0.path().join("data"), &[]);
    let file = file.display().to_string();
    let args = ["models", "import", &file, "--id", "big", "--licence", "Apache-2.0", "--yes", "--json"];
    let output = rixin_tests::command(&env, &args).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("disk_full") && text.contains("MiB"), "{text}");
    let listed = rixin_tests::command(&env, &["models", "list", "--json"]).output().expect("runs");
    assert!(listed.status.success(), "the registry still opens: {}", String::from_utf8_lossy(&listed.stderr));
}

#[test]
fn a_read_only_data_folder_is_named() {
    let Some(mount) = Mount::new(rustix::mount::MountFlags::RDONLY, "size=1m") else { return };
    let env = rixin_tests::settings(&mount.0.path().join("data"), &[]);
    let output = rixin_tests::command(&env, &["serve"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(&mount.0.path().display().to_string()), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_port_in_use_is_named() {
    let suite = Suite::empty(&[]);
    let dir = tempfile::tempdir().expect("temp dir");
    let listen = suite.url.trim_start_matches("http://");
    let env = rixin_tests::settings(dir.path(), &[("RIXIN_LISTEN", listen)]);
    let output = rixin_tests::command(&env, &["serve"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(listen), "{text}");
}
