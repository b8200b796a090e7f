//! Connections to elsewhere: none that nobody asked for.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::suite::{Suite, json_of};

/// Set in the process that has no route.
const INSIDE: &str = "RIXIN_TEST_WITHOUT_A_ROUTE";
/// In a network namespace of its own, which has a loopback and nothing else.
const SCRIPT: &str = r#"ip link set lo up && exec "$0" "$@""#;

fn alone() -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", SCRIPT]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_route_does_all_of_its_work() {
    if std::env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    let may = alone().arg("true").output().is_ok_and(|done| done.status.success());
    if !may {
        println!("skipped: this machine does not let a test make a network namespace (unshare -rn, ip)");
        return;
    }
    let name = "outbound::a_server_without_a_route_does_all_of_its_work";
    let program = std::env::current_exe().expect("this test");
    let done = alone()
        .arg(program)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

async fn inside() {
    let routes = std::fs::read_to_string("/proc/net/route").expect("there");
    assert_eq!(routes.lines().count(), 1, "there is a route: {routes}");
    let elsewhere = std::net::TcpStream::connect_timeout(
        &"192.0.2.1:80".parse().expect("an address"),
        std::time::Duration::from_secs(1),
    );
    assert!(elsewhere.is_err());

    let (suite, _engine) = Suite::with_engine(&[]).await;
    let ask = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    let (status, answer) = json_of(suite.post("/v1/chat/completions").json(&ask)).await;
    assert_eq!(status, 200, "{answer}");
    let streamed = json!({"model": "echo", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let reply = suite.post("/v1/chat/completions").json(&streamed).send().await.expect("an answer");
    assert_eq!(
        crate::suite::events_of(reply).await.last().map(|event| event.1.clone()).as_deref(),
        Some("[DONE]")
    );

    let line =
        json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": ask}).to_string();
    let file = crate::files::uploaded(&suite, &suite.admin, line.as_bytes()).await;
    let bytes =
        suite.get(&format!("/v1/files/{file}/content")).send().await.expect("an answer").bytes().await;
    assert_eq!(bytes.expect("a body"), line.as_bytes());

    let job = json!({"kind": "import", "params": {"target": "/no/such.gguf", "accept_licence": true}});
    let (status, job) = json_of(suite.post("/api/jobs").json(&job)).await;
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().expect("an id");
    assert_eq!(json_of(suite.post(&format!("/api/jobs/{id}/cancel"))).await.0, 200);

    let (_, usage) = json_of(suite.get("/api/usage?by=model")).await;
    assert_eq!(usage["data"][0]["requests"], 2, "{usage}");
    let (_, audit) = json_of(suite.get("/api/audit")).await;
    assert!(audit["data"].as_array().is_some_and(|rows| rows.len() >= 4), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_allowance_is_told_and_offline_takes_them_away() {
    let (open, _engine) = Suite::with_engine(&[]).await;
    let (_, list) = json_of(open.get("/api/outbound")).await;
    let find = |list: &serde_json::Value, id: &str| {
        list["data"].as_array().expect("a list").iter().find(|one| one["name"] == id).cloned().expect("it")
    };
    assert_eq!(find(&list, "hf")["allowed"], true);
    let engine = find(&list, "external");
    assert_eq!(
        (&engine["allowed"], engine["targets"].as_array().map(Vec::len)),
        (&json!(false), Some(1)),
        "{engine}"
    );
    assert!(engine["why"].as_str().is_some_and(|why| why.contains("stays on this machine")), "{engine}");
    assert_eq!(
        (&find(&list, "database")["allowed"], &find(&list, "database")["targets"]),
        (&json!(false), &json!([]))
    );

    let shut =
        Suite::start(&[("offline", "true"), ("database_url", "postgres://u:hunter2@db.example/suite")]).await;
    let asked = shut.with_key(Method::GET, "/api/outbound", &shut.admin).header("accept-language", "zh-CN");
    let (_, list) = json_of(asked).await;
    for id in ["hf", "modelscope", "civitai", "pypi", "npm", "external", "bucket"] {
        assert_eq!(find(&list, id)["allowed"], false, "{id}");
    }
    let database = find(&list, "database");
    assert_eq!(
        (&database["allowed"], &database["targets"]),
        (&json!(true), &json!(["postgres://u@db.example:5432/suite"]))
    );
    assert!(!list.to_string().contains("hunter2") && find(&list, "hf")["why"] == "已设置 offline");
}
