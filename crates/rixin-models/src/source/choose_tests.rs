use super::*;

fn list(paths: &[&str]) -> Vec<Listed> {
    paths.iter().map(|path| Listed { path: (*path).into(), size: Some(10), ..Listed::default() }).collect()
}

fn chosen(paths: &[&str], file: Option<&str>) -> Result<Vec<String>, SourceError> {
    let chosen = choose("Hub", "hf:a/b", &list(paths), file)?;
    Ok(chosen.files.into_iter().map(|file| file.path).collect())
}

#[test]
fn the_only_gguf_or_q4_k_m() {
    let one = chosen(&["README.md", "x.gguf", "mmproj-x.gguf"], None).expect("one model");
    assert_eq!(one, ["x.gguf"]);
    let paths = ["x-Q2_K.gguf", "x-Q4_K_M.gguf", "x-Q8_0.gguf"];
    assert_eq!(chosen(&paths, None).expect("Q4_K_M"), ["x-Q4_K_M.gguf"]);
    let whole = choose("Hub", "hf:a/b", &list(&paths), None).expect("Q4_K_M");
    assert_eq!(whole.name.as_deref(), Some("x-Q4_K_M"));
    assert_eq!(
        whole.others.iter().map(|o| o.file.as_str()).collect::<Vec<_>>(),
        ["x-Q2_K.gguf", "x-Q8_0.gguf"]
    );
    let error = chosen(&["x-Q2_K.gguf", "x-Q8_0.gguf"], None).expect_err("no rule").to_string();
    assert!(error.contains("x-Q2_K.gguf (10 B), x-Q8_0.gguf"), "{error}");
}

#[test]
fn a_split_gguf_is_one() {
    let parts = ["q/x-q4_k_m-00001-of-00002.gguf", "q/x-q4_k_m-00002-of-00002.gguf"];
    let paths = [parts[1], "x-Q8_0.gguf", parts[0]];
    assert_eq!(chosen(&paths, None).expect("split"), parts);
    assert_eq!(chosen(&paths, Some(parts[0])).expect("split by its first part"), parts);
    assert_eq!(chosen(&paths, Some(parts[1])).expect("split by another part"), parts);
    assert_eq!(chosen(&paths, Some("*Q4_K_M*")).expect("split by a glob"), parts);
    let error = chosen(&parts[..1], None).expect_err("a part is missing").to_string();
    assert!(error.contains("there should be 2"), "{error}");
}

#[test]
fn names_and_globs() {
    let paths = ["a.gguf", "b/c.gguf", "config.json", "x.bin"];
    assert_eq!(chosen(&paths, Some("b/c.gguf")).expect("named"), ["b/c.gguf"]);
    assert_eq!(chosen(&paths, Some("*.json")).expect("glob"), ["config.json"]);
    assert!(matches!(chosen(&paths, Some("nope.gguf")), Err(SourceError::NotThere { .. })));
    assert!(matches!(chosen(&paths, Some("*.gguf")), Err(SourceError::Ambiguous { .. })));
    assert!(matches!(chosen(&["m.ckpt"], Some("m.ckpt")), Err(SourceError::Unsafe { .. })));
}

#[test]
fn without_gguf_files_go_together() {
    let single = [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "pytorch_model.bin",
        "onnx/model.onnx",
    ];
    assert_eq!(
        chosen(&single, None).expect("single"),
        ["config.json", "model.safetensors", "tokenizer.json"]
    );
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    assert!(matches!(chosen(&shards, None), Err(SourceError::Ambiguous { .. })));
    let indexed = [shards[0], shards[1], "model.safetensors.index.json"];
    assert_eq!(chosen(&indexed, None).expect("shards").len(), 3);
    let diffusers = [
        "model_index.json",
        "v1-5.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.bin",
    ];
    let files = chosen(&diffusers, None).expect("diffusers");
    assert_eq!(files, ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"]);
    assert!(matches!(chosen(&["pytorch_model.bin"], None), Err(SourceError::Unsafe { .. })));
    assert!(matches!(chosen(&["README.md"], None), Err(SourceError::Nothing { .. })));
}

#[test]
fn globs() {
    for (pattern, text, hit) in [
        ("*Q8_0.gguf", "a/x-q8_0.gguf", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b", "xxaxxb", true),
        ("*a*b", "xxaxxbc", false),
        ("", "", true),
        ("**", "x", true),
    ] {
        assert_eq!(glob(pattern, text), hit, "{pattern} {text}");
    }
    let hard = format!("{}b", "*a".repeat(50));
    assert!(!glob(&hard, &"a".repeat(2000)), "no exponential time");
}
