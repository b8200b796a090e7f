//! OpenAI's responses.

use serde_json::{Value, json};

use crate::suite::{Suite, json_of, scrub, scrubbed_events};

fn ask(script: &str) -> Value {
    json!({"model": "echo", "input": script})
}

fn ask_stream(script: &str) -> Value {
    json!({"model": "echo", "input": [{"role": "user", "content": script}], "stream": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    for script in ["hi", "tool", "think", "long"] {
        let (status, mut reply) = json_of(suite.post("/v1/responses").json(&ask(script))).await;
        assert_eq!(status, 200, "{reply}");
        scrub(&mut reply);
        insta::assert_json_snapshot!(format!("whole_{script}"), reply);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    for script in ["hi", "tool", "think", "break"] {
        let reply = suite.post("/v1/responses").json(&ask_stream(script)).send().await.expect("an answer");
        let events = scrubbed_events(reply).await;
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
        insta::assert_json_snapshot!(format!("stream_{script}"), events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_from_a_stored_response() {
    let (suite, engine) = Suite::with_engine(&[]).await;
    let (_, first) = json_of(
        suite.post("/v1/responses").json(&json!({"model": "echo", "input": "hi", "instructions": "brief"})),
    )
    .await;
    let id = first["id"].as_str().expect("an id").to_owned();
    let body = json!({"model": "echo", "input": "tool", "previous_response_id": id, "stream": true});
    let reply = suite.post("/v1/responses").json(&body).send().await.expect("an answer");
    let events = crate::suite::events_of(reply).await;
    let last: Value = serde_json::from_str(&events.last().expect("events").1).expect("JSON");
    let second = last["response"]["id"].as_str().expect("an id").to_owned();
    let roles = |body: &Value| -> Vec<String> {
        let messages = body["messages"].as_array().expect("messages");
        messages
            .iter()
            .map(|m| {
                format!("{}:{}", m["role"].as_str().unwrap_or_default(), m["content"].as_str().unwrap_or("-"))
            })
            .collect()
    };
    assert_eq!(
        roles(&engine.seen.last()),
        ["user:hi", "assistant:你好，世界", "user:tool"],
        "instructions are not carried over"
    );
    let body = json!({"model": "echo", "previous_response_id": second, "store": false,
                      "input": [{"type": "function_call_output", "call_id": "call_1", "output": "晴"}]});
    let (status, third) = json_of(suite.post("/v1/responses").json(&body)).await;
    assert_eq!((status, &third["store"]), (200, &json!(false)));
    let messages = engine.seen.last()["messages"].clone();
    assert_eq!(messages[3]["tool_calls"].as_array().map(Vec::len), Some(2), "{messages}");
    assert_eq!(
        (messages[4]["role"].as_str(), messages[4]["tool_call_id"].as_str()),
        (Some("tool"), Some("call_1"))
    );

    let path = format!("/v1/responses/{id}");
    assert_eq!(json_of(suite.get(&path)).await.1, first);
    let (_, items) = json_of(suite.get(&format!("{path}/input_items"))).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
    let third = format!("/v1/responses/{}", third["id"].as_str().expect("an id"));
    assert_eq!(json_of(suite.get(&third)).await.0, 404, "it was not to be stored");
    let (status, gone) = json_of(suite.with_key(reqwest::Method::DELETE, &path, &suite.admin)).await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    assert_eq!(json_of(suite.get(&path)).await.0, 404);
    let (status, error) = json_of(
        suite
            .post("/v1/responses")
            .json(&json!({"model": "echo", "input": "x", "previous_response_id": second})),
    )
    .await;
    assert_eq!((status, error["error"]["param"].as_str()), (404, Some("previous_response_id")));
}
