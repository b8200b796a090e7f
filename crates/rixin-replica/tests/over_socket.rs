//! Requests over a real socket to a real process with a real model.

mod common;

use base64::Engine as _;
use common::*;
use http_body_util::BodyExt;
use rixin_protocol::{replica::ReplicaKind, sse::Item};
use serde_json::{Value, json};

/// Not a test: what [`Replica::start`] runs.
#[test]
fn child_process() {
    be_the_child();
}

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_streamed_answer_is_the_whole_answer() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let mut body = chat("What is the capital of France?");
    let whole = replica.ok("/v1/chat/completions", &body).await;
    let message = &whole["choices"][0]["message"];
    assert!(!message["content"].as_str().expect("text").is_empty(), "{whole}");
    assert!(["stop", "length"].contains(&whole["choices"][0]["finish_reason"].as_str().expect("a reason")));
    assert!(whole["id"].as_str().expect("id").starts_with("chatcmpl-"));
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let stream = replica.stream("/v1/chat/completions", &body, &[("x-rixin-usage-comment", "1")]).await;
    let (chunks, comments, done) = stream.all().await;
    assert!(done);
    assert_eq!(text_of(&chunks), message["content"].as_str().expect("text"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let last = chunks.last().expect("chunks");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
    assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
    assert!(last["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().expect("count") > 0, "{last}");
    let comment = comments.last().and_then(|text| text.strip_prefix("usage ")).expect("the usage");
    assert_eq!(serde_json::from_str::<Value>(comment).expect("JSON"), last["usage"]);
}

#[tokio::test]
async fn several_answers_share_the_prompt() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let mut body = chat(&"The river and the stone. ".repeat(30));
    body["n"] = 3.into();
    body["max_tokens"] = 4.into();
    let reply = replica.ok("/v1/chat/completions", &body).await;
    let texts: Vec<&Value> =
        reply["choices"].as_array().expect("choices").iter().map(|c| &c["message"]["content"]).collect();
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|text| *text == texts[0]), "greedy: {texts:?}");
    let stats = replica.stats().await;
    let prompt = reply["usage"]["prompt_tokens"].as_u64().expect("count");
    assert!(stats.cached_tokens_total >= prompt, "two of three came from the cache: {stats:?}");
    assert_eq!(reply["usage"]["completion_tokens"], 12);
}

fn weather() -> Value {
    json!([
        {"type": "function", "function": {"name": "get_weather", "description": "The weather at a place",
            "parameters": {"type": "object", "properties": {
                "city": {"type": "string", "maxLength": 40}, "unit": {"enum": ["c", "f"]}, "days": {"type": "integer", "minimum": 1, "maximum": 5}},
                "required": ["city", "unit"]}}},
        {"type": "function", "function": {"name": "ping"}}
    ])
}

#[tokio::test]
async fn a_demanded_call_is_valid_even_from_a_tiny_model() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let mut body = chat("What is the weather in Paris?");
    body["max_tokens"] = 200.into();
    body["tools"] = weather();
    body["parallel_tool_calls"] = false.into();
    body["tool_choice"] = json!({"type": "function", "function": {"name": "get_weather"}});
    let reply = replica.ok("/v1/chat/completions", &body).await;
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{reply}");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = choice["message"]["tool_calls"].as_array().expect("calls");
    assert_eq!((calls.len(), &calls[0]["function"]["name"]), (1, &json!("get_weather")));
    let text = calls[0]["function"]["arguments"].as_str().expect("text");
    let arguments: Value = serde_json::from_str(text).expect("JSON");
    assert!(arguments["city"].is_string() && ["c", "f"].contains(&arguments["unit"].as_str().expect("unit")));

    body["stream"] = true.into();
    let (chunks, _, done) = replica.stream("/v1/chat/completions", &body, &[]).await.all().await;
    assert!(done);
    let deltas: Vec<&Value> =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert!(deltas[0]["id"].as_str().expect("id").starts_with("call_"));
    assert_eq!(deltas[0]["function"]["name"], "get_weather");
    assert!(deltas.len() > 3, "arguments come in pieces");
    let streamed: String = deltas.iter().filter_map(|d| d["function"]["arguments"].as_str()).collect();
    assert_eq!(streamed, text);
    assert_eq!(text_of(&chunks), "");

    body["stream"] = false.into();
    body["tool_choice"] = "required".into();
    body["temperature"] = 1.5.into();
    body["seed"] = 5.into();
    let reply = replica.ok("/v1/chat/completions", &body).await;
    let call = &reply["choices"][0]["message"]["tool_calls"][0]["function"];
    assert!(["get_weather", "ping"].contains(&call["name"].as_str().expect("name")), "{reply}");

    // The conversation goes on with the result.
    let mut next = chat("What is the weather in Paris?");
    next["tools"] = weather();
    let messages = next["messages"].as_array_mut().expect("messages");
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "{\"temp\": 21}"}));
    replica.ok("/v1/chat/completions", &next).await;
}

