use std::{collections::HashSet, os::unix::fs::MetadataExt, process::Stdio};

use rixin_base::{Code, Explain, Message};

use super::*;
use crate::{Licence, ModelFile, ModelKind, Origin};

fn id(text: &str) -> ModelId {
    text.parse().expect("an id")
}

/// A manifest of one file with this content.
pub(crate) fn manifest(name: &str, content: &[u8]) -> Manifest {
    Manifest {
        version: Manifest::VERSION,
        id: id(name),
        name: name.to_uppercase(),
        kind: ModelKind::Chat,
        architecture: Some("llama".into()),
        files: vec![ModelFile {
            path: "sub/model.gguf".parse().expect("a path"),
            size: content.len() as u64,
            sha256: Sha256::of(content),
        }],
        main: "sub/model.gguf".parse().expect("a path"),
        source: "file:/tmp/model.gguf".into(),
        licence: Licence::spdx("MIT").expect("known"),
        licence_accepted: None,
        origin: Origin::Imported,
        base_model: None,
        languages: vec!["zh".into()],
        context_length: Some(2048),
        parameters: Some(7),
        quantisation: Some("Q8_0".into()),
        memory: None,
        chat_template: true,
        installed_at: 1,
        tags: vec![],
        description: Message::new("A model", "用于测试的模型"),
    }
}

async fn install(registry: &Registry, manifest: Manifest, content: &[u8], replace: bool) -> Result<Manifest> {
    let stage = registry.stage().await?;
    let file = stage.file(&manifest.main);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("folder");
    std::fs::write(&file, content).expect("staged");
    registry.install(stage, manifest, replace).await
}

async fn ids(registry: &Registry, query: &ModelQuery) -> Vec<String> {
    registry.list(query).await.expect("a page").data.into_iter().map(|m| m.id.to_string()).collect()
}

async fn all(registry: &Registry) -> Vec<String> {
    ids(registry, &ModelQuery::default()).await
}

/// What has to hold whatever happened: every listed model is whole, every folder is listed, no blob is without a model.
async fn check_consistent(registry: &Registry) {
    let listed: HashSet<String> = all(registry).await.into_iter().collect();
    let on_disk: HashSet<String> = std::fs::read_dir(registry.data_dir().join("models"))
        .expect("models")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(listed, on_disk);
    for name in &listed {
        let report = registry.verify(&id(name), &Progress::none(), &Cancel::new()).await.expect("verifies");
        assert!(report.ok, "{name}: {report:?}");
    }
    for blob in blobs(registry) {
        assert!(
            std::fs::metadata(&blob).expect("blob").nlink() > 1,
            "{} belongs to no model",
            blob.display()
        );
    }
}

fn blobs(registry: &Registry) -> Vec<PathBuf> {
    let shelves = std::fs::read_dir(registry.data_dir().join("blobs/sha256")).expect("blobs");
    shelves
        .flat_map(|shelf| std::fs::read_dir(shelf.expect("shelf").path()).expect("shelf"))
        .map(|blob| blob.expect("blob").path())
        .collect()
}

#[tokio::test]
async fn models_come_share_files_and_go() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    assert!(all(&registry).await.is_empty());
    let first = registry.generation().await.expect("generation");
    install(&registry, manifest("a", b"same"), b"same", false).await.expect("installs");
    install(&registry, manifest("b", b"same"), b"same", false).await.expect("installs");
    assert!(registry.generation().await.expect("generation") > first);
    assert_eq!(all(&registry).await, ["a", "b"]);
    assert_eq!(blobs(&registry).len(), 1);
    let a = registry.get(&id("a")).await.expect("is there");
    assert_eq!(std::fs::read(registry.main_file(&a)).expect("main file"), b"same");
    check_consistent(&registry).await;

    let taken = install(&registry, manifest("a", b"other"), b"other", false).await.expect_err("taken");
    assert_eq!(taken.code(), Code::Conflict);
    install(&registry, manifest("a", b"other"), b"other", true).await.expect("replaces");
    assert_eq!(blobs(&registry).len(), 2);
    check_consistent(&registry).await;

    assert_eq!(registry.remove(&id("b")).await.expect("removes").freed_bytes, 4);
    assert_eq!(registry.remove(&id("b")).await.expect_err("gone").code(), Code::ModelNotFound);
    assert_eq!(registry.get(&id("b")).await.expect_err("gone").code(), Code::ModelNotFound);
    assert_eq!(all(&registry).await, ["a"]);
    assert_eq!(blobs(&registry).len(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("staging")).expect("staging").count(), 0);
}

