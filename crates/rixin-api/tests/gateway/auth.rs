//! The authorisation matrix: every route of the OpenAPI document, with every kind of caller.

use reqwest::{Method, RequestBuilder};
use rixin_store::{Right, Role};
use serde_json::{Value, json};

use crate::suite::Suite;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everybody.
    Open,
    /// Any key.
    Key,
    /// Keys with this right: the table of roles and rights says which these are.
    By(Right),
    /// The suite's own processes, with a token that no key is.
    Process,
    /// The same, and without a key from this machine, which is where the test runs.
    HereOr(Right),
}
use Access::{By, HereOr, Key, Open, Process};

/// The one table: a route that is not here fails the test.
const MATRIX: &[(&str, &str, Access)] = &[
    ("GET", "/api/health", Open),
    ("GET", "/metrics", HereOr(Right::Cluster)),
    ("POST", "/v1/chat/completions", By(Right::Ask)),
    ("POST", "/v1/completions", By(Right::Ask)),
    ("POST", "/v1/embeddings", By(Right::Ask)),
    ("GET", "/v1/models", By(Right::Browse)),
    ("GET", "/v1/models/{id}", By(Right::Browse)),
    ("POST", "/v1/responses", By(Right::Ask)),
    ("GET", "/v1/responses/{id}", By(Right::Ask)),
    ("DELETE", "/v1/responses/{id}", By(Right::Ask)),
    ("GET", "/v1/responses/{id}/input_items", By(Right::Ask)),
    ("GET", "/v1/files", By(Right::Files)),
    ("POST", "/v1/files", By(Right::Files)),
    ("GET", "/v1/files/{id}", By(Right::Files)),
    ("DELETE", "/v1/files/{id}", By(Right::Files)),
    ("GET", "/v1/files/{id}/content", By(Right::Files)),
    ("GET", "/v1/batches", By(Right::Jobs)),
    ("POST", "/v1/batches", By(Right::Jobs)),
    ("GET", "/v1/batches/{id}", By(Right::Jobs)),
    ("POST", "/v1/batches/{id}/cancel", By(Right::Jobs)),
    ("GET", "/api/job-kinds", By(Right::Browse)),
    ("GET", "/api/jobs", By(Right::Jobs)),
    ("POST", "/api/jobs", By(Right::Jobs)),
    ("GET", "/api/jobs/{id}", By(Right::Jobs)),
    ("DELETE", "/api/jobs/{id}", By(Right::Jobs)),
    ("POST", "/api/jobs/{id}/cancel", By(Right::Jobs)),
    ("POST", "/api/jobs/{id}/retry", By(Right::Jobs)),
    ("GET", "/api/jobs/{id}/events", By(Right::Jobs)),
    ("GET", "/api/jobs/{id}/log", By(Right::Jobs)),
    ("POST", "/v1/messages", By(Right::Ask)),
    ("POST", "/v1/messages/count_tokens", By(Right::Ask)),
    ("GET", "/api/me", Key),
    ("GET", "/api/keys", By(Right::People)),
    ("POST", "/api/keys", By(Right::Keys)),
    ("DELETE", "/api/keys/{id}", By(Right::Keys)),
    ("GET", "/api/catalog", By(Right::Browse)),
    ("GET", "/api/models", By(Right::Browse)),
    ("GET", "/api/models/{id}", By(Right::Browse)),
    ("DELETE", "/api/models/{id}", By(Right::Models)),
    ("POST", "/api/models/{id}/verify", By(Right::Models)),
    ("POST", "/api/pulls/preview", By(Right::Models)),
    ("GET", "/api/pulls", By(Right::Machine)),
    ("POST", "/api/pulls", By(Right::Models)),
    ("GET", "/api/pulls/{id}", By(Right::Machine)),
    ("DELETE", "/api/pulls/{id}", By(Right::Models)),
    ("GET", "/api/pulls/{id}/events", By(Right::Machine)),
    ("GET", "/api/cluster", By(Right::Cluster)),
    ("GET", "/api/replicas", By(Right::Machine)),
    ("POST", "/api/replicas", By(Right::Replicas)),
    ("DELETE", "/api/replicas/{id}", By(Right::Replicas)),
    ("POST", "/api/replicas/register", Process),
    ("POST", "/api/replicas/{id}/renew", Process),
    ("GET", "/api/externals", By(Right::Replicas)),
    ("POST", "/api/externals", By(Right::Replicas)),
    ("DELETE", "/api/externals/{id}", By(Right::Replicas)),
    ("GET", "/api/conversations", By(Right::Ask)),
    ("POST", "/api/conversations", By(Right::Ask)),
    ("GET", "/api/conversations/{id}", By(Right::Ask)),
    ("PATCH", "/api/conversations/{id}", By(Right::Ask)),
    ("DELETE", "/api/conversations/{id}", By(Right::Ask)),
    ("GET", "/api/conversations/{id}/export", By(Right::Ask)),
    ("POST", "/api/conversations/{id}/messages", By(Right::Ask)),
    ("GET", "/api/usage", By(Right::OwnUsage)),
    ("GET", "/api/audit", By(Right::Audit)),
    ("GET", "/api/audit/export", By(Right::Audit)),
    ("GET", "/api/audit/verify", By(Right::Audit)),
];

