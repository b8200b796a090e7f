//! One door to two databases: typed pools of SQLite and Postgres behind it, one text of SQL in front.
//!
//! The statements of the store are written once, in what both understand: `$1` placeholders, `ON CONFLICT`, `RETURNING`, row values,
//! integers for times and flags. Where the two differ, the difference has a name here ([`Sql::locking`], [`Db::dialect`]) or a
//! statement of its own beside the other.

mod row;
mod sql;
mod tx;

use std::path::{Path, PathBuf};

use sqlx::{PgPool, SqlitePool};

pub(crate) use self::{
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
pub(crate) enum Pools {
    /// SQLite has one writer at a time, and waiting for its one connection is fairer than the busy handler.
    Sqlite { reader: SqlitePool, writer: SqlitePool },
    /// Reads and writes share the connections.
    Postgres(PgPool),
}

/// An open database.
pub(crate) struct Db {
    pub pools: Pools,
    /// The file, or the address without its password: what errors name.
    pub place: PathBuf,
}

impl Db {
    pub fn dialect(&self) -> Dialect {
        match &self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// What errors name.
    pub fn place(&self) -> &Path {
        &self.place
    }

    pub fn failed(&self, error: sqlx::Error) -> Error {
        Error::from_sqlx(&self.place, error)
    }

    /// Begins a writing transaction. On SQLite it has the write lock from the start, so that it never fails half-way for want
    /// of it; on Postgres (read committed) rows that are read to be written are read [`Sql::locking`].
    pub async fn write(&self) -> Result<Tx, Error> {
        let tx = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(tx::Inner::Sqlite),
            Pools::Postgres(pool) => pool.begin().await.map(tx::Inner::Postgres),
        };
        tx.map(|inner| Tx::new(inner, self.place.clone())).map_err(|error| self.failed(error))
    }

    /// A transaction that sees one state of the database from its first read on.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        let tx = match &self.pools {
            Pools::Sqlite { reader, .. } => reader.begin().await.map(tx::Inner::Sqlite),
            Pools::Postgres(pool) => {
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map(tx::Inner::Postgres)
            }
        };
        tx.map(|inner| Tx::new(inner, self.place.clone())).map_err(|error| self.failed(error))
    }

    /// All rows of a reading statement.
    pub async fn fetch_all(&self, sql: Sql) -> Result<Vec<Row>, Error> {
        let rows = match &self.pools {
            Pools::Sqlite { reader, .. } => row::sqlite(sql.sqlite().fetch_all(reader).await),
            Pools::Postgres(pool) => row::postgres(sql.postgres().fetch_all(pool).await),
        };
        rows.map_err(|error| self.failed(error))
    }

    /// The first row of a reading statement, if any.
    pub async fn fetch_optional(&self, sql: Sql) -> Result<Option<Row>, Error> {
        let row = match &self.pools {
            Pools::Sqlite { reader, .. } => {
                sql.sqlite().fetch_optional(reader).await.map(|row| row.map(Row::Sqlite))
            }
            Pools::Postgres(pool) => {
                sql.postgres().fetch_optional(pool).await.map(|row| row.map(Row::Postgres))
            }
        };
        row.map_err(|error| self.failed(error))
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
    pub fn all<T>(&self, rows: &[Row], read: impl Fn(&Row) -> Result<T, sqlx::Error>) -> Result<Vec<T>, Error> {
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    pub fn is_closed(&self) -> bool {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.is_closed(),
            Pools::Postgres(pool) => pool.is_closed(),
        }
    }
}
