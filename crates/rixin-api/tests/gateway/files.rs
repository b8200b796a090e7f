//! `/v1/files`.

use futures::stream;
use reqwest::{Body, Method, RequestBuilder};
use rixin_store::{Role, Sha256};
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

const BOUNDARY: &str = "----boundary7x";

/// A form of fields and files.
#[derive(Default)]
struct Form(Vec<u8>);

impl Form {
    fn text(mut self, name: &str, value: &str) -> Self {
        self.0.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .as_bytes(),
        );
        self
    }

    /// Up to the bytes of the file.
    fn open(mut self, file_name: &str) -> Self {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/jsonl\r\n\r\n"
        );
        self.0.extend_from_slice(head.as_bytes());
        self
    }

    fn file(self, file_name: &str, bytes: &[u8]) -> Self {
        let mut form = self.open(file_name);
        form.0.extend_from_slice(bytes);
        form.0.extend_from_slice(b"\r\n");
        form
    }

    fn end() -> Vec<u8> {
        format!("--{BOUNDARY}--\r\n").into_bytes()
    }
}

trait SendForm {
    fn form_head(self) -> RequestBuilder;
    fn multipart(self, form: Form) -> RequestBuilder;
}

impl SendForm for RequestBuilder {
    fn form_head(self) -> RequestBuilder {
        self.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
    }

    fn multipart(self, form: Form) -> RequestBuilder {
        self.form_head().body([form.0, Form::end()].concat())
    }
}

fn form(purpose: &str, name: &str, bytes: &[u8]) -> Form {
    Form::default().text("purpose", purpose).file(name, bytes)
}

