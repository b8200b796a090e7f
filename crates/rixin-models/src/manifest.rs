//! Manifests: what is known of an installed model. A manifest that was read has been checked; one that was built is checked before it is written.

use std::collections::HashSet;

use rixin_base::{Message, ModelId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Acceptance, Error, FilePath, Licence, MemoryNeed, Result, Sha256};

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Generates text.
    Chat,
    /// Turns text into vectors.
    Embedding,
    /// Generates pictures.
    Image,
    /// An adapter that another model loads.
    Lora,
    /// Speaks or listens.
    Speech,
    /// Something else.
    Other,
}

impl ModelKind {
    /// All of them.
    pub const ALL: [ModelKind; 6] = [
        ModelKind::Chat,
        ModelKind::Embedding,
        ModelKind::Image,
        ModelKind::Lora,
        ModelKind::Speech,
        ModelKind::Other,
    ];

    /// The word in manifests and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelKind::Chat => "chat",
            ModelKind::Embedding => "embedding",
            ModelKind::Image => "image",
            ModelKind::Lora => "lora",
            ModelKind::Speech => "speech",
            ModelKind::Other => "other",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Where a model came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Made by this project and shipped with the suite.
    Own,
    /// Brought in from a file, a package index or a hub.
    Imported,
    /// Trained here.
    Trained,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 3] = [Origin::Own, Origin::Imported, Origin::Trained];

    /// The word in manifests and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Imported => "imported",
            Origin::Trained => "trained",
        }
    }

    /// The origin of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == word)
    }
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelFile {
    /// Where it lies in the model's folder.
    #[schema(value_type = String)]
    pub path: FilePath,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, 64 hexadecimal digits.
    #[schema(value_type = String)]
    pub sha256: Sha256,
}

/// A text in both languages.
#[derive(ToSchema)]
#[schema(as = Message)]
#[allow(dead_code, reason = "only names the shape of rixin_base::Message for the OpenAPI document")]
pub(crate) struct MessageSchema {
    /// English.
    en: String,
    /// Chinese.
    zh: String,
}

/// What is known of an installed model. Stands as `manifest.json` in the model's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The version of this form: [`Manifest::VERSION`].
    pub version: u32,
    /// The name to ask for.
    #[schema(value_type = String)]
    pub id: ModelId,
    /// The name for a person.
    pub name: String,
    /// What it does.
    pub kind: ModelKind,
    /// The architecture's name, as the file's header has it: `llama`, `qwen3` ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Every file but the manifest.
    pub files: Vec<ModelFile>,
    /// The one of `files` that an engine opens.
    #[schema(value_type = String)]
    pub main: FilePath,
    /// The URI that it was fetched from.
    pub source: String,
    /// Its licence.
    pub licence: Licence,
    /// Who accepted the licence, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_accepted: Option<Acceptance>,
    /// Where it came to be.
    pub origin: Origin,
    /// What it was made from, as its maker says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
    /// Languages, as tags: `zh`, `en` ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The context that it was trained for, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// The number of weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// The form of the weights: `Q4_K_M`, `F16` ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<String>,
    /// What memory a replica needs; absent where it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryNeed>,
    /// Whether the file carries a chat template; without one a model continues text but does not chat.
    #[serde(default)]
    pub chat_template: bool,
    /// When it was installed, in seconds since 1970.
    pub installed_at: u64,
    /// Free words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it is good for.
    #[serde(default)]
    #[schema(value_type = MessageSchema)]
    pub description: Message,
}

impl Manifest {
    /// The version that this build writes and the newest that it reads.
    pub const VERSION: u32 = 1;
    /// The largest manifest that is read, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;
    /// Most files of a model.
    pub const MAX_FILES: usize = 4096;
    /// The largest file: 16 TiB.
    pub const MAX_FILE_SIZE: u64 = 16 << 40;

