//! Whole pulls from Hugging Face, ModelScope and Civitai, each in its real layout, into a real registry.

mod support;

use rixin_base::{Cancel, Code, Explain, ModelId, Progress};
use rixin_models::{Manifest, ModelKind, Origin, PullRequest, Registry, Result};
use support::{HubServer, Trouble, files, layout_commit, names_below, sha};

struct Bench {
    server: HubServer,
    dir: tempfile::TempDir,
    registry: Registry,
}

impl Bench {
    async fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let registry = Registry::open(dir.path()).await.expect("registry");
        Self { server: HubServer::start(files).await, dir, registry }
    }

    async fn pull_with(&self, target: &str, settings: &[(&'static str, &str)]) -> Result<Manifest> {
        let puller = self.server.puller(&self.registry, settings);
        puller.pull(&request(target), &Progress::none(), &Cancel::new()).await
    }

    async fn pull(&self, target: &str) -> Result<Manifest> {
        self.pull_with(target, &[]).await
    }

    fn installed_files(&self) -> Vec<String> {
        names_below(&self.dir.path().join("models"))
    }

    /// The token went to the hub alone.
    fn assert_no_token_at_the_storage(&self) {
        let log = self.server.take_log();
        assert!(log.iter().any(|entry| entry.server == "hub" && entry.authorization.is_some()));
        let leaked =
            log.iter().any(|e| e.server == "storage" && (e.authorization.is_some() || e.cookie.is_some()));
        assert!(!leaked, "the token left the hub");
    }
}

fn request(target: &str) -> PullRequest {
    PullRequest { target: target.into(), id: None, accept_licence: true, licence: None, by: "tester".into() }
}

fn id(text: &str) -> ModelId {
    text.parse().expect("id")
}

#[tokio::test]
async fn hugging_face_from_preview_to_installed() {
    let weights = files::gguf("Tiny", 100_000);
    let repo = [
        ("Tiny-Q4_K_M.gguf", weights.clone()),
        ("Tiny-Q8_0.gguf", files::gguf("Tiny", 200_000)),
        ("mmproj-Tiny.gguf", files::gguf("mm", 10)),
        ("README.md", b"# Tiny".to_vec()),
    ];
    let bench = Bench::new(&repo).await;
    let puller = bench.server.puller(&bench.registry, &[("hf_token", "hf_secret")]);
    let preview = puller.preview("hf:org/tiny", &Cancel::new()).await.expect("preview");
    assert_eq!(preview.id, Some(id("tiny-q4_k_m")));
    assert_eq!(preview.licence.spdx.as_deref(), Some("Apache-2.0"));
    assert_eq!(preview.size_bytes, Some(weights.len() as u64));
    assert_eq!(preview.files[0].sha256, Some(sha(&weights)));
    assert_eq!(preview.revision.as_deref(), Some(layout_commit()));
    assert_eq!(
        preview.others.iter().map(|o| o.target.as_str()).collect::<Vec<_>>(),
        ["hf:org/tiny:Tiny-Q8_0.gguf"]
    );
    assert!(!preview.installed && preview.clone().with_free_memory(1).fits == Some(false));
    assert!(bench.server.ranges().is_empty(), "a preview fetches nothing");

    let refused = PullRequest { accept_licence: false, ..request("hf:org/tiny") };
    let error = puller.pull(&refused, &Progress::none(), &Cancel::new()).await.expect_err("not accepted");
    assert_eq!(error.code(), Code::LicenceNotAccepted);
    assert!(error.to_string().contains("Apache-2.0") && error.to_string().contains("--yes"), "{error}");

    let manifest =
        puller.pull(&request("hf:org/tiny"), &Progress::none(), &Cancel::new()).await.expect("pull");
    assert_eq!(
        (manifest.id.as_str(), manifest.kind, manifest.origin),
        ("tiny-q4_k_m", ModelKind::Chat, Origin::Imported)
    );
    assert_eq!(manifest.architecture.as_deref(), Some("llama"));
    assert_eq!((manifest.source.as_str(), manifest.files[0].sha256), ("hf:org/tiny", sha(&weights)));
    assert_eq!(manifest.languages, ["zh", "en"]);
    assert_eq!(manifest.licence_accepted.as_ref().map(|a| a.by.as_str()), Some("tester"));
    let file = bench.registry.main_file(&manifest);
    assert!(std::fs::read(file).expect("installed") == weights);
    let report =
        bench.registry.verify(&manifest.id, &Progress::none(), &Cancel::new()).await.expect("verify");
    assert!(report.ok);
    bench.assert_no_token_at_the_storage();
    assert!(names_below(&bench.dir.path().join("staging")).is_empty(), "the staging folder is gone");

    // The same again is there already; another file under the same name is not taken for it.
    assert_eq!(bench.pull("hf:org/tiny").await.expect("again").installed_at, manifest.installed_at);
    assert!(bench.server.ranges().is_empty());
    let other = PullRequest { id: Some(id("tiny-q4_k_m")), ..request("hf:org/tiny:Tiny-Q8_0.gguf") };
    let error = puller.pull(&other, &Progress::none(), &Cancel::new()).await.expect_err("taken");
    assert_eq!(error.code(), Code::Conflict);
}

#[tokio::test]
async fn a_file_that_some_model_has_is_not_fetched_again() {
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 50_000))]).await;
    bench.pull("hf:org/one").await.expect("first");
    bench.server.take_log();
    let again = PullRequest { id: Some(id("copy")), ..request("modelscope:other/name") };
    let puller = bench.server.puller(&bench.registry, &[]);
    let copy = puller.pull(&again, &Progress::none(), &Cancel::new()).await.expect("second");
    assert!(bench.server.ranges().is_empty(), "no byte is fetched twice");
    assert!(bench.registry.main_file(&copy).is_file());
    assert_eq!(names_below(&bench.dir.path().join("blobs")).len(), 1);
}

