//! Columns into typed values.

use rixin_base::IdError;
use sqlx::{Row, sqlite::SqliteRow};

/// An id or another type with a text form.
pub(crate) fn parsed<T: std::str::FromStr<Err = IdError>>(
    row: &SqliteRow,
    column: &str,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error: IdError| sqlx::Error::Decode(error.into()))
}

/// The same, where it may be null.
pub(crate) fn parsed_opt<T: std::str::FromStr<Err = IdError>>(
    row: &SqliteRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|error: IdError| sqlx::Error::Decode(error.into()))).transpose()
}

/// A word of a closed set.
pub(crate) fn word<T>(
    row: &SqliteRow,
    column: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    read(text).ok_or_else(|| sqlx::Error::Decode(format!("{column} holds {text:?}").into()))
}

/// JSON kept as text.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A count; negative values can't be there.
pub(crate) fn count(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    let value: i64 = row.try_get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// A small count that may be null.
pub(crate) fn small_opt(row: &SqliteRow, column: &str) -> Result<Option<u32>, sqlx::Error> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
}
