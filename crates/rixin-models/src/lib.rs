//! The model registry: manifests, file formats, sources, downloads, licences, the catalogue.
//!
//! Takes model files (from a folder, a package index or a hub) and gives installed models: a folder of checked files with a
//! manifest that says where they came from, under which licence, and what memory they need. It does not know HTTP servers,
//! tenants, replicas or engines, and it never runs a model.
//!
//! Manifests on disk are the truth; the SQLite index beside them is a cache that is rebuilt when it is lost.

mod describe;
mod error;
mod licence;
mod manifest;
mod memory;
mod path;
mod sha;
#[cfg(test)]
mod testing;

pub mod catalog;
pub mod download;
pub mod formats;
pub mod net;
pub mod pull;
pub mod registry;
pub mod source;

pub use catalog::{Catalog, CatalogEntry, CatalogItem, KnownFile, Tier};
pub use describe::{Described, describe_file};
pub use error::{Error, Result};
pub use licence::{Acceptance, Licence, Terms};
pub use manifest::{Manifest, ModelFile, ModelKind, Origin};
pub use memory::{MemoryBasis, MemoryNeed};
pub use net::Tuning;
pub use path::{FilePath, FilePathError};
pub use pull::{PullPreview, PullRequest, Puller};
pub use registry::{FileCheck, ModelQuery, Page, Registry, Removed, Stage, VerifyReport};
pub use sha::{Sha256, Sha256Error, Sha256Hasher, hash_file};
pub use source::SourceUri;
