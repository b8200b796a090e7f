//! Taking the rows of an archive into a database: all of them in one transaction, or none.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use serde_json::Value;

use super::{Manifest, Moved, archive, is_empty, schema_version, tables, tables::Table};
use crate::{
    Blobs, Error, Sha256, Store,
    db::{Dialect, Tx, sql},
};

/// The longest line of a table: a row.
const MAX_LINE: u64 = 256 << 20;

/// What stands in the way of emptying a table, and is put back.
pub(super) struct Guard(Vec<String>);

/// Empties every table. The audit log refuses that to everybody; its triggers come back before the transaction ends.
pub(super) async fn clear(tx: &mut Tx, dialect: Dialect, tables: &[Table]) -> Result<Guard, Error> {
    let mut again = Vec::new();
    match dialect {
        Dialect::Sqlite => {
            let list =
                sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'");
            for row in tx.fetch_all(list).await? {
                let (name, text): (String, String) = (tx.read(row.at(0))?, tx.read(row.at(1))?);
                let mut drop = sql("DROP TRIGGER ");
                drop.push(&name);
                tx.execute(drop).await?;
                again.push(text);
            }
            tx.execute(sql("PRAGMA defer_foreign_keys = ON")).await?;
        }
        Dialect::Postgres => {
            tx.execute(sql("SET LOCAL statement_timeout = 0")).await?;
            tx.execute(sql("ALTER TABLE audit DISABLE TRIGGER USER")).await?;
            again.push("ALTER TABLE audit ENABLE TRIGGER USER".into());
        }
    }
    for table in tables.iter().rev() {
        let mut delete = sql("DELETE FROM ");
        delete.push(&table.name);
        tx.execute(delete).await?;
    }
    Ok(Guard(again))
}

/// What follows the last row.
pub(super) async fn settle(
    tx: &mut Tx,
    dialect: Dialect,
    tables: &[Table],
    guard: Guard,
) -> Result<(), Error> {
    for text in guard.0 {
        let mut again = sql("");
        again.push(&text);
        tx.execute(again).await?;
    }
    if dialect == Dialect::Postgres {
        for table in tables {
            let Some(column) = &table.identity else { continue };
            let mut next = sql("SELECT setval(pg_get_serial_sequence(");
            next.push_bind(&table.name).push(", ").push_bind(column).push("), COALESCE(MAX(");
            next.push(column).push("), 0) + 1, false) FROM ").push(&table.name);
            tx.fetch_one(next).await?;
        }
    }
    // Whatever a running process remembers is out of date.
    tx.execute(sql("UPDATE epochs SET value = value + 1")).await.map(drop)
}

impl Store {
    /// Takes an archive's rows and blobs. Every hash is checked before the first row is touched; then all rows come in one transaction.
    ///
    /// # Errors
    /// The archive is damaged or of another schema; the database is not empty, and it was not said to replace what is there.
    pub async fn restore(
        &self,
        archive: &Path,
        blobs: &Blobs,
        force: bool,
    ) -> Result<(Manifest, Moved), Error> {
        let path = archive.to_path_buf();
        let manifest = blocking(move || archive::verify_backup(&path)).await?;
        let mut tx = self.db().write().await?;
        let schema = schema_version(&mut tx).await?;
        if schema != manifest.schema {
            return Err(Error::Backup {
                en: format!(
                    "the archive has the schema {} and this rixin the schema {schema}: restore it with rixin {}, then update",
                    manifest.schema, manifest.version
                ),
                zh: format!(
                    "归档的结构版本为 {}，当前 rixin 为 {schema}：请用 rixin {} 恢复，然后升级",
                    manifest.schema, manifest.version
                ),
            });
        }
        if !force && !is_empty(&mut tx).await? {
            return Err(Error::NotEmpty { place: self.db().place().to_string(), may_force: true });
        }
        // Blobs first: what no row names is no harm, and a row without its blob is.
        let put = self.put_blobs(archive, blobs).await?;
        let ours = tables::all(&mut tx, self.db().dialect()).await?;
        let guard = clear(&mut tx, self.db().dialect(), &ours).await?;
        let mut moved = Vec::new();
        let mut open = archive::Reader::open(archive)?;
        let mut entries = open.entries()?;
        while let Some(mut entry) = entries.next()? {
            let Some(told) =
                manifest.tables.iter().find(|table| entry.name == archive::table_file(&table.name))
            else {
                continue;
            };
            let table = Table::same(&ours, &told.name, &told.columns)?;
            let mut reader = BufReader::new(&mut entry);
            let (mut line, mut rows) = (String::new(), 0);
            loop {
                line.clear();
                let read = reader.by_ref().take(MAX_LINE).read_line(&mut line);
                if read.map_err(|error| Error::from_io(archive, &error))? == 0 {
                    break;
                }
                let values: Vec<Value> =
                    serde_json::from_str(&line).map_err(|_| archive::damaged(&entry_name(told)))?;
                tx.execute(table.insert(&told.columns, &values)?).await?;
                rows += 1;
            }
            if rows != told.rows {
                return Err(archive::damaged(&entry_name(told)));
            }
            moved.push((told.name.clone(), rows));
        }
        settle(&mut tx, self.db().dialect(), &ours, guard).await?;
        tx.commit().await?;
        Ok((manifest, Moved { tables: moved, blobs: put }))
    }

    async fn put_blobs(&self, archive: &Path, blobs: &Blobs) -> Result<u64, Error> {
        let mut put = 0;
        let mut open = archive::Reader::open(archive)?;
        let mut entries = open.entries()?;
        while let Some(mut entry) = entries.next()? {
            let Some(hash) = entry.name.strip_prefix("blobs/").map(str::to_owned) else { continue };
            let wanted: Sha256 = hash.parse().map_err(|_| archive::damaged(&hash))?;
            let mut spool = tempfile().map_err(|error| Error::from_io(archive, &error))?;
            std::io::copy(&mut entry, &mut spool).map_err(|error| Error::from_io(archive, &error))?;
            std::io::Seek::rewind(&mut spool).map_err(|error| Error::from_io(archive, &error))?;
            let stream = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(spool));
            let stored =
                blobs.put_stream(stream, crate::MAX_BLOB_BYTES).await.map_err(|error| Error::Backup {
                    en: format!("a blob of the archive could not be stored: {error}"),
                    zh: format!("无法存储归档中的数据块：{error}"),
                })?;
            if stored.sha256 != wanted {
                return Err(archive::damaged(&hash));
            }
            put += 1;
        }
        Ok(put)
    }
}

fn entry_name(table: &super::TableEntry) -> String {
    archive::table_file(&table.name)
}

/// A file without a name, that goes with its handle.
fn tempfile() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("rixin-{}", uuid::Uuid::now_v7().simple()));
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Backup { en: error.to_string(), zh: error.to_string() })?
}
