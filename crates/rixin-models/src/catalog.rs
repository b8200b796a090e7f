//! The catalogue: models that a person may want, embedded in the binary from `catalog/*.toml`.
//!
//! It says where a model is to be had, under which licence, and about how much memory it takes. Sizes and hashes stand in
//! it only where the package that carries the file never changes; those of hubs are read when a model is pulled.

use std::{collections::HashMap, sync::OnceLock};

use rixin_base::{Message, ModelId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, FilePath, Licence, MemoryNeed, ModelKind, Result, Sha256, formats::bits_per_weight,
    manifest::MessageSchema,
};

/// Cache tokens that [`CatalogEntry::memory_bytes`] reckons with: the default of a replica.
const CACHE_TOKENS: u64 = 8192;

/// The machine that a model is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 8 to 16 GiB of memory.
    Laptop,
    /// 32 to 64 GiB, or a graphics card.
    Workstation,
    /// More than that.
    Server,
}

/// A file whose size and hash never change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// Its path in the installed model.
    pub path: FilePath,
    /// Its length in bytes, parts joined.
    pub size: u64,
    /// Its SHA-256, parts joined.
    pub sha256: Sha256,
}

/// A model of the catalogue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// The name to pull, and the id that it is installed under.
    pub id: ModelId,
    /// The name for a person.
    pub name: String,
    /// What it does.
    #[serde(default = "chat")]
    pub kind: ModelKind,
    /// The machine that it is meant for.
    pub tier: Tier,
    /// Where it is to be had: alternatives, best first, each the text of a source URI with all parts of the file.
    pub sources: Vec<String>,
    /// Size and hash, where they never change.
    #[serde(default)]
    pub file: Option<KnownFile>,
    /// Its licence.
    pub licence: Licence,
    /// Languages, as tags, best first.
    pub languages: Vec<String>,
    /// The number of weights.
    pub parameters: u64,
    /// Those of them that one token uses, where it is a mixture of experts.
    #[serde(default)]
    pub active_parameters: Option<u64>,
    /// The form of the weights in `sources`.
    pub quantisation: String,
    /// The context that it was trained for, in tokens.
    #[serde(default)]
    pub context_length: Option<u32>,
    /// What it was made from.
    #[serde(default)]
    pub base_model: Option<String>,
    /// Free words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What it is good for.
    pub description: Message,
}

fn chat() -> ModelKind {
    ModelKind::Chat
}

impl CatalogEntry {
    /// The source to try first.
    pub fn source(&self) -> &str {
        self.sources.first().map(String::as_str).unwrap_or_default()
    }

    /// The download's size in bytes, where it never changes.
    pub fn size_bytes(&self) -> Option<u64> {
        self.file.as_ref().map(|file| file.size)
    }

    /// What it takes to run, estimated from parameters and bits: the file's header says more once it is here.
    pub fn memory(&self) -> MemoryNeed {
        let mut need =
            MemoryNeed::estimate(self.parameters, bits_per_weight(&self.quantisation).unwrap_or(16.0));
        if let Some(size) = self.size_bytes() {
            need.weights_bytes = size;
        }
        need
    }

    /// The estimate of [`CatalogEntry::memory`] for one replica with a cache of 8192 tokens, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory().total(CACHE_TOKENS, 1)
    }

    /// Whether one replica fits into `free` bytes, by the estimate.
    pub fn fits(&self, free: u64) -> bool {
        self.memory_bytes() <= free
    }

    /// The entry as the API and `--json` show it. `fits` is absent where the free memory is not known.
    pub fn item(&self, installed: bool, free: Option<u64>) -> CatalogItem {
        CatalogItem {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind,
            tier: self.tier,
            description: self.description.clone(),
            languages: self.languages.clone(),
            licence: self.licence.clone(),
            source: self.source().to_owned(),
            sources: self.sources.clone(),
            parameters: self.parameters,
            active_parameters: self.active_parameters,
            quantisation: self.quantisation.clone(),
            context_length: self.context_length,
            size_bytes: self.size_bytes(),
            memory_bytes: self.memory_bytes(),
            fits: free.map(|free| self.fits(free)),
            installed,
        }
    }

    fn searched(&self) -> String {
        let mut words = vec![
            self.id.to_string(),
            self.name.clone(),
            self.quantisation.clone(),
            self.kind.as_str().into(),
        ];
        words.extend(self.base_model.clone());
        words.extend(self.languages.iter().cloned());
        words.extend(self.tags.iter().cloned());
        words.extend([self.description.en.clone(), self.description.zh.clone()]);
        crate::registry::fold(&words.join(" "))
    }
}

