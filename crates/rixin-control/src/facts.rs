//! What the planner and a replica have to know of an installed model: from its manifest and the settings.

use std::{path::PathBuf, sync::Arc};

use rixin_base::{Lang, Settings};
use rixin_models::{Manifest, ModelKind};
use rixin_protocol::replica::{ReplicaKind, ReplicaSpec};

use crate::{Error, Result, plan::Ask};

/// The longest context that is chosen without being asked for, as in [`ReplicaSpec::context_length`].
const CONTEXT_MOST: u32 = 32_768;
/// The smallest cache that is chosen without being asked for, as in [`ReplicaSpec::cache_tokens`].
const CACHE_LEAST: u32 = 8192;
/// The context of a model that does not say what it was trained for.
const CONTEXT_UNKNOWN: u32 = 4096;

/// An installed model that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub ask: Ask,
    pub name: Arc<str>,
    pub file: PathBuf,
    pub kind: ReplicaKind,
}

impl Facts {
    /// Reads a manifest; `file` is the one that the engine opens.
    pub fn new(manifest: &Manifest, file: PathBuf, settings: &Settings) -> Result<Self> {
        let kind = match manifest.kind {
            ModelKind::Chat => ReplicaKind::Chat,
            ModelKind::Embedding => ReplicaKind::Embedding,
            other => {
                return Err(Error::NotServable {
                    model: manifest.id.to_string(),
                    kind: other.as_str().to_owned(),
                });
            }
        };
        let ask = Ask {
            model: manifest.id.clone(),
            need: need(manifest, settings),
            slots: settings.slots.max(1),
            queue: settings.queue,
            revision: revision(manifest),
        };
        Ok(Self { name: manifest.id.as_str().into(), ask, file, kind })
    }

    /// The specification of one replica.
    pub fn spec(&self, socket: PathBuf, settings: &Settings) -> ReplicaSpec {
        ReplicaSpec {
            model: self.ask.model.clone(),
            file: self.file.clone(),
            socket,
            kind: self.kind,
            threads: settings.threads,
            context_length: settings.context_length,
            slots: self.ask.slots,
            cache_tokens: settings.cache_tokens,
            batch_tokens: settings.batch_tokens,
            gpu_layers: settings.gpu_layers,
            queue: settings.queue,
            lang: settings.fixed_lang().unwrap_or_else(|| Lang::from_env(|name| std::env::var(name).ok())),
            log: settings.log.clone(),
            cluster: None,
        }
    }
}

/// The memory of a replica under these settings, in bytes.
fn need(manifest: &Manifest, settings: &Settings) -> u64 {
    let Some(memory) = manifest.memory else {
        // nothing is known but the files: as much again as a tenth for buffers is the least that an engine takes
        let size = manifest.size_bytes();
        return size.saturating_add(size / 10);
    };
    let context = match settings.context_length {
        0 => manifest.context_length.unwrap_or(CONTEXT_UNKNOWN).min(CONTEXT_MOST),
        asked => asked,
    };
    let cache = match settings.cache_tokens {
        0 => context.saturating_mul(2).max(CACHE_LEAST),
        asked => asked,
    };
    // An engine holds known prefixes of half as many tokens again outside its cache.
    memory.total(u64::from(cache).saturating_add(u64::from(cache) / 2), u64::from(settings.slots.max(1)))
}

/// Differs between two installations of the same id.
pub(crate) fn revision(manifest: &Manifest) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    manifest.installed_at.hash(&mut hasher);
    for file in &manifest.files {
        file.sha256.to_string().hash(&mut hasher);
    }
    hasher.finish()
}
