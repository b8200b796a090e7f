//! Replicas that run as jobs of a cluster, shared by all gateways of the database.
//!
//! A row is the wish for a replica. The gateway that owns it for the moment hands jobs to the cluster, one at a time: an *attempt* with a
//! number and a token that works once. The process registers with it, and from then on renews its lease with the key that it chose
//! and that gateways ask it with. What an earlier attempt's process says changes nothing.

use rand::{RngExt as _, distr::Alphanumeric};
use rixin_base::{Fault, ReplicaId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    Error, Resources, Store,
    db::{Row, sql},
    now_ms,
    row::{json, parsed, word},
};

/// What a token of registration starts with.
const PREFIX: &str = "rxr-";
const COLUMNS: &str = "id, model, resources, state, reason, attempt, failures, owner, owned_until, place, address, access_key, \
     facts, lease_until, not_before, created_at, since";

/// How far a replica of a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// Its job waits or its process loads.
    Starting,
    /// It has registered; it may be asked while its lease runs.
    Ready,
    /// Somebody does not want it any more.
    Stopping,
    /// It is given up; the reason is there.
    Failed,
}

impl ClusterState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }

    fn from_word(text: &str) -> Option<Self> {
        [Self::Starting, Self::Ready, Self::Stopping, Self::Failed].into_iter().find(|s| s.as_str() == text)
    }
}

/// What a process says when it registers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where it answers, such as `http://10.0.0.7:41000/v1`.
    pub address: String,
    /// What gateways send to it, and what it renews its lease with.
    pub key: String,
    /// Requests at the same time.
    pub slots: u32,
    /// Longest prompt and answer, in tokens.
    pub context_length: u32,
    /// What it takes, in bytes.
    pub memory_bytes: u64,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("address", &self.address)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

/// What is kept of a registration in one column.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    slots: u32,
    context_length: u32,
    memory_bytes: u64,
}

/// A replica of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterReplica {
    /// Its id.
    pub id: ReplicaId,
    /// Its model.
    pub model: String,
    /// What its job asks for.
    pub resources: Resources,
    /// How far it is.
    pub state: ClusterState,
    /// Why it failed, or why the last attempt ended.
    pub reason: Option<Fault>,
    /// The number of its last job; 0 before the first.
    pub attempt: u32,
    /// Attempts that ended in a row.
    pub failures: u32,
    /// The gateway that looks after it, and until when, in milliseconds since 1970.
    pub owner: String,
    /// Until when that gateway does.
    pub owned_until: i64,
    /// What the cluster knows its job by.
    pub place: Option<Value>,
    /// What it said when it registered.
    pub registration: Option<Registration>,
    /// Until when it may be asked without another sign of life.
    pub lease_until: i64,
    /// Its next job is not handed out earlier.
    pub not_before: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When its state began.
    pub since: i64,
}

