//! API keys: `rx-` and 43 characters of base 62, that is 256 bits of a secure generator.
//!
//! Only a SHA-256 is stored. A slow password hash would add nothing: it protects secrets that can be guessed, and 256
//! random bits can't be, at any speed of hashing; while every request would pay for it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rand::{RngExt as _, distr::Alphanumeric};
use rixin_base::{KeyId, MemberId, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use crate::{
    Error, Identity, Limits, Role, Store, TenantScope, audit,
    db::{Row, Sql, Tx, sql},
    jobs::settle,
    key_cache::Cached,
    now_ms,
    row::{parsed, parsed_opt, word},
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
    /// What kind it is.
    pub kind: KeyKind,
    /// The project that it is for.
    #[schema(value_type = Option<String>)]
    pub project_id: Option<ProjectId>,
    /// The person whose key it is.
    #[schema(value_type = Option<String>)]
    pub member_id: Option<MemberId>,
    /// What narrows it beyond its role.
    #[serde(flatten)]
    pub limits: Limits,
    /// The first characters of the secret, to tell keys apart.
    pub prefix: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, exact to a minute; absent if never used.
    pub last_used: Option<i64>,
    /// Milliseconds since 1970; absent while it works.
    pub revoked_at: Option<i64>,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// It has a secret that programs send.
    Service,
    /// A member's own, through which they act when they have signed in: it has no secret.
    Member,
}

impl KeyKind {
    fn from_word(text: &str) -> Option<Self> {
        match text {
            "service" => Some(KeyKind::Service),
            "member" => Some(KeyKind::Member),
            _ => None,
        }
    }
}

/// What a new key is.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What its holder or use is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The project that it is for.
    pub project: Option<ProjectId>,
    /// The person whose key it is.
    pub member: Option<MemberId>,
    /// What narrows it.
    pub limits: Limits,
}

impl NewKey {
    /// A key that nothing narrows.
    pub fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, project: None, member: None, limits: Limits::default() }
    }
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

pub(crate) type Hash = [u8; 32];

const COLUMNS: &str = "id, name, role, kind, project_id, member_id, scopes, models, networks, expires_at, prefix, \
     created_at, last_used, revoked_at";

/// An identity's columns; a condition goes on. Whoever was disabled, removed or closed is not found.
const IDENTITIES: &str = "SELECT k.id, k.tenant_id, k.name, k.role, k.hash, k.project_id, k.member_id, k.scopes, k.models, \
     k.networks, k.expires_at, t.host, own.role AS own_role FROM keys k JOIN tenants t ON t.id = k.tenant_id \
     LEFT JOIN members m ON m.id = k.member_id LEFT JOIN keys own ON own.id = m.key_id \
     LEFT JOIN projects p ON p.id = k.project_id \
     WHERE k.revoked_at IS NULL AND t.disabled_at IS NULL AND m.disabled_at IS NULL AND m.removed_at IS NULL \
     AND p.closed_at IS NULL AND ";

/// A list kept as JSON.
fn list<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

fn limits_of(row: &Row) -> Result<Limits, sqlx::Error> {
    Ok(Limits {
        scopes: list(row, "scopes")?,
        models: list(row, "models")?,
        networks: list(row, "networks")?,
        expires_at: row.try_get("expires_at")?,
    })
}

