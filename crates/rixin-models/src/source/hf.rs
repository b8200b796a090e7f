//! Hugging Face: the model API, `resolve` addresses, and what their headers say.
//!
//! Layout: `GET /api/models/{repo}/revision/{rev}?blobs=true` names the commit, the card and the files with size and LFS hash;
//! `GET /api/models/{repo}/tree/{commit}?recursive=true` is its paged list for mirrors that leave sizes out;
//! `GET /{repo}/resolve/{commit}/{file}` redirects to the storage. Files are taken at the commit, so that a push in between changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use rixin_base::{Cancel, Progress};
use serde::Deserialize;
use url::Url;

use super::{
    Location, Place, Plan, PlannedFile, RepoRef, Source, SourceError, SourceUri,
    choose::{Listed, choose},
    fetch_web, file_path, plan,
};
use crate::{
    Licence, Sha256,
    download::Fetched,
    net::{self, Answer, Hub, Net},
};

/// Pages of the list of files; each has up to 1000 entries.
const MAX_PAGES: usize = 100;

/// A repository of Hugging Face or a mirror of it.
pub(super) struct HfSource {
    pub net: Arc<Net>,
    pub hub: Arc<Hub>,
    pub repo: RepoRef,
}

#[derive(Deserialize)]
struct Info {
    sha: Option<String>,
    #[serde(default, rename = "cardData")]
    card: Option<serde_json::Value>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<SiblingLfs>,
}

#[derive(Deserialize)]
struct SiblingLfs {
    sha256: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    oid: Option<String>,
    lfs: Option<TreeLfs>,
}

#[derive(Deserialize)]
struct TreeLfs {
    oid: String,
    size: Option<u64>,
}

impl HfSource {
    fn page(&self) -> String {
        self.hub.url(&[&self.repo.repo], &[]).to_string()
    }

    async fn ask(&self, url: &Url, cancel: &Cancel) -> Result<Answer, SourceError> {
        let answer = self.net.get(&self.hub, url, &HeaderMap::new(), cancel).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let mut what = self.repo.repo.clone();
        if let Some(revision) = &self.repo.revision {
            what = format!("{what}@{revision}");
        }
        Err(net::refusal(&self.hub, answer, &what, &self.page()).await)
    }

    /// The paged list, for mirrors whose model API leaves sizes out.
    async fn tree(&self, commit: &str, cancel: &Cancel) -> Result<Vec<Listed>, SourceError> {
        let mut url =
            self.hub.url(&["api/models", &self.repo.repo, "tree", commit], &[("recursive", "true")]);
        let mut out = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.ask(&url, cancel).await?;
            let next = answer.header("link").and_then(next_link).and_then(|link| url.join(&link).ok());
            let entries: Vec<TreeEntry> = answer.json(self.net.tuning.stall_timeout, cancel).await?;
            out.extend(entries.into_iter().filter(|entry| entry.kind == "file").map(|entry| Listed {
                size: entry.lfs.as_ref().and_then(|lfs| lfs.size).or(entry.size),
                sha256: entry.lfs.as_ref().and_then(|lfs| lfs.oid.parse().ok()),
                git_blob: entry.oid.filter(|_| entry.lfs.is_none()),
                path: entry.path,
            }));
            match next {
                // Only the hub itself may say where its list goes on.
                Some(next) if next.origin() == self.hub.endpoint.origin() => url = next,
                _ => return Ok(out),
            }
        }
        Ok(out)
    }
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, params) = link.split_once(';')?;
        let is_next = params.split(';').any(|param| matches!(param.trim(), "rel=\"next\"" | "rel=next"));
        let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
        is_next.then(|| target.to_owned())
    })
}

/// One text or the first of several.
fn text(value: Option<&serde_json::Value>) -> Option<String> {
    match value? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(list) => list.first().and_then(|first| first.as_str()).map(str::to_owned),
        _ => None,
    }
}

fn texts(value: Option<&serde_json::Value>) -> Vec<String> {
    match value {
        Some(serde_json::Value::String(text)) => vec![text.clone()],
        Some(serde_json::Value::Array(list)) => {
            list.iter().filter_map(|item| item.as_str()).map(str::to_owned).take(64).collect()
        }
        _ => Vec::new(),
    }
}

