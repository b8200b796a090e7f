//! Opening the database: one writer, some readers, migrations under a lock between processes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Error, keys::KeyCache, usage::Meter};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// The file's name in the data folder.
const FILE: &str = "rixin.db";

/// Readers that work at the same time; each has a thread of its own, so that few are enough for a small idle process.
const READERS: u32 = 4;

/// The database of a data folder. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub path: PathBuf,
    pub reader: SqlitePool,
    /// One connection: SQLite has one writer at a time, and waiting for a connection is fairer than its busy handler.
    pub writer: SqlitePool,
    pub cache: KeyCache,
    pub meter: Arc<Meter>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.meter.close();
    }
}

impl Store {
    /// Opens the database of a data folder; makes both where they are missing and brings the schema up to date.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A folder that can't be written, a full disk, a damaged file, or one from a newer version.
    pub async fn open(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        prepare(data_dir, &path)?;
        let lock = lock(data_dir).await?;
        let store = Self::connect(path).await?;
        store.migrate().await?;
        store.ensure_tenant().await?;
        drop(lock);
        let (meter, writer) = (Arc::clone(&store.inner.meter), store.inner.writer.clone());
        tokio::spawn(async move { meter.run(writer).await });
        Ok(store)
    }

    async fn connect(path: PathBuf) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged is there after a power cut too, at the price of one fsync a write.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .optimize_on_close(false, None);
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(Duration::from_secs(15))
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // The writer first: it makes the file and switches to WAL, which the readers then find.
        let failed = |error| Error::from_sqlx(&path, error);
        let writer = pool().max_connections(1).connect_with(options.clone()).await.map_err(failed)?;
        let reader = pool()
            .max_connections(READERS)
            .min_connections(0)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(failed)?;
        let inner = Inner { path, reader, writer, cache: KeyCache::default(), meter: Arc::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn migrate(&self) -> Result<(), Error> {
        MIGRATIONS.run(&self.inner.writer).await.map_err(|error| {
            let path = self.inner.path.clone();
            let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
            match error {
                MigrateError::VersionMissing(found) => Error::Newer { path, found, known },
                MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => {
                    Error::from_sqlx(&path, inner)
                }
                other => Error::Database { path, why: other.to_string() },
            }
        })
    }

    /// The file of the database.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads the whole file for damage; takes a while on a large one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the first fault that SQLite finds.
    pub async fn check(&self) -> Result<(), Error> {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.inner.reader)
            .await
            .map_err(|e| self.failed(e))?;
        if verdict == "ok" {
            Ok(())
        } else {
            Err(Error::Corrupt { path: self.inner.path.clone(), why: verdict })
        }
    }

    /// Writes what is still in memory and closes the files.
    pub async fn close(&self) {
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the last usage counts could not be stored");
        }
        self.inner.meter.close();
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// A transaction that has the write lock from the start, so that it never fails half-way for want of it.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        self.inner.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.failed(error))
    }

    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.inner.reader
    }

    pub(crate) fn failed(&self, error: sqlx::Error) -> Error {
        Error::from_sqlx(&self.inner.path, error)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// The folder and an empty file that only this user can read: conversations and the keys of external engines are in it.
/// SQLite gives its -wal and -shm files the same mode.
fn prepare(data_dir: &Path, path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(data_dir).map_err(|error| Error::from_io(data_dir, &error))?;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::from_io(path, &error))?;
    Ok(())
}

/// Held while the schema is looked at: two processes that start at once must not both migrate.
async fn lock(data_dir: &Path) -> Result<std::fs::File, Error> {
    let path = data_dir.join("rixin.db.lock");
    let work = move || {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Error::from_io(&path, &error))?;
        file.lock().map_err(|error| Error::from_io(&path, &error))?;
        Ok(file)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Database { path: data_dir.to_path_buf(), why: error.to_string() })?
}

#[cfg(test)]
mod tests {
    use rixin_base::{Code, Explain as _};

    use crate::{Error, MessageRole, NewConversation, NewMessage, Store};

    #[tokio::test]
    async fn a_full_disk_is_told_and_nothing_stored_is_lost() {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = Store::open(dir.path()).await.expect("opens");
        let scope = store.operator().default_scope().await.expect("scope");
        let new =
            NewConversation { title: Some("kept".into()), model: "m".into(), ..NewConversation::default() };
        let id = store.create_conversation(&scope, new).await.expect("made").id;
        // SQLite reports a database that has reached its greatest size exactly as it reports a full disk.
        sqlx::query("PRAGMA max_page_count = 60").execute(&store.inner.writer).await.expect("limited");
        let content = "字".repeat(400_000);
        let message = NewMessage {
            parent_id: None,
            role: MessageRole::User,
            content,
            model: None,
            usage: None,
            finish_reason: None,
        };
        let error = store.add_message(&scope, id, message).await.expect_err("full");
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert_eq!(error.code(), Code::DiskFull);
        assert_eq!(store.conversation(&scope, id).await.expect("there").title, "kept");
        assert!(store.messages(&scope, id).await.expect("list").is_empty());
        store.check().await.expect("sound");
    }
}