fn key_of(row: &Row) -> Result<Key, sqlx::Error> {
    Ok(Key {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        role: word(row, "role", Role::from_word)?,
        kind: word(row, "kind", KeyKind::from_word)?,
        project_id: parsed_opt(row, "project_id")?,
        member_id: parsed_opt(row, "member_id")?,
        limits: limits_of(row)?,
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

    /// Asks the database at most twice a second whether keys changed: with SQLite some 50 microseconds, with a server a way there
    /// and back.
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
        let epoch: i64 = self.db().scalar(sql("SELECT value FROM epochs WHERE name = 'keys'")).await?;
        cache.set_epoch(epoch);
        cache.checked_ms.store(asked, Ordering::Release);
        Ok(())
    }

    /// By the shown prefix, which is no secret; then the hashes are compared in constant time.
    async fn find_key(&self, secret: &str, hash: &Hash) -> Result<Option<Identity>, Error> {
        let mut candidates = sql(IDENTITIES);
        candidates.push("k.prefix = $1 AND k.kind = 'service'");
        let rows = self.db().fetch_all(candidates.bind(&secret[..SHOWN])).await?;
        let mut found = None;
        for row in &rows {
            let stored: Vec<u8> = row.try_get("hash").map_err(|e| self.db().failed(e))?;
            if bool::from(stored.ct_eq(hash)) {
                found = Some(identity_of(row).map_err(|e| self.db().failed(e))?);
            }
        }
        Ok(found)
    }

    /// Who acts through a key, secret or not; `None` if it works no more.
    pub(crate) async fn key_identity(&self, id: KeyId) -> Result<Option<Identity>, Error> {
        let mut one = sql(IDENTITIES);
        one.push("k.id = $1");
        let row = self.db().fetch_optional(one.bind(id.to_string())).await?;
        row.map(|row| identity_of(&row)).transpose().map_err(|error| self.db().failed(error))
    }

    /// Makes the first owner key, once in the life of a database, however many processes start at once; `None` if there has
    /// ever been a key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn first_key(&self) -> Result<Option<CreatedKey>, Error> {
        let scope = self.operator().default_scope().await?;
        let mut tx = self.db().write().await?;
        lock_tenant(&mut tx, &scope).await?;
        if tx.scalar(sql("SELECT EXISTS (SELECT 1 FROM keys)")).await? {
            return Ok(None);
        }
        let created = insert_key(&mut tx, &scope, &NewKey::new("admin", Role::Owner)).await?;
        tx.commit().await?;
        Ok(Some(created))
    }

    /// Makes a key that nothing narrows.
    ///
    /// # Errors
    /// As [`Store::create_key_with`].
    pub async fn create_key(&self, scope: &TenantScope, name: &str, role: Role) -> Result<CreatedKey, Error> {
        self.create_key_with(scope, NewKey::new(name, role)).await
    }

    /// Makes a key; its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// The name is empty or longer than 100 characters; a limit is empty or over; there is no such project or member.
    pub async fn create_key_with(&self, scope: &TenantScope, mut new: NewKey) -> Result<CreatedKey, Error> {
        new.name = checked_name(&new.name)?;
        new.limits.check()?;
        let mut tx = self.db().write().await?;
        if let Some(project) = new.project {
            let open = sql("SELECT id FROM projects WHERE id = $1 AND tenant_id = $2 AND closed_at IS NULL");
            let open = open.bind(project.to_string()).bind(scope.tenant_text());
            if tx.fetch_optional(open.locking()).await?.is_none() {
                return Err(Error::not_found("project", "项目", project));
            }
        }
        if let Some(member) = new.member {
            let there = sql("SELECT id FROM members WHERE id = $1 AND tenant_id = $2 AND removed_at IS NULL");
            let there = there.bind(member.to_string()).bind(scope.tenant_text());
            if tx.fetch_optional(there.locking()).await?.is_none() {
                return Err(Error::not_found("member", "成员", member));
            }
        }
        let created = insert_key(&mut tx, scope, &new).await?;
        let told = json!({ "name": created.key.name, "role": created.key.role });
        audit::noted(&mut tx, "key.create", created.key.id, told).await?.commit(tx).await?;
        Ok(created)
    }

    /// All keys of the tenant, oldest first, the revoked ones too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keys(&self, scope: &TenantScope) -> Result<Vec<Key>, Error> {
        let mut list = sql("SELECT ");
        list.push(COLUMNS).push(" FROM keys WHERE tenant_id = $1 ORDER BY id");
        let rows = self.db().fetch_all(list.bind(scope.tenant_text())).await?;
        self.db().all(&rows, key_of)
    }

    /// Ends a key: at once in this process, within half a second in others. Jobs that it asked for are cancelled. Revoking it again
    /// changes nothing.
    ///
    /// # Errors
    /// There is no such key in the tenant; it is a member's own; or the organisation would have no owner.
    pub async fn revoke_key(&self, scope: &TenantScope, id: KeyId) -> Result<Key, Error> {
        let mut tx = self.db().write().await?;
        // Two owners who revoke each other at the same moment must not both succeed.
        lock_tenant(&mut tx, scope).await?;
        let mut one = sql("SELECT ");
        one.push(COLUMNS).push(" FROM keys WHERE tenant_id = $1 AND id = $2");
        let row = tx
            .fetch_optional(one.bind(scope.tenant_text()).bind(id.to_string()))
            .await?
            .ok_or_else(|| Error::not_found("key", "密钥", id))?;
        let mut key = key_of(&row).map_err(|e| self.db().failed(e))?;
        if key.kind == KeyKind::Member {
            return Err(Error::Invalid {
                param: "id",
                en: "it is a member's own: disable or remove the member",
                zh: "这是成员自身的密钥：请停用或移除该成员",
            });
        }
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        let before = owners(&mut tx, scope).await?;
        let now = now_ms();
        end_keys(
            &mut tx,
            sql("UPDATE keys SET revoked_at = $1 WHERE id = $2 RETURNING id").bind(now).bind(id.to_string()),
        )
        .await?;
        an_owner_stays(&mut tx, scope, before, &format!("{}...", key.prefix)).await?;
        audit::noted(&mut tx, "key.revoke", id, json!({ "name": key.name })).await?.commit(tx).await?;
        self.forget_identities().await;
        key.revoked_at = Some(now);
        Ok(key)
    }

    /// The next request asks the database who may.
    pub(crate) async fn forget_identities(&self) {
        // Not while another task is reading the epoch: it may have read the one before.
        let _none = self.inner.cache.checking.lock().await;
        self.inner.cache.checked_ms.store(0, Ordering::Release);
    }
}