#[tokio::test]
async fn a_file_that_is_here_already_need_not_be_staged() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    install(&registry, manifest("a", b"same"), b"same", false).await.expect("installs");
    assert!(registry.blob(&Sha256::of(b"same"), 4).await.is_some());
    assert!(registry.blob(&Sha256::of(b"same"), 5).await.is_none());
    let stage = registry.stage().await.expect("stage");
    registry.install(stage, manifest("b", b"same"), false).await.expect("takes the blob");
    check_consistent(&registry).await;
    let stage = registry.stage().await.expect("stage");
    let missing = registry.install(stage, manifest("c", b"missing"), false).await.expect_err("no file");
    assert_eq!(missing.code(), Code::NotFound);
    let short = install(&registry, manifest("d", b"four"), b"fo", false).await.expect_err("short");
    assert_eq!(short.code(), Code::BadModelFile);
    assert!(short.to_string().contains("2 bytes") && short.to_string().contains("4"), "{short}");
    check_consistent(&registry).await;
}

#[tokio::test]
async fn questions_and_pages() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    for (at, name) in ["m1", "m2", "m3", "qwen3-8b", "bge"].into_iter().enumerate() {
        let mut model = manifest(name, b"x");
        if name == "bge" {
            model.kind = ModelKind::Embedding;
            model.origin = Origin::Own;
        }
        if name == "qwen3-8b" {
            model.description.zh = "通义千问，擅长中文".into();
        }
        model.installed_at = at as u64;
        install(&registry, model, b"x", false).await.expect("installs");
    }
    let text = |text: &str| ModelQuery { text: Some(text.into()), ..ModelQuery::default() };
    assert_eq!(ids(&registry, &text("千问")).await, ["qwen3-8b"]);
    assert_eq!(ids(&registry, &text("ＱＷＥＮ")).await, ["qwen3-8b"]);
    assert_eq!(ids(&registry, &text("问")).await, ["qwen3-8b"]);
    assert_eq!(ids(&registry, &text("M")).await[..3], ["m1", "m2", "m3"]);
    assert!(ids(&registry, &text("%")).await.is_empty());
    let embedding = ModelQuery { kind: Some(ModelKind::Embedding), ..ModelQuery::default() };
    assert_eq!(ids(&registry, &embedding).await, ["bge"]);
    let both = ModelQuery { origin: Some(Origin::Own), kind: Some(ModelKind::Chat), ..ModelQuery::default() };
    assert!(ids(&registry, &both).await.is_empty());
    for text in [None, Some("llama".to_owned())] {
        let mut query = ModelQuery { limit: 2, text, ..ModelQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = registry.list(&query).await.expect("a page");
            assert_eq!(page.total, 5);
            seen.extend(page.data.into_iter().map(|m| m.id.to_string()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["bge", "m1", "m2", "m3", "qwen3-8b"]);
    }
    let wrong = ModelQuery { after: Some("x".into()), ..ModelQuery::default() };
    assert_eq!(registry.list(&wrong).await.expect_err("no cursor").code(), Code::InvalidValue);
}

#[tokio::test]
async fn another_process_is_seen() {
    let dir = tempfile::tempdir().expect("temp dir");
    let here = Registry::open(dir.path()).await.expect("opens");
    let there = Registry::open(dir.path()).await.expect("opens again");
    let before = here.generation().await.expect("generation");
    install(&there, manifest("a", b"x"), b"x", false).await.expect("installs");
    assert_ne!(here.generation().await.expect("generation"), before);
    assert_eq!(ids(&here, &ModelQuery { text: Some("llama".into()), ..ModelQuery::default() }).await, ["a"]);
    there.remove(&id("a")).await.expect("removes");
    assert!(ids(&here, &ModelQuery { text: Some("llama".into()), ..ModelQuery::default() }).await.is_empty());
}

#[tokio::test]
async fn the_index_is_only_a_cache() {
    let dir = tempfile::tempdir().expect("temp dir");
    let index = dir.path().join("registry.db");
    let registry = Registry::open(dir.path()).await.expect("opens");
    install(&registry, manifest("a", b"x"), b"x", false).await.expect("installs");
    install(&registry, manifest("b", b"x"), b"x", false).await.expect("installs");
    assert_eq!(registry.rebuild().await.expect("rebuilds"), 2);
    assert_eq!(all(&registry).await, ["a", "b"]);
    drop(registry);
    for damage in [
        &b""[..],
        b"this is no database, but it is long enough to look like the header of one ..............",
    ] {
        for suffix in ["registry.db-wal", "registry.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(suffix));
        }
        std::fs::write(&index, damage).expect("damages");
        let registry = Registry::open(dir.path()).await.expect("mends");
        assert_eq!(all(&registry).await, ["a", "b"]);
    }
    std::fs::remove_file(&index).expect("removes the index");
    let registry = Registry::open(dir.path()).await.expect("opens");
    assert_eq!(all(&registry).await, ["a", "b"]);
    // Folders that come and go by hand are noticed too.
    std::fs::rename(dir.path().join("models/a"), dir.path().join("away")).expect("moves");
    assert_eq!(all(&registry).await, ["b"]);
    std::fs::rename(dir.path().join("away"), dir.path().join("models/a")).expect("moves back");
    assert_eq!(all(&registry).await, ["a", "b"]);
}

#[tokio::test]
async fn a_manifest_that_lies_is_left_out_and_named() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    install(&registry, manifest("a", b"x"), b"x", false).await.expect("installs");
    std::fs::create_dir(dir.path().join("models/b")).expect("folder");
    std::fs::copy(dir.path().join("models/a/manifest.json"), dir.path().join("models/b/manifest.json"))
        .expect("copy");
    let registry = Registry::open(dir.path()).await.expect("opens");
    assert_eq!(all(&registry).await, ["a"]);
    let error = registry.get(&id("b")).await.expect_err("names another model");
    assert_eq!(error.code(), Code::BadModelFile);
    assert!(error.to_string().contains("models/b/manifest.json"), "{error}");
}

