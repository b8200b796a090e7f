//! The routes of the hubs as they are: Hugging Face, ModelScope, Civitai, an npm registry, and the storage behind the first three.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State as Extract},
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Value, json};

use super::{State, Trouble, send, sha};

/// The commit of the only revision.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

type Answer = Response<Body>;

/// Routes of the hubs.
pub fn hub(state: Arc<State>) -> Router {
    Router::new()
        .route("/api/models/{org}/{repo}/revision/{revision}", get(hf_info))
        .route("/api/models/{org}/{repo}/tree/{revision}", get(hf_tree))
        .route("/{org}/{repo}/resolve/{revision}/{*file}", get(hf_resolve))
        .route("/api/v1/models/{org}/{repo}", get(modelscope_card))
        .route("/api/v1/models/{org}/{repo}/repo/files", get(modelscope_files))
        .route("/api/v1/models/{org}/{repo}/repo", get(modelscope_file))
        .route("/api/v1/models/{org}", get(civitai_model))
        .route("/api/v1/model-versions/{id}", get(civitai_version))
        .route("/api/v1/model-versions/by-hash/{hash}", get(civitai_hash))
        .route("/api/download/models/{id}", get(civitai_download))
        .route("/{org}", get(npm_package))
        .route("/npm/{file}", get(npm_tarball))
        .with_state(state)
}

/// Routes of the storage, which takes a signature and no token.
pub fn storage(state: Arc<State>) -> Router {
    Router::new().route("/blob/{*file}", get(storage_file)).with_state(state)
}

fn json_answer(status: u16, body: Value) -> Answer {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

/// What stands between a request and its answer: the log, troubles, the token.
fn gate(
    state: &State,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    is_file: bool,
) -> Option<Answer> {
    send::log(state, "hub", path, query.unwrap_or_default(), headers, 0);
    let mut manners = state.manners.lock();
    let bad = if is_file { manners.hub.pop_front() } else { manners.api.pop_front() };
    if let Some(answer) = bad.as_ref().and_then(send::trouble) {
        return Some(answer);
    }
    let token = manners.token.clone()?;
    let given = send::text(headers, "authorization");
    let right = given.as_deref() == Some(format!("Bearer {token}").as_str());
    if right || (manners.gated && !is_file) {
        return None;
    }
    let (code, words) = match (manners.gated, given.is_some()) {
        (true, _) => ("GatedRepo", "Access to model is restricted. You must be authenticated."),
        (false, true) => ("", "Invalid credentials"),
        (false, false) => ("RepoNotFound", "Repository not found"),
    };
    let status = if given.is_some() { 403 } else { 401 };
    let mut response = Response::builder().status(status).header("x-error-message", words);
    if !code.is_empty() {
        response = response.header("x-error-code", code);
    }
    Some(response.body(Body::from(words)).unwrap())
}

fn not_found(code: &str) -> Answer {
    Response::builder().status(404).header("x-error-code", code).body(Body::from("not found")).unwrap()
}

/// A redirect to the storage, signed.
fn redirect(state: &State, file: &str) -> axum::http::response::Builder {
    let mut signatures = state.signatures.lock();
    *signatures += 1;
    let to = format!("{}/blob/{file}?signature={signatures}&uses=0", state.storage);
    Response::builder().status(StatusCode::FOUND).header("location", to.replace(' ', "%20"))
}

fn is_large(path: &str) -> bool {
    [".gguf", ".safetensors", ".bin", ".ckpt"].iter().any(|ending| path.ends_with(ending))
}

/// Git's name of a small file.
fn git_blob(bytes: &[u8]) -> String {
    use sha1::Digest;
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn hf_info(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo, revision)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let path = format!("/api/models/{org}/{repo}/revision/{revision}");
    if let Some(answer) = gate(&state, &path, query.as_deref(), &headers, false) {
        return answer;
    }
    if repo == "missing" {
        return not_found("RepoNotFound");
    }
    if !["main", "refs/pr/1", COMMIT].contains(&revision.as_str()) {
        return not_found("RevisionNotFound");
    }
    let sizeless = state.manners.lock().sizeless;
    let siblings: Vec<Value> = state
        .files
        .lock()
        .iter()
        .map(|(path, bytes)| match (sizeless, is_large(path)) {
            (true, _) => json!({"rfilename": path}),
            (false, true) => json!({"rfilename": path, "size": bytes.len(), "blobId": git_blob(b"pointer"),
            "lfs": {"sha256": sha(bytes), "size": bytes.len(), "pointerSize": 134}}),
            (false, false) => json!({"rfilename": path, "size": bytes.len(), "blobId": git_blob(bytes)}),
        })
        .collect();
    json_answer(
        200,
        json!({"_id": "1", "id": format!("{org}/{repo}"), "sha": COMMIT, "private": false, "gated": false,
        "pipeline_tag": "text-generation", "tags": ["gguf"], "cardData": *state.card.lock(), "siblings": siblings}),
    )
}

/// The list of files in pages of two.
async fn hf_tree(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo, revision)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let path = format!("/api/models/{org}/{repo}/tree/{revision}");
    if let Some(answer) = gate(&state, &path, query.as_deref(), &headers, false) {
        return answer;
    }
    let query = query.unwrap_or_default();
    let at: usize = query.split('&').find_map(|part| part.strip_prefix("cursor=")?.parse().ok()).unwrap_or(0);
    let files = state.files.lock();
    let page: Vec<Value> = files
        .iter()
        .skip(at)
        .take(2)
        .map(|(path, bytes)| match is_large(path) {
            true => json!({"type": "file", "oid": git_blob(b"pointer"), "size": bytes.len(), "path": path,
            "lfs": {"oid": sha(bytes), "size": bytes.len(), "pointerSize": 134}}),
            false => json!({"type": "file", "oid": git_blob(bytes), "size": bytes.len(), "path": path}),
        })
        .collect();
    let mut response = json_answer(200, Value::Array(page));
    if at + 2 < files.len() {
        let link = format!("<{}{path}?recursive=true&cursor={}>; rel=\"next\"", state.hub, at + 2);
        response.headers_mut().insert("link", link.parse().unwrap());
    }
    response
}