/// A file that is made while it is sent.
fn streamed(purpose: &str, pieces: usize, piece: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Body {
    let head = Form::default().text("purpose", purpose).open("big").0;
    let all = (0..pieces + 2).map(move |at| {
        Ok::<_, std::io::Error>(match at {
            0 => head.clone(),
            at if at <= pieces => piece(at - 1),
            _ => [b"\r\n".to_vec(), Form::end()].concat(),
        })
    });
    Body::wrap_stream(stream::iter(all))
}

/// The answer to an upload.
pub async fn upload(suite: &Suite, key: &str, bytes: &[u8]) -> (u16, Value) {
    json_of(suite.with_key(Method::POST, "/v1/files", key).multipart(form("batch", "in.jsonl", bytes))).await
}

/// The id of a new file for a batch.
pub async fn uploaded(suite: &Suite, key: &str, bytes: &[u8]) -> String {
    let (status, file) = upload(suite, key, bytes).await;
    assert_eq!(status, 200, "{file}");
    file["id"].as_str().expect("an id").to_owned()
}

/// What the blobs hold, by their names.
fn blobs(suite: &Suite) -> Vec<String> {
    let mut found = Vec::new();
    let folders = std::fs::read_dir(suite.folder().join("objects/sha256"));
    for folder in folders.into_iter().flatten().flatten() {
        for blob in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            found.push(blob.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_upload_to_removal() {
    let suite = Suite::start(&[]).await;
    let text = "{\"问\":1}\n".repeat(1000);
    let request = suite.post("/v1/files").multipart(form("batch", "问题 1.jsonl", text.as_bytes()));
    let (status, file) = json_of(request).await;
    assert_eq!(status, 200, "{file}");
    let id = file["id"].as_str().expect("an id").to_owned();
    let created = file["created_at"].as_i64().expect("seconds");
    assert!((1_600_000_000..10_000_000_000).contains(&created), "{created}");
    assert_eq!(
        file,
        json!({"id": id, "object": "file", "bytes": text.len(), "created_at": created, "filename": "问题 1.jsonl",
               "purpose": "batch", "status": "processed", "status_details": null})
    );
    assert_eq!(json_of(suite.get(&format!("/v1/files/{id}"))).await.1, file);
    let reply = suite.get(&format!("/v1/files/{id}/content")).send().await.expect("an answer");
    let header = |name: &str| reply.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-length"), text.len().to_string());
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"__ 1.jsonl\"; filename*=UTF-8''%E9%97%AE%E9%A2%98%201.jsonl"
    );
    assert_eq!(reply.text().await.expect("a body"), text);
    let path = format!("/v1/files/{id}");
    let (status, gone) = json_of(suite.with_key(Method::DELETE, &path, &suite.admin)).await;
    assert_eq!((status, gone), (200, json!({"id": id, "object": "file", "deleted": true})));
    assert_eq!(json_of(suite.get(&path)).await.0, 404);
    assert_eq!(json_of(suite.get(&format!("{path}/content"))).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_in_both_orders_and_by_purpose() {
    let suite = Suite::start(&[]).await;
    let mut ids = Vec::new();
    for i in 0..5 {
        let purpose = if i == 2 { "user_data" } else { "batch" };
        let request = suite.post("/v1/files").multipart(form(purpose, &format!("{i}"), b"x"));
        ids.push(json_of(request).await.1["id"].as_str().expect("an id").to_owned());
    }
    for order in ["asc", "desc"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let (status, page) = json_of(suite.get(&format!("/v1/files?limit=2&order={order}{after}"))).await;
            assert_eq!(status, 200, "{page}");
            let data = page["data"].as_array().expect("files");
            seen.extend(data.iter().map(|file| file["id"].as_str().expect("an id").to_owned()));
            assert_eq!((&page["first_id"], &page["object"]), (&data[0]["id"], &json!("list")));
            if page["has_more"] != true {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().expect("an id"));
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, ids);
    }
    let (_, page) = json_of(suite.get("/v1/files?purpose=user_data")).await;
    assert_eq!((page["data"].as_array().map(Vec::len), &page["data"][0]["id"]), (Some(1), &json!(ids[2])));
    assert_eq!(json_of(suite.get("/v1/files?order=up")).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_is_told_in_both_languages() {
    let suite = Suite::start(&[]).await;
    let expiring = |anchor: &str, seconds: &str| {
        form("batch", "x", b"x").text("expires_after[anchor]", anchor).text("expires_after[seconds]", seconds)
    };
    let empty = Form::default;
    let cases = [
        (empty().file("x", b"x"), "missing_field", "purpose"),
        (empty().text("purpose", "batch"), "missing_field", "file"),
        (empty().text("purpose", "homework").file("x", b"x"), "invalid_value", "purpose"),
        (form("batch", "x", b"x").text("purpose", "batch"), "invalid_value", "purpose"),
        (form("batch", "x", b"x").file("y", b"y"), "invalid_value", "file"),
        (empty().text("purpose", "batch").text("file", "x"), "invalid_value", "file"),
        (empty().text("colour", "red"), "invalid_value", "colour"),
        (empty().text("purpose", &"x".repeat(2000)), "invalid_value", "purpose"),
        (expiring("now", "3600"), "invalid_value", "expires_after[anchor]"),
        (expiring("created_at", "5"), "invalid_value", "expires_after[seconds]"),
    ];
    for (form, code, param) in cases {
        let request = suite.post("/v1/files").header("accept-language", "zh").multipart(form);
        let (status, body) = json_of(request).await;
        let error = &body["error"];
        assert_eq!((status, &error["code"], &error["param"]), (400, &json!(code), &json!(param)), "{body}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.chars().any(|c| c > '\u{4e00}'), "in Chinese: {message}");
    }
    let (status, body) = json_of(suite.post("/v1/files").json(&json!({}))).await;
    assert_eq!((status, &body["error"]["code"]), (415, &json!("unsupported_media_type")));
    assert_eq!(json_of(suite.get("/v1/files")).await.1["data"], json!([]));
    let (_, file) = json_of(suite.post("/v1/files").multipart(expiring("created_at", "3600"))).await;
    let lives = file["expires_at"].as_i64().expect("a time") - file["created_at"].as_i64().expect("a time");
    assert!((3599..=3601).contains(&lives), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_forms_leave_nothing() {
    let suite = Suite::start(&[]).await;
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
    let bodies = [
        String::new(),
        "hello".to_owned(),
        head.to_owned(),
        format!("{head}some bytes"),
        format!("{head}some bytes\r\n--b"),
        format!("{head}some bytes\r\n--bX"),
        format!("--b\r\n{}", "x".repeat(10_000)),
        "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n".to_owned(),
    ];
    for body in bodies {
        let request = suite.post("/v1/files").header("content-type", "multipart/form-data; boundary=b");
        let (status, error) = json_of(request.body(body.clone())).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!("invalid_value")), "{body:.80}: {error}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("form")), "{error}");
    }
    let request = suite.post("/v1/files").header("content-type", "multipart/form-data").body("x");
    assert_eq!(json_of(request).await.0, 400);
    assert!(blobs(&suite).is_empty(), "{:?}", blobs(&suite));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_the_limit_is_refused_before_it_is_stored() {
    let suite = Suite::start(&[("file_limit", "1MiB")]).await;
    let whole = vec![b'x'; 1 << 20];
    assert_eq!(json_of(suite.post("/v1/files").multipart(form("batch", "x", &whole))).await.0, 200);
    let before = blobs(&suite);
    let over = vec![b'x'; (1 << 20) + 1];
    let (status, error) = json_of(suite.post("/v1/files").multipart(form("batch", "x", &over))).await;
    assert_eq!((status, &error["error"]["code"]), (413, &json!("body_too_large")), "{error}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("RIXIN_FILE_LIMIT")));
    assert_eq!(blobs(&suite), before);
    // Without a length, and from the length alone.
    let body = streamed("batch", 40, |_| vec![b'x'; 64 << 10]);
    let refused = suite.post("/v1/files").form_head().body(body).send().await;
    // A client that is still sending may see the end of the connection before the answer.
    assert!(refused.map_or(true, |reply| reply.status() == 413));
    assert_eq!(blobs(&suite), before);
    assert_eq!(json_of(suite.get("/v1/files")).await.1["data"].as_array().map(Vec::len), Some(1));
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_passes_through_and_comes_back_the_same() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 256;
    let suite = Suite::start(&[]).await;
    let key = suite.key("loader", Role::Member).await;
    let piece = |i: usize| (0..PIECE).map(|at| ((at * 31) ^ (at >> 8) ^ (i * 7)) as u8).collect::<Vec<u8>>();
    let mut expected = sha2::Sha256::default();
    for i in 0..PIECES {
        sha2::Digest::update(&mut expected, piece(i));
    }
    let before = resident();
    let request =
        suite.with_key(Method::POST, "/v1/files", &key).timeout(std::time::Duration::from_secs(120));
    let body = streamed("user_data", PIECES, piece);
    let (status, file) = json_of(request.form_head().body(body)).await;
    assert_eq!((status, file["bytes"].as_u64()), (200, Some((PIECE * PIECES) as u64)), "{file}");
    let path = format!("/v1/files/{}/content", file["id"].as_str().expect("an id"));
    let request = suite.with_key(Method::GET, &path, &key).timeout(std::time::Duration::from_secs(120));
    let (mut reply, mut found) = (request.send().await.expect("an answer"), sha2::Sha256::default());
    let mut most = resident();
    while let Some(bytes) = reply.chunk().await.expect("a whole body") {
        sha2::Digest::update(&mut found, &bytes);
        most = most.max(resident());
    }
    let digest = |hasher: sha2::Sha256| Sha256::from(<[u8; 32]>::from(sha2::Digest::finalize(hasher)));
    let expected = digest(expected);
    assert_eq!(digest(found), expected);
    assert_eq!(blobs(&suite), [expected.to_string()]);
    // Parts on their way to the store, and what the other tests of this process take meanwhile.
    assert!(most.saturating_sub(before) < 200 << 20, "{} MiB more for 256 MiB", (most - before) >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_batch_reads_stays() {
    let suite = Suite::start(&[]).await;
    let id = uploaded(&suite, &suite.admin, b"{}\n").await;
    let new = json!({"input_file_id": id, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let (status, batch) = json_of(suite.post("/v1/batches").json(&new)).await;
    assert_eq!(status, 200, "{batch}");
    let remove = || suite.with_key(Method::DELETE, &format!("/v1/files/{id}"), &suite.admin);
    let (status, error) = json_of(remove()).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("conflict")));
    let (_, jobs): (_, Value) = json_of(suite.get("/api/jobs")).await;
    let played = suite.play(jobs["data"][0]["id"].as_str().expect("an id"), 1).await;
    played.scope.finish(&json!({}), &[]).await.expect("finished");
    assert_eq!(json_of(remove()).await.0, 200);
}
