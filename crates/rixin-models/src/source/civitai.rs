//! Civitai: models, their versions, and files with the creator's conditions.
//!
//! Layout: `GET /api/v1/models/{id}` names the conditions and all versions, newest first; `GET /api/v1/model-versions/{id}` and
//! `GET /api/v1/model-versions/by-hash/{hash}` one version; a file's `downloadUrl` redirects to signed storage.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use rixin_base::{Cancel, Message, Progress};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{
    CivitaiId, CivitaiRef, Location, Other, Place, Plan, PlannedFile, Source, SourceError, choose, fetch_web,
    file_path, plan,
};
use crate::{
    Licence, ModelKind, Sha256,
    download::Fetched,
    net::{self, Hub, Net},
};

/// A model of Civitai.
pub(super) struct CivitaiSource {
    pub net: Arc<Net>,
    pub hub: Arc<Hub>,
    pub model: CivitaiRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    id: u64,
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    allow_no_credit: Option<bool>,
    #[serde(default)]
    allow_commercial_use: Option<Uses>,
    #[serde(default)]
    allow_derivatives: Option<bool>,
    #[serde(default)]
    allow_different_license: Option<bool>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    model_versions: Vec<Version>,
}

/// One word in old answers, several in new ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Uses {
    One(String),
    Several(Vec<String>),
}

impl Uses {
    fn has(&self, word: &str) -> bool {
        match self {
            Uses::One(one) => one == word,
            Uses::Several(several) => several.iter().any(|use_| use_ == word),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    id: u64,
    #[serde(default)]
    model_id: Option<u64>,
    name: String,
    #[serde(default)]
    base_model: Option<String>,
    #[serde(default)]
    usage_control: Option<String>,
    #[serde(default)]
    files: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileEntry {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "sizeKB")]
    size_kb: Option<f64>,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    pickle_scan_result: Option<String>,
    #[serde(default)]
    virus_scan_result: Option<String>,
    #[serde(default)]
    hashes: Hashes,
    #[serde(default)]
    download_url: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    format: Option<String>,
}

#[derive(Default, Deserialize)]
struct Hashes {
    #[serde(default, rename = "SHA256")]
    sha256: Option<String>,
    #[serde(default, rename = "AutoV2")]
    auto_v2: Option<String>,
}

impl FileEntry {
    fn is_pickle(&self) -> bool {
        let format = self.metadata.as_ref().and_then(|data| data.format.as_deref());
        format.is_some_and(|format| format.eq_ignore_ascii_case("PickleTensor"))
            || choose::is_pickle(&self.name)
    }

    /// Sizes come as a fraction of KiB; one that is no whole number of bytes was rounded and says too little.
    fn size(&self) -> Option<u64> {
        let bytes = self.size_kb? * 1024.0;
        let whole = bytes.round();
        (whole >= 0.0 && whole < (1u64 << 53) as f64 && (bytes - whole).abs() < 1e-3).then_some(whole as u64)
    }

    fn has_hash(&self, hash: &str) -> bool {
        [&self.hashes.sha256, &self.hashes.auto_v2]
            .into_iter()
            .flatten()
            .any(|own| own.eq_ignore_ascii_case(hash))
    }
}

impl CivitaiSource {
    async fn ask<T: DeserializeOwned>(
        &self,
        url: &Url,
        what: &str,
        cancel: &Cancel,
    ) -> Result<T, SourceError> {
        let answer = self.net.get(&self.hub, url, &HeaderMap::new(), cancel).await?;
        if !answer.status.is_success() {
            return Err(net::refusal(&self.hub, answer, what, self.hub.endpoint.as_str()).await);
        }
        answer.json(self.net.tuning.stall_timeout, cancel).await
    }

    async fn model(&self, id: u64, cancel: &Cancel) -> Result<Model, SourceError> {
        let number = id.to_string();
        self.ask(&self.hub.url(&["api/v1/models", &number], &[]), &format!("model {id}"), cancel).await
    }

