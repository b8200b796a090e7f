//! The file of SQLite: one writer, some readers, migrations under a lock between processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Db, Place, Pools, faults};
use crate::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// The file's name in the data folder.
const FILE: &str = "rixin.db";

/// Readers that work at the same time; each has a thread of its own, so that few are enough for a small idle process.
const READERS: u32 = 4;

/// Opens the file of a data folder; makes both where they are missing and brings the schema up to date.
pub(crate) async fn open(data_dir: &Path) -> Result<Db, Error> {
    let path = data_dir.join(FILE);
    prepare(data_dir, &path)?;
    let lock = lock(data_dir).await?;
    let place = Place::file(&path);
    let (reader, writer) = connect(&path).await.map_err(|error| faults::of(&place, error))?;
    MIGRATIONS.run(&writer).await.map_err(|error| faults::of_migration(&place, &MIGRATIONS, error))?;
    drop(lock);
    Ok(Db { pools: Pools::Sqlite { reader, writer }, place })
}

async fn connect(path: &Path) -> Result<(SqlitePool, SqlitePool), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
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
    let writer = pool().max_connections(1).connect_with(options.clone()).await?;
    let reader = pool()
        .max_connections(READERS)
        .min_connections(0)
        .connect_with(options.pragma("query_only", "on"))
        .await?;
    Ok((reader, writer))
}

/// Reads the whole file for damage.
pub(crate) async fn check(reader: &SqlitePool) -> Result<(), sqlx::Error> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(reader).await?;
    if verdict == "ok" { Ok(()) } else { Err(sqlx::Error::Decode(verdict.into())) }
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
        .map_err(|error| Error::Database { path: PathBuf::from(data_dir), why: error.to_string() })?
}
