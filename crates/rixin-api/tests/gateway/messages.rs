//! Anthropic's messages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::suite::{Suite, json_of, scrub, scrubbed_events};

fn ask(script: &str, stream: bool) -> Value {
    json!({"model": "echo", "max_tokens": 64, "stream": stream, "system": "brief", "messages": [{"role": "user", "content": script}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    for script in ["hi", "tool", "think", "long"] {
        let request = suite.bare(Method::POST, "/v1/messages").header("x-api-key", &suite.admin);
        let (status, mut reply) =
            json_of(request.header("anthropic-version", "2023-06-01").json(&ask(script, false))).await;
        assert_eq!(status, 200, "{reply}");
        scrub(&mut reply);
        insta::assert_json_snapshot!(format!("whole_{script}"), reply);
    }
    assert_eq!(engine.seen.last()["messages"][0], json!({"role": "system", "content": "brief"}));
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]});
    let (_, count) = json_of(suite.post("/v1/messages/count_tokens").json(&body)).await;
    assert_eq!(count, json!({"input_tokens": 11}));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    for script in ["hi", "tool", "think", "break"] {
        let reply = suite.post("/v1/messages").json(&ask(script, true)).send().await.expect("an answer");
        insta::assert_json_snapshot!(format!("stream_{script}"), scrubbed_events(reply).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_anthropics_shape() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let mut wrong = ask("hi", false);
    wrong["max_tokens"] = json!(0);
    let mut unknown = ask("hi", false);
    unknown["model"] = json!("nope");
    for (key, body, status, kind) in [
        (Some("rx-wrong"), ask("hi", false), 401, "authentication_error"),
        (None, wrong, 400, "invalid_request_error"),
        (None, unknown, 404, "not_found_error"),
        (None, ask("full", true), 429, "rate_limit_error"),
        (None, ask("nonsense", false), 502, "api_error"),
    ] {
        let request =
            suite.bare(Method::POST, "/v1/messages").header("x-api-key", key.unwrap_or(&suite.admin));
        let (got, error) = json_of(request.json(&body)).await;
        assert_eq!(
            (got, error["type"].as_str(), error["error"]["type"].as_str()),
            (status, Some("error"), Some(kind)),
            "{error}"
        );
        assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")));
    }
}
