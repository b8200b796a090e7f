use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> SourceUri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn forms() {
    let SourceUri::Pypi(parts) = parse("pypi:a-1==1.0#a/x.00+b==1.0%2Bcpu#b/x.01") else { panic!("pypi") };
    assert_eq!((parts.len(), parts[1].version.as_str(), parts[1].path.as_str()), (2, "1.0+cpu", "b/x.01"));
    let SourceUri::Npm(parts) = parse("npm:@scope/pkg@1.2.1#voices/a.bin") else { panic!("npm") };
    assert_eq!((parts[0].package.as_str(), parts[0].version.as_str()), ("@scope/pkg", "1.2.1"));
    let SourceUri::Hf(repo) = parse("HF:Qwen/Qwen3-0.6B-GGUF@refs/pr/1:sub dir/*Q8_0.gguf") else {
        panic!("hf")
    };
    assert_eq!(
        (repo.revision.as_deref(), repo.file.as_deref()),
        (Some("refs/pr/1"), Some("sub dir/*Q8_0.gguf"))
    );
    assert_eq!(parse("file:///a%20b"), SourceUri::File("/a b".into()));
    assert_eq!(parse("/a b"), SourceUri::File("/a b".into()));
    assert_eq!(parse("civitai:@7").to_string(), "civitai:@7");
    assert_eq!(parse("civitai:hash/abcdef0123").to_string(), "civitai:hash/ABCDEF0123");
}

#[test]
fn lists_are_joined() {
    let list = ["pypi:a==1#x.00", "pypi:b==1#x.01"];
    assert_eq!(SourceUri::from_list(&list).expect("parts").to_string(), "pypi:a==1#x.00+b==1#x.01");
    assert!(SourceUri::from_list(&["pypi:a==1#x", "npm:b@1#y"]).is_err());
    assert!(SourceUri::from_list(&["hf:a/b", "hf:a/c"]).is_err());
    assert!(SourceUri::from_list(&[] as &[&str]).is_err());
}

#[test]
fn pages_of_hubs() {
    for (page, uri) in [
        ("https://huggingface.co/Qwen/Qwen3-0.6B-GGUF", "hf:Qwen/Qwen3-0.6B-GGUF"),
        ("https://huggingface.co/Qwen/Q/blob/main/a%20b.gguf", "hf:Qwen/Q:a b.gguf"),
        ("https://hf-mirror.com/Qwen/Q/resolve/v1.0/x.gguf?download=true", "hf:Qwen/Q@v1.0:x.gguf"),
        ("https://huggingface.co/a/b/tree/refs%2Fpr%2F1", "hf:a/b@refs/pr/1"),
        ("https://huggingface.co/a/b/tree/main/q4", "hf:a/b:q4/*"),
        ("https://huggingface.co/gpt2", "hf:gpt2"),
        ("https://www.modelscope.cn/models/Qwen/Q/files", "modelscope:Qwen/Q"),
        ("https://modelscope.cn/models/Qwen/Q/file/view/master/x.gguf?status=2", "modelscope:Qwen/Q:x.gguf"),
        ("https://modelscope.cn/models/Qwen/Q/resolve/v2/x.gguf", "modelscope:Qwen/Q@v2:x.gguf"),
        (
            "https://modelscope.cn/api/v1/models/Qwen/Q/repo?Revision=master&FilePath=a%2Fx.gguf",
            "modelscope:Qwen/Q:a/x.gguf",
        ),
        ("https://civitai.com/models/4384/dreamshaper", "civitai:4384"),
        ("https://civitai.com/models/4384?modelVersionId=128713", "civitai:4384@128713"),
        ("https://civitai.com/api/download/models/128713", "civitai:@128713"),
    ] {
        assert_eq!(parse(page).to_string(), uri, "{page}");
    }
    for bad in [
        "https://example.com/x.gguf",
        "https://huggingface.co/datasets/a/b",
        "https://pypi.org/project/a/",
        "http://",
    ] {
        assert!(bad.parse::<SourceUri>().is_err(), "{bad}");
    }
}

