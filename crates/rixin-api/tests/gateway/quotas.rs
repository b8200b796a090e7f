//! Quotas, prices and reports through the API.

use reqwest::Method;
use rixin_store::Role;
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

fn a_month(measure: &str, amount: u64) -> Value {
    json!({"subject": "tenant", "measure": measure, "period": "month", "amount": amount})
}

fn hi(max_tokens: u32) -> Value {
    json!({"model": "echo", "max_tokens": max_tokens, "messages": [{"role": "user", "content": "hi"}]})
}

async fn set(suite: &Suite, quota: &Value) -> String {
    let (status, set) = json_of(suite.post("/api/quotas").json(quota)).await;
    assert_eq!(status, 200, "{set}");
    set["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_get_the_requests_that_there_are() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let id = set(&suite, &a_month("requests", 63)).await;
    let asked: Vec<_> = (0..200).map(|_| suite.post("/v1/chat/completions").json(&hi(1)).send()).collect();
    let answers = futures::future::join_all(asked).await;
    let statuses: Vec<u16> =
        answers.iter().map(|answer| answer.as_ref().expect("an answer").status().as_u16()).collect();
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (63, 137));
    let reply = suite.post("/v1/chat/completions").json(&hi(1)).send().await.expect("an answer");
    let head = |name: &str| reply.headers()[name].to_str().expect("text").to_owned();
    assert!(head("retry-after").parse::<u64>().is_ok_and(|secs| secs <= 31 * 86_400));
    assert_eq!(
        (head("x-ratelimit-limit-requests"), head("x-ratelimit-remaining-requests")),
        ("63".into(), "0".into())
    );
    assert!(head("x-ratelimit-reset-requests").ends_with('s'));
    let error: Value = reply.json().await.expect("JSON");
    assert_eq!(
        (&error["error"]["code"], &error["error"]["type"]),
        (&json!("insufficient_quota"), &json!("rate_limit_error"))
    );
    let message = error["error"]["message"].as_str().expect("text");
    assert!(
        message.contains("63 requests a month") && message.contains("63 are used") && message.contains("UTC"),
        "{message}"
    );
    let zh = suite.post("/v1/chat/completions").header("accept-language", "zh-CN").json(&hi(1));
    let (_, error) = json_of(zh).await;
    assert!(
        error["error"]["message"].as_str().is_some_and(|text| text.contains("每月可用 63 个请求")),
        "{error}"
    );
    let metrics = suite.get("/metrics").send().await.expect("an answer").text().await.expect("text");
    assert!(
        metrics.contains(
            "rixin_quota_refusals_total{measure=\"requests\",period=\"month\",subject=\"tenant\"} 139"
        ),
        "{metrics}"
    );
    let (_, list) = json_of(suite.get("/api/quotas")).await;
    assert_eq!((&list["data"][0]["used"], &list["data"][0]["amount"]), (&json!(63), &json!(63)));
    let gone = suite
        .with_key(Method::DELETE, &format!("/api/quotas/{id}"), &suite.admin)
        .send()
        .await
        .expect("an answer");
    assert_eq!(gone.status(), 204);
    assert_eq!(json_of(suite.post("/v1/chat/completions").json(&hi(1))).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_set_aside_and_settled_with_what_was_taken() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    set(&suite, &a_month("tokens", 10_000)).await;
    let (status, answer) = json_of(suite.post("/v1/chat/completions").json(&hi(64))).await;
    assert_eq!(status, 200, "{answer}");
    let took = answer["usage"]["total_tokens"].as_u64().expect("a count");
    let (_, list) = json_of(suite.get("/api/quotas")).await;
    assert_eq!(
        list["data"][0]["used"].as_u64(),
        Some(took),
        "what was set aside and not taken is there again"
    );
    let (status, error) = json_of(suite.post("/v1/chat/completions").json(&hi(20_000))).await;
    assert_eq!((status, error["error"]["code"].as_str()), (429, Some("insufficient_quota")));
    // A model that there is not takes nothing, and neither does a request without a maximum more than there is.
    let unknown =
        json!({"model": "none", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..3 {
        assert_eq!(json_of(suite.post("/v1/chat/completions").json(&unknown)).await.0, 404);
    }
    let open = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    for path in ["/v1/chat/completions", "/v1/chat/completions", "/v1/chat/completions"] {
        assert_eq!(json_of(suite.post(path).json(&open)).await.0, 200);
    }
    let (_, list) = json_of(suite.get("/api/quotas")).await;
    assert!(list["data"][0]["used"].as_u64().is_some_and(|used| used < 1000), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_jobs_have_their_room() {
    let suite = Suite::start(&[]).await;
    set(
        &suite,
        &json!({"subject": "tenant", "measure": "storage_bytes", "period": "standing", "amount": 10}),
    )
    .await;
    set(
        &suite,
        &json!({"subject": "tenant", "measure": "concurrent_jobs", "period": "standing", "amount": 1}),
    )
    .await;
    let file = crate::files::uploaded(&suite, &suite.admin, b"12345678").await;
    let refused = crate::files::upload(&suite, &suite.admin, b"123").await;
    assert_eq!(
        (refused.0, refused.1["error"]["code"].as_str()),
        (429, Some("insufficient_quota")),
        "{refused:?}"
    );
    suite
        .with_key(Method::DELETE, &format!("/v1/files/{file}"), &suite.admin)
        .send()
        .await
        .expect("an answer");
    crate::files::uploaded(&suite, &suite.admin, b"1234567890").await;
    let job = json!({"kind": "import", "params": {"target": "/no/such.gguf", "accept_licence": true}});
    let (status, first) = json_of(suite.post("/api/jobs").json(&job)).await;
    assert_eq!(status, 202, "{first}");
    let (status, error) = json_of(suite.post("/api/jobs").json(&job)).await;
    assert_eq!((status, error["error"]["code"].as_str()), (429, Some("insufficient_quota")), "{error}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("wait until one is over")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_sees_what_is_about_it_and_sets_nothing() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let member = suite.key("member", Role::Member).await;
    set(&suite, &json!({"subject": "each_key", "measure": "requests", "period": "day", "amount": 50})).await;
    let (_, keys) = json_of(suite.get("/api/keys")).await;
    let admin = keys["data"].as_array().expect("keys").iter().find(|key| key["role"] == "owner").expect("it");
    set(&suite, &json!({"subject": "key", "subject_id": admin["id"], "measure": "requests", "period": "day", "amount": 9})).await;
    let (_, list) = json_of(suite.with_key(Method::GET, "/api/quotas", &member)).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    let (status, _) =
        json_of(suite.with_key(Method::POST, "/api/quotas", &member).json(&a_month("tokens", 1))).await;
    assert_eq!(status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_sums_with_costs_and_tables() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let member = suite.key("=member", Role::Member).await;
    let price = json!({"model": "echo", "valid_from": "2020-01-01", "currency": "CNY", "prompt": "1000000", "completion": "2000000"});
    let (status, set) = json_of(suite.post("/api/prices").json(&price)).await;
    assert_eq!(status, 200, "{set}");
    let mut cost = 0;
    for key in [&suite.admin, &suite.admin, &member] {
        let (_, answer) =
            json_of(suite.with_key(Method::POST, "/v1/chat/completions", key).json(&hi(8))).await;
        let count = |name: &str| answer["usage"][name].as_u64().expect("a count");
        cost += count("prompt_tokens") + 2 * count("completion_tokens");
    }
    let (_, all) = json_of(suite.get("/api/usage?by=model")).await;
    assert_eq!((&all["data"][0]["requests"], &all["data"][0]["model"]), (&json!(3), &json!("echo")), "{all}");
    assert_eq!(all["data"][0]["costs"], json!([{"currency": "CNY", "amount": format!("{cost}.00")}]));
    let (_, own) = json_of(suite.with_key(Method::GET, "/api/usage?by=model", &member)).await;
    assert_eq!(own["data"][0]["requests"], 1);
    let (_, plain) = json_of(suite.get("/api/usage")).await;
    assert!(plain["data"][0]["day"].is_string() && plain["data"][0]["key_id"].is_string(), "{plain}");
    let table = suite.get("/api/usage?by=kind").header("accept", "text/csv").send().await.expect("an answer");
    assert!(table.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/csv")));
    let table = table.text().await.expect("text");
    assert!(table.starts_with("kind,requests,") && table.contains("\r\nchat,3,"), "{table}");
    let (_, whole) = json_of(suite.get("/api/usage?by=all")).await;
    assert_eq!(
        (&whole["data"][0]["requests"], whole["data"].as_array().map(Vec::len)),
        (&json!(3), Some(1)),
        "{whole}"
    );
    assert_eq!(json_of(suite.get("/api/usage?by=weather")).await.0, 400);
    let gone = suite.with_key(Method::DELETE, "/api/prices?model=echo&valid_from=2020-01-01", &suite.admin);
    assert_eq!(gone.send().await.expect("an answer").status(), 204);
}
