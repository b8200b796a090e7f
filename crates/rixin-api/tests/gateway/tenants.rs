//! Keys that are narrowed, members who sign in, organisations that the host makes.

use reqwest::{Method, RequestBuilder};
use rixin_store::{Role, now_ms};
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

const PASSWORD: &str = "correct horse battery";

/// A request as the console's page sends it.
pub fn from_page(suite: &Suite, method: Method, path: &str) -> RequestBuilder {
    suite.bare(method, path).header("origin", &suite.url)
}

/// The cookie that an answer sets.
pub async fn cookie_of(request: RequestBuilder) -> String {
    let reply = request.send().await.expect("an answer");
    let status = reply.status();
    let cookie = reply.headers().get("set-cookie").map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(status, 201, "{}", reply.text().await.expect("a body"));
    let cookie = cookie.expect("a cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a pair").to_owned()
}

/// Adds a member and uses the link; gives the id and the cookie.
pub async fn joined(suite: &Suite, key: &str, name: &str, role: &str) -> (String, String) {
    let new = suite.with_key(Method::POST, "/api/members", key).json(&json!({"name": name, "role": role}));
    let (status, made) = json_of(new).await;
    assert_eq!(status, 201, "{made}");
    let accept = json!({"token": made["invitation"]["token"], "password": PASSWORD});
    let cookie = cookie_of(from_page(suite, Method::POST, "/api/invitation").json(&accept)).await;
    (made["member"]["id"].as_str().expect("an id").to_owned(), cookie)
}

async fn code_of(request: RequestBuilder) -> (u16, String) {
    crate::auth::outcome(request).await
}

