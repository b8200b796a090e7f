//! A fresh database for each test, of either kind.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod postgres;

use rixin_store::{Store, StoreOptions};

/// An empty database that goes with this value.
pub struct Database {
    /// The data folder.
    pub dir: tempfile::TempDir,
    /// The server's address; `None`: SQLite.
    pub url: Option<String>,
}

impl Database {
    /// A file in a folder of its own.
    pub fn sqlite() -> Self {
        Self { dir: tempfile::tempdir().expect("temp dir"), url: None }
    }

    /// A database on this process' server; `None`, with a printed word, where there is no Postgres.
    pub async fn postgres() -> Option<Self> {
        let server = postgres::shared()?;
        Some(Self { url: Some(server.create_database().await), ..Self::sqlite() })
    }

    /// How to open it.
    pub fn options(&self) -> StoreOptions {
        StoreOptions {
            data_dir: self.dir.path().to_path_buf(),
            database_url: self.url.as_deref().map(|url| url.parse().expect("an address")),
            connections: 5,
        }
    }

    /// Opens it as another gateway would.
    pub async fn open(&self) -> Store {
        Store::open_with(&self.options()).await.expect("opens")
    }
}

/// Makes a test of each function for each database. The function takes a [`Database`].
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Database::sqlite()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(database) = $crate::support::Database::postgres().await {
                    super::$name(database).await;
                }
            })*
        }
    };
}
