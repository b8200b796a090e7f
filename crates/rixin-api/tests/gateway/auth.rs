//! The authorisation matrix: every route of the OpenAPI document, with every kind of caller.

use reqwest::{Method, RequestBuilder};
use rixin_store::Role;
use serde_json::{Value, json};

use crate::suite::Suite;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everybody.
    Open,
    /// Any key.
    Member,
    /// Admin keys.
    Admin,
    /// Admin keys, and without a key from this machine, which is where the test runs.
    AdminOrHere,
}
use Access::{Admin, AdminOrHere, Member, Open};

/// The one table: a route that is not here fails the test.
const MATRIX: &[(&str, &str, Access)] = &[
    ("GET", "/api/health", Open),
    ("GET", "/metrics", AdminOrHere),
    ("POST", "/v1/chat/completions", Member),
    ("POST", "/v1/completions", Member),
    ("POST", "/v1/embeddings", Member),
    ("GET", "/v1/models", Member),
    ("GET", "/v1/models/{id}", Member),
    ("POST", "/v1/responses", Member),
    ("GET", "/v1/responses/{id}", Member),
    ("DELETE", "/v1/responses/{id}", Member),
    ("GET", "/v1/responses/{id}/input_items", Member),
    ("POST", "/v1/messages", Member),
    ("POST", "/v1/messages/count_tokens", Member),
    ("GET", "/api/me", Member),
    ("GET", "/api/keys", Admin),
    ("POST", "/api/keys", Admin),
    ("DELETE", "/api/keys/{id}", Admin),
    ("GET", "/api/catalog", Member),
    ("GET", "/api/models", Member),
    ("GET", "/api/models/{id}", Member),
    ("DELETE", "/api/models/{id}", Admin),
    ("POST", "/api/models/{id}/verify", Admin),
    ("POST", "/api/pulls/preview", Admin),
    ("GET", "/api/pulls", Member),
    ("POST", "/api/pulls", Admin),
    ("GET", "/api/pulls/{id}", Member),
    ("DELETE", "/api/pulls/{id}", Admin),
    ("GET", "/api/pulls/{id}/events", Member),
    ("GET", "/api/replicas", Member),
    ("POST", "/api/replicas", Admin),
    ("DELETE", "/api/replicas/{id}", Admin),
    ("GET", "/api/externals", Admin),
    ("POST", "/api/externals", Admin),
    ("DELETE", "/api/externals/{id}", Admin),
    ("GET", "/api/conversations", Member),
    ("POST", "/api/conversations", Member),
    ("GET", "/api/conversations/{id}", Member),
    ("PATCH", "/api/conversations/{id}", Member),
    ("DELETE", "/api/conversations/{id}", Member),
    ("GET", "/api/conversations/{id}/export", Member),
    ("POST", "/api/conversations/{id}/messages", Member),
    ("GET", "/api/usage", Member),
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
        assert_eq!(secured, matches!(access, Member | Admin), "{method} {path}");
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
    let member = suite.key("member", Role::Member).await;
    let scope = suite.store.operator().default_scope().await.expect("scope");
    let revoked = suite.store.create_key(&scope, "revoked", Role::Admin).await.expect("key");
    suite.store.revoke_key(&scope, revoked.key.id).await.expect("revoked");
    let wrong = format!("rx-{}", "a".repeat(43));
    for (method, path, access) in MATRIX {
        let path = with_ids(path);
        let call = |key: Option<&str>| {
            let method: Method = method.parse().expect("a method");
            let body = matches!(method, Method::POST | Method::PATCH);
            let mut request = suite.bare(method, &path);
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            // A body that no route takes: whoever passes the door fails behind it, and nothing is changed.
            if body { request.json(&json!(0)) } else { request }
        };
        let what = format!("{method} {path}");
        let none = outcome(call(None)).await;
        let unknown = [outcome(call(Some(&wrong))).await, outcome(call(Some(&revoked.secret))).await];
        let as_member = outcome(call(Some(&member))).await;
        let as_admin = outcome(call(Some(&suite.admin))).await;
        assert!(![401, 403, 500].contains(&as_admin.0), "{what} as admin: {as_admin:?}");
        match access {
            Open | AdminOrHere => assert_eq!((none.0, as_member.0), (200, 200), "{what}"),
            Member | Admin => {
                assert_eq!(none, (401, "missing_api_key".into()), "{what} without a key");
                for unknown in unknown {
                    assert_eq!(
                        unknown,
                        (401, "invalid_api_key".into()),
                        "{what} with a key that does not work"
                    );
                }
                if *access == Admin {
                    assert_eq!(as_member, (403, "forbidden".into()), "{what} as member");
                } else {
                    assert!(![401, 403, 500].contains(&as_member.0), "{what} as member: {as_member:?}");
                }
            }
        }
    }
    // Behind a proxy on the same machine everybody seems to be here.
    let proxied = suite.bare(Method::GET, "/metrics").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(outcome(proxied).await.0, 401);
    let proxied = suite.with_key(Method::GET, "/metrics", &member).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(outcome(proxied).await.0, 403);
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
    let stranger = suite.store.create_key(&theirs, "theirs", Role::Admin).await.expect("key").secret;
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