/// A name of a key, project or organisation.
pub(crate) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::Invalid {
            param: "name",
            en: "a name has 1 to 100 characters",
            zh: "名称为 1 到 100 个字符",
        });
    }
    Ok(name.to_owned())
}

/// Runs a statement that ends keys and returns their ids; what they asked for is cancelled.
pub(crate) async fn end_keys(tx: &mut Tx, statement: Sql) -> Result<(), Error> {
    let rows = tx.fetch_all(statement).await?;
    let ids: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get("id")).collect();
    let ids = tx.read(ids)?;
    settle::orphan(tx, &ids).await
}

/// Keys and members that can administer the tenant: they are nobody's who is disabled, and nothing narrows them.
pub(crate) async fn owners(tx: &mut Tx, scope: &TenantScope) -> Result<i64, Error> {
    let count = sql("SELECT count(*) FROM keys k LEFT JOIN members m ON m.id = k.member_id \
         LEFT JOIN keys own ON own.id = m.key_id \
         WHERE k.tenant_id = $1 AND k.role = 'owner' AND k.revoked_at IS NULL AND k.scopes IS NULL AND k.networks IS NULL \
         AND k.expires_at IS NULL AND m.disabled_at IS NULL AND m.removed_at IS NULL AND (own.role IS NULL OR own.role = 'owner') \
         AND (k.kind = 'service' OR m.password IS NOT NULL OR m.subject IS NOT NULL)");
    tx.scalar(count.bind(scope.tenant_text())).await
}

/// Refuses a change that takes the last owner away.
pub(crate) async fn an_owner_stays(
    tx: &mut Tx,
    scope: &TenantScope,
    before: i64,
    name: &str,
) -> Result<(), Error> {
    if before > 0 && owners(tx, scope).await? == 0 {
        return Err(Error::LastOwner { name: name.to_owned() });
    }
    Ok(())
}

