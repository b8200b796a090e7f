//! Two organisations with everything in them, and every route that takes an id, tried with the other's: the answer is the very one that
//! an id gets which never was.

use reqwest::Method;
use rixin_base::{BatchId, ConversationId, FileId, JobId, KeyId, MemberId, ProjectId, SessionId};
use rixin_store::{LedgerEntry, Role, now_ms};
use serde_json::{Value, json};

use crate::{
    auth::documented,
    suite::{Suite, json_of},
    tenants::joined,
};

/// What a route's id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    /// Something of an organisation, by the name under which the test keeps it.
    Theirs(&'static str),
    /// Something of the machine: a caller of another organisation may not use it at all, or everybody sees the same.
    Machine,
}
use Id::{Machine, Theirs};

/// Every route of the document with an id in its path; one that is not here fails the test. The body is one that the route takes.
const ROUTES: &[(&str, &str, Id, &str)] = &[
    ("GET", "/v1/models/{id}", Machine, ""),
    ("GET", "/v1/responses/{id}", Theirs("response"), ""),
    ("DELETE", "/v1/responses/{id}", Theirs("response"), ""),
    ("GET", "/v1/responses/{id}/input_items", Theirs("response"), ""),
    ("GET", "/v1/files/{id}", Theirs("file"), ""),
    ("DELETE", "/v1/files/{id}", Theirs("file"), ""),
    ("GET", "/v1/files/{id}/content", Theirs("file"), ""),
    ("GET", "/v1/batches/{id}", Theirs("batch"), ""),
    ("POST", "/v1/batches/{id}/cancel", Theirs("batch"), ""),
    ("GET", "/api/jobs/{id}", Theirs("job"), ""),
    ("DELETE", "/api/jobs/{id}", Theirs("job"), ""),
    ("POST", "/api/jobs/{id}/cancel", Theirs("job"), ""),
    ("POST", "/api/jobs/{id}/retry", Theirs("job"), ""),
    ("GET", "/api/jobs/{id}/events", Theirs("job"), ""),
    ("GET", "/api/jobs/{id}/log", Theirs("job"), ""),
    ("DELETE", "/api/keys/{id}", Theirs("key"), ""),
    ("GET", "/api/members/{id}", Theirs("member"), ""),
    ("PATCH", "/api/members/{id}", Theirs("member"), r#"{"title": "stolen"}"#),
    ("DELETE", "/api/members/{id}", Theirs("member"), ""),
    ("POST", "/api/members/{id}/invitation", Theirs("member"), ""),
    ("PATCH", "/api/projects/{id}", Theirs("project"), r#"{"name": "stolen"}"#),
    ("DELETE", "/api/projects/{id}", Theirs("project"), ""),
    ("PATCH", "/api/organisations/{id}", Machine, r#"{"disabled": true}"#),
    ("DELETE", "/api/sessions/{id}", Theirs("session"), ""),
    ("GET", "/api/models/{id}", Machine, ""),
    ("DELETE", "/api/models/{id}", Machine, ""),
    ("POST", "/api/models/{id}/verify", Machine, ""),
    ("GET", "/api/pulls/{id}", Machine, ""),
    ("DELETE", "/api/pulls/{id}", Machine, ""),
    ("GET", "/api/pulls/{id}/events", Machine, ""),
    ("DELETE", "/api/replicas/{id}", Machine, ""),
    ("DELETE", "/api/externals/{id}", Machine, ""),
    ("GET", "/api/conversations/{id}", Theirs("conversation"), ""),
    ("PATCH", "/api/conversations/{id}", Theirs("conversation"), r#"{"title": "stolen"}"#),
    ("DELETE", "/api/conversations/{id}", Theirs("conversation"), ""),
    ("DELETE", "/api/quotas/{id}", Theirs("quota"), ""),
    ("GET", "/api/conversations/{id}/export", Theirs("conversation"), ""),
    (
        "POST",
        "/api/conversations/{id}/messages",
        Theirs("conversation"),
        r#"{"role": "user", "content": "x"}"#,
    ),
];

/// Ids in bodies and queries.
const ELSEWHERE: &[(&str, &str, &str, &str)] = &[
    ("GET", "/v1/files?after={id}", "file", ""),
    ("GET", "/v1/batches?after={id}", "batch", ""),
    (
        "POST",
        "/v1/batches",
        "file",
        r#"{"input_file_id": "{id}", "endpoint": "/v1/embeddings", "completion_window": "24h"}"#,
    ),
    (
        "POST",
        "/v1/responses",
        "response",
        r#"{"model": "echo", "input": "x", "previous_response_id": "{id}"}"#,
    ),
    ("POST", "/api/keys", "project", r#"{"name": "x", "role": "member", "project_id": "{id}"}"#),
];

/// Lists, searches and sums: nothing of the other organisation's is in them.
const LISTS: &[&str] = &[
    "/v1/files",
    "/v1/batches",
    "/api/jobs",
    "/api/keys",
    "/api/members",
    "/api/projects",
    "/api/sessions",
    "/api/sessions?all=true",
    "/api/conversations",
    "/api/conversations?q=Secretplan",
    "/api/usage",
    "/api/usage?by=day,key,model",
    "/api/quotas",
    // Not the audit log: it holds the ids that the caller itself has just tried.
];

/// An id of the same kind that nothing has.
fn never(kind: &str) -> String {
    match kind {
        "conversation" => ConversationId::new().to_string(),
        "response" => format!("resp_{}", "0".repeat(32)),
        "file" => FileId::new().to_string(),
        "batch" => BatchId::new().to_string(),
        "job" => JobId::new().to_string(),
        "key" => KeyId::new().to_string(),
        "member" => MemberId::new().to_string(),
        "project" => ProjectId::new().to_string(),
        "session" => SessionId::new().to_string(),
        "quota" => format!("quota_{}", rixin_base::RequestId::new().to_string().trim_start_matches("req_")),
        other => panic!("the test knows no {other}"),
    }
}

/// Fills the organisation of an owner's key with one of everything; gives the ids by kind.
async fn filled(suite: &Suite, key: &str) -> Vec<(&'static str, String)> {
    let make = async |path: &str, body: Value| {
        let (status, made) = json_of(suite.with_key(Method::POST, path, key).json(&body)).await;
        assert!((200..300).contains(&status), "{path}: {made}");
        made
    };
    let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
    let conversation = id(&make("/api/conversations", json!({"model": "echo", "title": "Secretplan"})).await);
    let said = json!({"role": "user", "content": "Secretplan, in a message"});
    make(&format!("/api/conversations/{conversation}/messages"), said).await;
    let response = id(&make("/v1/responses", json!({"model": "echo", "input": "Secretplan"})).await);
    let file = crate::files::uploaded(suite, key, b"{}\n").await;
    let batch = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let batch = id(&make("/v1/batches", batch).await);
    let (_, jobs) = json_of(suite.with_key(Method::GET, "/api/jobs", key)).await;
    let job = id(&jobs["data"][0]);
    let service = id(&make("/api/keys", json!({"name": "Secretplan key", "role": "member"})).await);
    let quota =
        json!({"subject": "key", "subject_id": service, "measure": "requests", "period": "day", "amount": 7});
    let quota = id(&make("/api/quotas", quota).await);
    let project = id(&make("/api/projects", json!({"name": "Secretplan project"})).await);
    let (member, cookie) = joined(suite, key, "secretplan", "member").await;
    let (_, sessions) = json_of(suite.bare(Method::GET, "/api/sessions").header("cookie", cookie)).await;
    let session = id(&sessions["data"][0]);
    let scope = suite.store.authenticate(key).await.expect("works").expect("known").scope;
    suite.store.record(LedgerEntry {
        id: rixin_base::RequestId::new().to_string(),
        tenant: scope.tenant(),
        key: scope.key(),
        job: None,
        at: now_ms(),
        kind: "chat".into(),
        model: "Secretplan".into(),
        prompt_tokens: 7,
        completion_tokens: 9,
        price_percent: 100,
        project: None,
        images: 0,
        job_seconds: 0,
    });
    vec![
        ("conversation", conversation),
        ("response", response),
        ("file", file),
        ("batch", batch),
        ("job", job),
        ("key", service),
        ("project", project),
        ("member", member),
        ("session", session),
        ("quota", quota),
    ]
}

#[test]
fn every_route_with_an_id_is_in_the_table() {
    let mut documented: Vec<_> = documented().into_iter().filter(|(_, path)| path.contains('{')).collect();
    let mut table: Vec<_> =
        ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    documented.sort();
    table.sort();
    assert_eq!(documented, table, "a route with an id and its line in ROUTES come together");
}

/// Everything of an answer that could tell something: status, body, and headers that say what is there.
async fn answer(
    suite: &Suite,
    key: &str,
    (method, path, body): (&str, &str, &str),
    id: &str,
) -> (u16, String) {
    let request = suite.with_key(method.parse().expect("a method"), &path.replace("{id}", id), key);
    let request = if body.is_empty() {
        request
    } else {
        request.header("content-type", "application/json").body(body.replace("{id}", id))
    };
    let reply = request.send().await.expect("an answer");
    let status = reply.status().as_u16();
    let kind = reply.headers().get("content-type").map(|value| value.to_str().unwrap_or_default().to_owned());
    let text = reply.text().await.expect("a body");
    (status, format!("{kind:?} {}", text.replace(id, "ID")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_organisation_leaks_not_even_that_it_exists() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    suite.store.operator().create_tenant("other").await.expect("made");
    let other = suite.store.operator().scope("other").await.expect("scope");
    let stranger = suite.store.create_key(&other, "theirs", Role::Owner).await.expect("key").secret;
    let ours = filled(&suite, &suite.admin).await;
    // The other way round too: the host's owner looks after the machine, and not into other organisations.
    let theirs = filled(&suite, &stranger).await;

    for (caller, ids) in [(&stranger, &ours), (&suite.admin, &theirs)] {
        let of = |kind: &str| ids.iter().find(|(known, _)| *known == kind).expect(kind).1.clone();
        for (method, path, id, body) in ROUTES {
            let Theirs(kind) = id else { continue };
            let real = answer(&suite, caller, (method, path, body), &of(kind)).await;
            let none = answer(&suite, caller, (method, path, body), &never(kind)).await;
            assert_eq!(real, none, "{method} {path} tells that it exists");
            assert_eq!(real.0, 404, "{method} {path}: {}", real.1);
        }
        for (method, path, kind, body) in ELSEWHERE {
            let real = answer(&suite, caller, (method, path, body), &of(kind)).await;
            let none = answer(&suite, caller, (method, path, body), &never(kind)).await;
            assert_eq!(real, none, "{method} {path} tells that it exists");
            assert_eq!(real.0, 404, "{method} {path}: {}", real.1);
        }
        for path in LISTS {
            let (status, list) = json_of(suite.with_key(Method::GET, path, caller)).await;
            assert_eq!(status, 200, "{path}: {list}");
            for (kind, id) in ids {
                assert!(!list.to_string().contains(id.as_str()), "{path} shows the other's {kind}");
            }
        }
        let (_, usage) = json_of(suite.with_key(Method::GET, "/api/usage", caller)).await;
        let tokens: i64 = usage["data"]
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["model"] == "Secretplan")
            .filter_map(|row| row["prompt_tokens"].as_i64())
            .sum();
        assert_eq!(tokens, 7, "the own use and no other: {usage}");
    }
    // What the other organisation may not use at all says so without looking.
    for (method, path, id, body) in ROUTES {
        if *id == Machine
            && !path.starts_with("/v1/models")
            && !(*method == "GET" && path.starts_with("/api/models"))
        {
            let found = answer(&suite, &stranger, (method, path, body), "anything").await;
            assert_eq!(found.0, 403, "{method} {path}: {}", found.1);
        }
    }
    // And everything is still where it was, with its owner.
    for (kind, path) in [
        ("conversation", "/api/conversations/{id}"),
        ("response", "/v1/responses/{id}"),
        ("file", "/v1/files/{id}"),
        ("batch", "/v1/batches/{id}"),
        ("job", "/api/jobs/{id}"),
        ("member", "/api/members/{id}"),
    ] {
        for (owner, ids) in [(&suite.admin, &ours), (&stranger, &theirs)] {
            let id = &ids.iter().find(|(known, _)| *known == kind).expect(kind).1;
            let found = answer(&suite, owner, ("GET", path, ""), id).await;
            assert_eq!(found.0, 200, "{kind}: {}", found.1);
        }
    }
}
