//! Artifacts through the API: made by a job, sealed by the server, had in parts, checked by anybody, found when stripped.

use reqwest::{Method, RequestBuilder};
use rixin_artifacts::{draft, new_lineage};
use rixin_base::ArtifactId;
use rixin_provenance::{ModelRole, ModelUse, Origin, ParentUse, Relation, SourceType};
use rixin_store::{Also, ArtifactKind, BlobOptions, Blobs, Role};
use serde_json::{Value, json};

use crate::suite::{Suite, json_of};

/// 64 x 64, as an engine would hand it in: without metadata.
const PICTURE: &[u8] = include_bytes!("pattern.png");
const BOUNDARY: &str = "----boundary9y";

fn form(request: RequestBuilder, parts: &[(&str, Option<&str>, &[u8])]) -> RequestBuilder {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")).body(body)
}

/// Without a key, as everybody may.
async fn verified(suite: &Suite, name: &str, bytes: &[u8]) -> Value {
    let request = form(suite.bare(Method::POST, "/api/verify"), &[("file", Some(name), bytes)]);
    let (status, report) = json_of(request).await;
    assert_eq!(status, 200, "{report}");
    report
}

async fn bytes_of(request: RequestBuilder) -> Vec<u8> {
    let reply = request.send().await.expect("an answer");
    assert!(reply.status().is_success(), "{}", reply.status());
    reply.bytes().await.expect("a body").to_vec()
}

fn model() -> ModelUse {
    ModelUse {
        id: "base-model".into(),
        sha256: Some("ab".repeat(32)),
        role: ModelRole::Base,
        origin: Origin::Imported,
        source: Some("file:base.gguf".into()),
        licence: None,
        base: None,
        datasets: Vec::new(),
        strength: None,
    }
}

/// A job makes a picture and a text; waits until the server has sealed both.
async fn made(suite: &Suite, parent: Option<(&str, &str)>) -> (String, String) {
    let input = crate::files::uploaded(suite, &suite.admin, b"{}\n").await;
    let batch = json!({ "endpoint": "/v1/embeddings", "input_file_id": input, "completion_window": "24h" });
    let (status, batch) = json_of(suite.post("/v1/batches").json(&batch)).await;
    assert_eq!(status, 200, "{batch}");
    let (_, jobs) = json_of(suite.get("/api/jobs")).await;
    let job = jobs["data"][0]["id"].as_str().expect("a job").to_owned();
    let attempt = suite.play(&job, 1).await;
    let blobs = Blobs::open(&BlobOptions::Folder(suite.folder().join("objects"))).await.expect("blobs");
    let mut also = Vec::new();
    let mut ids = Vec::new();
    let outputs: [(ArtifactKind, &str, &str, &[u8]); 2] = [
        (ArtifactKind::Image, "picture.png", "image/png", PICTURE),
        (ArtifactKind::Text, "text.txt", "text/plain", "一句话\n".as_bytes()),
    ];
    for (kind, name, media, bytes) in outputs {
        let blob = blobs.put_bytes(bytes.to_vec()).await.expect("stored");
        let id = ArtifactId::new();
        let mut lineage = new_lineage(id, "image", SourceType::Generated);
        lineage.models.push(model());
        lineage.tenant = Some("the tenant's own name".into());
        lineage.prompt = Some("a secret prompt".into());
        if let Some((parent, sha256)) = parent {
            lineage.parents.push(ParentUse {
                id: parent.into(),
                sha256: sha256.into(),
                relation: Relation::Input,
                media_type: None,
            });
        }
        let new = draft(kind, name, media, &blob, &lineage).expect("a draft");
        also.push(Also::Artifact(Box::new(new), id));
        ids.push(id.to_string());
    }
    attempt.scope.finish(&Value::Null, &also).await.expect("taken");
    for id in &ids {
        ready(suite, id).await;
    }
    let [picture, text] = <[String; 2]>::try_from(ids).expect("two");
    (picture, text)
}

