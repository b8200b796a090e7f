//! Lineage: what an artifact was made with, from what, by whom, when. The record that is signed with the artifact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Result, hex};

/// The version of [`Lineage`] that this build writes.
pub const LINEAGE_VERSION: u32 = 1;

/// Where a model came to be. The words are those of the model registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LineageOrigin)]
pub enum Origin {
    /// Made by this project and shipped with the suite.
    Own,
    /// Brought in from a file, a package index or a hub.
    Imported,
    /// Trained here.
    Trained,
}

/// What a model did for the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelRole {
    /// It did the work.
    Base,
    /// It changed the base: a LoRA, a control net, a voice.
    Adapter,
    /// It helped: a text encoder, an upscaler, a detector.
    Helper,
}

/// A licence as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LineageLicence)]
pub struct LicenceUse {
    /// SPDX expression, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spdx: Option<String>,
    /// Its name.
    pub name: String,
    /// Its text's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A file by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileUse {
    /// Its name, without a folder.
    pub name: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// Data that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetUse {
    /// Its id in the suite, or its name.
    pub id: String,
    /// SHA-256 over the list of its files, or of its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its files, where they may be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileUse>,
    /// Under what terms it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceUse>,
}

/// A model that took part, directly or as the ground that another stands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelUse {
    /// Its id in the registry.
    pub id: String,
    /// SHA-256 of its main file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it did.
    pub role: ModelRole,
    /// Where it came to be.
    pub origin: Origin,
    /// Where it was brought from (a URI of the registry), for imported ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceUse>,
    /// Id of the model that it was trained on top of; that one is in the same list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What it was trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetUse>,
    /// An adapter's strength.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

/// How an input relates to the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The artifact is an edited form of it.
    Parent,
    /// It is a part of the artifact.
    Component,
    /// The artifact was computed from it.
    Input,
}

/// An artifact or file that this one was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParentUse {
    /// Its artifact id, or its file name.
    pub id: String,
    /// Its SHA-256.
    pub sha256: String,
    /// How it relates.
    pub relation: Relation,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// The program that did the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineUse {
    /// `image`, `avatar`, `scene`, `object`, `chat`, `tune` ...
    pub name: String,
    /// The version of the suite.
    pub version: String,
}

/// How digital content came to be, in IPTC's words.
/// Source: IPTC NewsCodes `digitalsourcetype`, and C2PA 2.x for `trainedAlgorithmicData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// Made by a generative model.
    Generated,
    /// Captured or made by people, with parts by a generative model.
    CompositeWithGenerated,
    /// Made by an algorithm that was not trained on content: a resize, photogrammetry.
    Algorithmic,
    /// Improved by an algorithm without changing what it shows: an upscaler.
    Enhanced,
    /// Data that a training made: weights.
    TrainedData,
}

impl SourceType {
    /// The address that stands in `digitalSourceType`.
    pub fn uri(self) -> &'static str {
        match self {
            SourceType::Generated => "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
            SourceType::CompositeWithGenerated => {
                "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
            }
            SourceType::Algorithmic => "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia",
            SourceType::Enhanced => "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced",
            SourceType::TrainedData => "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
        }
    }
}

/// Whether the artifact is new or an edited form of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// New: `c2pa.created`.
    Created,
    /// Its first [`Relation::Parent`] was changed: `c2pa.opened`, then `c2pa.edited`.
    Edited,
}

/// Everything that is known of how an artifact came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lineage {
    /// [`LINEAGE_VERSION`].
    pub version: u32,
    /// The artifact's id in the suite.
    pub artifact: String,
    /// A title for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// New or edited.
    pub act: Act,
    /// In IPTC's words.
    pub source_type: SourceType,
    /// What did the work.
    pub engine: EngineUse,
    /// When, RFC 3339.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// The models, and those that they stand on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelUse>,
    /// The inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<ParentUse>,
    /// Data that was used directly (a training's, an evaluation's).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetUse>,
    /// The engine's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whose it is: see [`TenantPrivacy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was asked for, where that may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// How a tenant is named in what is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantPrivacy {
    /// Not at all.
    Omit,
    /// By a keyed hash: the instance can tell that two artifacts are of one tenant, others can't name it.
    #[default]
    Pseudonym,
    /// By its name.
    Plain,
}

/// What of a lineage may leave with the artifact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Privacy {
    /// How the tenant is named.
    #[serde(default)]
    pub tenant: TenantPrivacy,
    /// Whether the prompt is told.
    #[serde(default)]
    pub prompt: bool,
}

impl Lineage {
    /// The form that may leave.
    pub(crate) fn for_outside(&self, privacy: Privacy, pseudonym_key: &[u8]) -> Lineage {
        let mut out = self.clone();
        out.tenant = match privacy.tenant {
            TenantPrivacy::Omit => None,
            TenantPrivacy::Plain => out.tenant,
            TenantPrivacy::Pseudonym => out.tenant.map(|tenant| pseudonym(pseudonym_key, &tenant)),
        };
        if !privacy.prompt {
            out.prompt = None;
        }
        out
    }

    /// Checks what the types can't: hashes are hashes, an edited artifact has a parent, bases are in the list.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &'static str, why_en: &str, why_zh: &str| Error::BadLineage {
            field,
            why_en: why_en.to_owned(),
            why_zh: why_zh.to_owned(),
        };
        if self.version != LINEAGE_VERSION {
            return Err(bad("version", "this build writes version 1", "本版本只写第 1 版"));
        }
        if self.artifact.is_empty() || self.artifact.len() > 200 {
            return Err(bad("artifact", "an id has 1 to 200 bytes", "编号须为 1 至 200 字节"));
        }
        let hashes = self
            .models
            .iter()
            .filter_map(|m| m.sha256.as_ref())
            .chain(self.parents.iter().map(|p| &p.sha256))
            .chain(self.data().filter_map(|d| d.sha256.as_ref()))
            .chain(self.data().flat_map(|d| d.files.iter().map(|f| &f.sha256)));
        for hash in hashes {
            if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad(
                    "sha256",
                    "a SHA-256 has 64 hexadecimal digits",
                    "SHA-256 应为 64 位十六进制数字",
                ));
            }
        }
        if self.act == Act::Edited && !self.parents.iter().any(|p| p.relation == Relation::Parent) {
            return Err(bad(
                "parents",
                "an edited artifact names the parent that was edited",
                "编辑得到的产物须注明其父产物",
            ));
        }
        for base in self.models.iter().filter_map(|m| m.base.as_ref()) {
            if !self.models.iter().any(|m| &m.id == base) {
                return Err(bad(
                    "models",
                    "the base of an adapter is in the list of models too",
                    "适配器的基础模型也须列在模型清单中",
                ));
            }
        }
        Ok(())
    }

    fn data(&self) -> impl Iterator<Item = &DatasetUse> {
        self.datasets.iter().chain(self.models.iter().flat_map(|m| m.datasets.iter()))
    }
}

/// A tenant's pseudonym: the first half of HMAC-SHA-256 under the instance's key, in hexadecimal digits.
pub fn pseudonym(key: &[u8], tenant: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), tenant.as_bytes());
    hex(&tag.as_ref()[..16])
}