#[test]
fn mistakes_are_told_with_the_right_form() {
    for (text, form) in [
        ("", "file:/path"),
        ("x", "file:/path"),
        ("ftp:x", "file:/path"),
        ("file:a/b", "file:/absolute"),
        ("pypi:a#b", "pypi:PACKAGE==VERSION#FILE"),
        ("pypi:a==1", "pypi:PACKAGE==VERSION#FILE"),
        ("pypi:a>=1#b", "pypi:PACKAGE==VERSION#FILE"),
        ("pypi:a==1#../b", "pypi:PACKAGE==VERSION#FILE"),
        ("pypi:--index-url==1#b", "pypi:PACKAGE==VERSION#FILE"),
        ("pypi:a==1 --index-url=x#b", "pypi:PACKAGE==VERSION#FILE"),
        ("npm:@scope/a#b", "npm:PACKAGE@VERSION#FILE"),
        ("npm:a@latest#b", "npm:PACKAGE@VERSION#FILE"),
        ("hf:", "hf:ORG/REPO"),
        ("hf:a/b/c", "hf:ORG/REPO"),
        ("hf:../b", "hf:ORG/REPO"),
        ("hf:a/b@", "hf:ORG/REPO"),
        ("hf:a/b:../x", "hf:ORG/REPO"),
        ("hf:a/b:/etc/passwd", "hf:ORG/REPO"),
        ("hf:a/b:x\ny", "hf:ORG/REPO"),
        ("modelscope:b", "modelscope:ORG/REPO"),
        ("civitai:x", "civitai:MODEL"),
        ("civitai:0", "civitai:MODEL"),
        ("civitai:hash/123", "civitai:MODEL"),
    ] {
        let error = text.parse::<SourceUri>().expect_err(text);
        assert!(error.to_string().contains(form), "{text}: {error}");
    }
}

fn any_part() -> impl Strategy<Value = PackagePart> {
    ("[a-z][a-z0-9._-]{0,9}", "[0-9][0-9a-z.+-]{0,6}", r"[^/\\\x00-\x1f\x7f-\x9f]{1,8}(/[a-z +#%é]{1,6})?")
        .prop_map(|(package, version, path)| PackagePart { package, version, path })
        .prop_filter("a sound path", |part| is_inner_path(&part.path))
}

fn any_repo() -> impl Strategy<Value = RepoRef> {
    (
        "[A-Za-z0-9][A-Za-z0-9._-]{0,8}/[A-Za-z0-9][A-Za-z0-9._-]{0,8}",
        proptest::option::of("[a-z0-9][a-z0-9/._-]{0,8}"),
        proptest::option::of("[^\\\\\\x00-\\x1f\\x7f-\\x9f]{1,20}"),
    )
        .prop_filter_map("a sound repository", |(repo, revision, file)| {
            let file = file.filter(|file: &String| file.trim() == file);
            RepoRef::new(&repo, revision.as_deref(), file.as_deref()).ok()
        })
}

fn any_uri() -> impl Strategy<Value = SourceUri> {
    let id = prop_oneof![
        (1..u64::MAX, proptest::option::of(1..u64::MAX))
            .prop_map(|(model, version)| CivitaiId::Model { model, version }),
        (1..u64::MAX).prop_map(CivitaiId::Version),
        "[0-9A-F]{10}|[0-9A-F]{64}".prop_map(CivitaiId::Hash),
    ];
    let civitai =
        (id, proptest::option::of("[a-zA-Z0-9._-]{1,9}")).prop_filter_map("a sound name", |(id, file)| {
            file.as_deref().is_none_or(is_inner_path).then_some(SourceUri::Civitai(CivitaiRef { id, file }))
        });
    prop_oneof![
        "/[^\\x00-\\x1f\\x7f-\\x9f/ ]{1,9}(/[a-z %#+:]{1,9}[a-z])?"
            .prop_map(|path| SourceUri::File(path.into())),
        prop::collection::vec(any_part(), 1..4).prop_map(SourceUri::Pypi),
        prop::collection::vec(any_part(), 1..4).prop_map(SourceUri::Npm),
        any_repo().prop_map(SourceUri::Hf),
        any_repo().prop_map(SourceUri::ModelScope),
        civitai,
    ]
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(uri in any_uri()) {
        let text = uri.to_string();
        prop_assert_eq!(text.parse::<SourceUri>().map_err(|e| e.to_string()), Ok(uri.clone()), "{}", text);
        let json = serde_json::to_string(&uri).expect("json");
        prop_assert_eq!(serde_json::from_str::<SourceUri>(&json).expect("json"), uri);
    }

    #[test]
    fn any_text_is_survived(text in ".{0,60}", scheme in "(file|pypi|npm|hf|modelscope|civitai|https?):") {
        let _ = text.parse::<SourceUri>();
        if let Ok(uri) = format!("{scheme}{text}").parse::<SourceUri>() {
            prop_assert_eq!(uri.to_string().parse::<SourceUri>().map_err(|e| e.to_string()), Ok(uri));
        }
    }
}