async fn narrowed(suite: &Suite, more: Value) -> String {
    let mut new = json!({"name": "narrow", "role": "admin"});
    new.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let (status, made) = json_of(suite.post("/api/keys").json(&new)).await;
    assert_eq!((status, made["role"].as_str()), (201, Some("owner")), "{made}");
    made["key"].as_str().expect("a secret").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_to_its_models_in_every_protocol() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let key = narrowed(&suite, json!({"models": ["alias"]})).await;
    let (_, models) = json_of(suite.with_key(Method::GET, "/v1/models", &key)).await;
    let ids: Vec<&str> =
        models["data"].as_array().expect("models").iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["alias"]);
    assert_eq!(code_of(suite.with_key(Method::GET, "/v1/models/echo", &key)).await.1, "model_not_found");
    let said = json!([{"role": "user", "content": "hi"}]);
    for (path, body) in [
        ("/v1/chat/completions", json!({"messages": said})),
        ("/v1/completions", json!({"prompt": "hi"})),
        ("/v1/embeddings", json!({"input": "hi"})),
        ("/v1/responses", json!({"input": "hi"})),
        ("/v1/messages", json!({"messages": said, "max_tokens": 5})),
    ] {
        let ask = |model: &str| {
            let mut body = body.clone();
            body["model"] = json!(model);
            suite.with_key(Method::POST, path, &key).json(&body)
        };
        let (status, refused) = json_of(ask("echo")).await;
        assert_eq!(status, 403, "{path}: {refused}");
        assert!(refused.to_string().contains("model_not_allowed"), "{path}: {refused}");
        let allowed = ask("alias").send().await.expect("an answer").status().as_u16();
        assert_ne!(allowed, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_to_its_networks_date_and_scopes() {
    let suite = Suite::start(&[("trusted_proxies", "127.0.0.0/8")]).await;
    let key = narrowed(&suite, json!({"networks": ["198.51.100.0/24", "2001:db8::/32"]})).await;
    let from = |address: &str| {
        code_of(suite.with_key(Method::GET, "/api/me", &key).header("x-forwarded-for", address))
    };
    assert_eq!(from("198.51.100.7").await.0, 200);
    assert_eq!(from("2001:db8:5::1").await.0, 200);
    for outside in ["203.0.113.9", "2001:db9::1", "198.51.100.7, 203.0.113.9"] {
        assert_eq!(from(outside).await, (403, "network_not_allowed".into()), "{outside}");
    }
    assert_eq!(
        code_of(suite.with_key(Method::GET, "/api/me", &key)).await.0,
        403,
        "this machine is not in it"
    );

    let soon = narrowed(&suite, json!({"expires_at": now_ms() + 1500})).await;
    assert_eq!(code_of(suite.with_key(Method::GET, "/api/me", &soon)).await.0, 200);
    let started = std::time::Instant::now();
    loop {
        let found = code_of(suite.with_key(Method::GET, "/api/me", &soon)).await;
        if found.0 != 200 {
            assert_eq!(found, (401, "key_expired".into()));
            break;
        }
        assert!(started.elapsed().as_secs() < 10, "it still works");
    }

    let scoped = narrowed(&suite, json!({"scopes": ["own_usage", "own_keys", "keys"]})).await;
    assert_eq!(code_of(suite.with_key(Method::GET, "/api/usage", &scoped)).await.0, 200);
    assert_eq!(
        code_of(suite.with_key(Method::GET, "/api/members", &scoped)).await,
        (403, "out_of_scope".into())
    );
    let wider = json!({"name": "wider", "role": "member"});
    let wider = suite.with_key(Method::POST, "/api/keys", &scoped).json(&wider);
    assert_eq!(code_of(wider).await, (403, "forbidden".into()), "no key makes a key that may more");
    let same = json!({"name": "same", "role": "member", "scopes": ["own_usage"]});
    let same = suite.with_key(Method::POST, "/api/keys", &scoped).json(&same);
    assert_eq!(code_of(same).await.0, 201);
    for (field, value) in
        [("networks", json!(["10.0.0.0/33"])), ("expires_at", json!(1)), ("models", json!([]))]
    {
        let mut bad = json!({"name": "bad", "role": "member"});
        bad[field] = value;
        let (status, body) = json_of(suite.post("/api/keys").json(&bad)).await;
        assert_eq!((status, body["error"]["param"].as_str()), (400, Some(field)), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_in_and_works_as_with_a_key() {
    let suite = Suite::start(&[]).await;
    let (id, first) = joined(&suite, &suite.admin, "li", "member").await;
    let sign = json!({"name": "Li", "password": PASSWORD});
    let cookie = cookie_of(from_page(&suite, Method::POST, "/api/session").json(&sign)).await;
    let page = |method: Method, path: &str| from_page(&suite, method, path).header("cookie", &cookie);
    let (_, me) = json_of(page(Method::GET, "/api/me")).await;
    assert_eq!(
        (&me["member_id"], &me["signed_in"], &me["role"]),
        (&json!(id), &json!(true), &json!("member"))
    );
    let talk = page(Method::POST, "/api/conversations").json(&json!({"model": "m", "title": "mine"}));
    assert_eq!(json_of(talk).await.0, 201);
    let (_, list) = json_of(suite.bare(Method::GET, "/api/conversations").header("cookie", &first)).await;
    assert_eq!(list["data"][0]["title"], "mine", "both sessions are the same person's");

    // Another site's page, a program without an Origin, and a page on another port.
    for origin in [Some("https://evil.example"), None, Some("http://127.0.0.1:1")] {
        let mut request = suite.bare(Method::POST, "/api/conversations").header("cookie", &cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let found = code_of(request.json(&json!({"model": "m"}))).await;
        assert_eq!(found.0, 403, "{origin:?}: {found:?}");
    }
    assert_eq!(code_of(page(Method::GET, "/api/members")).await, (403, "forbidden".into()));

    // A key of one's own goes when one goes, and reaches no further.
    let own = page(Method::POST, "/api/keys").json(&json!({"name": "script", "role": "member"}));
    let (status, own) = json_of(own).await;
    assert_eq!((status, own["member_id"].as_str()), (201, Some(id.as_str())), "{own}");
    let own = own["key"].as_str().expect("a secret").to_owned();
    let more = page(Method::POST, "/api/keys").json(&json!({"name": "more", "role": "owner"}));
    assert_eq!(code_of(more).await, (403, "forbidden".into()));
    let change = json!({"old": PASSWORD, "new": "another horse battery"});
    let by_key = suite.with_key(Method::POST, "/api/password", &own).json(&change);
    assert_eq!(code_of(by_key).await.0, 409, "a key is not enough");

    let (_, sessions) = json_of(page(Method::GET, "/api/sessions")).await;
    let sessions = sessions["data"].as_array().expect("sessions").clone();
    assert_eq!(sessions.iter().filter(|one| one["current"] == true).count(), 1);
    let other = sessions.iter().find(|one| one["current"] == false).expect("the link's")["id"].clone();
    let end = page(Method::DELETE, &format!("/api/sessions/{}", other.as_str().expect("an id")));
    assert_eq!(end.send().await.expect("an answer").status(), 204);
    let ended = suite.bare(Method::GET, "/api/me").header("cookie", &first);
    assert_eq!(code_of(ended).await, (401, "session_ended".into()));

    let wrong =
        page(Method::POST, "/api/password").json(&json!({"old": "wrong", "new": "another horse battery"}));
    assert_eq!(code_of(wrong).await, (401, "wrong_credentials".into()));
    let changed = page(Method::POST, "/api/password").json(&change);
    assert_eq!(changed.send().await.expect("an answer").status(), 204);
    let old = from_page(&suite, Method::POST, "/api/session").json(&sign);
    assert_eq!(code_of(old).await, (401, "wrong_credentials".into()));

    let patch = suite.with_key(Method::PATCH, &format!("/api/members/{id}"), &suite.admin);
    assert_eq!(json_of(patch.json(&json!({"disabled": true}))).await.0, 200);
    assert_eq!(code_of(page(Method::GET, "/api/me")).await, (401, "session_ended".into()), "at once");
    assert_eq!(code_of(suite.with_key(Method::GET, "/api/me", &own)).await, (401, "invalid_api_key".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow_and_a_session_is_signed_out() {
    let suite = Suite::start(&[]).await;
    let (_, cookie) = joined(&suite, &suite.admin, "li", "member").await;
    let out = from_page(&suite, Method::DELETE, "/api/session").header("cookie", &cookie);
    assert_eq!(out.send().await.expect("an answer").status(), 204);
    let gone = suite.bare(Method::GET, "/api/me").header("cookie", &cookie);
    assert_eq!(code_of(gone).await, (401, "session_ended".into()));

    let guess = |name: &str| {
        let body = json!({"name": name, "password": "a wrong password"});
        code_of(from_page(&suite, Method::POST, "/api/session").json(&body))
    };
    let mut refused = 0;
    for _ in 0..12 {
        match guess("li").await {
            (401, code) => assert_eq!(code, "wrong_credentials"),
            (429, code) => {
                assert_eq!(code, "rate_limited");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused >= 1, "one name is tried ten times a minute");
    assert_eq!(guess("wang").await.0, 401, "another name is another count");
    let other_site = suite.bare(Method::POST, "/api/session").header("origin", "https://evil.example");
    let other_site = other_site.json(&json!({"name": "wang", "password": "x"}));
    assert_eq!(code_of(other_site).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_makes_and_disables_organisations() {
    let suite = Suite::start(&[]).await;
    let new = suite.post("/api/organisations").json(&json!({"name": "学院", "owner": "dean"}));
    let (status, made) = json_of(new).await;
    assert_eq!(status, 201, "{made}");
    let accept = json!({"token": made["invitation"]["token"], "password": PASSWORD});
    let cookie = cookie_of(from_page(&suite, Method::POST, "/api/invitation").json(&accept)).await;
    let (_, me) = json_of(suite.bare(Method::GET, "/api/me").header("cookie", &cookie)).await;
    assert_eq!((&me["role"], &me["host"]), (&json!("owner"), &json!(false)));
    let theirs = suite.bare(Method::GET, "/api/organisations").header("cookie", &cookie);
    assert_eq!(code_of(theirs).await, (403, "forbidden".into()));

    let sign = json!({"organisation": "学院", "name": "dean", "password": PASSWORD});
    let signing = || from_page(&suite, Method::POST, "/api/session").json(&sign);
    cookie_of(signing()).await;
    let path = format!("/api/organisations/{}", made["organisation"]["id"].as_str().expect("an id"));
    let patch = |disabled: bool| {
        json_of(suite.with_key(Method::PATCH, &path, &suite.admin).json(&json!({"disabled": disabled})))
    };
    assert_eq!(patch(true).await.0, 200);
    let shut = suite.bare(Method::GET, "/api/me").header("cookie", &cookie);
    assert_eq!(code_of(shut).await, (401, "session_ended".into()));
    assert_eq!(code_of(signing()).await, (401, "wrong_credentials".into()));
    assert_eq!(patch(false).await.0, 200);
    cookie_of(signing()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_keeps_its_keys_together() {
    let suite = Suite::start(&[]).await;
    let (status, project) = json_of(suite.post("/api/projects").json(&json!({"name": "site"}))).await;
    assert_eq!(status, 201, "{project}");
    let id = project["id"].as_str().expect("an id");
    let key = narrowed(&suite, json!({"project_id": id})).await;
    let close = suite.with_key(Method::DELETE, &format!("/api/projects/{id}"), &suite.admin);
    assert!(json_of(close).await.1["closed_at"].is_i64());
    assert_eq!(code_of(suite.with_key(Method::GET, "/api/me", &key)).await, (401, "invalid_api_key".into()));
    let late = suite.post("/api/keys").json(&json!({"name": "late", "role": "member", "project_id": id}));
    assert_eq!(code_of(late).await, (404, "not_found".into()));
    let member = suite.key("m", Role::Member).await;
    let own =
        suite.with_key(Method::POST, "/api/keys", &member).json(&json!({"name": "x", "role": "member"}));
    assert_eq!(code_of(own).await, (403, "forbidden".into()), "a member's service key belongs to no person");
}
