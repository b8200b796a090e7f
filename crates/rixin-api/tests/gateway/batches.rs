//! `/v1/batches`, against jobs whose attempts the test plays.

use reqwest::Method;
use rixin_base::{Code, Fault, FileId};
use rixin_store::{Also, Cause, LedgerEntry, LineAnswer, NewFile, Next, now_ms};
use serde_json::{Value, json};

use crate::{
    attempt::Played,
    files::uploaded,
    suite::{Suite, json_of},
};

async fn begun(suite: &Suite, metadata: Value) -> (Value, String) {
    let input = uploaded(suite, &suite.admin, b"{}\n{}\n{}\n").await;
    let new = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": metadata});
    let (status, batch) = json_of(suite.post("/v1/batches").json(&new)).await;
    assert_eq!(status, 200, "{batch}");
    let (_, jobs) = json_of(suite.get("/api/jobs?kind=batch&limit=1")).await;
    (batch, jobs["data"][0]["id"].as_str().expect("its job").to_owned())
}

async fn seen(suite: &Suite, batch: &Value) -> Value {
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));
    let (status, batch) = json_of(suite.get(&path)).await;
    assert_eq!(status, 200, "{batch}");
    batch
}

fn answer(played: &Played, line: u64, ok: bool) -> LineAnswer {
    let used = ok.then(|| LedgerEntry {
        id: format!("{}:{line}", played.job.id),
        tenant: played.scope.owner().tenant(),
        key: played.scope.owner().key(),
        job: Some(played.job.id),
        at: now_ms(),
        kind: "batch".into(),
        model: "echo".into(),
        prompt_tokens: 10,
        completion_tokens: 2,
        price_percent: 50,
        project: None,
        images: 0,
        job_seconds: 0,
    });
    LineAnswer { line, ok, answer: json!({"line": line}).to_string(), used }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_openais_shape_from_begin_to_end() {
    let suite = Suite::start(&[("batch_price_percent", "40")]).await;
    let (batch, job) = begun(&suite, json!({"run": "一"})).await;
    let at = |batch: &Value, field: &str| batch[field].as_i64().expect("a time in seconds");
    let created = at(&batch, "created_at");
    assert_eq!(
        batch,
        json!({
            "id": batch["id"], "object": "batch", "endpoint": "/v1/chat/completions", "errors": null,
            "input_file_id": batch["input_file_id"], "completion_window": "24h", "status": "validating",
            "output_file_id": null, "error_file_id": null, "created_at": created, "in_progress_at": null,
            "expires_at": created + 86_400, "finalizing_at": null, "completed_at": null, "failed_at": null,
            "expired_at": null, "cancelling_at": null, "cancelled_at": null,
            "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": {"run": "一"},
        })
    );
    assert!((1_600_000_000..10_000_000_000).contains(&created), "{created}");

    let played = suite.play(&job, 1).await;
    assert_eq!(played.job.params["price_percent"], 40);
    assert_eq!(seen(&suite, &batch).await["status"], "validating");
    played.scope.count_batch(3, None).await.expect("counted");
    let now = seen(&suite, &batch).await;
    assert_eq!((&now["status"], &now["request_counts"]["total"]), (&json!("in_progress"), &json!(3)));
    assert!(at(&now, "in_progress_at") >= created);
    let answers = [answer(&played, 0, true), answer(&played, 1, false), answer(&played, 2, true)];
    played.scope.answer_lines(&answers).await.expect("kept");
    played.scope.count_batch(3, None).await.expect("counted");
    let (output, blob) = (FileId::new(), rixin_store::Sha256::of(b"{}\n"));
    let file = NewFile {
        purpose: "batch_output".into(),
        name: "output.jsonl".into(),
        bytes: 3,
        sha256: blob.to_string(),
        expires_at: None,
    };
    let also =
        [Also::File(file, output), Also::Batch { output: Some(output), errors: None }, Also::DropLines];
    played.scope.finish(&json!({}), &also).await.expect("finished");

    let done = seen(&suite, &batch).await;
    assert_eq!(
        (&done["status"], &done["output_file_id"], &done["error_file_id"]),
        (&json!("completed"), &json!(output), &Value::Null)
    );
    assert_eq!(done["request_counts"], json!({"total": 3, "completed": 2, "failed": 1}));
    assert!(
        at(&done, "completed_at") >= at(&done, "in_progress_at") && at(&done, "finalizing_at") >= created
    );
    let (_, file) = json_of(suite.get(&format!("/v1/files/{output}"))).await;
    assert_eq!((&file["purpose"], &file["filename"]), (&json!("batch_output"), &json!("output.jsonl")));
    let (_, usage) = json_of(suite.get("/api/usage")).await;
    assert_eq!(usage["data"][0]["requests"], 2);
    let (status, error) =
        json_of(suite.post(&format!("/v1/batches/{}/cancel", batch["id"].as_str().expect("an id")))).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("conflict")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_bad_line_says_which() {
    let suite = Suite::start(&[]).await;
    let (batch, job) = begun(&suite, Value::Null).await;
    assert_eq!(batch["metadata"], Value::Null);
    let played = suite.play(&job, 1).await;
    let faults = json!({"object": "list", "data": [{"code": "invalid_json_line", "message": "no JSON", "param": null, "line": 2}]});
    played.scope.count_batch(3, Some(&faults)).await.expect("counted");
    let fault = Fault::new(Code::InvalidValue, "line 2 is wrong", "第 2 行有误");
    played.scope.fail(Cause::BadInput, &fault, Next::Fail).await.expect("ended");
    let failed = seen(&suite, &batch).await;
    assert_eq!((&failed["status"], &failed["errors"]), (&json!("failed"), &faults));
    assert!(failed["failed_at"].is_i64() && failed["completed_at"].is_null());

    // What is wrong with the job and not with a line is told too.
    let (batch, job) = begun(&suite, Value::Null).await;
    let played = suite.play(&job, 1).await;
    let fault = Fault::new(Code::OutOfMemory, "no memory", "内存不足");
    played.scope.fail(Cause::OutOfMemory, &fault, Next::Fail).await.expect("ended");
    let failed = seen(&suite, &batch).await;
    let told = json!({"code": "insufficient_memory", "message": "no memory", "param": null, "line": null});
    assert_eq!((&failed["status"], &failed["errors"]["data"][0]), (&json!("failed"), &told));

    let (batch, job) = begun(&suite, Value::Null).await;
    let played = suite.play(&job, 1).await;
    let fault = Fault::new(Code::DeadlineExceeded, "too long", "超时");
    played.scope.fail(Cause::TimedOut, &fault, Next::Fail).await.expect("ended");
    let expired = seen(&suite, &batch).await;
    assert_eq!(expired["status"], "expired");
    assert!(expired["expired_at"].is_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_batch_is_cancelled() {
    let suite = Suite::start(&[]).await;
    let (batch, job) = begun(&suite, Value::Null).await;
    let played = suite.play(&job, 1).await;
    played.scope.count_batch(3, None).await.expect("counted");
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().expect("an id"));
    let (status, cancelling) = json_of(suite.post(&path)).await;
    assert_eq!((status, &cancelling["status"]), (200, &json!("cancelling")));
    assert!(cancelling["cancelling_at"].is_i64() && cancelling["cancelled_at"].is_null(), "{cancelling}");
    let fault = Fault::new(Code::Cancelled, "cancelled", "已取消");
    played.scope.fail(Cause::Cancelled, &fault, Next::Cancel).await.expect("let go");
    let cancelled = seen(&suite, &batch).await;
    assert_eq!(
        (&cancelled["status"], &cancelled["cancelling_at"]),
        (&json!("cancelled"), &cancelling["cancelling_at"])
    );
    assert!(cancelled["cancelled_at"].is_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_new_batch_is_told() {
    let suite = Suite::start(&[]).await;
    let input = uploaded(&suite, &suite.admin, b"{}\n").await;
    let good = json!({"input_file_id": input, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let mut without = good.clone();
    without.as_object_mut().expect("an object").remove("input_file_id");
    for (body, status, code, param) in [
        (without, 400, "missing_field", json!("input_file_id")),
        (with("endpoint", json!("/v1/audio")), 400, "invalid_value", json!("endpoint")),
        (with("completion_window", json!("1h")), 400, "invalid_value", json!("completion_window")),
        (with("metadata", json!({"a": 1})), 400, "invalid_value", json!("metadata")),
        (with("metadata", json!({"a": "x".repeat(513)})), 400, "invalid_value", json!("metadata")),
        (with("input_file_id", json!("file-abc")), 404, "not_found", Value::Null),
        (with("input_file_id", json!(FileId::new())), 404, "not_found", Value::Null),
    ] {
        for lang in ["en", "zh"] {
            let request = suite.post("/v1/batches").header("accept-language", lang).json(&body);
            let (got, answer) = json_of(request).await;
            let error = &answer["error"];
            assert_eq!(
                (got, &error["code"], &error["param"]),
                (status, &json!(code), &param),
                "{body}: {answer}"
            );
            let message = error["message"].as_str().expect("a message");
            assert_eq!(message.chars().any(|c| c > '\u{4e00}'), lang == "zh", "{message}");
        }
    }
    assert_eq!(json_of(suite.get("/v1/batches")).await.1["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_page_by_openais_cursor() {
    let suite = Suite::start(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(begun(&suite, Value::Null).await.0["id"].clone());
    }
    ids.reverse();
    let (_, first) = json_of(suite.get("/v1/batches?limit=2")).await;
    assert_eq!(
        (&first["object"], &first["has_more"], &first["first_id"]),
        (&json!("list"), &json!(true), &ids[0])
    );
    let after = first["last_id"].as_str().expect("an id");
    let (_, second) = json_of(suite.get(&format!("/v1/batches?limit=2&after={after}"))).await;
    let listed: Vec<Value> = [&first, &second]
        .iter()
        .flat_map(|page| page["data"].as_array().expect("batches").iter().map(|batch| batch["id"].clone()))
        .collect();
    assert_eq!((listed, &second["has_more"]), (ids, &json!(false)));
    assert_eq!(json_of(suite.with_key(Method::GET, "/v1/batches?after=nonsense", &suite.admin)).await.0, 404);
}
