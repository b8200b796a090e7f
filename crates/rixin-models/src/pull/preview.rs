//! What a pull would bring, for a person to decide.

use rixin_base::{Message, ModelId};
use serde::Serialize;
use utoipa::ToSchema;

use super::target::Resolved;
use crate::{Licence, ModelKind, Sha256, manifest::MessageSchema};

/// What a pull would bring.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PullPreview {
    /// The name that it would get; absent where one has to be given.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ModelId>,
    /// The name for a person.
    pub name: String,
    /// What it does, where that is known before the file is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ModelKind>,
    /// The licence.
    pub licence: Licence,
    /// The licence in a sentence or two.
    #[schema(value_type = MessageSchema)]
    pub licence_text: Message,
    /// Conditions that the hub states beside the licence.
    #[schema(value_type = Option<MessageSchema>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Message>,
    /// Bytes of all files, where the source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Memory that one replica takes, estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whether that is free, where somebody has looked: see [`PullPreview::with_free_memory`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// The files.
    pub files: Vec<PreviewFile>,
    /// The catalogue's entry that a file of this machine is, told by its SHA-256: name, licence and source are the entry's.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognised: Option<ModelId>,
    /// The source, as it will stand in the manifest.
    pub source: String,
    /// The commit or version that the files are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The page for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Other model files of the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PreviewOther>,
    /// Whether a model of this name is installed.
    pub installed: bool,
}

/// A file of a pull.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PreviewFile {
    /// Its path in the model's folder.
    pub path: String,
    /// Its length, where the source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its hash, where the source tells.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
}

/// A model file that could be pulled instead.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PreviewOther {
    /// The target to pull it with.
    pub target: String,
    /// Its length, where the source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Cache tokens that the estimate reckons with: those of the catalogue's.
const CACHE_TOKENS: u64 = 8192;

impl PullPreview {
    pub(super) fn new(resolved: &Resolved, installed: bool) -> Self {
        let plan = &resolved.plan;
        let weights = |size: u64| {
            let is_chat =
                resolved.kind().is_none_or(|kind| matches!(kind, ModelKind::Chat | ModelKind::Embedding));
            let is_gguf = plan.files.first().is_some_and(|file| file.path.as_str().ends_with(".gguf"));
            // A byte of weights is reckoned as one parameter of 8 bits: nothing else is known before the header is here.
            (is_chat && is_gguf).then(|| crate::MemoryNeed::estimate(size, 8.0).total(CACHE_TOKENS, 1))
        };
        let licence = resolved.licence().clone();
        let base = crate::source::without_file(&resolved.uri);
        Self {
            id: resolved.id(None).ok(),
            name: resolved.name().to_owned(),
            kind: resolved.kind(),
            licence_text: licence.text(),
            licence,
            conditions: plan.conditions.clone(),
            size_bytes: plan.size(),
            memory_bytes: match &resolved.entry {
                Some(entry) => Some(entry.memory_bytes()),
                None => plan.size().and_then(weights),
            },
            fits: None,
            files: plan
                .files
                .iter()
                .map(|file| PreviewFile { path: file.path.to_string(), size: file.size, sha256: file.sha256 })
                .collect(),
            recognised: resolved.recognised().map(|entry| entry.id.clone()),
            source: resolved.source(),
            revision: plan.revision.clone(),
            page: plan.page.clone(),
            others: plan
                .others
                .iter()
                .map(|other| PreviewOther { target: format!("{base}:{}", other.file), size: other.size })
                .collect(),
            installed,
        }
    }

    /// Says whether the estimate fits so many free bytes of memory.
    pub fn with_free_memory(mut self, free: u64) -> Self {
        self.fits = self.memory_bytes.map(|need| need <= free);
        self
    }
}