    /// All files together, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).fold(0, u64::saturating_add)
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`Error::BadManifest`] for what is too long, no JSON, or says something that can't be.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::bad_manifest(format!("it is longer than {} bytes", Self::MAX_BYTES)));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| Error::bad_manifest(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The form that is written.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Checks what the types alone can't.
    ///
    /// # Errors
    /// [`Error::BadManifest`] names the field and the rule.
    pub fn check(&self) -> Result<()> {
        let bad = |why: String| Err(Error::bad_manifest(why));
        if self.version == 0 || self.version > Self::VERSION {
            return bad(format!("its version is {}, this build reads up to {}", self.version, Self::VERSION));
        }
        if self.files.is_empty() || self.files.len() > Self::MAX_FILES {
            return bad(format!("it has {} files; 1 to {} are allowed", self.files.len(), Self::MAX_FILES));
        }
        self.check_files()?;
        line("name", &self.name, 1, 200)?;
        line("source", &self.source, 1, 2000)?;
        let optional = [
            ("architecture", &self.architecture, 64),
            ("base_model", &self.base_model, 300),
            ("quantisation", &self.quantisation, 32),
        ];
        for (field, value, most) in optional {
            if let Some(value) = value {
                line(field, value, 1, most)?;
            }
        }
        if let Some(acceptance) = &self.licence_accepted {
            line("licence_accepted.by", &acceptance.by, 0, 200)?;
        }
        for (field, values, most) in [("languages", &self.languages, 200), ("tags", &self.tags, 64)] {
            if values.len() > most {
                return bad(format!("{field} has {} entries; at most {most} are allowed", values.len()));
            }
            for value in values {
                line(field, value, 1, 64)?;
            }
        }
        for text in [&self.description.en, &self.description.zh] {
            if text.len() > 4000 {
                return bad("description is longer than 4000 bytes".into());
            }
        }
        if self.context_length == Some(0) || self.parameters == Some(0) {
            return bad("context_length and parameters are absent or at least 1".into());
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        let bad = |why: String| Err(Error::bad_manifest(why));
        let mut seen = HashSet::new();
        let mut total = 0u64;
        for file in &self.files {
            if file.size > Self::MAX_FILE_SIZE {
                return bad(format!(
                    "{} is said to have {} bytes; at most {} are allowed",
                    file.path,
                    file.size,
                    Self::MAX_FILE_SIZE
                ));
            }
            total = total.saturating_add(file.size);
            if !seen.insert(file.path.as_str()) {
                return bad(format!("{} is listed twice", file.path));
            }
        }
        if total > Self::MAX_FILE_SIZE {
            return bad(format!(
                "its files are said to have {total} bytes; at most {} are allowed",
                Self::MAX_FILE_SIZE
            ));
        }
        for file in &self.files {
            for (at, _) in file.path.as_str().match_indices('/') {
                if seen.contains(&file.path.as_str()[..at]) {
                    return bad(format!("{} lies in a folder that is listed as a file", file.path));
                }
            }
        }
        if !seen.contains(self.main.as_str()) {
            return bad(format!("main names {}, which is not among its files", self.main));
        }
        Ok(())
    }
}

fn line(field: &str, value: &str, least: usize, most: usize) -> Result<()> {
    if value.len() < least || value.len() > most || value.chars().any(char::is_control) {
        return Err(Error::bad_manifest(format!("{field} has {least} to {most} bytes on one line")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"version":1,"id":"a","name":"A","kind":"chat","files":[{"path":"m.gguf","size":4,
        "sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}],"main":"m.gguf","source":"file:/m.gguf",
        "licence":{"spdx":"MIT"},"origin":"imported","installed_at":1}"#;

    #[test]
    fn a_manifest_is_read_back() {
        let manifest = Manifest::from_json(GOOD.as_bytes()).expect("valid");
        assert_eq!(manifest.size_bytes(), 4);
        assert_eq!(Manifest::from_json(&manifest.to_json()).expect("valid"), manifest);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let file = |path: &str, size: &str| {
            format!(r#""files":[{{"path":"{path}","size":{size},"sha256":"{}"}}]"#, "0".repeat(64))
        };
        let start = GOOD.find("\"files\"").expect("files");
        let end = GOOD.find(",\"main\"").expect("main");
        let with_files = |files: &str| format!("{}{files}{}", &GOOD[..start], &GOOD[end..]);
        let bad = [
            with_files(&file("../m.gguf", "4")),
            with_files(&file("/m.gguf", "4")),
            with_files(&file("m.gguf", "-1")),
            with_files(&file("m.gguf", "18446744073709551615")),
            with_files(&file("other.gguf", "4")),
            with_files("\"files\":[]"),
            GOOD.replace("e3b0c442", "e3b0c44"),
            GOOD.replace("e3b0c442", "z3b0c442"),
            GOOD.replace("\"version\":1", "\"version\":2"),
            GOOD.replace("\"version\":1", "\"version\":1,\"version\":1"),
            GOOD.replace("\"id\":\"a\"", "\"id\":\"../a\""),
            GOOD.replace("\"name\":\"A\"", "\"name\":\"\""),
            GOOD.replace("\"name\":\"A\"", "\"name\":\"a\\nb\""),
            GOOD.replace("\"MIT\"", "\"M I T\""),
            GOOD.replace("\"chat\"", "\"magic\""),
            GOOD.replace("\"installed_at\":1", "\"installed_at\":1,\"parameters\":0"),
            format!("[{GOOD}]"),
            "[".repeat(100_000),
        ];
        for json in bad {
            let error = Manifest::from_json(json.as_bytes()).expect_err(&json);
            assert!(matches!(error, Error::BadManifest { .. }), "{error}");
        }
        let huge = format!("{GOOD}{}", " ".repeat(Manifest::MAX_BYTES));
        assert!(Manifest::from_json(huge.as_bytes()).is_err());
    }

    #[test]
    fn files_are_distinct_and_no_folder_is_a_file() {
        let mut manifest = Manifest::from_json(GOOD.as_bytes()).expect("valid");
        manifest.files.push(manifest.files[0].clone());
        assert!(manifest.check().is_err());
        manifest.files[1].path = "m.gguf/x".parse().expect("a path");
        assert!(manifest.check().is_err());
        manifest.files[1].path = "n/x".parse().expect("a path");
        assert!(manifest.check().is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::from_json(&bytes);
        }

        #[test]
        fn a_damaged_manifest_is_survived(at in 0..GOOD.len(), byte: u8) {
            let mut json = GOOD.as_bytes().to_vec();
            json[at] = byte;
            if let Ok(manifest) = Manifest::from_json(&json) {
                prop_assert!(manifest.check().is_ok());
            }
        }
    }
}
