//! Artifacts: what jobs made and what callers brought, with where it came from.
//!
//! An artifact that a job made is a row from the moment of the job's result on, and waits there until the server has labelled and signed
//! it: so its maker needs no key, and a result is never lost between the two.

mod graph;
mod list;
mod policy;
mod sealing;

use rixin_base::{ArtifactId, JobId, TenantId};
use serde_json::{Value, json};

pub use graph::{ArtifactEdge, ArtifactGraph};
pub use list::ArtifactQuery;
pub use policy::StoredLabelPolicy;
pub use sealing::{KnownArtifact, SealedBlob};

use crate::{
    Error, Store, TenantScope, audit,
    db::{Row, Tx, sql},
    now_ms,
    row::{columns, count, json as json_column, parsed, parsed_opt, word},
};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$one])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The value of a word.
            pub fn from_word(text: &str) -> Option<Self> {
                match text { $($word => Some($name::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What an artifact is to a person.
    ArtifactKind {
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
        /// Sound.
        Audio = "audio",
        /// Text, answers of a batch too.
        Text = "text",
        /// Weights.
        Model = "model",
        /// A captured place.
        Scene = "scene",
        /// A captured or generated thing.
        Object = "object",
        /// Figures and findings.
        Report = "report",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Where an artifact came to be.
    ArtifactOrigin {
        /// A job of this instance made it.
        Made = "made",
        /// A caller brought it.
        Uploaded = "uploaded",
    }
}

words! {
    /// How far an artifact is.
    ArtifactState {
        /// It waits for its labels and its signature.
        Waiting = "waiting",
        /// It can be had.
        Ready = "ready",
        /// It could not be signed; its fault says why.
        Failed = "failed",
    }
}

words! {
    /// What an artifact's parent is.
    ParentKind {
        /// Another artifact.
        Artifact = "artifact",
        /// An uploaded file.
        File = "file",
        /// A model of the registry.
        Model = "model",
        /// Training data.
        Dataset = "dataset",
    }
}

/// Something that an artifact was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactParent {
    /// What it is.
    pub kind: ParentKind,
    /// Its id.
    pub id: String,
    /// Its hash, where it has one.
    pub sha256: Option<String>,
    /// How it took part: `parent`, `component`, `input`, `made_with`, `based_on`, `trained_on`.
    pub relation: String,
}

/// What is needed to add an artifact.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// What it is to a person.
    pub kind: ArtifactKind,
    /// Its file name, without folders; a job's outputs have distinct ones.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of the bytes as they were made, which are a blob.
    pub source_sha256: String,
    /// Their number.
    pub source_bytes: u64,
    /// How it came to be, as JSON.
    pub lineage: Value,
    /// What it was made from.
    pub parents: Vec<ArtifactParent>,
}

/// An artifact.
#[derive(Clone, Debug)]
pub struct StoredArtifact {
    /// Its id.
    pub id: ArtifactId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The job that made it.
    pub job: Option<JobId>,
    /// What it is to a person.
    pub kind: ArtifactKind,
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Where it came to be.
    pub origin: ArtifactOrigin,
    /// How far it is.
    pub state: ArtifactState,
    /// SHA-256 of the bytes as they were made or brought.
    pub source_sha256: String,
    /// Their number.
    pub source_bytes: u64,
    /// The sealed file; there once it is ready.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: Option<u64>,
    /// SHA-256 of its content without metadata.
    pub content_sha256: Option<String>,
    /// The blob of the credentials beside it.
    pub sidecar_sha256: Option<String>,
    /// How it came to be.
    pub lineage: Value,
    /// Why it could not be signed, or not yet: `{"code", "en", "zh"}`.
    pub fault: Option<Value>,
    /// How often that was tried.
    pub tries: u32,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it was signed.
    pub sealed_at: Option<i64>,
}

fn artifact_of(row: &Row) -> Result<StoredArtifact, sqlx::Error> {
    let bytes: Option<i64> = row.try_get("bytes")?;
    let fault: Option<String> = row.try_get("fault")?;
    Ok(StoredArtifact {
        id: parsed(row, "id")?,
        tenant: parsed(row, "tenant_id")?,
        job: parsed_opt(row, "job_id")?,
        kind: word(row, "kind", ArtifactKind::from_word)?,
        name: row.try_get("name")?,
        media_type: row.try_get("media_type")?,
        origin: word(row, "origin", ArtifactOrigin::from_word)?,
        state: word(row, "state", ArtifactState::from_word)?,
        source_sha256: row.try_get("source_sha256")?,
        source_bytes: count(row, "source_bytes")?,
        sha256: row.try_get("sha256")?,
        bytes: bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0)),
        content_sha256: row.try_get("content_sha256")?,
        sidecar_sha256: row.try_get("sidecar_sha256")?,
        lineage: json_column(row, "lineage")?,
        fault: fault.and_then(|text| serde_json::from_str(&text).ok()),
        tries: u32::try_from(count(row, "tries")?).unwrap_or(u32::MAX),
        created_at: row.try_get("created_at")?,
        sealed_at: row.try_get("sealed_at")?,
    })
}