#[tokio::test]
async fn leftovers_of_dead_processes_are_swept_and_live_ones_kept() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    install(&registry, manifest("a", b"x"), b"x", false).await.expect("installs");
    // A process died after it had made a blob and half a model folder.
    let dead = dir.path().join("staging/dead");
    std::fs::create_dir_all(dead.join("files")).expect("folder");
    std::fs::create_dir_all(dead.join("model")).expect("folder");
    std::fs::write(dead.join("lock"), "").expect("lock");
    std::fs::write(dead.join("files/m"), "half").expect("file");
    let orphan = registry.0.layout.blob(&Sha256::of(b"half"));
    std::fs::create_dir_all(orphan.parent().expect("shelf")).expect("shelf");
    std::fs::hard_link(dead.join("files/m"), &orphan).expect("blob");
    std::fs::hard_link(&orphan, dead.join("model/m")).expect("link");
    // Another one is at work, and a third left a download to go on with.
    let live = registry.stage().await.expect("stage");
    let partial = registry.stage_resumable("hf:x/y").await.expect("stage");
    std::fs::write(partial.files().join("part"), "abc").expect("part");
    let busy = registry.stage_resumable("hf:x/y").await.expect_err("held");
    assert_eq!(busy.code(), Code::Conflict);
    drop(partial);

    let registry = Registry::open(dir.path()).await.expect("opens");
    assert!(!dead.exists() && !orphan.exists());
    assert!(live.files().is_dir());
    let partial = registry.stage_resumable("hf:x/y").await.expect("goes on");
    assert_eq!(std::fs::read(partial.files().join("part")).expect("part"), b"abc");
    partial.discard().expect("discards");
    drop(live);
    check_consistent(&registry).await;
    assert_eq!(std::fs::read_dir(dir.path().join("staging")).expect("staging").count(), 0);
}

#[tokio::test]
async fn damage_is_found() {
    let dir = tempfile::tempdir().expect("temp dir");
    let registry = Registry::open(dir.path()).await.expect("opens");
    let model = install(&registry, manifest("a", b"abcd"), b"abcd", false).await.expect("installs");
    let verify =
        || async { registry.verify(&id("a"), &Progress::none(), &Cancel::new()).await.expect("a report") };
    assert!(verify().await.ok);
    let main = registry.main_file(&model);
    std::fs::write(&main, b"abcX").expect("flips");
    let report = verify().await;
    assert!(
        !report.ok && report.files[0].reason.as_ref().is_some_and(|r| r.en.contains("SHA-256")),
        "{report:?}"
    );
    std::fs::write(&main, b"abc").expect("cuts");
    assert!(verify().await.files[0].reason.as_ref().is_some_and(|r| r.en.contains("3 bytes instead of 4")));
    std::fs::remove_file(&main).expect("removes");
    assert!(verify().await.files[0].reason.as_ref().is_some_and(|r| r.en.contains("can't be read")));
    let cancel = Cancel::new();
    cancel.cancel();
    std::fs::write(&main, b"abcd").expect("restores");
    let error = registry.verify(&id("a"), &Progress::none(), &cancel).await.expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);
}

#[tokio::test]
async fn a_folder_that_cant_be_written_is_named() {
    // Nobody can make a folder there: it is read-only, or refuses even root.
    let error = Registry::open(Path::new("/sys/rixin-test")).await.expect_err("can't be written");
    assert_eq!(error.code(), Code::ReadOnly);
    assert!(
        error.to_string().contains("/sys/rixin-test") && error.to_string().contains("RIXIN_DATA_DIR"),
        "{error}"
    );
}

