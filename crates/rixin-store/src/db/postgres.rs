//! A Postgres server: one pool for reads and writes, time-outs on both sides, migrations under an advisory lock.

use std::{future::Future, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgPool, Row as _,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};

use super::{DatabaseUrl, Db, Place, Pools, faults};
use crate::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

/// How long a caller waits for a connection. A server that restarts is back within it.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take before the server counts as unreachable; longer than its own limits below.
const ANSWER: Duration = Duration::from_secs(40);
/// How long a process waits for another one that is changing the schema.
const MIGRATE: Duration = Duration::from_secs(600);
/// Kept by the server: a statement that runs away, a lock that nobody gives back, a gateway that died inside a transaction.
const LIMITS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'";

/// The connections to a server.
pub(crate) struct Server {
    pub pool: PgPool,
    options: PgConnectOptions,
    connections: u32,
    place: Place,
}

/// Connects and brings the schema up to date.
pub(crate) async fn open(url: &DatabaseUrl, connections: u32) -> Result<Db, Error> {
    let place = Place::Server(url.to_string().into());
    // Statements that are slow are the server's to log; here they would be said twice.
    let options = url.options().clone().disable_statement_logging();
    let failed = |error| faults::of(&place, error);
    let mut one = within(CONNECT, options.connect()).await.map_err(failed)?;
    check_encoding(&mut one, &place).await?;
    migrate(&mut one, &place).await?;
    one.close().await.map_err(failed)?;
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(2))
        .min_connections(0)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(Duration::from_secs(300))
        // A connection that the server closed meanwhile is found by a question before it is used, and replaced.
        .test_before_acquire(true)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(LIMITS).await.map(drop) }))
        .connect_lazy_with(options.clone());
    let server = Server { pool, options, connections: connections.max(2), place: place.clone() };
    Ok(Db { pools: Pools::Postgres(Arc::new(server)), place })
}

/// The server's version.
pub(super) async fn version(url: &DatabaseUrl) -> Result<String, Error> {
    let place = Place::Server(url.to_string().into());
    let failed = |error| faults::of(&place, error);
    let mut one = within(CONNECT, url.options().connect()).await.map_err(failed)?;
    check_encoding(&mut one, &place).await?;
    let row =
        within(ANSWER, sqlx::query("SELECT current_setting('server_version')").fetch_one(&mut one)).await;
    let version = row.and_then(|row| row.try_get(0)).map_err(failed)?;
    one.close().await.map_err(failed)?;
    Ok(version)
}

/// Text is UTF-8 here; another encoding of the database would refuse part of it, one message in a thousand.
async fn check_encoding(connection: &mut PgConnection, place: &Place) -> Result<(), Error> {
    let row =
        within(ANSWER, sqlx::query("SELECT current_setting('server_encoding')").fetch_one(connection)).await;
    let encoding: String = row.and_then(|row| row.try_get(0)).map_err(|error| faults::of(place, error))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::Refused {
        place: place.to_string(),
        why: format!("its encoding is {encoding}: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"),
    })
}

/// Two gateways that start at once take turns by an advisory lock.
async fn migrate(connection: &mut PgConnection, place: &Place) -> Result<(), Error> {
    match tokio::time::timeout(MIGRATE, MIGRATIONS.run(connection)).await {
        Ok(done) => done.map_err(|error| faults::of_migration(place, &MIGRATIONS, error)),
        Err(_) => Err(Error::Contended {
            place: place.to_string(),
            why: format!(
                "another process has been changing its schema for {} minutes",
                MIGRATE.as_secs() / 60
            ),
        }),
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} seconds", limit.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, why)))
    })
}

/// Waits for an answer, but not for ever: a network that swallows packets closes nothing.
pub(super) async fn answered<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    within(ANSWER, work).await
}

impl Server {
    /// What an error means. Waiting in vain for a connection has two causes, which one more attempt tells apart.
    pub async fn told(&self, error: sqlx::Error) -> Error {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return faults::of(&self.place, error);
        }
        match within(CONNECT / 5, self.options.connect()).await {
            Ok(connection) => {
                // It is closed in any case; an error on the way changes nothing.
                let _ = connection.close().await;
                let why = format!(
                    "all {} connections were in use for {} seconds: raise database_connections",
                    self.connections,
                    ACQUIRE.as_secs()
                );
                Error::Contended { place: self.place.to_string(), why }
            }
            Err(error) => faults::of(&self.place, error),
        }
    }
}
