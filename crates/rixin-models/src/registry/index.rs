//! The index: a SQLite file that answers questions about many models quickly. A cache: what it says comes from the manifests,
//! and it is thrown away and made anew when it is missing, damaged or of another version.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    query::{Cursor, ModelQuery, Page},
    search::{SHELF, Scan, kind_number, line, origin_number, with_line},
};
use crate::{Error, Manifest, Result};

/// Raised when the tables change.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, origin INTEGER NOT NULL,
    stamp INTEGER NOT NULL, manifest TEXT NOT NULL
);
CREATE INDEX models_by_kind ON models (kind, id);
CREATE INDEX models_by_origin ON models (origin, id);
CREATE INDEX models_by_both ON models (kind, origin, id);
CREATE TABLE shelves (shelf INTEGER PRIMARY KEY, generation INTEGER NOT NULL, text TEXT NOT NULL);
";

/// A model as the index takes it.
pub(super) struct Entry {
    pub manifest: Manifest,
    pub stamp: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Index {
    pool: SqlitePool,
    shelves: Arc<tokio::sync::Mutex<Shelves>>,
}

/// The searched text as last seen, so that a search reads only the shelves that changed since.
#[derive(Debug, Default)]
struct Shelves {
    generation: i64,
    texts: std::collections::BTreeMap<i64, (i64, Arc<str>)>,
}

impl Index {
    /// Opens the file; `None` where it is missing, damaged or of another version.
    pub async fn open(path: &Path) -> Result<Option<Self>, sqlx::Error> {
        if !path.exists() {
            return Ok(None);
        }
        let pool = connect(path, false).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await?;
        if version != VERSION {
            pool.close().await;
            return Ok(None);
        }
        Ok(Some(Self::over(pool)))
    }

