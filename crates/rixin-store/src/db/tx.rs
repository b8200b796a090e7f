//! A transaction of either database. Dropped without [`Tx::commit`], it changes nothing.

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sqlx::{Postgres, Sqlite, Transaction};

use super::{Column, Place, Row, Sql, answered, faults, row};
use crate::Error;

pub(super) enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A transaction.
pub(crate) struct Tx {
    inner: Inner,
    place: Place,
}

impl Tx {
    pub(super) fn new(inner: Inner, place: Place) -> Self {
        Self { inner, place }
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        faults::of(&self.place, error)
    }

    /// Runs a statement; gives the number of rows that it touched.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64, Error> {
        sql.check()?;
        let done = match &mut self.inner {
            Inner::Sqlite(tx) => sql.sqlite().execute(&mut **tx).await.map(|done| done.rows_affected()),
            Inner::Postgres(tx) => {
                answered(sql.postgres().execute(&mut **tx)).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| self.failed(error))
    }

    /// All rows.
    pub async fn fetch_all(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        sql.check()?;
        let rows = match &mut self.inner {
            Inner::Sqlite(tx) => row::sqlite(sql.sqlite().fetch_all(&mut **tx).await),
            Inner::Postgres(tx) => row::postgres(answered(sql.postgres().fetch_all(&mut **tx)).await),
        };
        rows.map_err(|error| self.failed(error))
    }

    /// The rows as they come, however many there are.
    pub fn stream(&mut self, sql: Sql) -> BoxStream<'_, Result<Row, Error>> {
        let place = self.place.clone();
        let failed = move |error| faults::of(&place, error);
        match &mut self.inner {
            Inner::Sqlite(tx) => sql.sqlite().fetch(&mut **tx).map_ok(Row::Sqlite).map_err(failed).boxed(),
            Inner::Postgres(tx) => {
                sql.postgres().fetch(&mut **tx).map_ok(Row::Postgres).map_err(failed).boxed()
            }
        }
    }

    /// The first row, if any.
    pub async fn fetch_optional(&mut self, sql: Sql) -> Result<Option<Row>, Error> {
        sql.check()?;
        let row = match &mut self.inner {
            Inner::Sqlite(tx) => sql.sqlite().fetch_optional(&mut **tx).await.map(|row| row.map(Row::Sqlite)),
            Inner::Postgres(tx) => {
                answered(sql.postgres().fetch_optional(&mut **tx)).await.map(|row| row.map(Row::Postgres))
            }
        };
        row.map_err(|error| self.failed(error))
    }

    /// The first row of a statement that always has one.
    pub async fn fetch_one(&mut self, sql: Sql) -> Result<Row, Error> {
        self.fetch_optional(sql).await?.ok_or_else(|| self.failed(sqlx::Error::RowNotFound))
    }

    /// The first column of that row.
    pub async fn scalar<T: Column>(&mut self, sql: Sql) -> Result<T, Error> {
        self.fetch_one(sql).await?.at(0).map_err(|error| self.failed(error))
    }

    /// A reading of a row, with the place named where it failed.
    pub fn read<T>(&self, value: Result<T, sqlx::Error>) -> Result<T, Error> {
        value.map_err(|error| self.failed(error))
    }

    /// Makes the changes last.
    pub async fn commit(self) -> Result<(), Error> {
        let place = self.place;
        let done = match self.inner {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => answered(tx.commit()).await,
        };
        done.map_err(|error| faults::of(&place, error))
    }
}