fn documented() -> Vec<(String, String)> {
    let doc: Value = serde_json::from_str(&rixin_api::openapi_json()).expect("JSON");
    let mut list = Vec::new();
    for (path, item) in doc["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            list.push((method.to_uppercase(), path.clone()));
        }
    }
    list
}

#[test]
fn the_matrix_is_that_of_the_document() {
    let mut documented = documented();
    let mut matrix: Vec<(String, String)> =
        MATRIX.iter().map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned())).collect();
    documented.sort();
    matrix.sort();
    assert_eq!(documented, matrix, "a route and its line in MATRIX come together");
}

#[test]
fn the_document_says_which_routes_need_a_key() {
    let doc: Value = serde_json::from_str(&rixin_api::openapi_json()).expect("JSON");
    for (method, path, access) in MATRIX {
        let secured = doc["paths"][path][method.to_lowercase()]["security"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        assert_eq!(secured, matches!(access, Key | By(_) | Process), "{method} {path}");
    }
}

/// Ids that are well formed and name nothing.
fn with_ids(path: &str) -> String {
    let id = match path {
        _ if path.starts_with("/api/keys") => rixin_base::KeyId::new().to_string(),
        _ if path.starts_with("/api/pulls") => rixin_base::PullId::new().to_string(),
        _ if path.starts_with("/api/replicas") => rixin_base::ReplicaId::new().to_string(),
        _ if path.starts_with("/api/externals") => rixin_base::ExternalId::new().to_string(),
        _ if path.starts_with("/api/conversations") => rixin_base::ConversationId::new().to_string(),
        _ if path.starts_with("/api/jobs") => rixin_base::JobId::new().to_string(),
        _ if path.starts_with("/v1/files") => rixin_base::FileId::new().to_string(),
        _ if path.starts_with("/v1/batches") => rixin_base::BatchId::new().to_string(),
        _ => "none".to_owned(),
    };
    path.replace("{id}", &id)
}

/// The status and the error's code.
async fn outcome(request: RequestBuilder) -> (u16, String) {
    let reply = request.send().await.expect("an answer");
    let status = reply.status().as_u16();
    let body: Value = serde_json::from_str(&reply.text().await.unwrap_or_default()).unwrap_or_default();
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_every_caller() {
    let suite = Suite::start(&[]).await;
    let host = suite.store.operator().default_scope().await.expect("scope");
    suite.store.operator().create_tenant("other").await.expect("organisation");
    let other = suite.store.operator().scope("other").await.expect("scope");
    let mut callers = Vec::new();
    for role in Role::ALL {
        for (scope, is_host) in [(&host, true), (&other, false)] {
            let key = suite.store.create_key(scope, role.as_str(), role).await.expect("key");
            callers.push((role, is_host, key.secret));
        }
    }
    let revoked = suite.store.create_key(&host, "revoked", Role::Owner).await.expect("key");
    suite.store.revoke_key(&host, revoked.key.id).await.expect("revoked");
    let wrong = format!("rx-{}", "a".repeat(43));
    for (method, path, access) in MATRIX {
        let path = with_ids(path);
        let call = |key: Option<&str>| {
            let method: Method = method.parse().expect("a method");
            let body = matches!(method, Method::POST | Method::PATCH | Method::PUT);
            let mut request = suite.bare(method, &path);
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            // A body that no route takes: whoever passes the door fails behind it, and nothing is changed.
            if body { request.json(&json!(0)) } else { request }
        };
        let what = format!("{method} {path}");
        let none = outcome(call(None)).await;
        match access {
            Open | HereOr(_) => assert_eq!(none.0, 200, "{what}"),
            Process => {
                assert_eq!(none, (401, "missing_api_key".into()), "{what} without a token");
                for (role, _, secret) in &callers {
                    let found = outcome(call(Some(secret))).await;
                    assert!([400, 401].contains(&found.0), "{what} with the key of {role}: {found:?}");
                }
                continue;
            }
            Key | By(_) => {
                assert_eq!(none, (401, "missing_api_key".into()), "{what} without a key");
                for dead in [&wrong, &revoked.secret] {
                    let dead = outcome(call(Some(dead))).await;
                    assert_eq!(dead, (401, "invalid_api_key".into()), "{what} with a key that does not work");
                }
            }
        }
        for (role, is_host, secret) in &callers {
            let found = outcome(call(Some(secret))).await;
            let may = match access {
                By(right) => role.rights(*is_host).has(*right),
                Open | Key | HereOr(_) | Process => true,
            };
            if may {
                assert!(![401, 403, 500].contains(&found.0), "{what} as {role}, host {is_host}: {found:?}");
            } else {
                assert_eq!(found, (403, "forbidden".into()), "{what} as {role}, host {is_host}");
            }
        }
    }
    // Behind a proxy on the same machine everybody seems to be here.
    for (method, path, access) in MATRIX {
        let HereOr(right) = access else { continue };
        let proxied = || {
            let request = suite.bare(method.parse().expect("a method"), path);
            request.header("x-forwarded-for", "203.0.113.9")
        };
        assert_eq!(outcome(proxied()).await.0, 401);
        for (role, is_host, secret) in &callers {
            let may = role.rights(*is_host).has(*right);
            assert_eq!(outcome(proxied().bearer_auth(secret)).await.0, if may { 200 } else { 403 }, "{role}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_right_and_who_has_it() {
    let suite = Suite::start(&[]).await;
    let member = suite.key("小李", Role::Member).await;
    let refused = suite.with_key(Method::GET, "/api/externals", &member);
    let (_, body) = crate::suite::json_of(refused).await;
    let text = body["error"]["message"].as_str().expect("a message");
    assert!(text.contains("'replicas'") && text.contains("owner, operator"), "{text}");
    let refused = suite.with_key(Method::GET, "/api/externals", &member).header("accept-language", "zh-CN");
    let (_, body) = crate::suite::json_of(refused).await;
    let text = body["error"]["message"].as_str().expect("a message");
    assert!(text.contains("'replicas'") && text.contains("所有者、运维"), "{text}");

    suite.store.operator().create_tenant("other").await.expect("organisation");
    let other = suite.store.operator().scope("other").await.expect("scope");
    let owner = suite.store.create_key(&other, "theirs", Role::Owner).await.expect("key").secret;
    let (_, body) = crate::suite::json_of(suite.with_key(Method::GET, "/api/externals", &owner)).await;
    let text = body["error"]["message"].as_str().expect("a message");
    assert!(text.contains("host organisation"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_and_another_keys_ids_name_nothing() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let make = |path: &str, body: Value| crate::suite::json_of(suite.post(path).json(&body));
    let (_, conversation) = make("/api/conversations", json!({"model": "echo", "title": "ours"})).await;
    let conversation = conversation["id"].as_str().expect("an id").to_owned();
    let (_, response) = make("/v1/responses", json!({"model": "echo", "input": "hi"})).await;
    let response = response["id"].as_str().expect("an id").to_owned();
    let (_, key) = make("/api/keys", json!({"name": "ours", "role": "member"})).await;
    let key = key["id"].as_str().expect("an id").to_owned();

    suite.store.operator().create_tenant("other").await.expect("tenant");
    let theirs = suite.store.operator().scope("other").await.expect("scope");
    let stranger = suite.store.create_key(&theirs, "theirs", Role::Owner).await.expect("key").secret;
    let colleague = suite.key("colleague", Role::Member).await;

    for caller in [&stranger, &colleague] {
        for (method, path, body) in [
            (Method::GET, format!("/api/conversations/{conversation}"), None),
            (Method::GET, format!("/api/conversations/{conversation}/export"), None),
            (Method::PATCH, format!("/api/conversations/{conversation}"), Some(json!({"title": "stolen"}))),
            (
                Method::POST,
                format!("/api/conversations/{conversation}/messages"),
                Some(json!({"role": "user", "content": "x"})),
            ),
            (Method::DELETE, format!("/api/conversations/{conversation}"), None),
            (Method::GET, format!("/v1/responses/{response}"), None),
            (Method::GET, format!("/v1/responses/{response}/input_items"), None),
            (Method::DELETE, format!("/v1/responses/{response}"), None),
            (
                Method::POST,
                "/v1/responses".into(),
                Some(json!({"model": "echo", "input": "x", "previous_response_id": response})),
            ),
        ] {
            let request = suite.with_key(method.clone(), &path, caller);
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            assert_eq!(outcome(request).await, (404, "not_found".into()), "{method} {path}");
        }
        let (_, list) =
            crate::suite::json_of(suite.with_key(Method::GET, "/api/conversations", caller)).await;
        assert_eq!(list["data"], json!([]));
    }
    let revoke = suite.with_key(Method::DELETE, &format!("/api/keys/{key}"), &stranger);
    assert_eq!(outcome(revoke).await, (404, "not_found".into()));
    let (_, keys) = crate::suite::json_of(suite.with_key(Method::GET, "/api/keys", &stranger)).await;
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(1), "only their own");
    let (_, usage) = crate::suite::json_of(suite.with_key(Method::GET, "/api/usage", &stranger)).await;
    assert_eq!(usage["data"], json!([]));
    let kept = suite.get(&format!("/api/conversations/{conversation}"));
    assert_eq!(crate::suite::json_of(kept).await.1["conversation"]["title"], "ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_and_another_keys_jobs_files_and_batches_name_nothing() {
    let suite = Suite::start(&[]).await;
    let owner = suite.key("owner", Role::Member).await;
    let file = crate::files::uploaded(&suite, &owner, b"{}\n").await;
    let new = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let make = suite.with_key(Method::POST, "/v1/batches", &owner).json(&new);
    let (status, batch) = crate::suite::json_of(make).await;
    assert_eq!(status, 200, "{batch}");
    let batch = batch["id"].as_str().expect("an id").to_owned();
    let (_, jobs) = crate::suite::json_of(suite.with_key(Method::GET, "/api/jobs", &owner)).await;
    let job = jobs["data"][0]["id"].as_str().expect("the batch's job").to_owned();

    suite.store.operator().create_tenant("other").await.expect("tenant");
    let theirs = suite.store.operator().scope("other").await.expect("scope");
    let stranger = suite.store.create_key(&theirs, "theirs", Role::Owner).await.expect("key").secret;
    let colleague = suite.key("colleague", Role::Member).await;
    let none = |kind: &str| match kind {
        "job" => rixin_base::JobId::new().to_string(),
        "file" => rixin_base::FileId::new().to_string(),
        _ => rixin_base::BatchId::new().to_string(),
    };
    for caller in [&stranger, &colleague] {
        for (method, path, kind, id) in [
            (Method::GET, "/api/jobs/{id}", "job", &job),
            (Method::GET, "/api/jobs/{id}/events", "job", &job),
            (Method::GET, "/api/jobs/{id}/log", "job", &job),
            (Method::POST, "/api/jobs/{id}/cancel", "job", &job),
            (Method::POST, "/api/jobs/{id}/retry", "job", &job),
            (Method::DELETE, "/api/jobs/{id}", "job", &job),
            (Method::GET, "/v1/files/{id}", "file", &file),
            (Method::GET, "/v1/files/{id}/content", "file", &file),
            (Method::DELETE, "/v1/files/{id}", "file", &file),
            (Method::GET, "/v1/files?after={id}", "file", &file),
            (Method::GET, "/v1/batches/{id}", "batch", &batch),
            (Method::POST, "/v1/batches/{id}/cancel", "batch", &batch),
            (Method::GET, "/v1/batches?after={id}", "batch", &batch),
        ] {
            let answer = |id: String| {
                let request = suite.with_key(method.clone(), &path.replace("{id}", &id), caller);
                async move {
                    let (status, body) = crate::suite::json_of(request).await;
                    (status, body.to_string().replace(&id, "ID"))
                }
            };
            let real = answer(id.clone()).await;
            assert_eq!(real.0, 404, "{method} {path}: {}", real.1);
            assert_eq!(real, answer(none(kind)).await, "{method} {path} tells that it exists");
        }
        let new = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
        let steal = suite.with_key(Method::POST, "/v1/batches", caller).json(&new);
        assert_eq!(outcome(steal).await, (404, "not_found".into()));
        for list in ["/api/jobs", "/v1/files", "/v1/batches"] {
            let (_, list) = crate::suite::json_of(suite.with_key(Method::GET, list, caller)).await;
            assert_eq!(list["data"], json!([]));
        }
    }
    let wait = json!({"kind": "import", "params": {"target": "x"}, "needs": [job]});
    let host_owner = suite.key("another owner", Role::Owner).await;
    let request = suite.with_key(Method::POST, "/api/jobs", &host_owner).json(&wait);
    assert_eq!(outcome(request).await.0, 202, "an owner sees it");
    let request = suite.with_key(Method::POST, "/api/jobs", &stranger).json(&wait);
    assert_eq!(outcome(request).await, (403, "forbidden".into()), "models are the host's");
    let (_, all) = crate::suite::json_of(suite.get("/api/jobs")).await;
    let seen = all["data"].as_array().expect("jobs").iter().any(|one| one["id"] == job.as_str());
    assert!(seen, "an owner sees the organisation's jobs");
    let (_, kept) = crate::suite::json_of(suite.with_key(Method::GET, "/v1/files", &owner)).await;
    assert_eq!(kept["data"][0]["id"], file.as_str());
}