#[tokio::test]
async fn a_split_gguf_and_a_list_without_sizes() {
    let part = |n: usize| files::gguf("Split", 1000 * n);
    let repo = [
        ("q4/x-00001-of-00002.gguf", part(1)),
        ("q4/x-00002-of-00002.gguf", part(2)),
        ("config.json", b"{}".to_vec()),
    ];
    let bench = Bench::new(&repo).await;
    bench.server.behave(|m| m.sizeless = true);
    let preview =
        bench.server.puller(&bench.registry, &[]).preview("hf:org/x", &Cancel::new()).await.expect("preview");
    assert_eq!(preview.files.len(), 2);
    assert!(
        preview.files.iter().all(|file| file.sha256.is_some() && file.size.is_some()),
        "from the tree's pages"
    );
    let pages = bench.server.take_log().iter().filter(|entry| entry.path.contains("/tree/")).count();
    assert_eq!(pages, 2);
    let manifest = bench.pull("https://huggingface.co/org/x/tree/main").await.expect("pull by the page");
    assert_eq!(manifest.main.as_str(), "q4/x-00001-of-00002.gguf");
    assert_eq!(manifest.files.len(), 2);
}

#[tokio::test]
async fn several_files_of_a_repository() {
    let repo = [
        ("model.safetensors", files::safetensors(70_000)),
        ("config.json", b"{\"a\": 1}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("pytorch_model.bin", files::pickle()),
    ];
    let bench = Bench::new(&repo).await;
    let manifest = bench.pull("hf:org/bert").await.expect("pull");
    let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(manifest.main.as_str(), "model.safetensors");
}

#[tokio::test]
async fn gated_private_and_missing_are_told_apart() {
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 1000))]).await;
    bench.server.behave(|m| {
        m.token = Some("right".into());
        m.gated = true;
    });
    let error = bench.pull("hf:org/gated").await.expect_err("gated");
    assert_eq!(error.code(), Code::SourceDenied);
    let text = error.to_string();
    assert!(
        text.contains("gated") && text.contains("RIXIN_HF_TOKEN") && text.contains("/org/gated"),
        "{text}"
    );
    let error = bench.pull_with("hf:org/gated", &[("hf_token", "wrong")]).await.expect_err("no access");
    assert!(error.to_string().contains("no access"), "{error}");
    bench.pull_with("hf:org/gated", &[("hf_token", "right")]).await.expect("with access");

    bench.server.behave(|m| m.gated = false);
    let error = bench.pull("hf:org/private").await.expect_err("hidden");
    assert_eq!(error.code(), Code::NotFound, "a private repository looks like none: {error}");
    let error = bench.pull_with("hf:org/private", &[("hf_token", "wrong")]).await.expect_err("a wrong token");
    assert_eq!(error.code(), Code::SourceDenied, "{error}");
    bench.server.behave(|m| m.token = None);
    assert_eq!(bench.pull("hf:org/missing").await.expect_err("no repository").code(), Code::NotFound);
    assert_eq!(bench.pull("hf:org/a@nope").await.expect_err("no revision").code(), Code::NotFound);
    assert_eq!(bench.pull("hf:org/a:nope.gguf").await.expect_err("no file").code(), Code::NotFound);
    assert_eq!(bench.pull("modelscope:org/missing").await.expect_err("no repository").code(), Code::NotFound);
    assert_eq!(bench.pull("civitai:12").await.expect_err("no model").code(), Code::NotFound);
}

