//! What a source has found: the files, where each lies, and what their hub says of them.

use std::path::PathBuf;

use rixin_base::{Message, ModelId};
use url::Url;

use super::SourceError;
use crate::{FilePath, Licence, ModelKind, Sha256};

/// Files to fetch, with all that is known before a byte of them has come.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name for a person.
    pub name: String,
    /// A name for the registry made from it.
    pub id: Option<ModelId>,
    /// What it is, where the hub says so.
    pub kind: Option<ModelKind>,
    /// The commit or version that the files are of.
    pub revision: Option<String>,
    /// The licence as the hub names it.
    pub licence: Licence,
    /// Conditions that the hub states beside the licence.
    pub conditions: Option<Message>,
    /// The page for a person.
    pub page: Option<String>,
    /// What it was made from.
    pub base_model: Option<String>,
    /// Languages as the hub lists them.
    pub languages: Vec<String>,
    /// Tags as the hub lists them.
    pub tags: Vec<String>,
    /// The files.
    pub files: Vec<PlannedFile>,
    /// Model files that could be asked for instead.
    pub others: Vec<Other>,
}

/// A file of a plan.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Its path in the model's folder.
    pub path: FilePath,
    /// Its length, where it is known.
    pub size: Option<u64>,
    /// Its hash, where it is known.
    pub sha256: Option<Sha256>,
    /// Where it lies.
    pub from: Location,
}

/// Where a file lies.
#[derive(Clone, Debug)]
pub enum Location {
    /// On this machine.
    Local(PathBuf),
    /// On a hub.
    Web {
        /// The address on the hub, before redirects.
        url: Url,
        /// Git's name of its content, for small files without another hash.
        git_blob: Option<String>,
    },
    /// In packages.
    Packages,
}

/// A model file that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// How to name it after the colon.
    pub file: String,
    /// Its length, all parts together.
    pub size: Option<u64>,
}

impl Plan {
    /// A plan of which nothing but the name and the files is known.
    pub(super) fn new(name: String, files: Vec<PlannedFile>) -> Self {
        Self {
            id: slug(&name),
            name,
            kind: None,
            revision: None,
            licence: Licence::unknown(),
            conditions: None,
            page: None,
            base_model: None,
            languages: Vec::new(),
            tags: Vec::new(),
            files,
            others: Vec::new(),
        }
    }

    /// Bytes of all files, where all are known.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Adds what the catalogue knows of the only file.
    ///
    /// # Errors
    /// [`SourceError::SizeMismatch`], [`SourceError::HashMismatch`] where the hub says something else.
    pub fn expect(&mut self, size: Option<u64>, sha256: Option<Sha256>) -> Result<(), SourceError> {
        let [file] = self.files.as_mut_slice() else { return Ok(()) };
        if let (Some(expected), Some(actual)) = (size, file.size)
            && expected != actual
        {
            return Err(SourceError::SizeMismatch { file: file.path.to_string(), expected, actual });
        }
        if let (Some(expected), Some(actual)) = (sha256, file.sha256)
            && expected != actual
        {
            return Err(SourceError::HashMismatch { file: file.path.to_string(), expected, actual });
        }
        file.size = file.size.or(size);
        file.sha256 = file.sha256.or(sha256);
        Ok(())
    }
}

/// A name for the registry made from a name for people; `None` where nothing is left of it.
pub(super) fn slug(text: &str) -> Option<ModelId> {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c == '.' && out.ends_with('.') {
            continue;
        }
        let keep = c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_';
        match keep {
            true => out.push(c),
            false if out.ends_with('-') => {}
            false => out.push('-'),
        }
        if out.len() == ModelId::MAX_LEN {
            break;
        }
    }
    out.trim_matches(|c: char| !c.is_ascii_alphanumeric()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        let id = |text: &str| slug(text).map(|id| id.to_string());
        assert_eq!(id("Qwen3-0.6B-Q4_K_M").as_deref(), Some("qwen3-0.6b-q4_k_m"));
        assert_eq!(id("WAI illustrious (SDXL) v16.0").as_deref(), Some("wai-illustrious-sdxl-v16.0"));
        assert_eq!(id("..a..b..").as_deref(), Some("a.b"));
        assert_eq!(id("模型"), None);
        assert_eq!(id(&"x".repeat(300)).map(|id| id.len()), Some(96));
    }
}