fn missing(id: impl ToString) -> Error {
    Error::not_found("artifact", "制品", id)
}

/// Adds the row and its parents; the same output of the same job is added once.
pub(crate) async fn insert(
    tx: &mut Tx,
    scope: &TenantScope,
    (id, job, origin): (ArtifactId, Option<JobId>, ArtifactOrigin),
    new: &NewArtifact,
) -> Result<bool, Error> {
    let added = tx
        .execute(
            sql("INSERT INTO artifacts (id, tenant_id, key_id, job_id, kind, name, media_type, origin, state, source_sha256, \
                 source_bytes, lineage, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10, $11, $12) ON CONFLICT DO NOTHING")
            .bind(id.to_string())
            .bind(scope.tenant_text())
            .bind(scope.key_text())
            .bind(job.map(|job| job.to_string()))
            .bind(new.kind.as_str())
            .bind(&new.name)
            .bind(&new.media_type)
            .bind(origin.as_str())
            .bind(&new.source_sha256)
            .bind(i64::try_from(new.source_bytes).unwrap_or(i64::MAX))
            .bind(new.lineage.to_string())
            .bind(now_ms()),
        )
        .await?;
    if added == 0 {
        return Ok(false);
    }
    for (position, parent) in new.parents.iter().enumerate() {
        tx.execute(
            sql("INSERT INTO artifact_parents (artifact_id, position, kind, parent_id, parent_sha256, relation) \
                 VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(id.to_string())
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(parent.kind.as_str())
            .bind(&parent.id)
            .bind(&parent.sha256)
            .bind(&parent.relation),
        )
        .await?;
    }
    Ok(true)
}

impl Store {
    /// Keeps what a caller brought. It is not this instance's work, so nothing is labelled or signed: it is ready as it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_upload(
        &self,
        scope: &TenantScope,
        id: ArtifactId,
        new: &NewArtifact,
        kept: &SealedBlob,
    ) -> Result<StoredArtifact, Error> {
        let mut tx = self.db().write().await?;
        insert(&mut tx, scope, (id, None, ArtifactOrigin::Uploaded), new).await?;
        sealing::keep(&mut tx, id, kept).await?;
        let told = json!({ "name": new.name, "kind": new.kind, "sha256": kept.sha256, "bytes": kept.bytes });
        audit::noted(&mut tx, "artifact.create", id, told).await?.commit(tx).await?;
        self.artifact(scope, id).await
    }

    /// One artifact.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn artifact(&self, scope: &TenantScope, id: ArtifactId) -> Result<StoredArtifact, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql(concat!(
                    "SELECT ",
                    columns!(artifacts),
                    " FROM artifacts WHERE id = $1 AND tenant_id = $2 AND ($3 IS NULL OR key_id = $3)"
                ))
                .bind(id.to_string())
                .bind(scope.tenant_text())
                .bind(scope.key_text()),
            )
            .await?
            .ok_or_else(|| missing(id))?;
        artifact_of(&row).map_err(|error| self.db().failed(error))
    }

    /// Removes an artifact that nothing refers to; its blobs go when nothing names them any more.
    ///
    /// # Errors
    /// There is none with this id in the scope; another artifact was made from it; a job that is not over reads it.
    pub async fn remove_artifact(&self, scope: &TenantScope, id: ArtifactId) -> Result<(), Error> {
        let found = self.artifact(scope, id).await?;
        let mut tx = self.db().write().await?;
        let read: bool = tx
            .scalar(
                sql("SELECT EXISTS (SELECT 1 FROM jobs WHERE tenant_id = $1 AND inputs LIKE $2 \
                     AND state IN ('blocked', 'queued', 'starting', 'running'))")
                .bind(scope.tenant_text())
                .bind(format!("%\"{id}\"%")),
            )
            .await?;
        if read {
            return Err(Error::InUse { what: "artifact", what_zh: "制品", id: id.to_string() });
        }
        let child = tx
            .fetch_optional(
                sql("SELECT artifact_id FROM artifact_parents WHERE kind = 'artifact' AND parent_id = $1 LIMIT 1")
                    .bind(id.to_string()),
            )
            .await?;
        if let Some(row) = child {
            let child: String = tx.read(row.at(0))?;
            return Err(Error::HasChildren { id: id.to_string(), child });
        }
        tx.execute(sql("DELETE FROM artifacts WHERE id = $1").bind(id.to_string())).await?;
        let told = json!({ "name": found.name, "sha256": found.sha256 });
        audit::noted(&mut tx, "artifact.remove", id, told).await?.commit(tx).await
    }
}
