//! Jobs on a real suite with a real model: what is killed goes on, and every result is there exactly once.

use std::{collections::BTreeSet, time::Duration};

use rixin_tests::{MODEL, Suite, is_alive, kill_hard, until};
use serde_json::{Value, json};

const LINES: usize = 120;

async fn get(suite: &Suite, path: &str) -> Value {
    let response = suite.client().get(format!("{}{path}", suite.url)).send().await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.expect("JSON")
}

async fn post(suite: &Suite, path: &str, body: &Value) -> Value {
    let response =
        suite.client().post(format!("{}{path}", suite.url)).json(body).send().await.expect("an answer");
    let status = response.status();
    let body: Value = response.json().await.expect("JSON");
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

/// Uploads lines as a file for a batch; its id.
async fn upload(suite: &Suite, lines: &str) -> String {
    let boundary = "x-x-x-x";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n{lines}\r\n--{boundary}--\r\n"
    );
    let response = suite
        .client()
        .post(format!("{}/v1/files", suite.url))
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(body)
        .send()
        .await
        .expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    response.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned()
}

fn line(number: usize) -> String {
    // the odd one out asks a model that is not there: an error of its line alone
    let model = if number == 7 { "no-such-model" } else { MODEL };
    json!({"custom_id": format!("q{number}"), "method": "POST", "url": "/v1/chat/completions", "body": {
        "model": model, "max_tokens": 4, "temperature": 0,
        "messages": [{"role": "user", "content": format!("What is {number} + 1?")}],
    }})
    .to_string()
}

async fn batch(suite: &Suite) -> Value {
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let file = upload(suite, &lines.join("\n")).await;
    let body = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    post(suite, "/v1/batches", &body).await
}

/// The running attempt's process, when it has answered at least `most` lines.
async fn working(suite: &Suite, done: u64) -> (String, u32) {
    let mut found = None;
    until("a job works", Duration::from_secs(120), async || {
        let jobs = get(suite, "/api/jobs?state=running").await;
        let Some(job) = jobs["data"].as_array().and_then(|jobs| jobs.first()).cloned() else { return false };
        let id = job["id"].as_str().expect("an id").to_owned();
        let job = get(suite, &format!("/api/jobs/{id}")).await;
        let pid = job["attempts"].as_array().and_then(|a| a.last()).and_then(|a| a["place"]["pid"].as_u64());
        let (Some(pid), true) = (pid, job["job"]["progress"]["done"].as_u64().unwrap_or(0) >= done) else {
            return false;
        };
        found = Some((id, u32::try_from(pid).expect("a process number")));
        true
    })
    .await;
    found.expect("until has waited for it")
}

async fn completed(suite: &Suite, id: &str) -> Value {
    let mut last = Value::Null;
    until("the batch is over", Duration::from_secs(300), async || {
        last = get(suite, &format!("/v1/batches/{id}")).await;
        matches!(last["status"].as_str(), Some("completed" | "failed" | "cancelled"))
    })
    .await;
    last
}