#[tokio::test]
async fn answers_follow_a_schema_or_a_grammar() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let mut body = chat("Describe a cat.");
    body["max_tokens"] = 200.into();
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "cat", "schema": {
        "type": "object", "required": ["name", "age", "colour"], "additionalProperties": false,
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 20},
            "colour": {"enum": ["黑", "白"]}}}}});
    let reply = replica.ok("/v1/chat/completions", &body).await;
    let cat: Value = serde_json::from_str(reply["choices"][0]["message"]["content"].as_str().expect("text"))
        .expect("JSON");
    assert!(cat["age"].as_i64().is_some_and(|age| (0..=20).contains(&age)), "{cat}");
    assert!(["黑", "白"].contains(&cat["colour"].as_str().expect("colour")));

    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "strong"}}}}});
    let (status, reply) = replica.post("/v1/chat/completions", &body).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("invalid_grammar")));
    assert!(reply["error"]["message"].as_str().expect("text").contains("#/properties/a"), "{reply}");

    let mut body = chat("Yes or no?");
    body["grammar"] = "root ::= \"yes\" | \"no\"".into();
    let reply = replica.ok("/v1/chat/completions", &body).await;
    assert!(["yes", "no"].contains(&reply["choices"][0]["message"]["content"].as_str().expect("text")));
    for bad in [
        "root ::= ",
        "root ::= x",
        "root ::= \"a\"{3,2}",
        "a ::= \"b\"",
        "root ::= (\"a\"?)*",
        "root ::= \"a",
        ")",
    ] {
        body["grammar"] = bad.into();
        let (status, reply) = replica.post("/v1/chat/completions", &body).await;
        if bad != "root ::= " {
            assert_eq!((status, &reply["error"]["code"]), (400, &json!("invalid_grammar")), "{bad}");
        }
    }
    // A grammar with twice as many readings after each letter is stopped before it eats the memory.
    body["grammar"] = "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"".into();
    body["max_tokens"] = 400.into();
    body["logit_bias"] = json!({"0": -100, "2": -100});
    let (status, reply) = replica.post("/v1/chat/completions", &body).await;
    assert!(status == 200 || reply["error"]["code"] == "invalid_grammar", "{reply}");
    replica.ok("/v1/chat/completions", &chat("Still there?")).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot() {
    let Some(replica) = Replica::start(|spec| spec.slots = 1) else { return };
    for streamed in [true, false] {
        let mut body = endless();
        body["stream"] = streamed.into();
        if streamed {
            let mut stream = replica.stream("/v1/chat/completions", &body, &[]).await;
            assert!(stream.next().await.is_some());
            drop(stream);
        } else {
            let before = replica.stats().await.requests_total;
            let request = replica.send("POST", "/v1/chat/completions", body.to_string().into_bytes(), &[]);
            let started = async {
                while replica.stats().await.requests_total == before {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = request => panic!("it can't be done so soon"),
                () = started => {}
            }
        }
        // With one slot this is only answered when the other is gone.
        replica.ok("/v1/chat/completions", &chat("Hi")).await;
        // The reply's last byte may come a moment before its slot is counted as free.
        let mut stats = replica.stats().await;
        while (stats.active, stats.queued) != (0, 0) {
            tokio::task::yield_now().await;
            stats = replica.stats().await;
        }
        assert!(stats.completion_tokens_total < 1500, "it was stopped early: {stats:?}");
    }
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let Some(replica) = Replica::start(|spec| (spec.slots, spec.queue) = (1, 1)) else { return };
    let mut running = replica.stream("/v1/chat/completions", &endless(), &[]).await;
    assert!(running.next().await.is_some());
    let body = endless().to_string().into_bytes();
    let waiting = replica.send("POST", "/v1/chat/completions", body.clone(), &[]);
    let refused = async {
        while replica.stats().await.queued == 0 {
            tokio::task::yield_now().await;
        }
        replica.send("POST", "/v1/chat/completions", body.clone(), &[("accept-language", "zh-CN")]).await
    };
    let reply = tokio::select! {
        _ = waiting => panic!("the slot is taken"),
        reply = refused => reply,
    };
    assert!(reply.headers()["retry-after"].to_str().expect("text").parse::<u32>().expect("seconds") >= 1);
    let (status, reply) = read(reply).await;
    assert_eq!((status, &reply["error"]["code"]), (429, &json!("queue_full")));
    assert!(reply["error"]["message"].as_str().expect("text").contains("排队"), "{reply}");
}

#[tokio::test]
async fn mistakes_are_named_in_the_callers_language() {
    let Some(replica) = Replica::start(|spec| (spec.context_length, spec.cache_tokens) = (256, 512)) else {
        return;
    };
    let cases = [
        (json!({"temperature": "hot"}), 400, "invalid_value", "temperature"),
        (json!({"messages": []}), 400, "invalid_value", "messages"),
        (json!({"n": 9}), 400, "invalid_value", "n"),
        (json!({"logit_bias": {"99999999": 1}}), 400, "invalid_value", "logit_bias.99999999"),
        (json!({"model": "other"}), 404, "model_not_found", "model"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            400,
            "unsupported",
            "messages[0].content",
        ),
    ];
    for (change, status, code, param) in cases {
        let mut body = chat("x");
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        let bytes = body.to_string().into_bytes();
        let reply = replica.send("POST", "/v1/chat/completions", bytes, &[("accept-language", "zh")]).await;
        let (got, reply) = read(reply).await;
        let error = &reply["error"];
        assert_eq!((got, &error["code"], &error["param"]), (status, &json!(code), &json!(param)), "{reply}");
        assert!(error["message"].as_str().expect("text").chars().any(|c| c > '\u{4e00}'), "{reply}");
    }
    let (status, reply) =
        replica.post("/v1/completions", &json!({"model": "test-model", "prompt": [1, 4_000_000]})).await;
    assert_eq!((status, &reply["error"]["param"]), (400, &json!("prompt")));
    let (status, reply) = read(replica.send("GET", "/nowhere", Vec::new(), &[]).await).await;
    assert_eq!((status, &reply["error"]["code"]), (404, &json!("route_not_found")));
    let (status, _) = read(replica.send("GET", "/v1/completions", Vec::new(), &[]).await).await;
    assert_eq!(status, 405);
    let (status, reply) = read(replica.send("GET", "/health", Vec::new(), &[]).await).await;
    assert_eq!((status, reply), (200, json!({"status": "ok"})));

    // Too long: refused with the figures, or the oldest turns are left out.
    let turn = |role: &str, text: &str| json!({"role": role, "content": text});
    let long = "The river and the stone and the light. ".repeat(8);
    let mut body = chat("x");
    body["max_tokens"] = 8.into();
    body["messages"] = json!([
        turn("system", "Be brief."),
        turn("user", &long),
        turn("assistant", &long),
        turn("user", &long),
        turn("assistant", "Well."),
        turn("user", "What is the capital of France?"),
    ]);
    let (status, reply) = replica.post("/v1/chat/completions", &body).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("context_length_exceeded")));
    body["truncation"] = "auto".into();
    let reply = replica.ok("/v1/chat/completions", &body).await;
    let used = reply["usage"]["prompt_tokens"].as_u64().expect("count");
    assert!((60..248).contains(&used), "as much as fits stays: {used}");
}

