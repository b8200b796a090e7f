//! One door to two databases: typed pools of SQLite and Postgres behind it, one text of SQL in front.
//!
//! The statements of the store are written once, in what both understand: `$1` placeholders, `ON CONFLICT`, `RETURNING`, row values,
//! integers for times and flags. Where the two differ, the difference has a name here ([`Sql::locking`], [`Db::dialect`]) or a
//! statement of its own beside the other. Columns are listed and not `*`: a connection of Postgres keeps its prepared statements,
//! and a later schema that adds a column would break those that promised all of them.

mod address;
mod faults;
mod place;
mod postgres;
mod row;
mod sql;
mod sqlite;
mod tx;

use std::{path::Path, sync::Arc};

use sqlx::SqlitePool;

pub use self::address::DatabaseUrl;
use self::postgres::answered;
pub(crate) use self::{
    place::Place,
    row::{Column, Row},
    sql::{Sql, sql},
    tx::Tx,
};
use crate::Error;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// The pools.
#[derive(Clone)]
pub(crate) enum Pools {
    /// SQLite has one writer at a time, and waiting for its one connection is fairer than the busy handler.
    Sqlite { reader: SqlitePool, writer: SqlitePool },
    /// Reads and writes share the connections.
    Postgres(Arc<postgres::Server>),
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Db {
    pools: Pools,
    place: Place,
}

impl Db {
    /// The file of a data folder, made where it is missing, with the newest schema.
    pub async fn sqlite(data_dir: &Path) -> Result<Self, Error> {
        sqlite::open(data_dir).await
    }

    /// A server's database with the newest schema, and at most so many connections to it.
    pub async fn postgres(url: &DatabaseUrl, connections: u32) -> Result<Self, Error> {
        postgres::open(url, connections).await
    }

    pub fn dialect(&self) -> Dialect {
        match &self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// What errors name.
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn failed(&self, error: sqlx::Error) -> Error {
        faults::of(&self.place, error)
    }

    /// Begins a writing transaction. On SQLite it has the write lock from the start, so that it never fails half-way for want
    /// of it; on Postgres (read committed) rows that are read to be written are read [`Sql::locking`].
    pub async fn write(&self) -> Result<Tx, Error> {
        let inner = match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let tx = writer.begin_with("BEGIN IMMEDIATE").await;
                tx::Inner::Sqlite(tx.map_err(|error| self.failed(error))?)
            }
            Pools::Postgres(server) => match answered(server.pool.begin()).await {
                Ok(tx) => tx::Inner::Postgres(tx),
                Err(error) => return Err(server.told(error).await),
            },
        };
        Ok(Tx::new(inner, self.place.clone()))
    }

    /// Begins a reading transaction that sees the database as it is now, whatever others write meanwhile, and however long it reads.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        let inner = match &self.pools {
            Pools::Sqlite { reader, .. } => {
                let tx = reader.begin().await;
                tx::Inner::Sqlite(tx.map_err(|error| self.failed(error))?)
            }
            Pools::Postgres(server) => {
                let begun =
                    answered(server.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await;
                match begun {
                    Ok(tx) => tx::Inner::Postgres(tx),
                    Err(error) => return Err(server.told(error).await),
                }
            }
        };
        let mut tx = Tx::new(inner, self.place.clone());
        if self.dialect() == Dialect::Postgres {
            tx.execute(sql("SET LOCAL statement_timeout = 0")).await?;
            tx.execute(sql("SET LOCAL idle_in_transaction_session_timeout = 0")).await?;
        }
        // SQLite's snapshot is taken by the first reading.
        tx.fetch_one(sql("SELECT value FROM epochs WHERE name = 'keys'")).await?;
        Ok(tx)
    }

    /// All rows of a reading statement.
    pub async fn fetch_all(&self, sql: Sql) -> Result<Vec<Row>, Error> {
        sql.check()?;
        match &self.pools {
            Pools::Sqlite { reader, .. } => {
                row::sqlite(sql.sqlite().fetch_all(reader).await).map_err(|error| self.failed(error))
            }
            Pools::Postgres(server) => {
                match row::postgres(answered(sql.postgres().fetch_all(&server.pool)).await) {
                    Ok(rows) => Ok(rows),
                    Err(error) => Err(server.told(error).await),
                }
            }
        }
    }

    /// The first row of a reading statement, if any.
    pub async fn fetch_optional(&self, sql: Sql) -> Result<Option<Row>, Error> {
        sql.check()?;
        match &self.pools {
            Pools::Sqlite { reader, .. } => {
                let row = sql.sqlite().fetch_optional(reader).await;
                row.map(|row| row.map(Row::Sqlite)).map_err(|error| self.failed(error))
            }
            Pools::Postgres(server) => match answered(sql.postgres().fetch_optional(&server.pool)).await {
                Ok(row) => Ok(row.map(Row::Postgres)),
                Err(error) => Err(server.told(error).await),
            },
        }
    }

    /// The first row of a reading statement that always has one.
    pub async fn fetch_one(&self, sql: Sql) -> Result<Row, Error> {
        self.fetch_optional(sql).await?.ok_or_else(|| self.failed(sqlx::Error::RowNotFound))
    }

    /// The first column of that row.
    pub async fn scalar<T: Column>(&self, sql: Sql) -> Result<T, Error> {
        self.fetch_one(sql).await?.at(0).map_err(|error| self.failed(error))
    }

    /// Rows into values.
    pub fn all<T>(
        &self,
        rows: &[Row],
        read: impl Fn(&Row) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, Error> {
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    /// Looks for damage: SQLite's whole file; a server looks after its own files, and only has to answer.
    pub async fn check(&self) -> Result<(), Error> {
        match &self.pools {
            Pools::Sqlite { reader, .. } => sqlite::check(reader).await.map_err(|error| self.failed(error)),
            Pools::Postgres(_) => {
                self.fetch_one(sql("SELECT value FROM epochs WHERE name = 'keys'")).await.map(drop)
            }
        }
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres(server) => server.pool.close().await,
        }
    }

    pub fn is_closed(&self) -> bool {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.is_closed(),
            Pools::Postgres(server) => server.pool.is_closed(),
        }
    }

    /// The writer of SQLite, for tests that limit it.
    #[cfg(test)]
    pub fn sqlite_writer(&self) -> &SqlitePool {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer,
            Pools::Postgres(_) => unreachable!("the test opened SQLite"),
        }
    }
}
