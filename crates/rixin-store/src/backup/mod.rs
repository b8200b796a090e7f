//! Backup, restore and moving between databases: the rows of every table, out of one snapshot, in a form that either database takes.
//!
//! What tables and columns there are is asked of the database itself, so that a later migration is in a backup without a word here.
//! An archive is one tar: a table is a file of JSON lines, a blob is a file by its hash, and the manifest at its end has
//! the size and hash of every other file, and is followed by its own. Nothing of an archive is believed before all of it was checked.

mod archive;
mod restore;
mod tables;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

pub use archive::{BackupOptions, restore_keys, verify_backup};

use crate::{
    Error, Store, StoreOptions,
    db::{Tx, sql},
};
use tables::Table;

/// The archive's form.
const FORMAT: u32 = 1;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The archive's form: 1.
    pub format: u32,
    /// The suite that wrote it.
    pub version: String,
    /// The version of the schema.
    pub schema: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The tables, in the order in which they are read back.
    pub tables: Vec<TableEntry>,
    /// The blobs that are in it, by their hash.
    pub blobs: Vec<FileEntry>,
    /// Whether blobs were left out, because they are kept elsewhere.
    pub blobs_by_reference: bool,
    /// Blobs that rows name and that were not there.
    pub missing: Vec<String>,
    /// The files of the instance's certificate authority, where they are in it.
    pub keys: Vec<FileEntry>,
}

/// A table of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of each line's values.
    pub columns: Vec<String>,
    /// How many rows.
    pub rows: u64,
    /// The size of its lines.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// How many rows of which tables were moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// By table, in the order in which they were moved.
    pub tables: Vec<(String, u64)>,
    /// Blobs that were put in their place.
    pub blobs: u64,
}

async fn schema_version(tx: &mut Tx) -> Result<i64, Error> {
    tx.scalar(sql("SELECT MAX(version) FROM _sqlx_migrations")).await
}

/// Whether there is nothing that somebody could miss: no key, and so nobody who could have made anything.
async fn is_empty(tx: &mut Tx) -> Result<bool, Error> {
    Ok(!tx.scalar::<bool>(sql("SELECT EXISTS (SELECT 1 FROM keys)")).await?
        && !tx.scalar::<bool>(sql("SELECT EXISTS (SELECT 1 FROM ledger)")).await?)
}

impl Store {
    /// Moves everything from one database into another one that is empty: every table, in the order of references, counted and
    /// compared, in one transaction.
    ///
    /// # Errors
    /// The target is not empty, the schemas differ, or a row does not arrive as it left.
    pub async fn migrate(from: &StoreOptions, to: &StoreOptions) -> Result<Moved, Error> {
        let source = Self::open_with(from).await?;
        let target = Self::open_with(to).await?;
        let moved = target.take_from(&source).await;
        source.close().await;
        target.close().await;
        moved
    }

    async fn take_from(&self, source: &Store) -> Result<Moved, Error> {
        let mut from = source.db().snapshot().await?;
        let mut into = self.db().write().await?;
        if !is_empty(&mut into).await? {
            return Err(Error::NotEmpty { place: self.db().place().to_string(), may_force: false });
        }
        let theirs = tables::all(&mut from, source.db().dialect()).await?;
        let ours = tables::all(&mut into, self.db().dialect()).await?;
        let guard = restore::clear(&mut into, self.db().dialect(), &ours).await?;
        let mut moved = Vec::new();
        for table in &theirs {
            let here = Table::same(&ours, &table.name, &table.names())?;
            let mut left = tables::Sum::default();
            {
                let mut rows = from.stream(table.select());
                while let Some(row) = rows.next().await {
                    let values = table.read(&row?).map_err(|error| source.db().failed(error))?;
                    left.add(&serde_json::to_string(&values).unwrap_or_default());
                    into.execute(here.insert(&table.names(), &values)?).await?;
                }
            }
            let mut arrived = tables::Sum::default();
            {
                let mut rows = into.stream(here.select_as(&table.names()));
                while let Some(row) = rows.next().await {
                    let values =
                        here.read_as(&table.names(), &row?).map_err(|error| self.db().failed(error))?;
                    arrived.add(&serde_json::to_string(&values).unwrap_or_default());
                }
            }
            if left != arrived {
                return Err(Error::Backup {
                    en: format!("the table {} did not arrive as it left: nothing was changed", table.name),
                    zh: format!("表 {} 到达后与原表不一致：未做任何更改", table.name),
                });
            }
            moved.push((table.name.clone(), left.rows));
        }
        restore::settle(&mut into, self.db().dialect(), &ours, guard).await?;
        into.commit().await?;
        Ok(Moved { tables: moved, blobs: 0 })
    }
}
