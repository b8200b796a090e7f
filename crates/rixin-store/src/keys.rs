//! API keys: `rx-` and 43 characters of base 62, that is 256 bits of a secure generator.
//!
//! Only a SHA-256 is stored. A slow password hash would add nothing: it protects secrets that can be guessed, and 256
//! random bits can't be, at any speed of hashing; while every request would pay for it.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use rand::{RngExt as _, distr::Alphanumeric};
use rixin_base::KeyId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use crate::{
    Error, Identity, Role, Store, TenantScope, now_ms,
    row::{parsed, word},
};

const SECRET_PREFIX: &str = "rx-";
const SECRET_LEN: usize = 43;
/// Characters of the secret that are shown in lists: they leave 35 unknown.
const SHOWN: usize = SECRET_PREFIX.len() + 8;

/// A revocation by another process is seen after at most this time.
const CACHE_TRUST_MS: i64 = 500;
/// `last_used` is written at most this often for each key.
const LAST_USED_STEP_MS: i64 = 60_000;

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id.
    #[schema(value_type = String)]
    pub id: KeyId,
    /// What its holder or use is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of the secret, to tell keys apart.
    pub prefix: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, exact to a minute; absent if never used.
    pub last_used: Option<i64>,
    /// Milliseconds since 1970; absent while it works.
    pub revoked_at: Option<i64>,
}

/// A key at the only moment at which its secret is known.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// The secret.
    #[serde(rename = "key")]
    pub secret: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

type Hash = [u8; 32];

struct Cached {
    identity: Arc<Identity>,
    used_ms: AtomicI64,
}

/// Identities by the hash of their secret, valid while the epoch stands still. Looking up a hash in a table leaks nothing: an
/// attacker who times it learns about hashes, which don't lead back to secrets.
#[derive(Default)]
pub(crate) struct KeyCache {
    by_hash: RwLock<(i64, HashMap<Hash, Arc<Cached>>)>,
    checked_ms: AtomicI64,
    checking: tokio::sync::Mutex<()>,
}

impl KeyCache {
    fn get(&self, hash: &Hash) -> (i64, Option<Arc<Cached>>) {
        let guard = self.by_hash.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (guard.0, guard.1.get(hash).cloned())
    }

    /// Keeps an identity that was read while the epoch was `epoch`; a newer epoch means that it may be outdated already.
    fn put(&self, epoch: i64, hash: Hash, cached: Arc<Cached>) {
        let mut guard = self.by_hash.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guard.0 == epoch {
            guard.1.insert(hash, cached);
        }
    }

    fn set_epoch(&self, epoch: i64) {
        let mut guard = self.by_hash.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guard.0 != epoch {
            *guard = (epoch, HashMap::new());
        }
    }
}

