//! The same greedy requests to a replica and to llama.cpp's own server give the same tokens (golden files of
//! `tests/reference/llama_server.py`).
//!
//! The server's build has other CPU kernels than ours, which round differently: where its two likeliest tokens were within
//! [`NEAR_TIE`], it may choose either, and from there on the answers are different ones. Up to such a place, and in whole answers
//! without one, every token is the same. For the same reason embeddings are compared by their angle.

mod common;

use common::*;
use rixin_protocol::replica::ReplicaKind;
use serde_json::{Value, json};

/// Not a test: what [`Replica::start`] runs.
#[test]
fn child_process() {
    be_the_child();
}

fn golden(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("the golden file")
}

/// In nats.
const NEAR_TIE: f64 = 0.15;

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("tokens").iter().filter_map(Value::as_str).collect()
}

async fn same_tokens(replica: &Replica, cases: &[Value]) {
    assert!(cases.len() >= 4);
    let (mut compared, mut all, mut whole) = (0, 0, 0);
    for case in cases {
        let mut body = case["body"].clone();
        body["model"] = "test-model".into();
        let path = case["path"].as_str().expect("a path");
        let chat = path.contains("chat");
        body["logprobs"] = if chat { true.into() } else { 0.into() };
        let reply = replica.ok(path, &body).await;
        let choice = &reply["choices"][0];
        assert_eq!(reply["usage"]["prompt_tokens"], case["prompt_tokens"], "{}", case["body"]);
        let ours: Vec<&str> = if chat {
            let list = choice["logprobs"]["content"].as_array().expect("tokens");
            list.iter().filter_map(|token| token["token"].as_str()).collect()
        } else {
            texts(&choice["logprobs"]["tokens"])
        };
        let theirs = texts(&case["tokens"]);
        // A token that is a part of a character has no text of its own; its bytes are compared in the whole text.
        let same =
            |a: &str, b: &str| a == b || a.contains('\u{fffd}') || b.is_empty() || b.contains('\u{fffd}');
        let equal = ours.iter().zip(&theirs).take_while(|(a, b)| same(a, b)).count();
        all += theirs.len();
        compared += equal;
        // The server shows the end token too.
        if equal == ours.len() && equal + 1 >= theirs.len() {
            let text = if chat { &choice["message"]["content"] } else { &choice["text"] };
            assert_eq!(text, &case["text"], "{}", case["body"]);
            assert_eq!(choice["finish_reason"], case["finish_reason"], "{}", case["body"]);
            whole += 1;
            continue;
        }
        let gap = case["gaps"][equal].as_f64().expect("a number");
        assert!(
            gap < NEAR_TIE,
            "{}: token {equal} differs, {gap} nats apart\n{ours:?}\n{theirs:?}",
            case["body"]
        );
    }
    eprintln!(
        "{whole} of {} answers are equal to their end, {compared} of {all} tokens up to a near tie",
        cases.len()
    );
    assert!(
        whole * 2 >= cases.len() && compared * 10 >= all * 6,
        "{whole} answers, {compared} of {all} tokens"
    );
}

async fn same_vectors(replica: &Replica, cases: &[Value]) {
    let inputs: Vec<&Value> = cases.iter().map(|case| &case["text"]).collect();
    let reply = replica.ok("/v1/embeddings", &json!({"model": "test-model", "input": inputs})).await;
    for (case, data) in cases.iter().zip(reply["data"].as_array().expect("vectors")) {
        let numbers = |v: &Value| -> Vec<f64> {
            v.as_array().expect("numbers").iter().filter_map(Value::as_f64).collect()
        };
        let (ours, theirs) = (numbers(&data["embedding"]), numbers(&case["embedding"]));
        assert_eq!(ours.len(), theirs.len());
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let dot: f64 = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum();
        let cosine = dot / (length(&ours) * length(&theirs));
        assert!(1.0 - cosine < 1e-3, "{}: {cosine}", case["text"]);
    }
}

#[tokio::test]
async fn smollm2_answers_as_llama_cpps_server_does() {
    let Some(replica) = Replica::start(|_| {}) else { return };
    same_tokens(&replica, &golden(include_str!("../../../tests/reference/golden/smollm2_greedy.json"))).await;
}

#[tokio::test]
async fn gemma_answers_as_llama_cpps_server_does() {
    let Some(file) = model(GEMMA) else { return };
    let Some(replica) = Replica::start_with(file, |_| {}) else { return };
    same_tokens(&replica, &golden(include_str!("../../../tests/reference/golden/gemma_greedy.json"))).await;
    let (status, reply) = replica.post("/v1/chat/completions", &chat("Hi")).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("unsupported")), "a base model does not chat");
}

#[tokio::test]
async fn embeddings_are_those_of_llama_cpps_server() {
    if let Some(replica) = Replica::start(|spec| spec.kind = ReplicaKind::Embedding) {
        same_vectors(
            &replica,
            &golden(include_str!("../../../tests/reference/golden/smollm2_embeddings.json")),
        )
        .await;
    }
    if let Some(replica) =
        model(GEMMA).and_then(|file| Replica::start_with(file, |spec| spec.kind = ReplicaKind::Embedding))
    {
        same_vectors(
            &replica,
            &golden(include_str!("../../../tests/reference/golden/gemma_embeddings.json")),
        )
        .await;
    }
}
