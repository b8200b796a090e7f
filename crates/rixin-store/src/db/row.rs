//! A row of either database.

use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    fn named(row: &Row, column: &str) -> Result<Self, sqlx::Error>;
    fn at(row: &Row, index: usize) -> Result<Self, sqlx::Error>;
}

macro_rules! column {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn named(row: &Row, column: &str) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(column),
                    Row::Postgres(row) => row.try_get(column),
                }
            }
            fn at(row: &Row, index: usize) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(index),
                    Row::Postgres(row) => row.try_get(index),
                }
            }
        }
    )*};
}
column!(i64, Option<i64>, f64, Option<f64>, String, Option<String>, Vec<u8>, Option<Vec<u8>>, bool);

impl Row {
    /// A column by its name.
    pub fn try_get<T: Column>(&self, column: &str) -> Result<T, sqlx::Error> {
        T::named(self, column)
    }

    /// A column by its place.
    pub fn at<T: Column>(&self, index: usize) -> Result<T, sqlx::Error> {
        T::at(self, index)
    }
}

pub(super) fn sqlite(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Row>, sqlx::Error> {
    rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
}

pub(super) fn postgres(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Row>, sqlx::Error> {
    rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
}