/// Whoever decides by all keys of a tenant holds its row, so that deciders take turns on a server with several gateways.
pub(crate) async fn lock_tenant(tx: &mut Tx, scope: &TenantScope) -> Result<(), Error> {
    tx.fetch_optional(sql("SELECT id FROM tenants WHERE id = $1").bind(scope.tenant_text()).locking())
        .await
        .map(drop)
}

/// A secret of 256 random bits or a little more: a word and 43 characters.
pub(crate) fn fresh_secret(prefix: &str) -> String {
    let random: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_LEN).map(char::from).collect();
    format!("{prefix}{random}")
}

/// What is kept of a secret.
pub(crate) fn hash_of(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

fn json_list<T: Serialize>(list: &Option<Vec<T>>) -> Option<String> {
    list.as_ref().map(|list| serde_json::to_string(list).unwrap_or_default())
}

async fn insert_key(tx: &mut Tx, scope: &TenantScope, new: &NewKey) -> Result<CreatedKey, Error> {
    let secret = fresh_secret(SECRET_PREFIX);
    let key = Key {
        id: KeyId::new(),
        name: new.name.clone(),
        role: new.role,
        kind: KeyKind::Service,
        project_id: new.project,
        member_id: new.member,
        limits: new.limits.clone(),
        prefix: secret[..SHOWN].to_owned(),
        created_at: now_ms(),
        last_used: None,
        revoked_at: None,
    };
    let insert = sql("INSERT INTO keys (id, tenant_id, name, role, prefix, hash, created_at, project_id, member_id, scopes, \
         models, networks, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
    .bind(key.id.to_string())
    .bind(scope.tenant_text())
    .bind(&key.name)
    .bind(key.role.as_str())
    .bind(&key.prefix)
    .bind(hash_of(&secret).as_slice())
    .bind(key.created_at)
    .bind(key.project_id.map(|id| id.to_string()))
    .bind(key.member_id.map(|id| id.to_string()))
    .bind(json_list(&key.limits.scopes))
    .bind(json_list(&key.limits.models))
    .bind(json_list(&key.limits.networks))
    .bind(key.limits.expires_at);
    tx.execute(insert).await?;
    Ok(CreatedKey { key, secret })
}

/// The key that a member acts through: nobody knows a text with this hash, and secrets are not looked for among members' keys.
pub(crate) async fn insert_own_key(
    tx: &mut Tx,
    scope: &TenantScope,
    name: &str,
    role: Role,
) -> Result<KeyId, Error> {
    let id = KeyId::new();
    let insert = sql("INSERT INTO keys (id, tenant_id, name, role, prefix, hash, created_at, kind) \
         VALUES ($1, $2, $3, $4, 'member', $5, $6, 'member')");
    let insert = insert.bind(id.to_string()).bind(scope.tenant_text()).bind(name).bind(role.as_str());
    tx.execute(insert.bind(rand::random::<Hash>().as_slice()).bind(now_ms())).await?;
    Ok(id)
}

pub(crate) fn identity_of(row: &Row) -> Result<Identity, sqlx::Error> {
    let key_id: KeyId = parsed(row, "id")?;
    let role = word(row, "role", Role::from_word)?;
    let host = row.try_get::<i64>("host")? != 0;
    let limits = limits_of(row)?;
    let mut rights = limits.narrow(role.rights(host));
    // A member's keys reach as far as the member does, whatever they were made with.
    if let Some(own) = row.try_get::<Option<String>>("own_role")? {
        let own =
            Role::from_word(&own).ok_or_else(|| sqlx::Error::Decode(format!("the role {own:?}").into()))?;
        rights = rights.and(own.rights(host));
    }
    Ok(Identity {
        key_id,
        name: row.try_get("name")?,
        role,
        host,
        rights,
        limits,
        member: parsed_opt(row, "member_id")?,
        project: parsed_opt(row, "project_id")?,
        scope: TenantScope { tenant: parsed(row, "tenant_id")?, key: Some(key_id) },
    })
}
