//! The chain: the canonical form of a row, its hash, and adding one.

use std::{fmt, str::FromStr};

use rixin_base::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::AuditRow;
use crate::{
    Error,
    db::{Row, Tx, sql},
};

pub(super) type Hash = [u8; 32];

/// The last row of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHead {
    /// Its number; 0: there is none.
    pub seq: u64,
    /// Its hash in hexadecimal; empty where there is none.
    pub hash: String,
}

/// `12:HASH`, for a person to keep.
impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Invalid {
            param: "head",
            en: "a head is the number of a row, ':', and its hash, as an export or `rixin audit verify` tells it",
            zh: "链头由行号、“:”和哈希组成，见导出文件或 `rixin audit verify` 的输出",
        };
        let (seq, hash) = text.split_once(':').ok_or_else(bad)?;
        let seq = seq.parse().map_err(|_| bad())?;
        if from_hex(hash).is_none() {
            return Err(bad());
        }
        Ok(Self { seq, hash: hash.to_owned() })
    }
}

pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn from_hex(text: &str) -> Option<Hash> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut hash = Hash::default();
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// SHA-256 over the hash before and the row as a JSON array. An array has one form: no spaces, no order of names to choose. The details'
/// names are sorted, as `serde_json`'s map is.
pub(super) fn hash(before: &Hash, tenant: &str, row: &AuditRow) -> Hash {
    let actor = &row.actor;
    let form = json!([
        1,
        tenant,
        row.seq,
        row.at,
        actor.kind,
        actor.id,
        actor.name,
        actor.address,
        row.action,
        row.target,
        row.project_id,
        row.outcome,
        sorted(&row.details),
    ]);
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(form.to_string().as_bytes());
    hasher.finalize().into()
}

/// Pairs in the order of their names, however the map keeps them.
fn sorted(map: &serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
    let one = |value: &serde_json::Value| match value {
        serde_json::Value::Object(map) => sorted(map),
        other => other.clone(),
    };
    let mut pairs: Vec<(&String, serde_json::Value)> =
        map.iter().map(|(name, value)| (name, one(value))).collect();
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    json!(pairs)
}

pub(super) fn head_of(row: &Row) -> Result<AuditHead, sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    Ok(AuditHead { seq: crate::row::count(row, "seq")?, hash: hex(&hash) })
}

/// Adds a row. The head's row is held to the transaction's end, so that gateways that write at once make one chain.
pub(super) async fn append(tx: &mut Tx, tenant: TenantId, mut row: AuditRow) -> Result<(), Error> {
    let tenant = tenant.to_string();
    tx.execute(
        sql("INSERT INTO audit_heads (tenant_id, seq, hash) VALUES ($1, 0, $2) ON CONFLICT (tenant_id) DO NOTHING")
            .bind(&tenant)
            .bind(Hash::default().as_slice()),
    )
    .await?;
    let head = sql("SELECT seq, hash FROM audit_heads WHERE tenant_id = $1").bind(&tenant).locking();
    let head = tx.fetch_one(head).await?;
    let (seq, before): (i64, Vec<u8>) = (tx.read(head.at(0))?, tx.read(head.at(1))?);
    let before = Hash::try_from(before.as_slice()).unwrap_or_default();
    row.seq = u64::try_from(seq).unwrap_or(0) + 1;
    let hash = hash(&before, &tenant, &row);
    tx.execute(
        sql("INSERT INTO audit (tenant_id, seq, at, actor_kind, actor_id, actor_name, address, action, target, project_id, outcome, details, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
            .bind(&tenant)
            .bind(seq + 1)
            .bind(row.at)
            .bind(row.actor.kind)
            .bind(row.actor.id)
            .bind(row.actor.name)
            .bind(row.actor.address)
            .bind(row.action)
            .bind(row.target)
            .bind(row.project_id)
            .bind(row.outcome.as_str())
            .bind(serde_json::Value::Object(row.details).to_string())
            .bind(hash.as_slice()),
    )
    .await?;
    tx.execute(
        sql("UPDATE audit_heads SET seq = $2, hash = $3 WHERE tenant_id = $1")
            .bind(&tenant)
            .bind(seq + 1)
            .bind(hash.as_slice()),
    )
    .await
    .map(drop)
}