/// A model of the catalogue as the API and `--json` show it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CatalogItem {
    /// The name to pull.
    #[schema(value_type = String)]
    pub id: ModelId,
    /// The name for a person.
    pub name: String,
    /// What it does.
    pub kind: ModelKind,
    /// The machine that it is meant for.
    pub tier: Tier,
    /// What it is good for.
    #[schema(value_type = MessageSchema)]
    pub description: Message,
    /// Languages, as tags, best first.
    pub languages: Vec<String>,
    /// Its licence.
    pub licence: Licence,
    /// The source that is tried first.
    pub source: String,
    /// All sources.
    pub sources: Vec<String>,
    /// The number of weights.
    pub parameters: u64,
    /// Those of them that one token uses, where it is a mixture of experts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_parameters: Option<u64>,
    /// The form of the weights.
    pub quantisation: String,
    /// The context that it was trained for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// The download's size, where it never changes; of hubs it is read when the model is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// An estimate from parameters and bits, for one replica with a cache of 8192 tokens.
    pub memory_bytes: u64,
    /// Whether that fits the memory that is free now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// Whether it is installed.
    pub installed: bool,
}

#[derive(rust_embed::RustEmbed)]
#[folder = "../../catalog/"]
struct Files;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<CatalogEntry>,
}

/// Models to choose from, in the order of the files: by what a newcomer would want first.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: Vec<CatalogEntry>,
    searched: Vec<String>,
    by_id: HashMap<ModelId, usize>,
}

