//! A replica as its own process, as a supervisor starts it, and a client on its socket.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use hyper_util::rt::TokioIo;
use rixin_protocol::{
    replica::{ReplicaKind, ReplicaSpec, Report, Stats},
    sse::{Item, Parser},
};
use serde_json::{Value, json};

pub const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
pub const GEMMA: &str = "gemma-3-270m-q4_k_m.gguf";
const CHILD: &str = "RIXIN_REPLICA_CHILD_SPEC";

/// The body of the test that is no test: in a process started by [`Replica::start`] it is the replica.
pub fn be_the_child() {
    if let Some(spec) = std::env::var_os(CHILD) {
        let code = rixin_replica::main(Path::new(&spec), |serving| Box::pin(told(serving)));
        std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 });
    }
}

/// What [`Replica::served`] reads. The process is wanted until a file says that it is not.
async fn told(serving: rixin_replica::Serving) -> rixin_base::Fault {
    let spec = PathBuf::from(std::env::var_os(CHILD).expect("it is the child"));
    let said = json!({"port": serving.port, "key": serving.key, "slots": serving.slots});
    let partly = spec.with_extension("part");
    std::fs::write(&partly, said.to_string()).expect("written");
    std::fs::rename(partly, spec.with_extension("served")).expect("renamed");
    while !spec.with_extension("unwanted").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    rixin_base::Fault::new(rixin_base::Code::ReplicaLost, "not wanted any more", "不再需要")
}

/// The model's file: `RIXIN_TEST_MODEL` (SmolLM2 alone), else in `RIXIN_TEST_CACHE`, else in the cache of the home folder.
pub fn model(file: &str) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let folder = variable("RIXIN_TEST_CACHE")
        .or_else(|| variable("HOME").map(|home| home.join(".cache/rixin/test-models")));
    let named = variable("RIXIN_TEST_MODEL").filter(|_| file == SMOLLM2);
    let path = named.or_else(|| folder.map(|folder| folder.join(file)))?;
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

pub struct Replica {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub spec: ReplicaSpec,
    pub last: Report,
    _dir: tempfile::TempDir,
}

impl Replica {
    /// Starts one with SmolLM2 and waits until it is ready or has failed.
    pub fn start(change: impl FnOnce(&mut ReplicaSpec)) -> Option<Self> {
        Self::start_with(model(SMOLLM2)?, change)
    }

    pub fn start_with(file: PathBuf, change: impl FnOnce(&mut ReplicaSpec)) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spec = ReplicaSpec {
            model: "test-model".parse().expect("an id"),
            file,
            socket: dir.path().join("r.sock"),
            kind: ReplicaKind::Chat,
            threads: 1,
            context_length: 2048,
            slots: 4,
            cache_tokens: 4096,
            batch_tokens: 512,
            gpu_layers: 0,
            queue: 16,
            lang: rixin_base::Lang::En,
            log: "warn".into(),
            cluster: None,
        };
        change(&mut spec);
        let path = dir.path().join("spec.json");
        std::fs::write(&path, serde_json::to_vec(&spec).expect("json")).expect("written");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["child_process", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut last = None;
        for line in lines.by_ref().map_while(Result::ok) {
            // The test harness prints lines of its own.
            let Ok(report) = serde_json::from_str::<Report>(&line) else { continue };
            let ended = !matches!(report, Report::Loading { .. });
            last = Some(report);
            if ended {
                break;
            }
        }
        // The test harness also prints that it runs long, and dies where nobody reads that.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, stdin, spec, last: last.expect("a report"), _dir: dir })
    }

    /// Where it answers, and with which key, if it listens on a port.
    pub fn served(&self) -> Value {
        let path = self._dir.path().join("spec.served");
        loop {
            match std::fs::read(&path) {
                Ok(bytes) => return serde_json::from_slice(&bytes).expect("JSON"),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    }

    /// Says that it is not wanted any more.
    pub fn unwanted(&self) {
        std::fs::write(self._dir.path().join("spec.unwanted"), "").expect("written");
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let stream = tokio::net::UnixStream::connect(&self.spec.socket).await.expect("connected");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "replica");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender
            .send_request(request.body(Full::new(Bytes::from(body))).expect("a request"))
            .await
            .expect("a reply")
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.send("POST", path, body.to_string().into_bytes(), &[]).await).await
    }

    /// The reply of a request that must be well.
    pub async fn ok(&self, path: &str, body: &Value) -> Value {
        let (status, reply) = self.post(path, body).await;
        assert_eq!(status, 200, "{reply}");
        reply
    }

    pub async fn stats(&self) -> Stats {
        let (status, reply) = read(self.send("GET", "/stats", Vec::new(), &[]).await).await;
        assert_eq!(status, 200);
        serde_json::from_value(reply).expect("figures")
    }

    pub async fn stream(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Stream {
        let reply = self.send("POST", path, body.to_string().into_bytes(), headers).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        Stream { body: reply.into_body(), parser: Parser::new() }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub async fn read(reply: Response<Incoming>) -> (u16, Value) {
    let status = reply.status().as_u16();
    let bytes = reply.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

pub struct Stream {
    body: Incoming,
    parser: Parser,
}

impl Stream {
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.parser.next().expect("a stream") {
                return Some(item);
            }
            let frame = self.body.frame().await?.expect("bytes");
            self.parser.push(frame.data_ref().expect("data"));
        }
    }

    /// All chunks, the comments, and whether `[DONE]` came last.
    pub async fn all(mut self) -> (Vec<Value>, Vec<String>, bool) {
        let (mut chunks, mut comments, mut done) = (Vec::new(), Vec::new(), false);
        while let Some(item) = self.next().await {
            assert!(!done, "nothing comes after the end");
            match item {
                Item::Comment(text) => comments.push(text),
                Item::Event(event) if event.data == "[DONE]" => done = true,
                Item::Event(event) => chunks.push(serde_json::from_str(&event.data).expect("JSON")),
            }
        }
        (chunks, comments, done)
    }
}

pub fn chat(text: &str) -> Value {
    json!({
        "model": "test-model",
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 24,
    })
}

/// A chat that does not end by itself before its limit: the model's end tokens are forbidden.
pub fn endless() -> Value {
    let mut body = chat("Count.");
    body["max_tokens"] = 1500.into();
    body["logit_bias"] = json!({"0": -100, "2": -100});
    body["stream"] = true.into();
    body
}
