//! The audit log through the API: every route that changes something leaves a row, or says why it does not.

use reqwest::Method;
use rixin_api::{MUTATING, Noted};
use rixin_store::{AuditVerifier, Role};
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

#[test]
fn the_table_has_every_route_that_changes_something() {
    let doc: Value = serde_json::from_str(&rixin_api::openapi_json()).expect("JSON");
    let mut documented = Vec::new();
    for (path, item) in doc["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys().filter(|method| *method != "get") {
            documented.push((method.to_uppercase(), path.clone()));
        }
    }
    let mut table: Vec<_> = MUTATING.iter().map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned())).collect();
    documented.sort();
    table.sort();
    assert_eq!(documented, table, "a route that changes something and its line in MUTATING come together");
    for (method, path, noted) in MUTATING {
        match noted {
            Noted::As(word) => assert!(
                word.split('.').count() == 2
                    && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.'),
                "{method} {path}: {word}"
            ),
            Noted::Not(why) => assert!(why.len() > 20, "{method} {path}: {why}"),
        }
    }
}

async fn rows(suite: &Suite, query: &str) -> Vec<Value> {
    let (status, page) = json_of(suite.get(&format!("/api/audit?limit=200{query}"))).await;
    assert_eq!(status, 200, "{page}");
    page["data"].as_array().expect("rows").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_changes_something_leaves_its_row_also_when_it_refuses() {
    let suite = Suite::start(&[]).await;
    for (method, path, noted) in MUTATING {
        let method: Method = method.parse().expect("a method");
        let before = rows(&suite, "").await.len();
        // Nothing has this name, and no route takes this body: each refuses, in the caller's name.
        let request =
            suite.with_key(method.clone(), &path.replace("{id}", "none"), &suite.admin).json(&json!(0));
        let status = request.send().await.expect("an answer").status();
        assert!(status.is_client_error(), "{method} {path}: {status}");
        let after = rows(&suite, "").await;
        match noted {
            Noted::Not(_) => assert_eq!(after.len(), before, "{method} {path}"),
            Noted::As(word) => {
                assert_eq!(after.len(), before + 1, "{method} {path}");
                let row = &after[0];
                assert_eq!(
                    (row["action"].as_str(), row["outcome"].as_str()),
                    (Some(*word), Some("refused")),
                    "{path}: {row}"
                );
                assert_eq!(
                    (&row["actor"]["name"], &row["actor"]["address"]),
                    (&json!("admin"), &json!("127.0.0.1"))
                );
                assert!(row["details"]["code"].is_string(), "{row}");
            }
        }
        // Without a key nobody is known, and nothing is written.
        let bare = suite.bare(method.clone(), &path.replace("{id}", "none")).json(&json!(0));
        assert_eq!(bare.send().await.expect("an answer").status(), 401, "{method} {path}");
        assert_eq!(rows(&suite, "").await.len(), after.len(), "{method} {path}");
    }
    let (_, report) = json_of(suite.get("/api/audit/verify")).await;
    assert_eq!(report["ok"], true, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_told_once_with_its_target_and_without_secrets() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let (_, key) = json_of(suite.post("/api/keys").json(&json!({"name": "ward 3", "role": "member"}))).await;
    let (id, secret) =
        (key["id"].as_str().expect("id").to_owned(), key["key"].as_str().expect("secret").to_owned());
    json_of(suite.with_key(Method::DELETE, &format!("/api/keys/{id}"), &suite.admin)).await;
    let file = crate::files::uploaded(&suite, &suite.admin, b"{}\n").await;
    let new = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let (_, batch) = json_of(suite.post("/v1/batches").json(&new)).await;
    let batch = batch["id"].as_str().expect("an id").to_owned();
    let (_, talk) = json_of(suite.post("/api/conversations").json(&json!({"model": "echo"}))).await;
    let talk = talk["id"].as_str().expect("an id").to_owned();
    suite
        .with_key(Method::DELETE, &format!("/api/conversations/{talk}"), &suite.admin)
        .send()
        .await
        .expect("an answer");
    let told: Vec<(String, String)> = rows(&suite, "")
        .await
        .iter()
        .map(|row| {
            assert_eq!(row["outcome"], "done", "{row}");
            let text = row.to_string();
            assert!(!text.contains(&secret) && !text.contains("sk-engine"), "{text}");
            let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (word("action"), word("target"))
        })
        .collect();
    let told: Vec<(&str, &str)> =
        told.iter().map(|(action, target)| (action.as_str(), target.as_str())).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(
        told[..5],
        [
            ("conversation.remove", talk.as_str()),
            ("batch.create", &batch),
            ("file.create", &file),
            ("key.revoke", &id),
            ("key.create", &id),
        ]
    );
    assert_eq!(told[5].0, "external.add");
    assert_eq!(rows(&suite, "&action=key.").await.len(), 2);
    assert_eq!(rows(&suite, "&actor=nobody").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_whole_verifiable_and_safe_for_spreadsheets() {
    let suite = Suite::start(&[]).await;
    for name in ["a", "=cmd|' /C calc'!A0", "字, \"quoted\""] {
        suite
            .post("/api/keys")
            .json(&json!({"name": name, "role": "member"}))
            .send()
            .await
            .expect("an answer");
    }
    let bad = suite.key("=1+1", Role::Owner).await;
    let (status, _) = json_of(
        suite.with_key(Method::POST, "/api/keys", &bad).json(&json!({"name": "b", "role": "member"})),
    )
    .await;
    assert_eq!(status, 201);
    let reply = suite.get("/api/audit/export").send().await.expect("an answer");
    assert_eq!(reply.headers()["content-type"], "application/x-ndjson");
    let text = reply.text().await.expect("text");
    let mut lines = text.lines();
    let (mut verifier, head) =
        AuditVerifier::of_export(lines.next().expect("a head"), Vec::new()).expect("an export");
    lines.for_each(|line| verifier.line(line).expect("a row"));
    let report = verifier.finish();
    assert!(report.ok && report.rows == 4 && report.head == head.head, "{report:?}");
    let csv = suite
        .get("/api/audit/export?format=csv")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    assert!(csv.starts_with("seq,at,actor_kind,"), "{csv}");
    assert!(csv.contains(",\"'=1+1\","), "{csv}");
    let (status, report) = json_of(suite.get(&format!("/api/audit/verify?head={}", head.head))).await;
    assert_eq!((status, &report["ok"]), (200, &json!(true)), "{report}");
    let wrong = format!("4:{}", "0".repeat(64));
    let (_, report) = json_of(suite.get(&format!("/api/audit/verify?head={wrong}"))).await;
    assert_eq!(report["findings"], json!([{"what": "head", "seq": 4}]));
    let (status, _) = json_of(suite.get("/api/audit/verify?head=4")).await;
    assert_eq!(status, 400);
}