    /// The model and the version that is meant.
    async fn look_up(&self, cancel: &Cancel) -> Result<(Model, Version), SourceError> {
        let missing = |what: String| SourceError::NotThere { hub: self.hub.name, what };
        let version = match &self.model.id {
            CivitaiId::Model { model, version } => {
                let mut found = self.model(*model, cancel).await?;
                let at = match version {
                    Some(version) => found.model_versions.iter().position(|v| v.id == *version),
                    None => (!found.model_versions.is_empty()).then_some(0),
                };
                let at = at.ok_or_else(|| match version {
                    Some(version) => missing(format!("version {version} of model {model}")),
                    None => missing(format!("published version of model {model}")),
                })?;
                let version = found.model_versions.swap_remove(at);
                return Ok((found, version));
            }
            CivitaiId::Version(version) => {
                let number = version.to_string();
                let url = self.hub.url(&["api/v1/model-versions", &number], &[]);
                self.ask::<Version>(&url, &format!("version {version}"), cancel).await?
            }
            CivitaiId::Hash(hash) => {
                let url = self.hub.url(&["api/v1/model-versions/by-hash", hash], &[]);
                self.ask::<Version>(&url, &format!("file with hash {hash}"), cancel).await?
            }
        };
        // The conditions stand on the model alone.
        let model = version.model_id.ok_or_else(|| missing(format!("model of version {}", version.id)))?;
        Ok((self.model(model, cancel).await?, version))
    }

    fn pick<'a>(&self, what: &str, version: &'a Version) -> Result<&'a FileEntry, SourceError> {
        let files = &version.files;
        let found = match (&self.model.file, &self.model.id) {
            (Some(name), _) => files.iter().find(|file| file.name == *name).or_else(|| {
                let mut hits = files.iter().filter(|file| choose::glob(name, &file.name));
                hits.next().filter(|_| hits.next().is_none())
            }),
            (None, CivitaiId::Hash(hash)) => files.iter().find(|file| file.has_hash(hash)),
            (None, _) => {
                let models =
                    || files.iter().filter(|file| file.kind.is_empty() || file.kind.ends_with("Model"));
                models()
                    .find(|file| file.primary && !file.is_pickle())
                    .or_else(|| models().find(|file| !file.is_pickle()))
                    .or_else(|| models().next())
            }
        };
        let Some(file) = found else {
            let names = files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(match &self.model.file {
                Some(name) if choose_is_ambiguous(files, name) => {
                    SourceError::Ambiguous { what: what.to_owned(), choices: names }
                }
                Some(name) => SourceError::NotThere {
                    hub: self.hub.name,
                    what: format!("{what}:{name} (there are {names})"),
                },
                None => SourceError::Nothing {
                    what: what.to_owned(),
                    why: Message::new("it has no model file", "其中没有模型文件"),
                },
            });
        };
        if file.is_pickle() || file.pickle_scan_result.as_deref() == Some("Danger") {
            return Err(SourceError::Unsafe { file: file.name.clone() });
        }
        if file.virus_scan_result.as_deref() == Some("Danger") {
            let why = Message::new("the hub's virus scan warns of it", "该站的病毒扫描报告其有危险");
            return Err(SourceError::Nothing { what: format!("{what}:{}", file.name), why });
        }
        Ok(file)
    }
}

fn choose_is_ambiguous(files: &[FileEntry], name: &str) -> bool {
    files.iter().filter(|file| choose::glob(name, &file.name)).count() > 1
}

/// The creator's conditions as sentences.
fn conditions(model: &Model) -> Message {
    let (mut en, mut zh): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut say = |a, b| {
        en.push(a);
        zh.push(b);
    };
    match &model.allow_commercial_use {
        None => say("Nothing is said about commercial use.", "未说明能否商用。"),
        Some(uses) => {
            match (uses.has("Image"), uses.has("Sell")) {
                (_, true) => {
                    say("Pictures and the model itself may be sold.", "可出售生成的图片，也可出售模型本身。")
                }
                (true, false) => {
                    say("Pictures may be sold, the model may not.", "可出售生成的图片，不可出售模型。")
                }
                (false, false) => say("Pictures and model may not be sold.", "生成的图片和模型均不可出售。"),
            }
            if !(uses.has("Rent") || uses.has("RentCivit") || uses.has("Sell")) {
                say("No paid generation service may be run with it.", "不可用于收费的生成服务。");
            }
        }
    }
    if model.allow_no_credit == Some(false) {
        say("The creator must be credited.", "须注明作者。");
    }
    if model.allow_derivatives == Some(false) {
        say("Merges and derived models may not be shared.", "不可分享融合或衍生模型。");
    }
    if model.allow_different_license == Some(false) {
        say("Derived models keep these conditions.", "衍生模型须沿用相同条件。");
    }
    Message::new(en.join(" "), zh.concat())
}