    /// Makes an empty file in place of what is there. The registry's lock is held by the caller.
    pub async fn create(path: &Path) -> Result<Self> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", Path::new(&name), e));
                }
                _ => {}
            }
        }
        let fail = |e| index_error(path, e);
        let pool = connect(path, true).await.map_err(fail)?;
        let mut tx = pool.begin().await.map_err(fail)?;
        sqlx::raw_sql(SCHEMA).execute(&mut *tx).await.map_err(fail)?;
        // Starting from the clock, the counter differs from whatever a watcher saw before a rebuild.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        set(&mut tx, "generation", now.as_micros() as i64).await.map_err(fail)?;
        set(&mut tx, "models_stamp", i64::MIN).await.map_err(fail)?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *tx).await.map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        Ok(Self::over(pool))
    }

    fn over(pool: SqlitePool) -> Self {
        Self { pool, shelves: Arc::default() }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A counter that grows with every change, whoever made it.
    pub async fn generation(&self) -> Result<i64, sqlx::Error> {
        get(&self.pool, "generation").await
    }

    /// The state of the models folder that the index knows.
    pub async fn models_stamp(&self) -> Result<i64, sqlx::Error> {
        get(&self.pool, "models_stamp").await
    }

    /// Every id with its stamp.
    pub async fn stamps(&self) -> Result<std::collections::HashMap<String, i64>, sqlx::Error> {
        let rows = sqlx::query("SELECT id, stamp FROM models").fetch_all(&self.pool).await?;
        rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Adds, replaces and removes models in one transaction.
    pub async fn change(&self, put: &[Entry], gone: &[String], models_stamp: i64) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let generation: i64 = get(&mut *tx, "generation").await? + 1;
        let mut edits: std::collections::BTreeMap<i64, Vec<(String, Option<String>)>> = Default::default();
        for batch in gone.chunks(1000) {
            let ids = serde_json::to_string(batch).unwrap_or_default();
            let rows = sqlx::query(
                "DELETE FROM models WHERE id IN (SELECT value FROM json_each(?)) RETURNING n, id",
            )
            .bind(ids)
            .fetch_all(&mut *tx)
            .await?;
            for row in rows {
                edits.entry(row.try_get::<i64, _>(0)? / SHELF).or_default().push((row.try_get(1)?, None));
            }
        }
        for batch in put.chunks(1000) {
            let rows: Vec<_> = batch
                .iter()
                .map(|entry| {
                    let manifest = &entry.manifest;
                    let json = String::from_utf8(manifest.to_json()).unwrap_or_default();
                    let (kind, origin) = (kind_number(manifest.kind), origin_number(manifest.origin));
                    (manifest.id.as_str(), kind, origin, entry.stamp, json)
                })
                .collect();
            let numbers = sqlx::query(
                "INSERT INTO models (id, kind, origin, stamp, manifest)
                 SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?) WHERE true
                 ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, origin = excluded.origin,
                     stamp = excluded.stamp, manifest = excluded.manifest
                 RETURNING n, id",
            )
            .bind(serde_json::to_string(&rows).unwrap_or_default())
            .fetch_all(&mut *tx)
            .await?;
            let lines: std::collections::HashMap<&str, &Manifest> =
                batch.iter().map(|entry| (entry.manifest.id.as_str(), &entry.manifest)).collect();
            for row in numbers {
                let id: String = row.try_get(1)?;
                let text = lines.get(id.as_str()).map(|manifest| line(manifest));
                edits.entry(row.try_get::<i64, _>(0)? / SHELF).or_default().push((id, text));
            }
        }
        for (shelf, changes) in edits {
            let old: Option<String> = sqlx::query_scalar("SELECT text FROM shelves WHERE shelf = ?")
                .bind(shelf)
                .fetch_optional(&mut *tx)
                .await?;
            let text = match old {
                Some(old) => {
                    changes.iter().fold(old, |text, (id, line)| with_line(&text, id, line.as_deref()))
                }
                None => changes.into_iter().filter_map(|(_, line)| line).collect(),
            };
            sqlx::query("INSERT OR REPLACE INTO shelves (shelf, generation, text) VALUES (?, ?, ?)")
                .bind(shelf)
                .bind(generation)
                .bind(text)
                .execute(&mut *tx)
                .await?;
        }
        set(&mut tx, "generation", generation).await?;
        set(&mut tx, "models_stamp", models_stamp).await?;
        tx.commit().await
    }

    /// A page of the list.
    pub async fn list(&self, query: &ModelQuery, after: Option<Cursor>) -> Result<Page, sqlx::Error> {
        let scan = query.text.as_deref().and_then(|text| Scan::new(text, query.kind, query.origin));
        match scan {
            Some(scan) => self.search(scan, after, query.page_size()).await,
            None => self.filter(query, after, query.page_size()).await,
        }
    }

    async fn filter(
        &self,
        query: &ModelQuery,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, sqlx::Error> {
        // One text a filter, so that each is answered by its own index.
        let (count, select) = match (query.kind, query.origin) {
            (None, None) => (
                "SELECT count(*) FROM models",
                "SELECT id, manifest FROM models WHERE id > ?3 ORDER BY id LIMIT ?4",
            ),
            (Some(_), None) => (
                "SELECT count(*) FROM models WHERE kind = ?1",
                "SELECT id, manifest FROM models WHERE kind = ?1 AND id > ?3 ORDER BY id LIMIT ?4",
            ),
            (None, Some(_)) => (
                "SELECT count(*) FROM models WHERE origin = ?2",
                "SELECT id, manifest FROM models WHERE origin = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            ),
            (Some(_), Some(_)) => (
                "SELECT count(*) FROM models WHERE kind = ?1 AND origin = ?2",
                "SELECT id, manifest FROM models WHERE kind = ?1 AND origin = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            ),
        };
        let kind = query.kind.map(kind_number);
        let origin = query.origin.map(origin_number);
        let total: i64 = sqlx::query_scalar(count).bind(kind).bind(origin).fetch_one(&self.pool).await?;
        let rows = sqlx::query(select)
            .bind(kind)
            .bind(origin)
            .bind(after.map(|cursor| cursor.id).unwrap_or_default())
            .bind(limit as i64 + 1)
            .fetch_all(&self.pool)
            .await?;
        let more = rows.len() > limit;
        let mut data = Vec::with_capacity(limit);
        let mut last = None;
        for row in rows.iter().take(limit) {
            last = Some(row.try_get::<String, _>(0)?);
            data.push(parse(row.try_get(1)?)?);
        }
        let next = last.filter(|_| more).map(|id| Cursor { rank: 0, id }.text());
        Ok(Page { data, next, total: total as u64 })
    }

    async fn search(&self, scan: Scan, after: Option<Cursor>, limit: usize) -> Result<Page, sqlx::Error> {
        let shelves = self.fresh_shelves().await?;
        let (total, mut found) = scan.run(shelves.iter().map(AsRef::as_ref), after.as_ref(), limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let ids: Vec<&str> = found.iter().map(|cursor| cursor.id.as_str()).collect();
        let rows =
            sqlx::query("SELECT id, manifest FROM models WHERE id IN (SELECT value FROM json_each(?))")
                .bind(serde_json::to_string(&ids).unwrap_or_default())
                .fetch_all(&self.pool)
                .await?;
        let mut by_id = std::collections::HashMap::with_capacity(rows.len());
        for row in &rows {
            by_id.insert(row.try_get::<String, _>(0)?, parse(row.try_get(1)?)?);
        }
        // A model that was removed between the two looks is left out.
        let data = ids.iter().filter_map(|id| by_id.remove(*id)).collect();
        let next = if more { found.last().map(Cursor::text) } else { None };
        Ok(Page { data, next, total })
    }

    async fn fresh_shelves(&self) -> Result<Vec<Arc<str>>, sqlx::Error> {
        let mut known = self.shelves.lock().await;
        let generation = self.generation().await?;
        if generation != known.generation {
            let rows = sqlx::query("SELECT shelf, text, generation FROM shelves WHERE generation > ?")
                .bind(known.generation)
                .fetch_all(&self.pool)
                .await?;
            // A change that commits between the two reads is read now and read again later: no harm.
            for row in &rows {
                let text: &str = row.try_get(1)?;
                known.texts.insert(row.try_get(0)?, (row.try_get(2)?, Arc::from(text)));
            }
            known.generation = generation;
        }
        Ok(known.texts.values().map(|(_, text)| text.clone()).collect())
    }
}

fn parse(json: &str) -> Result<Manifest, sqlx::Error> {
    serde_json::from_str(json).map_err(|e| sqlx::Error::Decode(e.into()))
}

pub(super) fn index_error(path: &Path, source: sqlx::Error) -> Error {
    let text = source.to_string();
    if text.contains("database or disk is full") {
        return Error::DiskFull { path: path.to_path_buf(), needed: None, free: None };
    }
    if text.contains("readonly database") || text.contains("unable to open database file") {
        return Error::ReadOnly { path: path.to_path_buf(), why: text };
    }
    Error::Index { path: path.to_path_buf(), source }
}

/// Whether the file itself is damaged, so that a new one is the mend.
pub(super) fn is_damaged(error: &sqlx::Error) -> bool {
    let text = error.to_string();
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. })
        || ["malformed", "not a database", "no such table", "no such column", "disk I/O error"]
            .iter()
            .any(|w| text.contains(w))
}

async fn connect(path: &Path, create: bool) -> Result<SqlitePool, sqlx::Error> {
    // Not synchronous: after a power cut the file may be damaged, and is then made anew from the manifests.
    let mut options = SqliteConnectOptions::from_str("sqlite://")?
        .filename(path)
        .create_if_missing(create)
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(Duration::from_secs(10))
        .pragma("mmap_size", "268435456");
    if !create {
        options = options.journal_mode(SqliteJournalMode::Wal);
    }
    let pool = SqlitePoolOptions::new().max_connections(4).min_connections(0).connect_with(options).await?;
    if create {
        // Only now, when nothing waits for the disk any more: among the options this one would come before `synchronous`.
        sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&pool).await?;
    }
    Ok(pool)
}

async fn get<'e>(on: impl sqlx::SqliteExecutor<'e>, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = ?").bind(name).fetch_one(on).await
}

async fn set(on: &mut SqliteConnection, name: &str, value: i64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")
        .bind(name)
        .bind(value)
        .execute(on)
        .await?;
    Ok(())
}