fn replica_of(row: &Row) -> Result<ClusterReplica, sqlx::Error> {
    let small = |column: &str| row.try_get::<i64>(column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let text = |column: &str| row.try_get::<Option<String>>(column);
    let facts: Facts = text("facts")?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let registration = text("address")?.zip(text("access_key")?).map(|(address, key)| Registration {
        address,
        key,
        slots: facts.slots,
        context_length: facts.context_length,
        memory_bytes: facts.memory_bytes,
    });
    Ok(ClusterReplica {
        id: parsed(row, "id")?,
        model: row.try_get("model")?,
        resources: json(row, "resources")?,
        state: word(row, "state", ClusterState::from_word)?,
        reason: text("reason")?.and_then(|text| Fault::from_line(&text)),
        attempt: small("attempt")?,
        failures: small("failures")?,
        owner: row.try_get("owner")?,
        owned_until: row.try_get("owned_until")?,
        place: text("place")?.and_then(|text| serde_json::from_str(&text).ok()),
        registration,
        lease_until: row.try_get("lease_until")?,
        not_before: row.try_get("not_before")?,
        created_at: row.try_get("created_at")?,
        since: row.try_get("since")?,
    })
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

fn secret(prefix: &str) -> String {
    let text: String = rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect();
    format!("{prefix}{text}")
}

/// Replicas of the cluster. They belong to the machine and not to a tenant; who serves callers checks what they may.
#[derive(Clone, Debug)]
pub struct ClusterReplicas {
    store: Store,
}

impl Store {
    /// The replicas of the cluster.
    pub fn cluster_replicas(&self) -> ClusterReplicas {
        ClusterReplicas { store: self.clone() }
    }
}

impl ClusterReplicas {
    /// All of them, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self) -> Result<Vec<ClusterReplica>, Error> {
        let mut list = sql("SELECT ");
        list.push(COLUMNS).push(" FROM cluster_replicas ORDER BY created_at, id");
        let rows = self.store.db().fetch_all(list).await?;
        self.store.db().all(&rows, replica_of)
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn get(&self, id: ReplicaId) -> Result<ClusterReplica, Error> {
        let mut one = sql("SELECT ");
        one.push(COLUMNS).push(" FROM cluster_replicas WHERE id = ").push_bind(id.to_string());
        let db = self.store.db();
        let row = db.fetch_optional(one).await?.ok_or_else(|| Error::not_found("replica", "副本", id))?;
        replica_of(&row).map_err(|error| db.failed(error))
    }

    /// Wishes for one; the first gateway that reaches the cluster hands it out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add(&self, model: &str, resources: &Resources) -> Result<ClusterReplica, Error> {
        let (id, now) = (ReplicaId::new(), now_ms());
        let mut tx = self.store.db().write().await?;
        tx.execute(
            sql("INSERT INTO cluster_replicas (id, model, resources, state, created_at, since) VALUES ($1, $2, $3, 'starting', $4, $4)")
                .bind(id.to_string())
                .bind(model)
                .bind(serde_json::to_string(resources).unwrap_or_default())
                .bind(now),
        )
        .await?;
        tx.commit().await?;
        self.get(id).await
    }

    /// Becomes, or stays, the gateway that looks after one; false where another one does.
    ///
    /// # Errors
    /// The database failed.
    pub async fn own(&self, id: ReplicaId, owner: &str, for_ms: i64) -> Result<bool, Error> {
        let mut tx = self.store.db().write().await?;
        let now = now_ms();
        let owned = tx
            .execute(
                sql("UPDATE cluster_replicas SET owner = $2, owned_until = $3 WHERE id = $1 AND (owner = $2 OR owned_until < $4)")
                    .bind(id.to_string())
                    .bind(owner)
                    .bind(now + for_ms)
                    .bind(now),
            )
            .await?;
        tx.commit().await?;
        Ok(owned > 0)
    }

    /// Gives up what a gateway looks after: it ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn disown(&self, owner: &str) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        tx.execute(sql("UPDATE cluster_replicas SET owned_until = 0 WHERE owner = $1").bind(owner)).await?;
        tx.commit().await
    }

    /// The next attempt: its number and its token; `None` where the replica is not wanted any more, or another attempt has begun.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin(&self, replica: &ClusterReplica) -> Result<Option<(u32, String)>, Error> {
        let token = secret(PREFIX);
        let number = replica.attempt + 1;
        let mut tx = self.store.db().write().await?;
        let begun = tx
            .execute(
                sql("UPDATE cluster_replicas SET attempt = $3, token_hash = $4, place = NULL, address = NULL, access_key = NULL, \
                     facts = NULL, lease_until = 0, since = $5 \
                     WHERE id = $1 AND attempt = $2 AND state = 'starting' AND owner = $6")
                .bind(replica.id.to_string())
                .bind(replica.attempt)
                .bind(number)
                .bind(hash(&token))
                .bind(now_ms())
                .bind(&replica.owner),
            )
            .await?;
        tx.commit().await?;
        Ok((begun > 0).then_some((number, token)))
    }

    /// Notes what the cluster knows an attempt's job by.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_place(&self, id: ReplicaId, attempt: u32, place: &Value) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        tx.execute(
            sql("UPDATE cluster_replicas SET place = $3 WHERE id = $1 AND attempt = $2")
                .bind(id.to_string())
                .bind(attempt)
                .bind(place.to_string()),
        )
        .await?;
        tx.commit().await
    }

    /// A process registers with its attempt's token. The token works for the first process that uses it; the same one may say it again,
    /// where it did not hear the answer. False: the token is none that works.
    ///
    /// # Errors
    /// The database failed.
    pub async fn register(
        &self,
        id: ReplicaId,
        token: &str,
        said: &Registration,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        let facts =
            Facts { slots: said.slots, context_length: said.context_length, memory_bytes: said.memory_bytes };
        let mut tx = self.store.db().write().await?;
        let now = now_ms();
        let done = tx
            .execute(
                sql("UPDATE cluster_replicas SET state = 'ready', address = $3, access_key = $4, facts = $5, lease_until = $6, \
                     since = $7, failures = 0, reason = NULL WHERE id = $1 AND token_hash = $2 AND \
                     ((state = 'starting' AND access_key IS NULL) OR (state = 'ready' AND access_key = $4))")
                .bind(id.to_string())
                .bind(hash(token))
                .bind(&said.address)
                .bind(&said.key)
                .bind(serde_json::to_string(&facts).unwrap_or_default())
                .bind(now + lease_ms)
                .bind(now),
            )
            .await?;
        tx.commit().await?;
        Ok(done > 0)
    }

    /// A sign of life, with the key that the process registered. False: it is not wanted any more, and has to end.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew(&self, id: ReplicaId, key: &str, lease_ms: i64) -> Result<bool, Error> {
        let mut tx = self.store.db().write().await?;
        let row = tx
            .fetch_optional(
                sql("SELECT access_key FROM cluster_replicas WHERE id = $1 AND state = 'ready'")
                    .bind(id.to_string())
                    .locking(),
            )
            .await?;
        let Some(row) = row else { return Ok(false) };
        let known: Option<String> = tx.read(row.at(0))?;
        if !known.is_some_and(|known| bool::from(known.as_bytes().ct_eq(key.as_bytes()))) {
            return Ok(false);
        }
        tx.execute(
            sql("UPDATE cluster_replicas SET lease_until = $2 WHERE id = $1")
                .bind(id.to_string())
                .bind(now_ms() + lease_ms),
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// An attempt has ended. With `again_at` (milliseconds since 1970) another one follows then; without it the replica is given up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ended(
        &self,
        id: ReplicaId,
        attempt: u32,
        reason: &Fault,
        again_at: Option<i64>,
    ) -> Result<bool, Error> {
        let mut tx = self.store.db().write().await?;
        let state = if again_at.is_some() { ClusterState::Starting } else { ClusterState::Failed };
        let done = tx
            .execute(
                sql("UPDATE cluster_replicas SET state = $3, reason = $4, failures = failures + 1, not_before = $5, since = $6, \
                     token_hash = NULL, place = NULL, address = NULL, access_key = NULL, lease_until = 0 \
                     WHERE id = $1 AND attempt = $2 AND state IN ('starting', 'ready')")
                .bind(id.to_string())
                .bind(attempt)
                .bind(state.as_str())
                .bind(reason.to_line())
                .bind(again_at.unwrap_or(0))
                .bind(now_ms()),
            )
            .await?;
        tx.commit().await?;
        Ok(done > 0)
    }

    /// Not wanted any more: no gateway asks it, its process ends, and its row goes when its job has.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn stop(&self, id: ReplicaId) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        let done = tx
            .execute(
                sql("UPDATE cluster_replicas SET state = 'stopping', token_hash = NULL, lease_until = 0, since = $2 WHERE id = $1")
                    .bind(id.to_string())
                    .bind(now_ms()),
            )
            .await?;
        if done == 0 {
            return Err(Error::not_found("replica", "副本", id));
        }
        tx.commit().await
    }

    /// Forgets one whose job has ended.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove(&self, id: ReplicaId) -> Result<(), Error> {
        let mut tx = self.store.db().write().await?;
        tx.execute(
            sql("DELETE FROM cluster_replicas WHERE id = $1 AND state IN ('stopping', 'failed')")
                .bind(id.to_string()),
        )
        .await?;
        tx.commit().await
    }
}