async fn hf_resolve(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo, revision, file)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let path = format!("/{org}/{repo}/resolve/{revision}/{file}");
    if let Some(answer) = gate(&state, &path, query.as_deref(), &headers, true) {
        return answer;
    }
    let Some(bytes) = state.files.lock().get(&file).cloned() else { return not_found("EntryNotFound") };
    if !is_large(&file) {
        let mut response = send::file(&state, &bytes, &headers, None, &format!("\"{}\"", git_blob(&bytes)));
        response.headers_mut().insert("x-repo-commit", COMMIT.parse().unwrap());
        return response;
    }
    redirect(&state, &file)
        .header("x-repo-commit", COMMIT)
        .header("x-linked-size", bytes.len())
        .header("x-linked-etag", format!("\"{}\"", sha(&bytes)))
        .body(Body::empty())
        .unwrap()
}

fn modelscope(data: Value) -> Answer {
    json_answer(
        200,
        json!({"Code": 200, "Data": data, "Message": "success", "RequestId": "r", "Success": true}),
    )
}

async fn modelscope_card(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    if let Some(answer) = gate(&state, &format!("/api/v1/models/{org}/{repo}"), None, &headers, false) {
        return answer;
    }
    modelscope(
        json!({"Name": repo, "Path": org, "License": "Apache License 2.0", "BaseModel": ["Qwen/Qwen3-0.6B"]}),
    )
}

async fn modelscope_files(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let path = format!("/api/v1/models/{org}/{repo}/repo/files");
    if let Some(answer) = gate(&state, &path, query.as_deref(), &headers, false) {
        return answer;
    }
    if repo == "missing" {
        let body =
            json!({"Code": 10010205001i64, "Message": "模型不存在", "RequestId": "r", "Success": false});
        return json_answer(404, body);
    }
    let mut files = vec![
        json!({"Name": "folder", "Path": "folder", "Type": "tree", "Size": 0, "Sha256": "", "IsLFS": false}),
    ];
    files.extend(state.files.lock().iter().map(|(path, bytes)| {
        json!({"Name": path, "Path": path, "Type": "blob", "Size": bytes.len(), "Sha256": sha(bytes), "IsLFS": is_large(path),
            "Revision": COMMIT, "Mode": "33188"})
    }));
    modelscope(json!({"Files": files, "IsVisual": 0, "LatestCommitter": {"Name": "x"}}))
}