async fn ready(suite: &Suite, id: &str) {
    let sealed = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            look.tick().await;
            let (status, found) = json_of(suite.get(&format!("/api/artifacts/{id}"))).await;
            assert_eq!(status, 200, "{found}");
            assert_ne!(found["state"], "failed", "{found}");
            if found["state"] == "ready" {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), sealed).await.expect("it is sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_made_is_sealed_and_anybody_can_check_it() {
    let suite = Suite::start(&[("verifies_per_minute", "0")]).await;
    let (picture, text) = made(&suite, None).await;
    let (_, list) = json_of(suite.get("/api/artifacts?kind=image&q=PICTURE")).await;
    assert_eq!(list["data"].as_array().expect("a list").len(), 1, "{list}");
    assert_eq!(list["data"][0]["id"], picture);
    let content = bytes_of(suite.get(&format!("/api/artifacts/{picture}/content"))).await;
    assert!(content.len() > PICTURE.len());

    // Who signed it, with what it was made, and nothing of whose it is.
    let report = verified(&suite, "any.png", &content).await;
    assert_eq!((&report["verdict"], &report["signer"]["own"]), (&json!("valid"), &json!(true)), "{report}");
    assert_eq!(report["label"]["Label"], "1", "{report}");
    let nodes = report["graph"]["nodes"].as_array().expect("nodes");
    assert!(nodes.iter().any(|node| node["kind"] == "model" && node["origin"] == "imported"), "{report}");
    let told = report.to_string();
    assert!(!told.contains("a secret prompt") && !told.contains("the tenant's own name"), "{told}");

    // One changed byte is found.
    let mut changed = content.clone();
    let last = changed.len() - 20;
    changed[last] ^= 1;
    assert_eq!(verified(&suite, "any.png", &changed).await["verdict"], "changed");

    // Without its metadata it is found by its content.
    let stripped = verified(&suite, "stripped.png", PICTURE).await;
    assert_eq!(stripped["verdict"], "metadata_stripped", "{stripped}");
    assert_eq!(stripped["known"]["models"][0]["id"], "base-model");
    let told = stripped.to_string();
    assert!(!told.contains(&picture) && !told.contains("a secret prompt"), "{told}");

    // A text has its credentials beside it; they are found by the file's hash.
    let bytes = bytes_of(suite.get(&format!("/api/artifacts/{text}/content"))).await;
    assert_eq!(bytes, "一句话\n".as_bytes());
    let report = verified(&suite, "text.txt", &bytes).await;
    assert_eq!((&report["verdict"], &report["beside"]), (&json!("valid"), &json!(true)), "{report}");
    let sidecar = bytes_of(suite.get(&format!("/api/artifacts/{text}/sidecar"))).await;
    let both: [(&str, Option<&str>, &[u8]); 2] =
        [("file", Some("text.txt"), "另一句话\n".as_bytes()), ("sidecar", Some("text.txt.c2pa"), &sidecar)];
    let (_, report) = json_of(form(suite.bare(Method::POST, "/api/verify"), &both)).await;
    assert_eq!(report["verdict"], "changed", "{report}");
    let (status, refused) = json_of(suite.get(&format!("/api/artifacts/{picture}/sidecar"))).await;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("not_found")));
    assert_eq!(verified(&suite, "foreign.txt", b"never seen").await["verdict"], "not_signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_an_artifact_can_be_had() {
    let suite = Suite::start(&[]).await;
    let (picture, text) = made(&suite, None).await;
    let path = format!("/api/artifacts/{picture}/content");
    let whole = bytes_of(suite.get(&path)).await;
    let reply = suite.get(&path).header("range", "bytes=4-9").send().await.expect("an answer");
    assert_eq!(reply.status(), 206);
    let header = |name: &str| reply.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-range"), format!("bytes 4-9/{}", whole.len()));
    assert_eq!(header("content-disposition"), "attachment; filename=\"picture.png\"");
    let etag = header("etag");
    assert_eq!(&reply.bytes().await.expect("a body")[..], &whole[4..10]);
    let stale = suite.get(&path).header("range", "bytes=4-9").header("if-range", "\"other\"");
    assert_eq!(stale.send().await.expect("an answer").status(), 200);
    let fresh = suite.get(&path).header("range", "bytes=-1").header("if-range", etag);
    assert_eq!(bytes_of(fresh).await, whole[whole.len() - 1..]);
    let beyond = suite.get(&path).header("range", format!("bytes={}-", whole.len())).send().await;
    assert_eq!(beyond.expect("an answer").status(), 416);
    let reply = suite.get(&format!("/api/artifacts/{text}/content")).send().await.expect("an answer");
    let label = reply.headers()["x-aigc-label"].to_str().expect("text").to_owned();
    assert!(label.contains(&text), "{label}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_brings_is_kept_and_what_is_made_of_it_refers_to_it() {
    let suite = Suite::start(&[]).await;
    let upload = form(suite.post("/api/artifacts"), &[("file", Some("原图.png"), PICTURE)]);
    let (status, brought) = json_of(upload).await;
    assert_eq!(status, 201, "{brought}");
    assert_eq!((&brought["origin"], &brought["kind"]), (&json!("uploaded"), &json!("image")));
    assert_eq!(brought["lineage"]["verdict"], "not_signed");
    let id = brought["id"].as_str().expect("an id").to_owned();
    let content = format!("/api/artifacts/{id}/content");
    assert_eq!(bytes_of(suite.get(&content)).await, PICTURE, "nothing is added to it");
    assert_eq!(verified(&suite, "a.png", PICTURE).await["verdict"], "not_signed", "it is nobody's work here");

    let sha256 = brought["sha256"].as_str().expect("a hash").to_owned();
    let (picture, text) = made(&suite, Some((&id, &sha256))).await;
    let (_, graph) = json_of(suite.get(&format!("/api/artifacts/{picture}/graph"))).await;
    let kinds: Vec<&str> =
        graph["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["kind"].as_str()).collect();
    assert_eq!(kinds, ["artifact", "artifact", "model"], "{graph}");
    assert_eq!(graph["nodes"][2]["model"]["origin"], "imported");
    assert_eq!(graph["edges"].as_array().expect("edges").len(), 2);
    let (_, down) = json_of(suite.get(&format!("/api/artifacts/{id}/graph"))).await;
    assert_eq!(down["nodes"].as_array().expect("nodes").len(), 4, "both that were made of it: {down}");

    // A signed one that is brought back keeps what it says.
    let signed = bytes_of(suite.get(&format!("/api/artifacts/{picture}/content"))).await;
    let (_, again) = json_of(form(suite.post("/api/artifacts"), &[("file", Some("b.png"), &signed)])).await;
    assert_eq!(again["lineage"]["verdict"], "valid", "{again}");

    // Nobody else sees any of it, and what is needed stays.
    let other = suite.key("other", Role::Member).await;
    for path in [format!("/api/artifacts/{id}"), content.clone(), format!("/api/artifacts/{id}/graph")] {
        let (status, told) = json_of(suite.with_key(Method::GET, &path, &other)).await;
        assert_eq!((status, &told["error"]["code"]), (404, &json!("not_found")), "{path}");
    }
    let remove = |id: &str| suite.with_key(Method::DELETE, &format!("/api/artifacts/{id}"), &suite.admin);
    let (status, refused) = json_of(remove(&id)).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("conflict")), "{refused}");
    for id in [&picture, &text, &id] {
        assert_eq!(remove(id).send().await.expect("an answer").status(), 204, "{id}");
    }
    let (status, _) = json_of(suite.get(&content)).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_draws_on_what_is_made_after_it() {
    let suite = Suite::start(&[]).await;
    let (_, policy) = json_of(suite.get("/api/policy")).await;
    assert_eq!(policy["explicit"], false);
    let put = |key: &str, body: Value| json_of(suite.with_key(Method::PUT, "/api/policy", key).json(&body));
    let member = suite.key("小李", Role::Member).await;
    assert_eq!(put(&member, json!({ "explicit": true })).await.0, 403);
    let bad = put(&suite.admin, json!({ "explicit": true, "corner": "middle" })).await;
    assert_eq!(bad.0, 400, "{}", bad.1);
    let (status, policy) = put(&suite.admin, json!({ "explicit": true, "words": "both" })).await;
    assert_eq!((status, &policy["words"]), (200, &json!("both")));
    assert_eq!(json_of(suite.get("/api/policy")).await.1, policy);
    let (picture, _) = made(&suite, None).await;
    let (_, found) = json_of(suite.get(&format!("/api/artifacts/{picture}"))).await;
    // The words are in the pixels, so the content is another.
    let plain = verified(&suite, "plain.png", PICTURE).await;
    assert_ne!(found["content_sha256"], plain["content_sha256"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_bounded() {
    let suite = Suite::start(&[("verify_limit", "1KiB"), ("verifies_per_minute", "2")]).await;
    let verify = |bytes: &[u8]| {
        json_of(form(suite.bare(Method::POST, "/api/verify"), &[("file", Some("a.bin"), bytes)]))
    };
    let (status, refused) = verify(&[7; 4096]).await;
    assert_eq!((status, &refused["error"]["code"]), (413, &json!("body_too_large")), "{refused}");
    assert!(refused.to_string().contains("RIXIN_VERIFY_LIMIT"), "{refused}");
    assert_eq!(verify(b"small").await.0, 200);
    let (status, refused) = verify(b"small").await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!("rate_limited")), "{refused}");
    let closed = Suite::start(&[("verify_limit", "0")]).await;
    let request = form(closed.bare(Method::POST, "/api/verify"), &[("file", Some("a.bin"), b"x")]);
    assert_eq!(json_of(request).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_of_an_instance_without_models_is_whole() {
    let suite = Suite::start(&[]).await;
    let (status, bill) = json_of(suite.get("/api/bom")).await;
    assert_eq!((status, &bill["specVersion"], &bill["components"]), (200, &json!("1.6"), &json!([])));
    assert_eq!(json_of(suite.get("/api/models/none/bom")).await.0, 404);
}
