//! The token of an attempt as a key: what a job's process may ask of a gateway is what the job's owner may.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rixin_base::{JobId, KeyId};

use super::attempt::token_hash;
use crate::{Error, Identity, Limits, Right, Role, Store, TenantScope, now_ms};

/// What a token starts with.
const PREFIX: &str = "rxj-";
/// Characters after it.
const LENGTH: usize = 43;
/// An attempt that was given up is seen after at most this time.
const TRUST_MS: i64 = 500;
/// Attempts that are remembered at the same time.
const MOST: usize = 1024;
/// Stands for the key of a job that no key has submitted.
const NOBODY: &str = "key_00000000000000000000000000000000";

#[derive(Clone)]
struct Known {
    identity: Arc<Identity>,
    job: JobId,
    checked_ms: i64,
}

/// Attempts that have asked lately, by the hash of their token.
#[derive(Default)]
pub(crate) struct AttemptCache {
    known: Mutex<HashMap<Vec<u8>, Known>>,
    /// One question at a time: a process with many requests at once asks once.
    asking: tokio::sync::Mutex<()>,
}

impl AttemptCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, hash: &[u8]) -> Option<(Arc<Identity>, JobId)> {
        let known = self.lock();
        let known = known.get(hash).filter(|known| (now_ms() - known.checked_ms).abs() < TRUST_MS)?;
        Some((Arc::clone(&known.identity), known.job))
    }

    fn put(&self, hash: Vec<u8>, new: Known) {
        let mut known = self.lock();
        if known.len() >= MOST {
            let now = new.checked_ms;
            known.retain(|_, known| (now - known.checked_ms).abs() < TRUST_MS);
        }
        if known.len() < MOST {
            known.insert(hash, new);
        }
    }
}

impl Store {
    /// Who a job's process acts for, by the token of its attempt: the job's owner, as a member whatever the owner's key may do;
    /// `None` unless that attempt works. An attempt that was given up is seen after at most half a second.
    ///
    /// # Errors
    /// The database failed.
    pub async fn authenticate_attempt(&self, token: &str) -> Result<Option<(Arc<Identity>, JobId)>, Error> {
        let looks_right = token.len() == PREFIX.len() + LENGTH
            && token.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric()));
        if !looks_right {
            return Ok(None);
        }
        let (cache, hash) = (&self.inner.attempts, token_hash(token));
        if let Some(known) = cache.fresh(&hash) {
            return Ok(Some(known));
        }
        let _one = cache.asking.lock().await;
        if let Some(known) = cache.fresh(&hash) {
            return Ok(Some(known));
        }
        let checked_ms = now_ms();
        let Some(job) = self.supervisor().whose(token).await? else {
            cache.lock().remove(&hash);
            return Ok(None);
        };
        let mut limits = Limits::default();
        let mut project = None;
        if let Some(key) = job.key {
            // What the owner may not ask, its job may not either.
            let Some(owner) = self.key_identity(key).await? else {
                cache.lock().remove(&hash);
                return Ok(None);
            };
            limits.models = owner.limits.models;
            project = owner.project;
        }
        let nobody = || NOBODY.parse().unwrap_or_else(|_| KeyId::new());
        let identity = Arc::new(Identity {
            key_id: job.key.unwrap_or_else(nobody),
            name: job.title,
            role: Role::Member,
            host: false,
            rights: [Right::Ask, Right::Browse].into_iter().collect(),
            limits,
            member: None,
            project,
            scope: TenantScope { tenant: job.tenant, key: job.key },
        });
        cache.put(hash, Known { identity: Arc::clone(&identity), job: job.id, checked_ms });
        Ok(Some((identity, job.id)))
    }
}