#[tokio::test]
async fn revisions_with_a_slash() {
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 1000))]).await;
    let manifest = bench.pull("hf:org/a@refs/pr/1:a.gguf").await.expect("a pull request's revision");
    assert_eq!(manifest.source, "hf:org/a@refs/pr/1:a.gguf");
    let asked = bench.server.take_log();
    assert!(asked.iter().any(|entry| entry.path.ends_with("/revision/refs/pr/1")), "{asked:?}");
    assert!(asked.iter().any(|entry| entry.path.contains(layout_commit())), "files are taken at the commit");
}

#[tokio::test]
async fn a_busy_or_broken_api() {
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 1000))]).await;
    bench.server.behave(|m| {
        m.api.push_back(Trouble::Status(429, vec![("ratelimit", "\"api\";r=0;t=0".into())], String::new()));
        m.api.push_back(Trouble::Status(502, vec![], "bad gateway".into()));
    });
    bench.pull("hf:org/a").await.expect("after both");
    bench.server.behave(|m| m.api.push_back(Trouble::Page));
    let error = bench.pull("hf:org/b").await.expect_err("a login page");
    assert_eq!(error.code(), Code::SourceFailed);
    assert!(error.to_string().contains("web page instead of JSON"), "{error}");
    bench.server.behave(|m| m.api.push_back(Trouble::Status(200, vec![], "{\"sha\":3}".into())));
    assert_eq!(bench.pull("hf:org/b").await.expect_err("nonsense").code(), Code::SourceFailed);
}

#[tokio::test]
async fn what_lies_is_not_installed() {
    let bench = Bench::new(&[("a.gguf", files::pickle()), ("b.gguf", b"no model at all".to_vec())]).await;
    let error = bench.pull("hf:org/a:a.gguf").await.expect_err("a pickle under another name");
    assert_eq!(error.code(), Code::UnsafeFormat, "{error}");
    let error = bench.pull("hf:org/a:b.gguf").await.expect_err("text");
    assert_eq!(error.code(), Code::BadModelFile, "{error}");
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 100_000)), ("m.ckpt", files::pickle())]).await;
    assert_eq!(bench.pull("hf:org/a:m.ckpt").await.expect_err("by name").code(), Code::UnsafeFormat);
    bench.server.behave(|m| m.corrupt = true);
    assert_eq!(bench.pull("hf:org/a").await.expect_err("corrupt").code(), Code::HashMismatch);
    assert!(bench.installed_files().is_empty());
    bench.server.behave(|m| m.corrupt = false);
    bench.pull("hf:org/a").await.expect("the next try starts clean");
}