#[tokio::test]
async fn characters_are_never_split() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let mut body = json!({"model": "test-model", "prompt": "日本語と emoji 🙂🙂🙂 中文字符：", "temperature": 0, "max_tokens": 40});
    let whole = replica.ok("/v1/completions", &body).await;
    let whole = whole["choices"][0]["text"].as_str().expect("text").to_owned();
    assert!(!whole.is_ascii(), "{whole}");
    body["stream"] = true.into();
    let (chunks, _, done) = replica.stream("/v1/completions", &body, &[]).await.all().await;
    assert!(done);
    let texts: Vec<&str> = chunks.iter().filter_map(|c| c["choices"][0]["text"].as_str()).collect();
    assert_eq!(texts.concat(), whole);
    assert!(texts[..texts.len() - 2].iter().all(|text| !text.contains('\u{fffd}')), "{texts:?}");
}

#[tokio::test]
async fn completions_echo_stop_and_show_probabilities() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let body = json!({"model": "test-model", "prompt": ["Once upon", "One two three"], "temperature": 0, "max_tokens": 6, "n": 2, "echo": true});
    let reply = replica.ok("/v1/completions", &body).await;
    let choices = reply["choices"].as_array().expect("choices");
    assert_eq!(choices.len(), 4);
    assert!(choices[3]["text"].as_str().expect("text").starts_with("One two three"));
    assert_eq!(choices[0]["text"], choices[1]["text"]);
    let body = json!({"model": "test-model", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 12, "logprobs": 2});
    let reply = replica.ok("/v1/completions", &body).await;
    let logprobs = &reply["choices"][0]["logprobs"];
    let tokens: Vec<&str> =
        logprobs["tokens"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    assert_eq!(tokens.concat(), reply["choices"][0]["text"]);
    assert_eq!(logprobs["text_offset"][1], tokens[0].chars().count());
    assert_eq!(logprobs["top_logprobs"][0].as_object().expect("map").len(), 2);
    let first = reply["choices"][0]["text"].as_str().expect("text");
    let body = json!({"model": "test-model", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 12, "stop": &first[4..9]});
    let reply = replica.ok("/v1/completions", &body).await;
    assert_eq!(reply["choices"][0]["text"], first[..first.find(&first[4..9]).expect("there")]);
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let (_, tokens) =
        replica.post("/tokenize", &json!({"text": "Once upon a time", "add_special": true})).await;
    let body = json!({"model": "test-model", "prompt": tokens["tokens"], "temperature": 0, "max_tokens": 12});
    assert_eq!(replica.ok("/v1/completions", &body).await["choices"][0]["text"], first);
}

