//! Identities that a process remembers.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, atomic::AtomicI64},
};

use crate::{Identity, keys::Hash};

pub(crate) struct Cached {
    pub identity: Arc<Identity>,
    pub used_ms: AtomicI64,
}

/// Identities by the hash of their secret, valid while the epoch stands still. Looking up a hash in a table leaks nothing: an
/// attacker who times it learns about hashes, which don't lead back to secrets.
#[derive(Default)]
pub(crate) struct KeyCache {
    by_hash: RwLock<(i64, HashMap<Hash, Arc<Cached>>)>,
    pub checked_ms: AtomicI64,
    pub checking: tokio::sync::Mutex<()>,
}

impl KeyCache {
    pub fn get(&self, hash: &Hash) -> (i64, Option<Arc<Cached>>) {
        let guard = self.by_hash.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (guard.0, guard.1.get(hash).cloned())
    }

    /// Keeps an identity that was read while the epoch was `epoch`; a newer epoch means that it may be outdated already.
    pub fn put(&self, epoch: i64, hash: Hash, cached: Arc<Cached>) {
        let mut guard = self.by_hash.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guard.0 == epoch {
            guard.1.insert(hash, cached);
        }
    }

    pub fn set_epoch(&self, epoch: i64) {
        let mut guard = self.by_hash.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guard.0 != epoch {
            *guard = (epoch, HashMap::new());
        }
    }
}
