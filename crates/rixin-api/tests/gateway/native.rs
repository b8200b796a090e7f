//! The suite's own routes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn health_and_me() {
    let suite = Suite::start(&[]).await;
    let (status, health) = json_of(suite.bare(Method::GET, "/api/health")).await;
    assert_eq!((status, health["status"].as_str()), (200, Some("ok")));
    let (_, me) = json_of(suite.get("/api/me").header("accept-language", "zh-CN,zh;q=0.9")).await;
    assert_eq!((me["role"].as_str(), me["lang"].as_str()), (Some("admin"), Some("zh-CN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_used_and_ended() {
    let suite = Suite::start(&[]).await;
    let (status, made) =
        json_of(suite.post("/api/keys").json(&json!({"name": "小王", "role": "member"}))).await;
    assert_eq!(status, 201, "{made}");
    let (secret, id) =
        (made["key"].as_str().expect("a secret").to_owned(), made["id"].as_str().expect("an id").to_owned());
    let (_, me) = json_of(suite.with_key(Method::GET, "/api/me", &secret)).await;
    assert_eq!((me["name"].as_str(), me["key_id"].as_str()), (Some("小王"), Some(id.as_str())));
    let (_, list) = json_of(suite.get("/api/keys")).await;
    assert!(!list.to_string().contains(&secret) && list["data"].as_array().map(Vec::len) == Some(2));
    let path = format!("/api/keys/{id}");
    assert_eq!(json_of(suite.with_key(Method::DELETE, &path, &suite.admin)).await.0, 200);
    let (status, error) = json_of(suite.with_key(Method::GET, "/api/me", &secret)).await;
    assert_eq!((status, error["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    let (status, error) = json_of(suite.post("/api/keys").json(&json!({"name": "x", "role": "king"}))).await;
    assert_eq!((status, error["error"]["param"].as_str()), (400, Some("role")));
    let admin = list["data"][0]["id"].as_str().expect("an id");
    let last = suite.with_key(Method::DELETE, &format!("/api/keys/{admin}"), &suite.admin);
    assert_eq!(json_of(last).await.1["error"]["code"], "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_from_begin_to_export() {
    let suite = Suite::start(&[]).await;
    let (_, made) = json_of(
        suite.post("/api/conversations").json(&json!({"model": "m", "params": {"temperature": 0.5}})),
    )
    .await;
    let path = format!("/api/conversations/{}", made["id"].as_str().expect("an id"));
    let add = |body: Value| json_of(suite.post(&format!("{path}/messages")).json(&body));
    let (status, question) = add(json!({"parent_id": null, "role": "user", "content": "糖尿病饮食"})).await;
    assert_eq!(status, 201, "{question}");
    let answer = json!({"parent_id": question["id"], "role": "assistant", "content": "少糖", "model": "m",
                        "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "finish_reason": "stop"});
    add(answer).await;
    let (_, whole) = json_of(suite.get(&path)).await;
    assert_eq!(
        (
            whole["conversation"]["title"].as_str(),
            whole["messages"][1]["usage"]["completion_tokens"].as_u64()
        ),
        (Some("糖尿病饮食"), Some(2))
    );
    let (_, found) = json_of(suite.get("/api/conversations").query(&[("q", "少糖")])).await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
    let patch =
        suite.with_key(Method::PATCH, &path, &suite.admin).json(&json!({"title": "饮食", "system": "简短"}));
    assert_eq!(json_of(patch).await.1["system"], "简短");
    let reply = suite
        .get(&format!("{path}/export?format=markdown"))
        .header("accept-language", "zh")
        .send()
        .await
        .expect("an answer");
    assert!(reply.headers()["content-disposition"].to_str().expect("text").contains(".md"));
    let text = reply.text().await.expect("text");
    assert!(text.starts_with("# 饮食\n") && text.contains("## 助手\n\n少糖"), "{text}");
    assert_eq!(
        json_of(suite.get(&format!("{path}/export?format=json"))).await.1["messages"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(json_of(suite.get(&format!("{path}/export?format=pdf"))).await.0, 400);
    let gone = suite.with_key(Method::DELETE, &path, &suite.admin).send().await.expect("an answer");
    assert_eq!(gone.status(), 204);
    assert_eq!(json_of(suite.get(&path)).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogue_models_replicas_and_pulls() {
    let suite = Suite::start(&[]).await;
    let (_, catalog) = json_of(suite.get("/api/catalog?q=smollm2")).await;
    let first = &catalog["data"][0];
    assert_eq!(
        (first["id"].as_str(), first["installed"].as_bool()),
        (Some("smollm2-135m-instruct"), Some(false)),
        "{catalog}"
    );
    assert!(first["fits"].is_boolean() && first["description"]["zh"].is_string());
    let (_, models) = json_of(suite.get("/api/models?limit=5")).await;
    assert_eq!((models["total"].as_u64(), models["data"].as_array().map(Vec::len)), (Some(0), Some(0)));
    assert_eq!(json_of(suite.get("/api/models/none")).await.1["error"]["code"], "model_not_found");
    assert_eq!(json_of(suite.get("/api/models?limit=x")).await.1["error"]["code"], "invalid_value");
    let (_, replicas) = json_of(suite.get("/api/replicas")).await;
    assert!(
        replicas["memory"]["limit_bytes"].as_u64() > Some(0)
            && replicas["data"].as_array().is_some_and(Vec::is_empty)
    );
    let (status, error) = json_of(suite.post("/api/replicas").json(&json!({"model": "none"}))).await;
    assert_eq!((status, error["error"]["code"].as_str()), (404, Some("model_not_found")));
    let target = json!({"target": "file:/nowhere/at-all.gguf", "accept_licence": true});
    let (status, pull) = json_of(suite.post("/api/pulls").json(&target)).await;
    assert_eq!(status, 202, "{pull}");
    let path = format!("/api/pulls/{}", pull["id"].as_str().expect("an id"));
    let reply = suite.get(&format!("{path}/events")).send().await.expect("an answer");
    let events = crate::suite::events_of(reply).await;
    let last: Value = serde_json::from_str(&events.last().expect("events").1).expect("JSON");
    assert_eq!(last["state"], "failed");
    assert!(last["error"]["message"].as_str().is_some_and(|text| text.contains("at-all.gguf")), "{last}");
    assert_eq!(json_of(suite.get(&path)).await.1, last);
    assert_eq!(json_of(suite.get("/api/pulls")).await.1["data"][0], last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_is_named_for_a_file_that_names_none() {
    let suite = Suite::start(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.safetensors");
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    std::fs::write(&file, bytes).expect("written");
    let target = format!("file:{}", file.display());
    let (_, preview) = json_of(suite.post("/api/pulls/preview").json(&json!({"target": target}))).await;
    assert_eq!(preview["licence"]["name"], "unknown", "{preview}");
    for bad in ["", " ", "a\nb", &"x".repeat(201)] {
        let body = json!({"target": target, "accept_licence": true, "licence": bad});
        let (status, error) = json_of(suite.post("/api/pulls").json(&body)).await;
        assert_eq!((status, error["error"]["param"].as_str()), (400, Some("licence")), "{bad:?}: {error}");
    }
    for (id, given, spdx, name) in
        [("mit", "mit", Some("MIT"), "MIT"), ("own", "Our Own Terms", None, "Our Own Terms")]
    {
        let body = json!({"target": target, "id": id, "accept_licence": true, "licence": given});
        let (status, pull) = json_of(suite.post("/api/pulls").json(&body)).await;
        assert_eq!((status, pull["licence"].as_str()), (202, Some(given)), "{pull}");
        let path = format!("/api/pulls/{}/events", pull["id"].as_str().expect("an id"));
        let reply = suite.get(&path).send().await.expect("an answer");
        let last = crate::suite::events_of(reply).await.pop().expect("events").1;
        assert!(last.contains("\"done\""), "{last}");
        let (_, model) = json_of(suite.get(&format!("/api/models/{id}"))).await;
        assert_eq!(
            (model["licence"]["spdx"].as_str(), model["licence"]["name"].as_str()),
            (spdx, Some(name))
        );
        assert!(model["licence_accepted"]["by"].is_string(), "{model}");
    }
}
