//! The model registry: manifests, file formats, sources, downloads, licences, the catalogue.
//!
//! Takes model files (from a folder, a package index or a hub) and gives installed models: a folder of checked files with a
//! manifest that says where they came from, under which licence, and what memory they need. It does not know HTTP servers,
//! tenants, replicas or engines, and it never runs a model.
//!
//! Manifests on disk are the truth; the SQLite index beside them is a cache that is rebuilt when it is lost.


mod error;
mod licence;
mod manifest;
mod memory;
mod path;
mod sha;

pub mod catalog;
pub mod formats;
pub mod registry;

pub use catalog::{Catalog, CatalogEntry, CatalogItem, KnownFile, Tier};

pub use error::{Error, Result};
pub use licence::{Acceptance, Licence, Terms};
pub use manifest::{Manifest, ModelFile, ModelKind, Origin};
pub use memory::{MemoryBasis, MemoryNeed};
pub use path::{FilePath, FilePathError};
pub use registry::{FileCheck, ModelQuery, Page, Registry, Removed, Stage, VerifyReport};
pub use sha::{Sha256, Sha256Error, Sha256Hasher, hash_file};