/// Not a test of its own: [`a_kill_at_any_moment_leaves_it_consistent`] runs it in a process that it kills.
#[tokio::test]
async fn child_that_installs_until_it_is_killed() {
    let Some(folder) = std::env::var_os("RIXIN_TEST_INSTALL_INTO") else { return };
    let registry = Registry::open(Path::new(&folder)).await.expect("opens");
    for round in 0u32.. {
        let name = format!("m{}", round % 5);
        let content = format!("content {}", round % 7);
        install(&registry, manifest(&name, content.as_bytes()), content.as_bytes(), true)
            .await
            .expect("installs");
        if round % 3 == 2 {
            registry.remove(&id(&name)).await.expect("removes");
        }
        println!("round {round}");
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_it_consistent() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().expect("temp dir");
    for round in 0..12 {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "registry::tests::child_that_installs_until_it_is_killed", "--nocapture"])
            .env("RIXIN_TEST_INSTALL_INTO", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let wanted = format!("round {round}");
        assert!(
            lines.map_while(std::result::Result::ok).any(|line| line.ends_with(&wanted)),
            "the child installs"
        );
        child.kill().expect("kills");
        child.wait().expect("ends");
        let registry = Registry::open(dir.path()).await.expect("opens");
        check_consistent(&registry).await;
        assert_eq!(std::fs::read_dir(dir.path().join("staging")).expect("staging").count(), 0);
    }
}

/// Runs a test of this binary in a mount namespace where `RIXIN_TEST_SMALL_DISK` is a file system of 8 MiB; `false` where
/// this machine does not allow such namespaces.
fn on_a_small_disk(test: &str) -> bool {
    let dir = tempfile::tempdir().expect("temp dir");
    let script = "mount -t tmpfs -o size=8m none \"$RIXIN_TEST_SMALL_DISK\" || exit 77; exec \"$@\"";
    let status = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", test, "--nocapture"])
        .env("RIXIN_TEST_SMALL_DISK", dir.path())
        .stdout(Stdio::null())
        .status();
    match status.ok().and_then(|status| status.code()) {
        Some(0) => true,
        Some(101) => panic!("{test} failed on the small disk"),
        other => {
            eprintln!("skipped: no mount namespaces here ({other:?})");
            false
        }
    }
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    on_a_small_disk("registry::tests::child_on_a_disk_that_fills_up");
}

#[tokio::test]
async fn child_on_a_disk_that_fills_up() {
    let Some(folder) = std::env::var_os("RIXIN_TEST_SMALL_DISK") else { return };
    let folder = Path::new(&folder);
    let registry = Registry::open(folder).await.expect("opens");
    install(&registry, manifest("a", b"x"), b"x", false).await.expect("installs");
    let stage = registry.stage().await.expect("stage");
    let model = manifest("b", b"y");
    std::fs::create_dir_all(stage.file(&model.main).parent().expect("a folder")).expect("folder");
    std::fs::write(stage.file(&model.main), b"y").expect("staged");
    // Fill what is left, to the last byte.
    let filler = folder.join("filler");
    let mut file = std::fs::File::create(&filler).expect("filler");
    while std::io::Write::write(&mut file, &[0; 4096]).is_ok_and(|n| n > 0) {}
    drop(file);
    let error = registry.install(stage, model, false).await.expect_err("the disk is full");
    assert_eq!(error.code(), Code::DiskFull, "{error}");
    assert!(error.to_string().contains("RIXIN_DATA_DIR"), "{error}");
    assert_eq!(all(&registry).await, ["a"]);
    std::fs::remove_file(&filler).expect("frees");
    drop(registry);
    let registry = Registry::open(folder).await.expect("opens");
    install(&registry, manifest("b", b"y"), b"y", false).await.expect("installs");
    check_consistent(&registry).await;
}

#[test]
fn a_disk_that_turns_read_only_is_named() {
    on_a_small_disk("registry::tests::child_on_a_disk_that_turns_read_only");
}

#[tokio::test]
async fn child_on_a_disk_that_turns_read_only() {
    let Some(folder) = std::env::var_os("RIXIN_TEST_SMALL_DISK") else { return };
    let folder = Path::new(&folder);
    let registry = Registry::open(folder).await.expect("opens");
    install(&registry, manifest("a", b"x"), b"x", false).await.expect("installs");
    registry.close().await;
    drop(registry);
    let mut remount = std::process::Command::new("mount");
    assert!(remount.args(["-o", "remount,ro"]).arg(folder).status().expect("mount").success());
    let error = Registry::open(folder).await.map(drop).expect_err("read-only");
    assert_eq!(error.code(), Code::ReadOnly, "{error}");
}