#[tokio::test]
async fn embeddings_in_both_writings() {
    let Some(replica) = Replica::start(|spec| spec.kind = ReplicaKind::Embedding) else { return };
    let mut body = json!({"model": "test-model", "input": ["The cat sleeps.", "猫在睡觉。"]});
    let reply = replica.ok("/v1/embeddings", &body).await;
    let vector = |reply: &Value, i: usize| -> Vec<f64> {
        reply["data"][i]["embedding"].as_array().expect("numbers").iter().filter_map(Value::as_f64).collect()
    };
    let first = vector(&reply, 0);
    assert_eq!((first.len(), reply["data"].as_array().expect("list").len()), (576, 2));
    assert!((first.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-4);
    assert!(reply["usage"]["prompt_tokens"].as_u64().expect("count") > 5);
    body["encoding_format"] = "base64".into();
    let coded = replica.ok("/v1/embeddings", &body).await;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(coded["data"][0]["embedding"].as_str().expect("text"))
        .expect("base64");
    let floats: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert!(floats.iter().zip(&first).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6));
    let body = json!({"model": "test-model", "input": "The cat sleeps.", "dimensions": 64});
    let short = vector(&replica.ok("/v1/embeddings", &body).await, 0);
    assert!(short.len() == 64 && (short.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-4);
    let (status, _) = replica.post("/v1/chat/completions", &chat("x")).await;
    assert_eq!(status, 400, "an embedding replica does not chat");
}

#[tokio::test]
async fn a_passed_deadline_is_an_error_of_its_own() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    let headers = [("x-rixin-deadline-ms", "400")];
    let body = endless().to_string().into_bytes();
    let reply = replica.send("POST", "/v1/chat/completions", body, &headers).await;
    let text = reply.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("deadline_exceeded") && !text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn it_drains_on_sigterm_and_dies_with_its_parent() {
    let Some(mut replica) = Replica::start(|_| {}) else { return };
    let mut body = endless();
    body["max_tokens"] = 20.into();
    let mut stream = replica.stream("/v1/chat/completions", &body, &[]).await;
    assert!(stream.next().await.is_some());
    let pid = rustix::process::Pid::from_child(&replica.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let mut done = false;
    while let Some(item) = stream.next().await {
        done = matches!(item, Item::Event(event) if event.data == "[DONE]");
    }
    assert!(done, "the running answer is finished");
    assert_eq!(replica.child.wait().expect("an end").code(), Some(0));
    assert!(!replica.spec.socket.exists());

    let Some(mut replica) = Replica::start(|_| {}) else { return };
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&replica.spec.socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = replica.stream("/v1/chat/completions", &endless(), &[]).await;
    assert!(stream.next().await.is_some());
    drop(replica.stdin.take());
    assert!(!replica.child.wait().expect("an end").success(), "it does not wait for the answer");
}

#[test]
fn a_load_that_fails_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("cut.gguf");
    std::fs::write(&file, b"GGUF\x03\0\0\0").expect("written");
    let mut replica = Replica::start_with(file, |_| {}).expect("started");
    let rixin_protocol::replica::Report::Failed { fault } = &replica.last else {
        panic!("{:?}", replica.last)
    };
    assert_eq!(fault.code, "bad_model_file");
    assert!(fault.message.zh.contains("cut.gguf"), "{}", fault.message.zh);
    assert_eq!(replica.child.wait().expect("an end").code(), Some(1));
}