async fn content(suite: &Suite, file: &Value) -> Vec<Value> {
    let url = format!("{}/v1/files/{}/content", suite.url, file.as_str().expect("an id"));
    let text = suite.client().get(url).send().await.expect("an answer").text().await.expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn requests(suite: &Suite) -> u64 {
    let usage = get(suite, "/api/usage?days=2").await;
    usage["data"].as_array().expect("rows").iter().map(|row| row["requests"].as_u64().unwrap_or(0)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_survives_the_death_of_its_process_its_replica_and_its_gateway() {
    let Some(mut suite) = Suite::with_model(&[("RIXIN_CONTEXT_LENGTH", "1024")]) else { return };
    let made = batch(&suite).await;
    let id = made["id"].as_str().expect("an id").to_owned();

    let (job, worker) = working(&suite, 1).await;
    kill_hard(worker);
    let (_, second) = working(&suite, 10).await;
    assert_ne!(worker, second);
    for replica in suite.replica_pids().into_iter().filter(|pid| *pid != second) {
        kill_hard(replica);
    }
    let (_, third) = working(&suite, 30).await;
    suite.crash_and_restart();
    until("the process ends with its gateway", Duration::from_secs(5), async || !is_alive(third)).await;

    let done = completed(&suite, &id).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["request_counts"], json!({"total": LINES, "completed": LINES - 1, "failed": 1}));
    let answers = content(&suite, &done["output_file_id"]).await;
    let ids: Vec<String> =
        answers.iter().map(|a| a["custom_id"].as_str().expect("an id").to_owned()).collect();
    let wanted: Vec<String> = (0..LINES).filter(|n| *n != 7).map(|n| format!("q{n}")).collect();
    assert_eq!(ids, wanted, "every line once, in the input's order");
    assert!(answers.iter().all(|answer| answer["response"]["status_code"] == 200));
    let errors = content(&suite, &done["error_file_id"]).await;
    assert_eq!(errors.len(), 1);
    assert_eq!((&errors[0]["custom_id"], &errors[0]["response"]["status_code"]), (&json!("q7"), &json!(404)));
    assert_eq!(
        requests(&suite).await,
        LINES as u64 - 1,
        "each answer is counted once, however often it was tried"
    );
    let job = get(&suite, &format!("/api/jobs/{job}")).await;
    let attempts = job["attempts"].as_array().expect("attempts");
    assert!(attempts.len() >= 3, "{attempts:?}");
    let causes: BTreeSet<&str> = attempts.iter().filter_map(|attempt| attempt["cause"].as_str()).collect();
    assert_eq!(causes, BTreeSet::from(["lost"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_within_two_seconds_and_goes_on_when_tried_again() {
    let Some(suite) = Suite::with_model(&[("RIXIN_CONTEXT_LENGTH", "1024")]) else { return };
    let made = batch(&suite).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let (job, worker) = working(&suite, 5).await;
    post(&suite, &format!("/api/jobs/{job}/cancel"), &json!({})).await;
    until("the process has let go", Duration::from_secs(2), async || !is_alive(worker)).await;
    let cancelled = get(&suite, &format!("/v1/batches/{id}")).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let before = requests(&suite).await;
    assert!(before >= 5 && before < LINES as u64);
    post(&suite, &format!("/api/jobs/{job}/retry"), &json!({})).await;
    let done = completed(&suite, &id).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(requests(&suite).await, LINES as u64 - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_bad_line_says_which_and_asks_nothing() {
    let suite = Suite::empty(&[]);
    let lines = format!("{}\n{{\"custom_id\": 3}}\n{}", line(1), line(1));
    let file = upload(&suite, &lines).await;
    let body = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let made = post(&suite, "/v1/batches", &body).await;
    let failed = completed(&suite, made["id"].as_str().expect("an id")).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    let errors = failed["errors"]["data"].as_array().expect("told");
    assert_eq!(errors.iter().map(|e| e["line"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3)]);
    assert_eq!(errors[1]["code"], "duplicate_custom_id");
}

#[test]
fn a_model_is_imported_by_a_job_and_one_that_is_none_is_refused_at_once() {
    let Some(file) = rixin_tests::smollm2() else { return };
    let suite = Suite::empty(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let none = suite.data.path().join("none.gguf");
        std::fs::write(&none, b"GGUF and nothing more").expect("written");
        let params =
            |path: &std::path::Path| json!({"target": path.display().to_string(), "accept_licence": true});
        let job = |path: &std::path::Path| json!({"kind": "import", "params": params(path)});
        for (path, state) in [(file.as_path(), "succeeded"), (none.as_path(), "failed")] {
            let made = post(&suite, "/api/jobs", &job(path)).await;
            let id = made["id"].as_str().expect("an id").to_owned();
            let mut last = Value::Null;
            until("the import is over", Duration::from_secs(60), async || {
                last = get(&suite, &format!("/api/jobs/{id}")).await;
                matches!(last["job"]["state"].as_str(), Some("succeeded" | "failed"))
            })
            .await;
            assert_eq!(last["job"]["state"], state, "{last}");
            assert_eq!(last["job"]["attempt"], 1, "bad input is not tried twice");
        }
        let models = get(&suite, "/api/models").await;
        assert_eq!(models["total"], 1);
    });
}
