//! What the server does for all tenants: seals what waits, and finds a file by its hash.

use rixin_base::{ArtifactId, Fault};
use serde_json::{Value, json};

use super::{ArtifactKind, StoredArtifact, StoredLabelPolicy, artifact_of};
use crate::{
    Error, Supervisor,
    db::{Tx, sql},
    now_ms,
    row::{columns, json as json_column, parsed, word},
};

/// The blobs of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlob {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content without metadata.
    pub content_sha256: String,
    /// The blob of the credentials beside it.
    pub sidecar_sha256: Option<String>,
}

/// What may be told to anybody of an artifact that was found by its hash: nothing of whose it is.
#[derive(Clone, Debug)]
pub struct KnownArtifact {
    /// Its id; for the instance itself.
    pub id: ArtifactId,
    /// What it is to a person.
    pub kind: ArtifactKind,
    /// SHA-256 of the sealed file.
    pub sha256: String,
    /// The blob of the credentials beside it.
    pub sidecar_sha256: Option<String>,
    /// How it came to be; who tells it leaves out what is private.
    pub lineage: Value,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Makes a row that waits ready; `false`: somebody else did.
pub(super) async fn keep(tx: &mut Tx, id: ArtifactId, sealed: &SealedBlob) -> Result<bool, Error> {
    let changed = tx
        .execute(
            sql("UPDATE artifacts SET state = 'ready', sha256 = $2, bytes = $3, content_sha256 = $4, sidecar_sha256 = $5, \
                 sealed_at = $6, fault = NULL WHERE id = $1 AND state = 'waiting'")
            .bind(id.to_string())
            .bind(&sealed.sha256)
            .bind(i64::try_from(sealed.bytes).unwrap_or(i64::MAX))
            .bind(&sealed.content_sha256)
            .bind(&sealed.sidecar_sha256)
            .bind(now_ms()),
        )
        .await?;
    Ok(changed > 0)
}

impl Supervisor {
    /// What waits for its labels and its signature and is due, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unsealed_artifacts(&self, now_ms: i64, limit: u32) -> Result<Vec<StoredArtifact>, Error> {
        let rows = self
            .db()
            .fetch_all(
                sql(concat!(
                    "SELECT ",
                    columns!(artifacts),
                    " FROM artifacts WHERE state = 'waiting' AND retry_at <= $1 ORDER BY created_at, id LIMIT $2"
                ))
                .bind(now_ms)
                .bind(limit),
            )
            .await?;
        self.db().all(&rows, artifact_of)
    }

    /// Those artifacts of the same tenant that one was made from and that can be had.
    ///
    /// # Errors
    /// The database failed.
    pub async fn parents_of(&self, artifact: &StoredArtifact) -> Result<Vec<StoredArtifact>, Error> {
        let rows = self
            .db()
            .fetch_all(
                sql(concat!(
                    "SELECT ",
                    columns!(artifacts),
                    " FROM artifacts WHERE tenant_id = $1 AND state = 'ready' AND id IN \
                     (SELECT parent_id FROM artifact_parents WHERE artifact_id = $2 AND kind = 'artifact') ORDER BY id LIMIT 32"
                ))
                .bind(artifact.tenant.to_string())
                .bind(artifact.id.to_string()),
            )
            .await?;
        self.db().all(&rows, artifact_of)
    }

    /// The label policy of an artifact's tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn label_policy_for(
        &self,
        artifact: &StoredArtifact,
    ) -> Result<Option<StoredLabelPolicy>, Error> {
        self.store().label_policy_of(&artifact.tenant.to_string()).await
    }

    /// Makes an artifact ready. Of two servers that sealed the same one, the first counts; tells whether that was this one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn seal_artifact(&self, id: ArtifactId, sealed: &SealedBlob) -> Result<bool, Error> {
        let mut tx = self.db().write().await?;
        let first = keep(&mut tx, id, sealed).await?;
        tx.commit().await?;
        Ok(first)
    }

    /// Notes that an artifact could not be sealed: it is tried again at that time, or is given up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn seal_failed(
        &self,
        id: ArtifactId,
        fault: &Fault,
        retry_at: Option<i64>,
    ) -> Result<(), Error> {
        let told = json!({ "code": fault.code.as_str(), "en": fault.message.en, "zh": fault.message.zh });
        let mut tx = self.db().write().await?;
        tx.execute(
            sql("UPDATE artifacts SET fault = $2, tries = tries + 1, retry_at = $3, state = $4 \
                 WHERE id = $1 AND state = 'waiting'")
            .bind(id.to_string())
            .bind(told.to_string())
            .bind(retry_at.unwrap_or(0))
            .bind(if retry_at.is_some() { "waiting" } else { "failed" }),
        )
        .await?;
        tx.commit().await
    }

    /// An artifact that this instance made, by the hash of the file or of its content, of whatever tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn artifact_by_hash(
        &self,
        sha256: &str,
        content_sha256: &str,
    ) -> Result<Option<KnownArtifact>, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql("SELECT id, kind, sha256, sidecar_sha256, lineage, created_at FROM artifacts WHERE origin = 'made' AND state = 'ready' \
                     AND (sha256 = $1 OR source_sha256 = $1 OR content_sha256 = $1 OR content_sha256 = $2) \
                     ORDER BY created_at, id LIMIT 1")
                .bind(sha256)
                .bind(content_sha256),
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let read = || -> Result<_, sqlx::Error> {
            Ok(KnownArtifact {
                id: parsed(&row, "id")?,
                kind: word(&row, "kind", ArtifactKind::from_word)?,
                sha256: row.try_get("sha256")?,
                sidecar_sha256: row.try_get("sidecar_sha256")?,
                lineage: json_column(&row, "lineage")?,
                created_at: row.try_get("created_at")?,
            })
        };
        read().map(Some).map_err(|error| self.db().failed(error))
    }
}
