//! ModelScope: its model API, lists of files, and downloads.
//!
//! Layout: every answer is `{"Code": 200, "Success": true, "Message": .., "Data": ..}`. `GET /api/v1/models/{repo}` is the card,
//! `GET /api/v1/models/{repo}/repo/files?Revision=&Recursive=true` the list with size and SHA-256 of every file,
//! `GET /api/v1/models/{repo}/repo?Revision=&FilePath=` a file, which may redirect to the storage and answers ranges with the status 200.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use rixin_base::{Cancel, Progress};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{
    Location, Place, Plan, PlannedFile, RepoRef, Source, SourceError, SourceUri,
    choose::{Listed, choose},
    fetch_web, file_path, plan,
};
use crate::{
    Licence,
    download::Fetched,
    net::{self, Hub, Net},
};

/// A repository of ModelScope.
pub(super) struct ModelScopeSource {
    pub net: Arc<Net>,
    pub hub: Arc<Hub>,
    pub repo: RepoRef,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Code")]
    code: i64,
    #[serde(rename = "Message", default)]
    message: String,
    #[serde(rename = "Data")]
    data: Option<T>,
}

#[derive(Default, Deserialize)]
struct Card {
    #[serde(rename = "License", default)]
    licence: Option<String>,
    #[serde(rename = "BaseModel", default)]
    base_model: Option<Vec<String>>,
    #[serde(rename = "Language", default)]
    language: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Files {
    #[serde(rename = "Files")]
    files: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Path")]
    path: String,
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Size", default)]
    size: Option<u64>,
    #[serde(rename = "Sha256", default)]
    sha256: Option<String>,
}

impl ModelScopeSource {
    fn page(&self) -> String {
        self.hub.url(&["models", &self.repo.repo], &[]).to_string()
    }

    fn revision(&self) -> &str {
        self.repo.revision.as_deref().unwrap_or("master")
    }

    async fn ask<T: DeserializeOwned>(&self, url: &Url, cancel: &Cancel) -> Result<T, SourceError> {
        let what = match &self.repo.revision {
            Some(revision) => format!("{}@{revision}", self.repo.repo),
            None => self.repo.repo.clone(),
        };
        let answer = self.net.get(&self.hub, url, &HeaderMap::new(), cancel).await?;
        if !answer.status.is_success() {
            return Err(net::refusal(&self.hub, answer, &what, &self.page()).await);
        }
        let envelope: Envelope<T> = answer.json(self.net.tuning.stall_timeout, cancel).await?;
        envelope.data.filter(|_| envelope.code == 200).ok_or_else(|| {
            let told = format!("{} (code {})", envelope.message, envelope.code);
            SourceError::answer(&net::host(url), &what, told.clone(), told)
        })
    }
}

/// ModelScope writes licences out: `Apache License 2.0`.
fn licence(text: Option<&str>) -> Licence {
    let text = text.unwrap_or_default().trim();
    let known = match text.to_ascii_lowercase().as_str() {
        "apache license 2.0" | "apache 2.0" | "apache license version 2.0" => "Apache-2.0",
        "mit license" => "MIT",
        "gpl-2.0 license" => "GPL-2.0-only",
        "gpl-3.0 license" | "gnu general public license v3.0" => "GPL-3.0-only",
        "lgpl-3.0 license" => "LGPL-3.0-only",
        "bsd-3-clause license" => "BSD-3-Clause",
        "mozilla public license 2.0" => "MPL-2.0",
        _ => text,
    };
    Licence::from_tag(known, None)
}

#[async_trait]
impl Source for ModelScopeSource {
    async fn resolve(&self, cancel: &Cancel) -> Result<Plan, SourceError> {
        let repo = self.repo.repo.as_str();
        let query = [("Revision", self.revision()), ("Recursive", "true")];
        let files: Files =
            self.ask(&self.hub.url(&["api/v1/models", repo, "repo/files"], &query), cancel).await?;
        let card: Card = self.ask(&self.hub.url(&["api/v1/models", repo], &[]), cancel).await?;
        let listed: Vec<Listed> = files
            .files
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.kind != "tree")
            .map(|entry| Listed {
                path: entry.path,
                size: entry.size,
                sha256: entry.sha256.and_then(|sha| sha.parse().ok()),
                git_blob: None,
            })
            .collect();
        let what = SourceUri::ModelScope(RepoRef { file: None, ..self.repo.clone() }).to_string();
        let chosen = choose(self.hub.name, &what, &listed, self.repo.file.as_deref())?;
        let files = chosen.files.iter().map(|file| {
            let query = [("Revision", self.revision()), ("FilePath", file.path.as_str())];
            let url = self.hub.url(&["api/v1/models", repo, "repo"], &query);
            Ok(PlannedFile {
                path: file_path(&self.hub, &file.path)?,
                size: file.size,
                sha256: file.sha256,
                from: Location::Web { url, git_blob: None },
            })
        });
        let files = files.collect::<Result<Vec<_>, SourceError>>()?;
        let name = chosen.name.unwrap_or_else(|| repo.rsplit('/').next().unwrap_or(repo).to_owned());
        Ok(Plan {
            id: plan::slug(&name),
            revision: Some(self.revision().to_owned()),
            licence: licence(card.licence.as_deref()),
            page: Some(self.page()),
            base_model: card.base_model.and_then(|list| list.into_iter().next()),
            languages: card.language.unwrap_or_default(),
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

    #[test]
    fn licences_written_out() {
        assert_eq!(licence(Some("Apache License 2.0")).spdx.as_deref(), Some("Apache-2.0"));
        assert_eq!(licence(Some("apache-2.0")).spdx.as_deref(), Some("Apache-2.0"));
        assert_eq!(licence(Some("Tongyi Qianwen")).name, "Tongyi Qianwen");
        assert!(!licence(None).is_known());
    }
}
