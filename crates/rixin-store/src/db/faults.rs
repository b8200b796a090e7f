//! Errors of the two databases, sorted: by SQLite's primary result code (<https://sqlite.org/rescode.html>) and by SQLSTATE
//! (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use sqlx::{
    error::DatabaseError,
    migrate::{MigrateError, Migrator},
    postgres::PgDatabaseError,
};

use super::Place;
use crate::Error;

pub(crate) fn of(place: &Place, error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
            Some(inner) => of_postgres(place, inner),
            None => of_sqlite(place, &**inner),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            Error::Corrupt { path: place.path(), why: inner_words(&error) }
        }
        _ => match place {
            Place::File(_) if matches!(error, sqlx::Error::PoolTimedOut) => {
                Error::Busy { path: place.path() }
            }
            Place::Server(name) if is_connection(&error) => {
                Error::Unreachable { place: name.to_string(), why: inner_words(&error) }
            }
            _ => Error::Database { path: place.path(), why: error.to_string() },
        },
    }
}

pub(crate) fn of_migration(place: &Place, known: &Migrator, error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(found) => {
            let known = known.iter().map(|migration| migration.version).max().unwrap_or(0);
            Error::Newer { path: place.path(), found, known }
        }
        MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => of(place, inner),
        other => Error::Database { path: place.path(), why: other.to_string() },
    }
}

/// The words without sqlx's wrapping, where they say enough.
fn inner_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(inner) => inner.to_string(),
        sqlx::Error::Tls(inner) => format!("TLS: {inner}"),
        sqlx::Error::Decode(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

fn is_connection(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
    )
}

fn of_sqlite(place: &Place, error: &dyn DatabaseError) -> Error {
    let path = place.path();
    let extended: i64 = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    let why = error.message().to_owned();
    match extended & 0xff {
        5 | 6 => Error::Busy { path },
        8 | 14 => Error::ReadOnly { path, why },
        // SQLITE_IOERR_WRITE on a full disk arrives as FULL; other I/O errors say which call failed.
        13 => Error::DiskFull { path },
        11 | 26 => Error::Corrupt { path, why },
        _ => Error::Database { path, why },
    }
}

fn of_postgres(place: &Place, error: &PgDatabaseError) -> Error {
    let (name, why) = (place.to_string(), error.message().to_owned());
    match error.code() {
        // Serialization failure, deadlock, lock not available, statement time-out: the same call can succeed next time.
        "40001" | "40P01" | "55P03" | "57014" => Error::Contended { place: name, why },
        // Too many connections.
        "53300" => {
            Error::Contended { place: name, why: format!("{why}: raise the server's max_connections") }
        }
        "53100" => Error::DiskFull { path: place.path() },
        "25006" => Error::Standby { place: name, why },
        // The server is shutting down, has crashed or is starting; an idle transaction was ended.
        "57P01" | "57P02" | "57P03" | "25P03" => Error::Unreachable { place: name, why },
        // No such database; no right to a thing in it.
        "3D000" | "42501" => Error::Refused { place: name, why },
        "XX001" | "XX002" => Error::Corrupt { path: place.path(), why },
        code if code.starts_with("08") => Error::Unreachable { place: name, why },
        // Wrong user or password, or pg_hba.conf says no.
        code if code.starts_with("28") => Error::Refused { place: name, why },
        code => Error::Database { path: place.path(), why: format!("{why} ({code})") },
    }
}