#[tokio::test]
async fn modelscope_with_its_token_and_ranges_as_200() {
    let weights = files::gguf("Tiny", 200_000);
    let bench = Bench::new(&[("tiny q4.gguf", weights.clone())]).await;
    bench.server.behave(|m| {
        m.token = Some("ms_secret".into());
        m.ranges_as_200 = true;
    });
    let error = bench.pull("modelscope:org/tiny").await.expect_err("private");
    assert!(matches!(error.code(), Code::NotFound | Code::SourceDenied), "{error}");
    let page = "https://www.modelscope.cn/models/org/tiny/files";
    let manifest = bench.pull_with(page, &[("modelscope_token", "ms_secret")]).await.expect("pull");
    assert_eq!(manifest.licence.spdx.as_deref(), Some("Apache-2.0"));
    assert_eq!(manifest.base_model.as_deref(), Some("Qwen/Qwen3-0.6B"));
    assert_eq!((manifest.id.as_str(), manifest.source.as_str()), ("tiny-q4", "modelscope:org/tiny"));
    assert!(std::fs::read(bench.registry.main_file(&manifest)).expect("file") == weights);
    let cookies = bench
        .server
        .state
        .log
        .lock()
        .iter()
        .filter(|e| e.cookie.as_deref() == Some("m_session_id=ms_secret"))
        .count();
    assert!(cookies > 0);
    bench.assert_no_token_at_the_storage();
}

#[tokio::test]
async fn civitai_by_model_version_hash_and_page() {
    let lora = files::safetensors(60_000);
    let repo = [("ink.safetensors", lora.clone()), ("old.ckpt", files::pickle())];
    let bench = Bench::new(&repo).await;
    let token = [("civitai_token", "cv_secret")];
    let preview = bench
        .server
        .puller(&bench.registry, &token)
        .preview("civitai:11", &Cancel::new())
        .await
        .expect("preview");
    assert_eq!(preview.kind, Some(ModelKind::Lora));
    assert_eq!(preview.size_bytes, Some(lora.len() as u64));
    let conditions = preview.conditions.expect("conditions");
    assert!(conditions.en.contains("Pictures may be sold, the model may not"), "{}", conditions.en);
    assert!(conditions.zh.contains("须注明作者"), "{}", conditions.zh);

    let hash = &sha(&lora).to_string()[..10];
    let targets = [
        "civitai:11",
        "civitai:11@22",
        "civitai:@22",
        &format!("civitai:hash/{hash}"),
        "https://civitai.com/models/11/ink?modelVersionId=22",
    ];
    for (at, target) in targets.iter().enumerate() {
        let named = PullRequest { id: Some(id(&format!("lora-{at}"))), ..request(target) };
        let puller = bench.server.puller(&bench.registry, &token);
        let manifest = puller
            .pull(&named, &Progress::none(), &Cancel::new())
            .await
            .unwrap_or_else(|e| panic!("{target}: {e}"));
        assert_eq!((manifest.kind, manifest.files[0].sha256), (ModelKind::Lora, sha(&lora)), "{target}");
        assert_eq!(manifest.base_model.as_deref(), Some("SDXL 1.0"));
        assert!(manifest.licence.url.as_deref().is_some_and(|url| url.contains("/models/11")), "{target}");
    }
    bench.assert_no_token_at_the_storage();
    let error = bench.pull("civitai:11:old.ckpt").await.expect_err("a pickle");
    assert_eq!(error.code(), Code::UnsafeFormat);
    let bench = Bench::new(&repo).await;
    bench
        .server
        .behave(|m| m.hub.push_back(Trouble::Status(401, vec![], "{\"error\":\"Unauthorized\"}".into())));
    let error = bench.pull("civitai:11@22:ink.safetensors").await.expect_err("login");
    assert!(error.to_string().contains("RIXIN_CIVITAI_TOKEN"), "{error}");
}

#[tokio::test]
async fn offline_opens_no_connection() {
    let bench = Bench::new(&[("a.gguf", files::gguf("A", 1000))]).await;
    let path = bench.dir.path().join("own.gguf");
    std::fs::write(&path, files::gguf("Own", 1000)).expect("write");
    for target in [
        "hf:org/a",
        "modelscope:org/a",
        "civitai:11",
        "pypi:a==1#b.gguf",
        "npm:a@1.0.0#b",
        "smollm2-135m-instruct",
    ] {
        let error = bench.pull_with(target, &[("offline", "true")]).await.expect_err("offline");
        assert_eq!(error.code(), Code::Offline, "{target}");
    }
    assert!(bench.server.take_log().is_empty());
    let own = bench
        .pull_with(&format!("file:{}", path.display()), &[("offline", "true")])
        .await
        .expect("a file needs no net");
    assert_eq!((own.id.as_str(), own.name.as_str()), ("own", "Own"));
}
