//! Columns into typed values.

use rixin_base::IdError;

use crate::db::Row;

/// An id or another type with a text form.
pub(crate) fn parsed<T: std::str::FromStr<Err = IdError>>(row: &Row, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: IdError| sqlx::Error::Decode(error.into()))
}

/// The same, where it may be null.
pub(crate) fn parsed_opt<T: std::str::FromStr<Err = IdError>>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|error: IdError| sqlx::Error::Decode(error.into()))).transpose()
}

/// A word of a closed set.
pub(crate) fn word<T>(row: &Row, column: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    read(&text).ok_or_else(|| sqlx::Error::Decode(format!("{column} holds {text:?}").into()))
}

/// JSON kept as text.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A count; negative values can't be there.
pub(crate) fn count(row: &Row, column: &str) -> Result<u64, sqlx::Error> {
    let value: i64 = row.try_get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// A small count that may be null.
pub(crate) fn small_opt(row: &Row, column: &str) -> Result<Option<u32>, sqlx::Error> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
}

/// The columns of a table by name, for a statement's text. With `*`, a statement that Postgres keeps prepared would break when a later
/// version adds a column.
macro_rules! columns {
    (jobs) => {
        "id, tenant_id, key_id, kind, title, params, inputs, resources, priority, state, reason, attempt, failures, progress, checkpoint, result, cancel, last_event, not_before, created_at, started_at, ended_at"
    };
    (attempts) => {
        "job_id, number, executor, owner, place, lease_until, started_at, seen_at, ended_at, cause, reason"
    };
    (files) => {
        "id, tenant_id, key_id, purpose, name, bytes, sha256, created_at, expires_at"
    };
    (artifacts) => {
        "id, tenant_id, key_id, job_id, kind, name, media_type, origin, state, source_sha256, source_bytes, sha256, bytes, content_sha256, sidecar_sha256, lineage, fault, tries, retry_at, created_at, sealed_at"
    };
    (batches) => {
        "id, tenant_id, job_id, endpoint, input_file_id, output_file_id, error_file_id, metadata, window_hours, total, completed, failed, errors, created_at"
    };
}
pub(crate) use columns;