async fn modelscope_file(
    Extract(state): Extract<Arc<State>>,
    Path((org, repo)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let path = format!("/api/v1/models/{org}/{repo}/repo");
    if let Some(answer) = gate(&state, &path, query.as_deref(), &headers, true) {
        return answer;
    }
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let file =
        pairs.iter().find(|(key, _)| key == "FilePath").map(|(_, value)| value.clone()).unwrap_or_default();
    match state.files.lock().contains_key(&file) {
        true => redirect(&state, &file).body(Body::empty()).unwrap(),
        false => json_answer(404, json!({"Code": 404, "Message": "file not found", "Success": false})),
    }
}

fn civitai_files(state: &State) -> Vec<Value> {
    let files = state.files.lock();
    files.iter().enumerate().map(|(at, (name, bytes))| {
        let pickle = name.ends_with(".ckpt");
        json!({"id": at, "name": name, "type": "Model", "sizeKB": bytes.len() as f64 / 1024.0, "primary": at == 0,
            "metadata": {"format": if pickle { "PickleTensor" } else { "SafeTensor" }, "fp": "fp16", "size": "pruned"},
            "pickleScanResult": "Success", "virusScanResult": "Success",
            "hashes": {"SHA256": sha(bytes).to_string().to_uppercase(), "AutoV2": sha(bytes).to_string()[..10].to_uppercase()},
            "downloadUrl": format!("{}/api/download/models/22?file={at}", state.hub)})
    }).collect()
}

async fn civitai_model(
    Extract(state): Extract<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    if let Some(answer) = gate(&state, &format!("/api/v1/models/{id}"), None, &headers, false) {
        return answer;
    }
    if id != "11" {
        return json_answer(404, json!({"error": "No model with id"}));
    }
    json_answer(
        200,
        json!({"id": 11, "name": "Ink Wash", "type": "LORA", "nsfw": false, "allowNoCredit": false,
        "allowCommercialUse": ["Image", "RentCivit"], "allowDerivatives": true, "allowDifferentLicense": false,
        "creator": {"username": "someone"}, "tags": ["ink"],
        "modelVersions": [{"id": 22, "name": "v2", "baseModel": "SDXL 1.0", "files": civitai_files(&state)}]}),
    )
}

fn civitai_version_body(state: &State) -> Answer {
    json_answer(
        200,
        json!({"id": 22, "modelId": 11, "name": "v2", "baseModel": "SDXL 1.0", "usageControl": "Download",
        "model": {"name": "Ink Wash", "type": "LORA"}, "files": civitai_files(state)}),
    )
}

async fn civitai_version(
    Extract(state): Extract<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    if let Some(answer) = gate(&state, &format!("/api/v1/model-versions/{id}"), None, &headers, false) {
        return answer;
    }
    if id == "22" {
        civitai_version_body(&state)
    } else {
        json_answer(404, json!({"error": "No model version"}))
    }
}

async fn civitai_hash(
    Extract(state): Extract<Arc<State>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Answer {
    if let Some(answer) =
        gate(&state, &format!("/api/v1/model-versions/by-hash/{hash}"), None, &headers, false)
    {
        return answer;
    }
    let known =
        state.files.lock().values().any(|bytes| sha(bytes).to_string().to_uppercase().starts_with(&hash));
    if known { civitai_version_body(&state) } else { json_answer(404, json!({"error": "Model not found"})) }
}

async fn civitai_download(
    Extract(state): Extract<Arc<State>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    if let Some(answer) =
        gate(&state, &format!("/api/download/models/{id}"), query.as_deref(), &headers, true)
    {
        return answer;
    }
    let at: usize = query.unwrap_or_default().trim_start_matches("file=").parse().unwrap_or(0);
    let name = state.files.lock().keys().nth(at).cloned();
    match name {
        Some(name) => redirect(&state, &name).body(Body::empty()).unwrap(),
        None => json_answer(404, json!({"error": "no file"})),
    }
}

/// The only version of a package whose tarball is a file of this hub.
async fn npm_package(
    Extract(state): Extract<Arc<State>>,
    Path(package): Path<String>,
    headers: HeaderMap,
) -> Answer {
    send::log(&state, "hub", &format!("/{package}"), "", &headers, 0);
    let file = format!("{package}-1.0.0.tgz");
    if !state.files.lock().contains_key(&file) {
        return json_answer(404, json!({"error": "not_found"}));
    }
    let tarball = format!("{}/npm/{file}", state.hub);
    json_answer(
        200,
        json!({"name": package, "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {"name": package, "version": "1.0.0", "dist": {"tarball": tarball}}}}),
    )
}

async fn npm_tarball(
    Extract(state): Extract<Arc<State>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let Some(bytes) = state.files.lock().get(&file).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    send::log(&state, "hub", &format!("/npm/{file}"), "", &headers, 0);
    send::file(&state, &bytes, &HeaderMap::new(), None, "\"npm\"")
}

async fn storage_file(
    Extract(state): Extract<Arc<State>>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let Some(bytes) = state.files.lock().get(&file).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = query.unwrap_or_default();
    send::log(&state, "storage", &format!("/blob/{file}"), &query, &headers, bytes.len() as u64);
    let (bad, version, uses): (Option<Trouble>, u32, Option<u32>) = {
        let mut manners = state.manners.lock();
        (manners.storage.pop_front(), manners.version, manners.signature_uses)
    };
    if let Some(uses) = uses {
        let used = state.log.lock().iter().filter(|entry| entry.query == query).count();
        if used > uses as usize {
            let expired = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
            return Response::builder().status(403).body(Body::from(expired)).unwrap();
        }
    }
    send::file(&state, &bytes, &headers, bad, &format!("\"{}-{version}\"", &sha(&bytes).to_string()[..12]))
}
