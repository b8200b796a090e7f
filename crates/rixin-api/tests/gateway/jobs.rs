//! `/api/jobs`.

use reqwest::Method;
use rixin_base::{Code, Fault};
use rixin_store::{Cause, JobProgress, Next, Role};
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

fn import(target: &str) -> Value {
    json!({"kind": "import", "params": {"target": target}})
}

/// Submits a job; gives its id.
async fn submitted(suite: &Suite, body: Value) -> String {
    let (status, job) = json_of(suite.post("/api/jobs").json(&body)).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

/// The ids, names and data of a whole event stream.
async fn events(suite: &Suite, job: &str, after: Option<u64>) -> Vec<(u64, String, Value)> {
    let mut request = suite.get(&format!("/api/jobs/{job}/events"));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let reply = request.send().await.expect("an answer");
    assert_eq!(reply.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = reply.text().await.expect("a whole stream");
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')) {
        let field = |name: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {block}")).to_owned()
        };
        let data = serde_json::from_str(&field("data: ")).expect("JSON");
        events.push((field("id: ").parse().expect("a number"), field("event: "), data));
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_told_in_the_callers_language() {
    let suite = Suite::start(&[]).await;
    let (_, kinds) = json_of(suite.get("/api/job-kinds").header("accept-language", "zh")).await;
    let kinds = kinds["data"].as_array().expect("kinds");
    let import = kinds.iter().find(|kind| kind["name"] == "import").expect("there");
    assert_eq!(import, &json!({"name": "import", "about": "将模型导入模型库", "open": true, "admin": true}));
    assert!(kinds.iter().any(|kind| kind["name"] == "batch" && kind["open"] == false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_submission_is_told_in_both_languages() {
    let suite = Suite::start(&[]).await;
    let with = |field: &str, value: Value| {
        let mut body = import("x");
        body[field] = value;
        body
    };
    for (body, code, param) in [
        (json!({}), "missing_field", "kind"),
        (json!({"kind": "nothing"}), "invalid_value", "kind"),
        (json!({"kind": "batch"}), "invalid_value", "kind"),
        (json!({"kind": "import"}), "missing_field", "params"),
        (import(""), "invalid_value", "params.target"),
        (json!({"kind": "import", "params": {"target": 5}}), "invalid_value", "params.target"),
        (with("resources", json!({"cores": 5000})), "invalid_value", "resources.cores"),
        (with("priority", json!(101)), "invalid_value", "priority"),
        (with("title", json!("a\nb")), "invalid_value", "title"),
        (with("needs", json!(vec!["x"; 101])), "invalid_value", "needs"),
        (with("colour", json!(1)), "invalid_value", "colour"),
    ] {
        for (lang, chinese) in [("en", false), ("zh-CN", true)] {
            let request = suite.post("/api/jobs").header("accept-language", lang).json(&body);
            let (status, answer) = json_of(request).await;
            let error = &answer["error"];
            assert_eq!((status, &error["code"]), (400, &json!(code)), "{body}: {answer}");
            if error["param"] != "colour" && param != "colour" {
                assert_eq!(&error["param"], param, "{body}: {answer}");
            }
            let message = error["message"].as_str().expect("a message");
            assert_eq!(message.chars().any(|c| c > '\u{4e00}'), chinese, "{message}");
        }
    }
    let (_, answer) = json_of(suite.post("/api/jobs").json(&json!({"kind": "batch"}))).await;
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("POST /v1/batches")));
    let missing = with("needs", json!([rixin_base::JobId::new()]));
    assert_eq!(json_of(suite.post("/api/jobs").json(&missing)).await.0, 404);
    let member = suite.key("member", Role::Member).await;
    let (status, answer) =
        json_of(suite.with_key(Method::POST, "/api/jobs", &member).json(&import("x"))).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
    assert_eq!(json_of(suite.get("/api/jobs")).await.1["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_submitted_listed_and_shown() {
    let suite = Suite::start(&[]).await;
    let body = json!({"kind": "import", "params": {"target": "hf:a/b", "by": "somebody else"}, "title": " 导入 ",
                      "priority": 5, "resources": {"cores": 2, "time_limit_secs": 60}});
    let (status, first) = json_of(suite.post("/api/jobs").json(&body)).await;
    assert_eq!(status, 202, "{first}");
    assert_eq!(
        (&first["state"], &first["title"], &first["priority"]),
        (&json!("queued"), &json!("导入"), &json!(5))
    );
    assert_eq!(first["params"]["by"], "admin", "who accepts a licence is filled in");
    assert_eq!(
        (&first["resources"]["cores"], &first["resources"]["time_limit_secs"]),
        (&json!(2), &json!(60))
    );
    let first = first["id"].as_str().expect("an id").to_owned();
    let mut waiting = import("x");
    waiting["needs"] = json!([first]);
    let second = submitted(&suite, waiting).await;
    let (_, whole) = json_of(suite.get(&format!("/api/jobs/{second}"))).await;
    assert_eq!(
        (&whole["job"]["state"], &whole["needs"], &whole["attempts"]),
        (&json!("blocked"), &json!([first]), &json!([]))
    );

    let (mut seen, mut after) = (Vec::new(), String::new());
    while let (200, page) = json_of(suite.get(&format!("/api/jobs?limit=1{after}"))).await {
        seen.extend(page["data"].as_array().expect("jobs").iter().map(|job| job["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, [json!(second), json!(first)]);
    let count = |query: &'static str| {
        let request = suite.get(&format!("/api/jobs{query}"));
        async move { json_of(request).await.1["data"].as_array().map(Vec::len) }
    };
    assert_eq!(count("?state=blocked").await, Some(1));
    assert_eq!(count("?state=blocked,queued,starting,running").await, Some(2));
    assert_eq!(count("?kind=batch").await, Some(0));
    let (status, error) = json_of(suite.get("/api/jobs?state=asleep")).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("state")));
    assert_eq!(json_of(suite.get("/api/jobs?after=nonsense")).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_happen_and_go_on_where_a_reader_stopped() {
    let suite = Suite::start(&[]).await;
    let id = submitted(&suite, import("x")).await;
    let played = suite.play(&id, 1).await;
    // A reader from the start, while the attempt works.
    let live = suite.get(&format!("/api/jobs/{id}/events")).send().await.expect("an answer");
    let progress =
        JobProgress { fraction: Some(0.5), stage: "fetch".into(), done: 1, ..JobProgress::default() };
    let told = [
        ("log", json!({"lines": ["INFO one", "WARN 二"], "left_out": 3})),
        ("metric", json!({"points": []})),
    ];
    played.scope.tell(Some(&progress), &told).await.expect("told");
    let fault = Fault::new(Code::SourceFailed, "the hub is away", "模型站点无响应");
    let again = Next::Queue { not_before: 0, resources: None };
    played.scope.fail(Cause::Unavailable, &fault, again).await.expect("ended");
    let second = suite.play(&id, 2).await;
    second.scope.tell(None, &[("log", json!({"lines": ["INFO three"], "left_out": 0}))]).await.expect("told");
    second.scope.finish(&json!({"model": "m"}), &[]).await.expect("finished");
    let live = live.text().await.expect("it ends with the job");

    let all = events(&suite, &id, None).await;
    assert_eq!(
        all.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
        (1..=all.len() as u64).collect::<Vec<_>>()
    );
    let states: Vec<&str> = all
        .iter()
        .filter(|(_, kind, _)| kind == "state")
        .filter_map(|(.., data)| data["data"]["state"].as_str())
        .collect();
    assert_eq!(states, ["queued", "starting", "running", "queued", "starting", "running", "succeeded"]);
    assert!(live.contains("\"state\":\"succeeded\"") && live.contains("id: 1\n"), "{live}");
    assert_eq!(live.matches("\nevent: ").count(), all.len());
    let failed =
        all.iter().find(|(.., data)| data["data"]["cause"] == "unavailable").expect("the failure is told");
    assert_eq!(failed.2["data"]["reason"], "the hub is away");
    for after in 0..=all.len() {
        assert_eq!(events(&suite, &id, Some(after as u64)).await, all[after..], "after {after}");
    }
    let (status, _) =
        json_of(suite.get(&format!("/api/jobs/{id}/events")).header("last-event-id", "x")).await;
    assert_eq!(status, 400);
    let by_query =
        suite.get(&format!("/api/jobs/{id}/events?after={}", all.len() - 1)).send().await.expect("an answer");
    assert_eq!(by_query.text().await.expect("text").matches("\nevent: ").count(), 1);

    let log = suite.get(&format!("/api/jobs/{id}/log")).send().await.expect("an answer");
    assert_eq!(log.headers()["content-type"], "text/plain; charset=utf-8");
    let expected = "--- attempt 1\nINFO one\nWARN 二\n... 3 lines left out\n--- attempt 2\nINFO three\n";
    assert_eq!(log.text().await.expect("text"), expected);
    let last = suite.get(&format!("/api/jobs/{id}/log?lines=1")).send().await.expect("an answer");
    assert_eq!(last.text().await.expect("text"), "INFO three\n");

    let (_, whole) = json_of(suite.get(&format!("/api/jobs/{id}")).header("accept-language", "zh")).await;
    assert_eq!(
        (&whole["job"]["state"], &whole["job"]["result"]),
        (&json!("succeeded"), &json!({"model": "m"}))
    );
    assert_eq!(whole["job"]["failures"], json!({"unavailable": 1}));
    let attempts = whole["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0]["reason"], json!({"code": "source_failed", "message": "模型站点无响应"}));
    assert_eq!((&attempts[0]["cause"], &attempts[1]["number"]), (&json!("unavailable"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_cancelled_tried_again_and_removed() {
    let suite = Suite::start(&[]).await;
    let post = |path: String| json_of(suite.post(&path));
    let first = submitted(&suite, import("x")).await;
    let mut waiting = import("y");
    waiting["needs"] = json!([first]);
    let second = submitted(&suite, waiting).await;
    let (status, job) = post(format!("/api/jobs/{second}/cancel")).await;
    assert_eq!((status, &job["state"], &job["cancelling"]), (200, &json!("cancelled"), &json!(false)));

    let played = suite.play(&first, 1).await;
    let (_, job) = post(format!("/api/jobs/{first}/cancel")).await;
    assert_eq!((&job["state"], &job["cancelling"]), (&json!("running"), &json!(true)));
    assert!(!played.scope.wanted().await.expect("still its attempt"), "the process sees it");
    let remove = |id: &str| suite.with_key(Method::DELETE, &format!("/api/jobs/{id}"), &suite.admin);
    assert_eq!(json_of(remove(&first)).await.0, 409, "it is not over");
    let fault = Fault::new(Code::Cancelled, "cancelled", "已取消");
    played.scope.fail(Cause::Cancelled, &fault, Next::Cancel).await.expect("let go");
    let (_, whole) = json_of(suite.get(&format!("/api/jobs/{first}"))).await;
    assert_eq!((&whole["job"]["state"], &whole["job"]["cancelling"]), (&json!("cancelled"), &json!(false)));
    assert_eq!(
        post(format!("/api/jobs/{first}/cancel")).await.1["state"],
        "cancelled",
        "once more changes nothing"
    );

    let (status, job) = post(format!("/api/jobs/{first}/retry")).await;
    assert_eq!((status, &job["state"]), (200, &json!("queued")));
    let again = suite.play(&first, 2).await;
    again.scope.finish(&json!({}), &[]).await.expect("finished");
    let (status, error) = post(format!("/api/jobs/{first}/retry")).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("conflict")), "it has succeeded");
    for id in [&first, &second] {
        assert_eq!(remove(id).send().await.expect("an answer").status(), 204);
        assert_eq!(json_of(suite.get(&format!("/api/jobs/{id}"))).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempts_token_asks_models_for_the_jobs_owner_and_nothing_else() {
    let (suite, _engine) = Suite::with_engine(&[("requests_per_minute", "1")]).await;
    let id = submitted(&suite, import("x")).await;
    let played = suite.play(&id, 1).await;
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    let ask = || suite.with_key(Method::POST, "/v1/chat/completions", &played.token).json(&body);
    let asked = futures::future::join_all((0..16).map(|_| json_of(ask()))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "no limit by minute: {:?}", asked[0]);
    assert_eq!(json_of(suite.with_key(Method::GET, "/v1/models", &played.token)).await.0, 200);
    for (method, path) in [
        (Method::GET, "/api/me"),
        (Method::GET, "/api/jobs"),
        (Method::POST, "/api/jobs"),
        (Method::GET, "/v1/files"),
        (Method::POST, "/v1/batches"),
        (Method::POST, "/v1/responses"),
        (Method::GET, "/api/conversations"),
        (Method::POST, "/api/keys"),
    ] {
        let request = suite.with_key(method.clone(), path, &played.token);
        let (status, error) = json_of(request.json(&json!({}))).await;
        assert_eq!((status, &error["error"]["code"]), (403, &json!("forbidden")), "{method} {path}");
    }
    let (_, usage) = json_of(suite.get("/api/usage")).await;
    assert_eq!(usage["data"], json!([]), "the gateway does not meter what the job's own transactions do");
    played.scope.finish(&json!({}), &[]).await.expect("finished");
    // What was trusted for a moment is not any more.
    let gone = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            look.tick().await;
            if json_of(ask()).await.0 == 401 {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(3), gone)
        .await
        .expect("the token ends with its attempt");
    let wrong = format!("rxj-{}", "a".repeat(43));
    assert_eq!(json_of(suite.with_key(Method::GET, "/v1/models", &wrong)).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_a_client_names_alike_are_metered_each() {
    let (suite, _engine) = Suite::with_engine(&[]).await;
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..3 {
        let request = suite.post("/v1/chat/completions").header("x-request-id", "same").json(&body);
        assert_eq!(json_of(request).await.0, 200);
    }
    let (_, usage) = json_of(suite.get("/api/usage")).await;
    let row = &usage["data"][0];
    assert_eq!((row["requests"].as_u64(), row["prompt_tokens"].as_u64()), (Some(3), Some(33)), "{usage}");
}