fn key_of(row: &SqliteRow) -> Result<Key, sqlx::Error> {
    Ok(Key {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        role: word(row, "role", Role::from_word)?,
        prefix: row.try_get("prefix")?,
        created_at: row.try_get("created_at")?,
        last_used: row.try_get("last_used")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

fn looks_like_a_secret(text: &str) -> bool {
    text.len() == SECRET_PREFIX.len() + SECRET_LEN
        && text
            .strip_prefix(SECRET_PREFIX)
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

impl Store {
    /// Finds the key of a secret; `None` if it is unknown or revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Arc<Identity>>, Error> {
        if !looks_like_a_secret(secret) {
            return Ok(None);
        }
        self.refresh_cache().await?;
        let hash: Hash = Sha256::digest(secret.as_bytes()).into();
        let (epoch, cached) = self.inner.cache.get(&hash);
        let cached = match cached {
            Some(cached) => cached,
            None => {
                let Some(identity) = self.find_key(secret, &hash).await? else { return Ok(None) };
                let cached = Arc::new(Cached { identity: Arc::new(identity), used_ms: AtomicI64::new(0) });
                self.inner.cache.put(epoch, hash, Arc::clone(&cached));
                cached
            }
        };
        let now = now_ms();
        if now - cached.used_ms.load(Ordering::Relaxed) >= LAST_USED_STEP_MS {
            cached.used_ms.store(now, Ordering::Relaxed);
            self.inner.meter.used(cached.identity.key_id, now);
        }
        Ok(Some(Arc::clone(&cached.identity)))
    }

    /// Asks the database at most twice a second whether keys changed; it takes some 50 microseconds then.
    async fn refresh_cache(&self) -> Result<(), Error> {
        let cache = &self.inner.cache;
        let fresh = || (now_ms() - cache.checked_ms.load(Ordering::Acquire)).abs() < CACHE_TRUST_MS;
        if fresh() {
            return Ok(());
        }
        let _one = cache.checking.lock().await;
        if fresh() {
            return Ok(());
        }
        let asked = now_ms();
        let epoch: i64 = sqlx::query_scalar("SELECT value FROM epochs WHERE name = 'keys'")
            .fetch_one(self.reader())
            .await
            .map_err(|e| self.failed(e))?;
        cache.set_epoch(epoch);
        cache.checked_ms.store(asked, Ordering::Release);
        Ok(())
    }

    /// By the shown prefix, which is no secret; then the hashes are compared in constant time.
    async fn find_key(&self, secret: &str, hash: &Hash) -> Result<Option<Identity>, Error> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, name, role, hash FROM keys WHERE prefix = ? AND revoked_at IS NULL",
        )
        .bind(&secret[..SHOWN])
        .fetch_all(self.reader())
        .await
        .map_err(|e| self.failed(e))?;
        let mut found = None;
        for row in &rows {
            let stored: &[u8] = row.try_get("hash").map_err(|e| self.failed(e))?;
            if bool::from(stored.ct_eq(hash)) {
                found = Some(identity_of(row).map_err(|e| self.failed(e))?);
            }
        }
        Ok(found)
    }

    /// Makes the first admin key, once in the life of a database; `None` if there has ever been a key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn first_key(&self) -> Result<Option<CreatedKey>, Error> {
        let scope = self.operator().default_scope().await?;
        let mut tx = self.write().await?;
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keys)")
            .fetch_one(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        if any {
            return Ok(None);
        }
        let created = self.insert_key(&mut tx, &scope, "admin", Role::Admin).await?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(Some(created))
    }

    /// Makes a key; its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// The name is empty or longer than 100 characters.
    pub async fn create_key(&self, scope: &TenantScope, name: &str, role: Role) -> Result<CreatedKey, Error> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::Invalid {
                param: "name",
                en: "a name has 1 to 100 characters",
                zh: "名称为 1 到 100 个字符",
            });
        }
        let mut tx = self.write().await?;
        let created = self.insert_key(&mut tx, scope, name, role).await?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(created)
    }

    async fn insert_key(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        scope: &TenantScope,
        name: &str,
        role: Role,
    ) -> Result<CreatedKey, Error> {
        let random: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_LEN).map(char::from).collect();
        let secret = format!("{SECRET_PREFIX}{random}");
        let hash: Hash = Sha256::digest(secret.as_bytes()).into();
        let key = Key {
            id: KeyId::new(),
            name: name.to_owned(),
            role,
            prefix: secret[..SHOWN].to_owned(),
            created_at: now_ms(),
            last_used: None,
            revoked_at: None,
        };
        sqlx::query("INSERT INTO keys (id, tenant_id, name, role, prefix, hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(key.id.to_string())
            .bind(scope.tenant_text())
            .bind(&key.name)
            .bind(role.as_str())
            .bind(&key.prefix)
            .bind(hash.as_slice())
            .bind(key.created_at)
            .execute(&mut **tx)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(CreatedKey { key, secret })
    }

    /// All keys of the tenant, oldest first, the revoked ones too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keys(&self, scope: &TenantScope) -> Result<Vec<Key>, Error> {
        let rows = sqlx::query("SELECT * FROM keys WHERE tenant_id = ? ORDER BY id")
            .bind(scope.tenant_text())
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.failed(e))?;
        rows.iter().map(key_of).collect::<Result<_, _>>().map_err(|e| self.failed(e))
    }

    /// Ends a key: at once in this process, within half a second in others. Revoking it again changes nothing.
    ///
    /// # Errors
    /// There is no such key in the tenant; or it is the last one that can administer.
    pub async fn revoke_key(&self, scope: &TenantScope, id: KeyId) -> Result<Key, Error> {
        let mut tx = self.write().await?;
        let row = sqlx::query("SELECT * FROM keys WHERE tenant_id = ? AND id = ?")
            .bind(scope.tenant_text())
            .bind(id.to_string())
            .fetch_optional(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?
            .ok_or_else(|| Error::not_found("key", "密钥", id))?;
        let mut key = key_of(&row).map_err(|e| self.failed(e))?;
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM keys WHERE tenant_id = ? AND id <> ? AND role = 'admin' AND revoked_at IS NULL",
        )
        .bind(scope.tenant_text())
        .bind(id.to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        if key.role == Role::Admin && others == 0 {
            return Err(Error::LastAdmin { prefix: key.prefix });
        }
        let now = now_ms();
        sqlx::query("UPDATE keys SET revoked_at = ? WHERE id = ?")
            .bind(now)
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        self.inner.cache.checked_ms.store(0, Ordering::Release);
        key.revoked_at = Some(now);
        Ok(key)
    }
}

fn identity_of(row: &SqliteRow) -> Result<Identity, sqlx::Error> {
    let key_id: KeyId = parsed(row, "id")?;
    Ok(Identity {
        key_id,
        name: row.try_get("name")?,
        role: word(row, "role", Role::from_word)?,
        scope: TenantScope { tenant: parsed(row, "tenant_id")?, key: Some(key_id) },
    })
}
