//! Files of callers: what they upload, and what jobs make for them. A row names a blob by its hash; the bytes are elsewhere.

use rixin_base::{FileId, TenantId};
use serde_json::json;

use crate::{
    Error, Page, Store, TenantScope, audit,
    db::{Row, Tx, sql},
    now_ms,
    page::{Cursor, MAX_LIMIT},
    row::{columns, count, parsed},
};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its id.
    pub id: FileId,
    /// What it is for, in OpenAI's words: `batch`, `batch_output`, `user_data` ...
    pub purpose: String,
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The blob's hash, in lower case hexadecimal.
    pub sha256: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it goes by itself.
    pub expires_at: Option<i64>,
}

/// What is needed to add one.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// What it is for.
    pub purpose: String,
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The blob's hash.
    pub sha256: String,
    /// When it goes by itself.
    pub expires_at: Option<i64>,
}

/// Which files to list.
#[derive(Clone, Debug, Default)]
pub struct FileQuery {
    /// For this purpose.
    pub purpose: Option<String>,
    /// At most so many, 1 to 200; 0: 50.
    pub limit: u32,
    /// After this file, in the list's order.
    pub after: Option<String>,
    /// Oldest first.
    pub ascending: bool,
}

fn file_of(row: &Row) -> Result<StoredFile, sqlx::Error> {
    Ok(StoredFile {
        id: parsed(row, "id")?,
        purpose: row.try_get("purpose")?,
        name: row.try_get("name")?,
        bytes: count(row, "bytes")?,
        sha256: row.try_get("sha256")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

fn missing(id: FileId) -> Error {
    Error::not_found("file", "文件", id)
}

pub(crate) async fn insert(tx: &mut Tx, scope: &TenantScope, id: FileId, new: &NewFile) -> Result<(), Error> {
    tx.execute(
        sql(
            "INSERT INTO files (id, tenant_id, key_id, purpose, name, bytes, sha256, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(id.to_string())
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .bind(&new.purpose)
        .bind(&new.name)
        .bind(i64::try_from(new.bytes).unwrap_or(i64::MAX))
        .bind(&new.sha256)
        .bind(now_ms())
        .bind(new.expires_at),
    )
    .await
    .map(drop)
}

impl Store {
    /// Adds a file whose bytes are stored.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_file(&self, scope: &TenantScope, new: &NewFile) -> Result<StoredFile, Error> {
        let id = FileId::new();
        let mut tx = self.db().write().await?;
        insert(&mut tx, scope, id, new).await?;
        let told =
            json!({ "name": new.name, "purpose": new.purpose, "bytes": new.bytes, "sha256": new.sha256 });
        audit::noted(&mut tx, "file.create", id, told).await?.commit(tx).await?;
        self.file(scope, id).await
    }

    /// One file.
    ///
    /// # Errors
    /// There is none with this id in the scope, or its time is over.
    pub async fn file(&self, scope: &TenantScope, id: FileId) -> Result<StoredFile, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql(concat!(
                    "SELECT ",
                    columns!(files),
                    " FROM files WHERE id = $1 AND tenant_id = $2 AND ($3 IS NULL OR key_id = $3) \
                     AND (expires_at IS NULL OR expires_at > $4)"
                ))
                .bind(id.to_string())
                .bind(scope.tenant_text())
                .bind(scope.key_text())
                .bind(now_ms()),
            )
            .await?
            .ok_or_else(|| missing(id))?;
        file_of(&row).map_err(|error| self.db().failed(error))
    }

    /// Files, newest first unless the query says otherwise.
    ///
    /// # Errors
    /// `after` is not a file of the scope.
    pub async fn files(&self, scope: &TenantScope, query: &FileQuery) -> Result<Page<StoredFile>, Error> {
        let limit = if query.limit == 0 { 50 } else { query.limit.min(MAX_LIMIT) };
        let mut list = sql(concat!("SELECT ", columns!(files), " FROM files WHERE tenant_id = "));
        list.push_bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            list.push(" AND key_id = ").push_bind(key);
        }
        list.push(" AND (expires_at IS NULL OR expires_at > ").push_bind(now_ms()).push(")");
        if let Some(purpose) = &query.purpose {
            list.push(" AND purpose = ").push_bind(purpose);
        }
        if let Some(after) = &query.after {
            let id: FileId = after.parse().map_err(|_| Error::not_found("file", "文件", after))?;
            let after = self.file(scope, id).await?;
            list.push(if query.ascending {
                " AND (created_at, id) > ("
            } else {
                " AND (created_at, id) < ("
            });
            list.push_bind(after.created_at);
            list.push(", ").push_bind(after.id.to_string()).push(")");
        }
        list.push(if query.ascending {
            " ORDER BY created_at, id LIMIT "
        } else {
            " ORDER BY created_at DESC, id DESC LIMIT "
        });
        list.push_bind(i64::from(limit) + 1);
        let rows = self.db().fetch_all(list).await?;
        let mut items = self.db().all(&rows, file_of)?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor { time_ms: last.created_at, id: last.id.to_string() }.encode());
        Ok(Page { items, next })
    }

    /// Removes a file; its blob goes when nothing names it any more.
    ///
    /// # Errors
    /// There is none with this id in the scope, or a job that is not over reads it.
    pub async fn remove_file(&self, scope: &TenantScope, id: FileId) -> Result<(), Error> {
        self.file(scope, id).await?;
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
            return Err(Error::InUse { what: "file", what_zh: "文件", id: id.to_string() });
        }
        tx.execute(sql("DELETE FROM files WHERE id = $1").bind(id.to_string())).await?;
        audit::noted(&mut tx, "file.remove", id, json!({})).await?.commit(tx).await
    }
}

impl crate::jobs::Supervisor {
    /// Removes files whose time is over, except what unfinished jobs read; gives how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn expire_files(&self, now_ms: i64) -> Result<u64, Error> {
        let mut tx = self.db().write().await?;
        let gone = tx
            .execute(
                sql("DELETE FROM files WHERE expires_at < $1 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = files.tenant_id \
                     AND j.state IN ('blocked', 'queued', 'starting', 'running') AND j.inputs LIKE '%\"' || files.id || '\"%')")
                    .bind(now_ms),
            )
            .await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Whether any row of any tenant names a blob.
    ///
    /// # Errors
    /// The database failed.
    pub async fn blob_is_named(&self, sha256: &str) -> Result<bool, Error> {
        self.db().scalar(sql("SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = $1)").bind(sha256)).await
    }

    /// The bytes that a tenant's files take.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stored_bytes(&self, tenant: TenantId) -> Result<u64, Error> {
        let sum: i64 = self
            .db()
            .scalar(
                sql("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM files WHERE tenant_id = $1")
                    .bind(tenant.to_string()),
            )
            .await?;
        Ok(u64::try_from(sum).unwrap_or(0))
    }
}
