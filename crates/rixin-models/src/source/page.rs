//! Addresses of the hubs' pages, as pasted from a browser, read as sources.

use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    SourceError,
    uri::{CivitaiId, CivitaiRef, FORMS, RepoRef, SourceUri, bad},
};

/// Reads the address of a model's or file's page on a hub that this crate knows.
pub(super) fn parse(text: &str) -> Result<SourceUri, SourceError> {
    let url = Url::parse(text).map_err(|_| bad(text, "it is no web address", "不是有效的网址", FORMS))?;
    let segments: Vec<String> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let host = url.host_str().unwrap_or_default();
    match host.strip_prefix("www.").unwrap_or(host) {
        "huggingface.co" | "hf.co" | "hf-mirror.com" => hf(text, &segments),
        "modelscope.cn" | "modelscope.ai" => modelscope(text, &segments, &url),
        "civitai.com" => civitai(text, &segments, &url),
        "pypi.org" => Err(package(text, "pypi:PACKAGE==VERSION#FILE")),
        "npmjs.com" => Err(package(text, "npm:PACKAGE@VERSION#FILE")),
        _ => Err(bad(
            text,
            "this site is not a source; download the file and import it from its path",
            "不支持该网站；请先下载文件，再从本地路径导入",
            FORMS,
        )),
    }
}

fn package(text: &str, form: &str) -> SourceError {
    bad(
        text,
        "a package's page does not name a version and a file in it",
        "包的网页没有指明版本和其中的文件",
        form,
    )
}

fn hf(text: &str, segments: &[&str]) -> Result<SourceUri, SourceError> {
    let form = "hf:ORG/REPO[@REVISION][:FILE]";
    if let Some(kind @ ("datasets" | "spaces" | "collections" | "papers" | "blog" | "docs")) =
        segments.first().copied()
    {
        return Err(bad(text, &format!("{kind} are not models"), &format!("{kind} 不是模型"), form));
    }
    let (name, rest) = match segments {
        [org, repo, rest @ ..] => (format!("{org}/{repo}"), rest),
        [repo] => ((*repo).to_owned(), &[][..]),
        [] => return Err(bad(text, "it names no repository", "没有指明仓库", form)),
    };
    let (revision, file) = match rest {
        ["blob" | "resolve" | "raw", revision, file @ ..] if !file.is_empty() => {
            (Some(*revision), Some(file.join("/")))
        }
        ["tree", revision] => (Some(*revision), None),
        ["tree", revision, folder @ ..] => (Some(*revision), Some(format!("{}/*", folder.join("/")))),
        _ => (None, None),
    };
    RepoRef::new(&name, revision.filter(|r| *r != "main"), file.as_deref())
        .map(SourceUri::Hf)
        .map_err(|(en, zh)| bad(text, en, zh, form))
}

fn modelscope(text: &str, segments: &[&str], url: &Url) -> Result<SourceUri, SourceError> {
    let form = "modelscope:ORG/REPO[@REVISION][:FILE]";
    let query =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (name, revision, file) = match segments {
        ["models", org, repo, "file", "view", revision, file @ ..] if !file.is_empty() => {
            (format!("{org}/{repo}"), Some((*revision).to_owned()), Some(file.join("/")))
        }
        ["models", org, repo, "resolve", revision, file @ ..] if !file.is_empty() => {
            (format!("{org}/{repo}"), Some((*revision).to_owned()), Some(file.join("/")))
        }
        ["api", "v1", "models", org, repo, "repo"] => {
            (format!("{org}/{repo}"), query("Revision"), query("FilePath"))
        }
        ["models", org, repo, ..] => (format!("{org}/{repo}"), None, None),
        _ => return Err(bad(text, "it names no model", "没有指明模型", form)),
    };
    let revision = revision.filter(|r| r != "master");
    RepoRef::new(&name, revision.as_deref(), file.as_deref())
        .map(SourceUri::ModelScope)
        .map_err(|(en, zh)| bad(text, en, zh, form))
}

fn civitai(text: &str, segments: &[&str], url: &Url) -> Result<SourceUri, SourceError> {
    let wrong = || bad(text, "it names no model", "没有指明模型", "civitai:MODEL[@VERSION][:FILE]");
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(wrong);
    let id = match segments {
        ["models", model, ..] => {
            let version = url.query_pairs().find(|(key, _)| key == "modelVersionId");
            let version = version.map(|(_, value)| number(&value)).transpose()?;
            CivitaiId::Model { model: number(model)?, version }
        }
        ["api", "download", "models", version] | ["model-versions", version] => {
            CivitaiId::Version(number(version)?)
        }
        _ => return Err(wrong()),
    };
    Ok(SourceUri::Civitai(CivitaiRef { id, file: None }))
}
