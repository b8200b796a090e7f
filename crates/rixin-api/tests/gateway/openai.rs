//! OpenAI's routes whose bodies pass through.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::suite::{Suite, events_of, json_of};

fn ask(script: &str, stream: bool) -> Value {
    json!({"model": "echo", "messages": [{"role": "user", "content": script}], "stream": stream})
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_pass_through_and_are_metered() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    let (status, reply) = json_of(suite.post("/v1/chat/completions").json(&ask("hi", false))).await;
    assert_eq!((status, reply["choices"][0]["message"]["content"].as_str()), (200, Some("你好，世界")));
    let headers = engine.seen.headers.lock().expect("no panic").last().cloned().expect("a request");
    assert_eq!(headers["authorization"], "Bearer sk-engine");
    assert!(!headers.contains_key("x-rixin-fairness"), "our own headers stay here");
    let (_, usage) = json_of(suite.get("/api/usage")).await;
    let row = &usage["data"][0];
    assert_eq!((row["model"].as_str(), row["requests"].as_u64()), (Some("echo"), Some(1)));
    assert_eq!((row["prompt_tokens"].as_u64(), row["completion_tokens"].as_u64()), (Some(11), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_through_without_the_usage_that_only_the_gateway_wants() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    let reply = suite.post("/v1/chat/completions").json(&ask("hi", true)).send().await.expect("an answer");
    assert!(reply.headers()["content-type"].to_str().expect("text").starts_with("text/event-stream"));
    let events = events_of(reply).await;
    assert_eq!(engine.seen.last()["stream_options"]["include_usage"], true);
    assert_eq!(events.last().map(|(_, data)| data.as_str()), Some("[DONE]"));
    assert!(events.iter().all(|(_, data)| !data.contains("prompt_tokens")), "{events:?}");
    assert_eq!(events.len(), 5);
    let mut asked = ask("hi", true);
    asked["stream_options"] = json!({"include_usage": true});
    let reply = suite.post("/v1/chat/completions").json(&asked).send().await.expect("an answer");
    let events = events_of(reply).await;
    assert!(events.iter().any(|(_, data)| data.contains("prompt_tokens")));
    let (_, usage) = json_of(suite.get("/api/usage")).await;
    assert_eq!(usage["data"][0]["prompt_tokens"], 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_completions_and_embeddings() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    let body = json!({"model": "alias", "prompt": "1, 2,", "max_tokens": 1});
    let (status, reply) = json_of(suite.post("/v1/completions").json(&body)).await;
    assert_eq!((status, reply["choices"][0]["text"].as_str()), (200, Some(" 5")));
    assert_eq!(engine.seen.last()["model"], "echo", "the engine is asked by its own name");
    let body = json!({"model": "alias", "input": "x"});
    let (status, reply) = json_of(suite.post("/v1/embeddings").json(&body)).await;
    assert_eq!((status, reply["data"][0]["embedding"][0].as_f64()), (200, Some(1.0)));
    let (_, models) = json_of(suite.get("/v1/models")).await;
    let ids: Vec<_> =
        models["data"].as_array().expect("a list").iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["echo", "alias"]);
    assert_eq!(json_of(suite.get("/v1/models/alias")).await.1["owned_by"], "engine");
    assert_eq!(json_of(suite.get("/v1/models/none")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_ends_in_an_error_event_and_no_half_event() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let request =
        suite.post("/v1/chat/completions").header("accept-language", "zh-CN").json(&ask("break", true));
    let events = events_of(request.send().await.expect("an answer")).await;
    let (_, last) = events.last().expect("events");
    let error: Value = serde_json::from_str(last).expect("the last event is whole");
    assert_eq!(error["error"]["code"], "replica_lost");
    assert!(error["error"]["message"].as_str().expect("text").contains("中断"), "{error}");
    assert_eq!(events.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed_at_once() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    let reply =
        suite.post("/v1/chat/completions").json(&ask("endless", true)).send().await.expect("an answer");
    let mut bytes = reply.bytes_stream();
    for _ in 0..3 {
        bytes.next().await.expect("goes on").expect("bytes");
    }
    drop(bytes);
    tokio::time::timeout(std::time::Duration::from_secs(5), engine.seen.left.notified())
        .await
        .expect("the engine is told");
    let (_, replicas) = json_of(suite.get("/api/externals")).await;
    assert_eq!(replicas["data"][0]["active"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_engine_keep_their_meaning() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let reply = suite.post("/v1/chat/completions").json(&ask("full", false)).send().await.expect("an answer");
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().expect("text")), (429, "7"));
    let body: Value = reply.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "queue_full");
    let (status, body) = json_of(suite.post("/v1/chat/completions").json(&ask("denied", true))).await;
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (502, Some("bad_upstream")),
        "the engine's key is not the caller's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_in_the_callers_language() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    for (body, status, code, param) in [
        (json!({"model": "echo"}).to_string(), 400, "missing_field", Some("messages")),
        (json!({"model": "echo", "messages": []}).to_string(), 400, "invalid_value", Some("messages")),
        (
            json!({"model": "nope", "messages": [{"role": "user", "content": "x"}]}).to_string(),
            404,
            "model_not_found",
            Some("model"),
        ),
        (
            json!({"model": "echo", "messages": [{"role": "user", "content": "x"}], "temperature": 9})
                .to_string(),
            400,
            "invalid_value",
            Some("temperature"),
        ),
        ("{".to_owned(), 400, "invalid_json", None),
        ("[".repeat(100_000), 400, "invalid_json", None),
    ] {
        let request =
            suite.post("/v1/chat/completions").header("content-type", "application/json").body(body);
        let reply = request.header("accept-language", "zh").send().await.expect("an answer");
        assert_eq!(reply.status(), status);
        assert_eq!(reply.headers()["content-language"], "zh-CN");
        assert!(reply.headers()["x-request-id"].to_str().expect("text").starts_with("req_"));
        let body: Value = reply.json().await.expect("JSON");
        assert_eq!((body["error"]["code"].as_str(), body["error"]["param"].as_str()), (Some(code), param));
        let message = body["error"]["message"].as_str().expect("text");
        assert!(message.chars().any(|c| ('一'..='鿿').contains(&c)), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_drains_and_then_ends_streams_with_an_error_event() {
    let (suite, _engine) = Suite::with_engine(&[("drain", "1s")]).await;
    let reply =
        suite.post("/v1/chat/completions").json(&ask("endless", true)).send().await.expect("an answer");
    let mut bytes = reply.bytes_stream();
    bytes.next().await.expect("goes on").expect("bytes");
    suite.shutdown.cancel();
    let mut tail = Vec::new();
    while let Some(Ok(piece)) = bytes.next().await {
        tail.extend_from_slice(&piece);
        let keep = tail.len().saturating_sub(1000);
        tail.drain(..keep);
    }
    let tail = String::from_utf8_lossy(&tail).into_owned();
    assert!(tail.contains("shutting_down") && tail.ends_with("\n\n"), "{tail}");
    suite.served.await.expect("no panic").expect("ends in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_requests_and_tokens() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let reply = suite.post("/v1/chat/completions").json(&ask("hi", true)).send().await.expect("an answer");
    events_of(reply).await;
    // The count is made when the gateway drops the stream, which the client can't see.
    let usage = json_of(suite.get("/api/usage")).await.1;
    let text = loop {
        let text = suite.get("/metrics").send().await.expect("an answer").text().await.expect("text");
        if text.contains("rixin_prompt_tokens_total") {
            break text;
        }
        tokio::task::yield_now().await;
    };
    for line in [
        "rixin_prompt_tokens_total{model=\"echo\"} 11",
        "rixin_completion_tokens_total{model=\"echo\"} 3",
        "rixin_model_requests_total{model=\"echo\",outcome=\"ok\"} 1",
        "rixin_time_to_first_token_seconds_count{model=\"echo\"} 1",
        "rixin_http_requests_total{route=\"/v1/chat/completions\",method=\"POST\",status=\"200\"} 1",
        "rixin_requests_in_progress 0",
        "rixin_memory_limit_bytes",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}\n{usage}");
    }
}
