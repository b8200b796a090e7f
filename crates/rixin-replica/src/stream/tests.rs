//! Readers that stop reading, at the routes with a real model. A body that nobody polls is what hyper does to it when the socket is full.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::Request;
use http_body_util::BodyExt;
use rixin_chat::{Engine, EngineOptions};
use rixin_protocol::{
    replica::{ReplicaKind, ReplicaSpec},
    sse::{Item, Parser},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Patience;
use crate::server::{App, router};

/// The routes of a replica with two slots, and its engine; `None` where the model of the tests is missing.
fn replica(patience: Patience) -> Option<(Router, Engine)> {
    const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let file = variable("RIXIN_TEST_CACHE")
        .or_else(|| variable("HOME").map(|home| home.join(".cache/rixin/test-models")))?
        .join(FILE);
    if !file.exists() {
        eprintln!("skipped: {} is missing", file.display());
        return None;
    }
    let spec = ReplicaSpec {
        model: "test-model".parse().expect("an id"),
        file: file.clone(),
        socket: "/nowhere".into(),
        kind: ReplicaKind::Chat,
        threads: 1,
        context_length: 2048,
        slots: 2,
        cache_tokens: 4096,
        batch_tokens: 512,
        gpu_layers: 0,
        queue: 16,
        lang: rixin_base::Lang::En,
        log: "warn".into(),
            cluster: None,
    };
    let options = EngineOptions {
        path: file,
        threads: spec.threads,
        context_length: spec.context_length,
        slots: spec.slots,
        cache_tokens: spec.cache_tokens,
        batch_tokens: spec.batch_tokens,
        gpu_layers: spec.gpu_layers,
        embeddings: false,
        queue: spec.queue,
    };
    let engine = Engine::load(options, |_| true).expect("loaded");
    let mut app = App::new(spec, engine.clone());
    app.patience = patience;
    Some((router(Arc::new(app)), engine))
}

/// Begins a streamed answer. Its end tokens are forbidden, so that it does not end by itself before its limit.
async fn stream(routes: &Router, text: &str, max_tokens: u32) -> Reader {
    let body = json!({
        "model": "test-model",
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "logit_bias": {"0": -100, "2": -100},
        "stream": true,
    });
    let request =
        Request::post("/v1/chat/completions").body(Body::from(body.to_string())).expect("a request");
    let reply = routes.clone().oneshot(request).await.expect("a reply");
    assert_eq!(reply.status(), 200);
    Reader { body: reply.into_body(), parser: Parser::new() }
}

struct Reader {
    body: Body,
    parser: Parser,
}

impl Reader {
    /// The next event's data; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.parser.next().expect("a stream") {
                Some(Item::Event(event)) => return Some(event.data),
                Some(Item::Comment(_)) => {}
                None => {
                    let frame = self.body.frame().await?.expect("bytes");
                    self.parser.push(frame.data_ref().expect("data"));
                }
            }
        }
    }

    async fn rest(mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_loses_its_slot_and_nobody_else_does() {
    const PATIENCE: Patience = Patience { events: 8, stall: Duration::from_millis(300) };
    let Some((routes, engine)) = replica(PATIENCE) else { return };
    let whole = async {
        let stalled = stream(&routes, "Count.", 1500).await;
        let since = Instant::now();
        let mut beside = stream(&routes, "Tell me a story.", 1500).await;
        // Both slots are taken: this one begins when the stalled one's is free.
        let third = async {
            let events = stream(&routes, "Hello.", 4).await.rest().await;
            (events, since.elapsed())
        };
        tokio::pin!(third);
        let mut read = 0;
        let (events, waited) = loop {
            tokio::select! {
                done = &mut third => break done,
                event = beside.next() => {
                    let event = event.expect("the stream beside goes on");
                    assert!(event != "[DONE]" && !event.contains("\"error\""), "{event}");
                    read += 1;
                }
            }
        };
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
        assert!(waited >= PATIENCE.stall, "its slot was not free before the limit: {waited:?}");
        assert!(read > 8, "the stream beside was read meanwhile: {read} events");
        // It is no worse off afterwards.
        for _ in 0..8 {
            let event = beside.next().await.expect("the stream beside goes on still");
            assert!(event != "[DONE]" && !event.contains("\"error\""), "{event}");
        }
        drop(beside);
        while engine.stats().active > 0 {
            tokio::task::yield_now().await;
        }
        let before = engine.stats().completion_tokens_total;
        let events = stalled.rest().await;
        assert!(before < 1500, "the answer was stopped long before its end: {before} tokens");
        assert_eq!(
            engine.stats().completion_tokens_total,
            before,
            "reading late brings nothing back to life"
        );
        events
    };
    let events = tokio::time::timeout(Duration::from_secs(60), whole).await.expect("nobody waits for ever");
    // What waited is what the buffer holds; then comes the reason in place of the end.
    assert_eq!(events.len(), PATIENCE.events + 1, "{events:?}");
    let last: Value = serde_json::from_str(&events[PATIENCE.events]).expect("JSON");
    assert_eq!(last["error"]["code"], "cancelled", "{last}");
    assert!(last["error"]["message"].as_str().expect("text").contains("0.3 s"), "{last}");
}

#[tokio::test]
async fn a_reader_that_is_slow_but_reads_gets_all() {
    let patience = Patience { events: 8, ..Patience::default() };
    let Some((routes, engine)) = replica(patience) else { return };
    let mut slow = stream(&routes, "Count.", 40).await;
    let first = slow.next().await;
    // More than the buffer holds waits by now.
    let written = async {
        while engine.stats().completion_tokens_total < 40 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("the engine writes on");
    let mut events = vec![first.expect("an event")];
    events.extend(slow.rest().await);
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
    assert!(events.len() > 40, "{}", events.len());
}