impl Catalog {
    /// The catalogue of this build, read once.
    ///
    /// # Panics
    /// Where an embedded file is wrong, which the tests rule out.
    pub fn builtin() -> &'static Catalog {
        static BUILTIN: OnceLock<Catalog> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            let mut names: Vec<_> =
                <Files as rust_embed::RustEmbed>::iter().filter(|name| name.ends_with(".toml")).collect();
            names.sort();
            let texts = names.iter().filter_map(|name| {
                let data = <Files as rust_embed::RustEmbed>::get(name)?.data;
                Some((name.to_string(), String::from_utf8_lossy(&data).into_owned()))
            });
            Catalog::from_toml(texts)
                .unwrap_or_else(|error| panic!("the embedded catalogue is wrong: {error}"))
        })
    }

    /// A catalogue from files of `[[model]]` tables.
    ///
    /// # Errors
    /// [`Error::BadManifest`] names the file and what is wrong in it, also an id that stands twice.
    pub fn from_toml(files: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut catalog = Self { entries: Vec::new(), searched: Vec::new(), by_id: HashMap::new() };
        for (name, text) in files {
            let bad = |why: String| Error::BadManifest { path: Some(name.clone().into()), why };
            let file: File = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
            for entry in file.model {
                if entry.sources.is_empty() || entry.parameters == 0 {
                    return Err(bad(format!("{} has no source or no parameters", entry.id)));
                }
                if catalog.by_id.insert(entry.id.clone(), catalog.entries.len()).is_some() {
                    return Err(bad(format!("{} stands twice", entry.id)));
                }
                catalog.searched.push(entry.searched());
                catalog.entries.push(entry);
            }
        }
        Ok(catalog)
    }

    /// All entries.
    pub fn entries(&self) -> &[CatalogEntry] {
        &self.entries
    }

    /// The entry of a name.
    pub fn get(&self, id: &str) -> Option<&CatalogEntry> {
        self.by_id.get(&id.parse::<ModelId>().ok()?).map(|at| &self.entries[*at])
    }

    /// Entries whose file has this length: the only ones that a file of the machine can be.
    pub fn of_size(&self, size: u64) -> impl Iterator<Item = &CatalogEntry> {
        self.entries.iter().filter(move |entry| entry.size_bytes() == Some(size))
    }

    /// Entries in which every word of `text` occurs, as part of a word too; with `fits` only those whose estimate is at
    /// most so many bytes. The order is: id begins with the text, id has it, the rest.
    pub fn search(&self, text: &str, fits: Option<u64>) -> Vec<&CatalogEntry> {
        let folded = crate::registry::fold(text);
        let whole = folded.trim();
        let mut found: Vec<(u8, &CatalogEntry)> = self
            .entries
            .iter()
            .zip(&self.searched)
            .filter(|(entry, searched)| {
                folded.split_whitespace().all(|word| searched.contains(word))
                    && fits.is_none_or(|free| entry.fits(free))
            })
            .map(|(entry, _)| {
                let id = entry.id.as_str();
                (u8::from(!id.starts_with(whole)) + u8::from(!id.contains(whole)), entry)
            })
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_right() {
        let catalog = Catalog::builtin();
        assert!(catalog.entries().len() > 40, "{}", catalog.entries().len());
        for entry in catalog.entries() {
            let id = &entry.id;
            assert!(
                !entry.description.en.is_empty() && entry.description.zh.chars().any(|c| c > '\u{4e00}'),
                "{id}"
            );
            assert!(!entry.languages.is_empty(), "{id}");
            assert!(bits_per_weight(&entry.quantisation).is_some(), "{id}: {}", entry.quantisation);
            assert!(entry.licence.is_known(), "{id}");
            assert_eq!(entry.licence.spdx.is_none(), entry.licence.terms() == crate::Terms::Custom, "{id}");
            for source in &entry.sources {
                let uri = source.parse::<crate::source::SourceUri>().unwrap_or_else(|e| panic!("{id}: {e}"));
                let pinned = matches!(uri.scheme(), "pypi" | "npm");
                assert!(pinned || entry.file.is_none(), "{id}: a hub's file may change");
                assert!(!pinned || entry.file.is_some(), "{id}: a package's file never changes");
            }
            let most = match entry.tier {
                Tier::Laptop => 12,
                Tier::Workstation => 48,
                Tier::Server => 4096,
            };
            assert!(
                entry.memory_bytes() <= most << 30,
                "{id} needs {} for {:?}",
                rixin_base::bytes_text(entry.memory_bytes()),
                entry.tier
            );
        }
    }

    #[test]
    fn search_and_what_fits() {
        let catalog = Catalog::builtin();
        let ids = |text: &str, fits| {
            catalog.search(text, fits).into_iter().map(|e| e.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids("qwen3-8b", None)[0], "qwen3-8b");
        assert!(ids("千问", None).len() >= 5);
        assert!(ids("向量", None).iter().any(|id| id.starts_with("bge")));
        let small = ids("", Some(2 << 30));
        assert!(
            small.contains(&"smollm2-135m-instruct".to_owned()) && !small.contains(&"qwen3-8b".to_owned()),
            "{small:?}"
        );
        assert_eq!(ids("", None).len(), catalog.entries().len());
        assert!(catalog.get("smollm2-135m-instruct").is_some_and(|e| e.size_bytes() == Some(98_362_432)));
        assert!(catalog.get("../x").is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let text = "[[model]]\nid = \"a\"\n".to_owned();
        let error = Catalog::from_toml([("x.toml".to_owned(), text)]).expect_err("incomplete");
        assert!(error.to_string().contains("x.toml"), "{error}");
    }
}