/// The licence on a model's card; `other` has its name and address beside it.
fn licence(hub: &Hub, repo: &str, card: Option<&serde_json::Value>, tags: &[String]) -> Licence {
    let field = |name: &str| text(card.and_then(|card| card.get(name)));
    let tagged = || tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned);
    let Some(tag) = field("license").or_else(tagged) else { return Licence::unknown() };
    // A link may be relative to the repository.
    let link = field("license_link").map(|link| match Url::parse(&link) {
        Ok(url) => url.to_string(),
        Err(_) => hub.url(&[repo, "blob", "main", &link], &[]).to_string(),
    });
    match (tag.as_str(), field("license_name")) {
        ("other", Some(name)) => Licence::from_tag(&name, link.as_deref()),
        _ => Licence::from_tag(&tag, link.as_deref()),
    }
}

#[async_trait]
impl Source for HfSource {
    async fn resolve(&self, cancel: &Cancel) -> Result<Plan, SourceError> {
        let revision = self.repo.revision.as_deref().unwrap_or("main");
        let mut url = self.hub.url(&["api/models", &self.repo.repo, "revision"], &[("blobs", "true")]);
        // A revision such as refs/pr/1 is one segment here.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(revision);
        }
        let answer = self.ask(&url, cancel).await?;
        let info: Info = answer.json(self.net.tuning.stall_timeout, cancel).await?;
        let commit = info
            .sha
            .clone()
            .filter(|sha| (40..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit()));
        let commit = commit.ok_or_else(|| {
            let host = net::host(&self.hub.endpoint);
            SourceError::answer(&host, &self.repo.repo, "no commit", "缺少提交号")
        })?;
        let mut listed: Vec<Listed> = info
            .siblings
            .into_iter()
            .map(|file| Listed {
                size: file.lfs.as_ref().and_then(|lfs| lfs.size).or(file.size),
                sha256: file.lfs.as_ref().and_then(|lfs| lfs.sha256.as_deref()?.parse::<Sha256>().ok()),
                git_blob: file.blob_id.filter(|_| file.lfs.is_none()),
                path: file.rfilename,
            })
            .collect();
        if listed.iter().any(|file| file.size.is_none()) {
            listed = self.tree(&commit, cancel).await?;
        }
        let what = SourceUri::Hf(RepoRef { file: None, ..self.repo.clone() }).to_string();
        let chosen = choose(self.hub.name, &what, &listed, self.repo.file.as_deref())?;
        let files = chosen.files.iter().map(|file| {
            let url = self.hub.url(&[&self.repo.repo, "resolve", &commit, &file.path], &[]);
            Ok(PlannedFile {
                path: file_path(&self.hub, &file.path)?,
                size: file.size,
                sha256: file.sha256,
                from: Location::Web { url, git_blob: file.git_blob.clone() },
            })
        });
        let files = files.collect::<Result<Vec<_>, SourceError>>()?;
        let card = info.card.as_ref();
        let name =
            chosen.name.unwrap_or_else(|| self.repo.repo.rsplit('/').next().unwrap_or_default().to_owned());
        Ok(Plan {
            id: plan::slug(&name),
            revision: Some(commit),
            licence: licence(&self.hub, &self.repo.repo, card, &info.tags),
            page: Some(self.page()),
            base_model: text(card.and_then(|card| card.get("base_model"))),
            languages: texts(card.and_then(|card| card.get("language"))),
            tags: texts(card.and_then(|card| card.get("tags"))),
            others: chosen.others,
            ..Plan::new(name, files)
        })
    }

    async fn fetch(
        &self,
        plan: &Plan,
        files: &[PlannedFile],
        place: &Place,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Fetched>, SourceError> {
        fetch_web(&self.net, &self.hub, plan, files, place, progress, cancel).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TokenStyle;

    #[test]
    fn link_headers() {
        let header = r#"<https://h/a?cursor=x>; rel="prev", <https://h/b?cursor=y>; rel="next""#;
        assert_eq!(next_link(header).as_deref(), Some("https://h/b?cursor=y"));
        assert_eq!(next_link("nonsense"), None);
    }

    #[test]
    fn licences_of_cards() {
        let hub = Hub::new("Hugging Face", "https://h", None, TokenStyle::Bearer, "hf_token").expect("valid");
        let of = |card: serde_json::Value| licence(&hub, "a/b", Some(&card), &[]);
        assert_eq!(of(serde_json::json!({"license": "apache-2.0"})).spdx.as_deref(), Some("Apache-2.0"));
        let named =
            of(serde_json::json!({"license": "other", "license_name": "glm-4", "license_link": "LICENSE"}));
        assert_eq!(
            (named.name.as_str(), named.url.as_deref()),
            ("glm-4", Some("https://h/a/b/blob/main/LICENSE"))
        );
        assert!(!of(serde_json::json!({"license": 3})).is_known());
        let tagged = licence(&hub, "a/b", None, &["gguf".into(), "license:mit".into()]);
        assert_eq!(tagged.spdx.as_deref(), Some("MIT"));
    }
}