#[async_trait]
impl Source for CivitaiSource {
    async fn resolve(&self, cancel: &Cancel) -> Result<Plan, SourceError> {
        let (model, version) = self.look_up(cancel).await?;
        let what = format!("civitai:{}@{}", model.id, version.id);
        let id = model.id.to_string();
        let mut page = self.hub.url(&["models", &id], &[]);
        page.query_pairs_mut().append_pair("modelVersionId", &version.id.to_string());
        if version.usage_control.as_deref().is_some_and(|control| control != "Download") {
            return Err(SourceError::Denied {
                hub: self.hub.name,
                what,
                why: Message::new(
                    "its creator allows use on the site only, no download",
                    "作者只允许在站内使用，不允许下载",
                ),
            });
        }
        let file = self.pick(&what, &version)?;
        let url = file.download_url.as_deref().and_then(|url| self.hub.endpoint.join(url).ok()).ok_or_else(
            || {
                let host = net::host(&self.hub.endpoint);
                SourceError::answer(&host, &what, "a file without an address", "没有地址的文件")
            },
        )?;
        let planned = PlannedFile {
            path: file_path(&self.hub, &file.name)?,
            size: file.size(),
            sha256: file.hashes.sha256.as_deref().and_then(|sha| sha.parse::<Sha256>().ok()),
            from: Location::Web { url, git_blob: None },
        };
        let others = version.files.iter().filter(|other| other.name != file.name && !other.is_pickle());
        let name = format!("{} {}", model.name, version.name);
        let kind = match model.kind.to_ascii_uppercase().as_str() {
            "CHECKPOINT" => ModelKind::Image,
            "LORA" | "LOCON" | "DORA" => ModelKind::Lora,
            _ => ModelKind::Other,
        };
        Ok(Plan {
            id: plan::slug(&name).or_else(|| plan::slug(&format!("civitai-{}-{}", model.id, version.id))),
            kind: Some(kind),
            revision: Some(version.id.to_string()),
            licence: Licence::named(&format!("Civitai conditions of {}", model.name), Some(page.as_str())),
            conditions: Some(conditions(&model)),
            page: Some(page.to_string()),
            base_model: version.base_model.clone(),
            tags: model.tags.into_iter().take(64).collect(),
            others: others.map(|other| Other { file: other.name.clone(), size: other.size() }).collect(),
            ..Plan::new(name, vec![planned])
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
    fn conditions_in_words() {
        let model = |json: serde_json::Value| serde_json::from_value::<Model>(json).expect("a model");
        let free =
            model(serde_json::json!({"id": 1, "name": "x", "allowCommercialUse": ["Image", "Rent", "Sell"],
            "allowNoCredit": true, "allowDerivatives": true, "allowDifferentLicense": true}));
        assert_eq!(conditions(&free).en, "Pictures and the model itself may be sold.");
        let strict = model(serde_json::json!({"id": 1, "name": "x", "allowCommercialUse": "None",
            "allowNoCredit": false, "allowDerivatives": false, "allowDifferentLicense": false}));
        let text = conditions(&strict);
        assert!(text.en.contains("may not be sold") && text.en.contains("credited"), "{}", text.en);
        assert!(text.zh.contains("须注明作者"), "{}", text.zh);
    }

    #[test]
    fn sizes_in_kibibytes() {
        let size = |kb: f64| {
            let json = serde_json::json!({"name": "x.safetensors", "sizeKB": kb});
            serde_json::from_value::<FileEntry>(json).expect("a file").size()
        };
        assert_eq!(size(2132625.611328125), Some(2183808626));
        assert_eq!(size(2132625.61), None);
        assert_eq!(size(-1.0), None);
    }
}
