//! An engine behind OpenAI's protocol whose answers are known: what it does is said by the last message of the conversation.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

/// What the engine has seen.
#[derive(Default)]
pub struct Seen {
    /// Bodies of its requests, as they came.
    pub bodies: Mutex<Vec<Bytes>>,
    /// Headers of its requests.
    pub headers: Mutex<Vec<HeaderMap>>,
    /// Fires when a client went away from an endless answer.
    pub left: Notify,
}

impl Seen {
    /// The last body as JSON.
    pub fn last(&self) -> Value {
        let bodies = self.bodies.lock().expect("no panic");
        serde_json::from_slice(bodies.last().expect("a request came")).expect("JSON")
    }
}

/// A running engine.
pub struct Engine {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

impl Engine {
    pub async fn start() -> Engine {
        let seen = Arc::new(Seen::default());
        let list = json!({"object": "list", "data": [{"id": "echo", "object": "model"}, {"id": "other", "object": "model"}]});
        let router = Router::new()
            .route("/v1/models", get(move || async move { Json(list) }))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/completions", post(completion))
            .route("/v1/embeddings", post(embedding))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Engine { address, seen }
    }
}

fn usage() -> Value {
    json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 5}})
}

fn message(script: &str) -> (Value, &'static str) {
    match script {
        "tool" => {
            let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}});
            let calls = json!([call("call_1", "{\"city\":\"北京\"}"), call("call_2", "{\"city\":\"上海\"}")]);
            (json!({"role": "assistant", "content": null, "tool_calls": calls}), "tool_calls")
        }
        "think" => (json!({"role": "assistant", "reasoning_content": "想一想", "content": "好"}), "stop"),
        "long" => (json!({"role": "assistant", "content": "你好"}), "length"),
        _ => (json!({"role": "assistant", "content": "你好，世界"}), "stop"),
    }
}

fn chunks(script: &str) -> Vec<Value> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo",
               "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    let call = |index: u32, id: &str, arguments: &str| match id {
        "" => json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}),
        id => {
            json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}]})
        }
    };
    let mut list = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let deltas = match script {
        "tool" => vec![
            call(0, "call_1", ""),
            call(0, "", "{\"city\":"),
            call(0, "", "\"北京\"}"),
            call(1, "call_2", "{\"city\":"),
            call(1, "", "\"上海\"}"),
        ],
        "think" => vec![
            json!({"reasoning_content": "想"}),
            json!({"reasoning_content": "一想"}),
            json!({"content": "好"}),
        ],
        "long" => vec![json!({"content": "你"}), json!({"content": "好"})],
        _ => vec![json!({"content": "你好"}), json!({"content": "，世界"})],
    };
    list.extend(deltas.into_iter().map(|delta| chunk(delta, Value::Null)));
    list.push(chunk(json!({}), json!(message(script).1)));
    list
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

async fn chat(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    seen.bodies.lock().expect("no panic").push(body.clone());
    seen.headers.lock().expect("no panic").push(headers);
    let request: Value = serde_json::from_slice(&body).expect("the gateway sends JSON");
    let last = request["messages"].as_array().and_then(|list| list.last()).cloned().unwrap_or_default();
    let script = last["content"].as_str().unwrap_or_default().to_owned();
    match script.as_str() {
        "full" => {
            let error = json!({"error": {"message": "busy", "type": "rate_limit_error", "code": "queue_full", "param": null}});
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], Json(error)).into_response();
        }
        "denied" => return (StatusCode::UNAUTHORIZED, "no key").into_response(),
        "nonsense" => return "<html>".into_response(),
        _ => {}
    }
    if request["stream"] != true {
        let (message, reason) = message(&script);
        let choices = json!([{"index": 0, "message": message, "finish_reason": reason, "logprobs": null}]);
        let reply = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "echo", "choices": choices, "usage": usage()});
        return Json(reply).into_response();
    }
    let wants_usage = request["stream_options"]["include_usage"] == true;
    let (send, receive) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    tokio::spawn(stream(seen, script, wants_usage, send));
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receive));
    ([("content-type", "text/event-stream")], body).into_response()
}

async fn stream(
    seen: Arc<Seen>,
    script: String,
    wants_usage: bool,
    send: mpsc::Sender<Result<Bytes, Infallible>>,
) {
    for (i, chunk) in chunks(&script).iter().enumerate() {
        if script == "break" && i == 2 {
            // Half an event, and the end.
            let _ = send.send(Ok(Bytes::from_static(b"data: {\"id\":\"chat"))).await;
            return;
        }
        if send.send(Ok(event(chunk))).await.is_err() {
            break;
        }
    }
    if script == "endless" {
        while send.send(Ok(event(&chunks("")[1]))).await.is_ok() {}
        seen.left.notify_one();
        return;
    }
    if wants_usage {
        let last = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo", "choices": [], "usage": usage()});
        let _ = send.send(Ok(event(&last))).await;
    }
    let _ = send.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await;
}

async fn completion(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    seen.bodies.lock().expect("no panic").push(body);
    let choices = json!([{"index": 0, "text": " 5", "finish_reason": "length", "logprobs": null}]);
    Json(json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "echo", "choices": choices, "usage": usage()}))
        .into_response()
}

async fn embedding(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    seen.bodies.lock().expect("no panic").push(body);
    let usage = json!({"prompt_tokens": 4, "total_tokens": 4});
    let data = json!([{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}]);
    Json(json!({"object": "list", "model": "echo", "data": data, "usage": usage})).into_response()
}
