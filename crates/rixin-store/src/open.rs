//! Opening the store: which database, its schema, the first tenant, and the task that writes usage.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rixin_base::Settings;

use crate::{
    Error,
    db::{DatabaseUrl, Db},
    jobs::AttemptCache,
    keys::KeyCache,
    quotas::Gate,
    usage::Meter,
};

/// Where a store is.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder of SQLite's file; not touched where there is a server.
    pub data_dir: PathBuf,
    /// A Postgres server, for several gateways; `None`: SQLite.
    pub database_url: Option<DatabaseUrl>,
    /// The most connections to the server that this process holds.
    pub connections: u32,
}

impl StoreOptions {
    /// SQLite in a data folder.
    pub fn sqlite(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_path_buf(), database_url: None, connections: 0 }
    }

    /// What the settings say.
    ///
    /// # Errors
    /// [`Error::BadUrl`]: `database_url` is no address of a Postgres database.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            data_dir: settings.data_dir.clone(),
            database_url: settings.database_url.reveal().map(str::parse).transpose()?,
            connections: settings.database_connections,
        })
    }
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub db: Db,
    /// The database as a path, which [`Store::path`] lends.
    path: PathBuf,
    pub cache: KeyCache,
    pub attempts: AttemptCache,
    pub meter: Arc<Meter>,
    pub gate: Arc<Gate>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.meter.close();
    }
}

impl Store {
    /// Opens the SQLite database of a data folder; makes both where they are missing and brings the schema up to date.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A folder that can't be written, a full disk, a damaged file, or one from a newer version.
    pub async fn open(data_dir: &Path) -> Result<Self, Error> {
        Self::open_with(&StoreOptions::sqlite(data_dir)).await
    }

    /// Opens the database that the settings name. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`Store::open_with`], and [`Error::BadUrl`].
    pub async fn open_settings(settings: &Settings) -> Result<Self, Error> {
        Self::open_with(&StoreOptions::from_settings(settings)?).await
    }

    /// Opens a database and brings its schema up to date; several processes may do so at once. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// As [`Store::open`]; a server that is unreachable, refuses, takes no writes, or holds a newer schema.
    pub async fn open_with(options: &StoreOptions) -> Result<Self, Error> {
        let db = match &options.database_url {
            None => Db::sqlite(&options.data_dir).await?,
            Some(url) => Db::postgres(url, options.connections).await?,
        };
        let path = db.place().path();
        let meter = Arc::<Meter>::default();
        let store = Self {
            inner: Arc::new(Inner {
                db: db.clone(),
                path,
                cache: KeyCache::default(),
                attempts: AttemptCache::default(),
                meter: Arc::clone(&meter),
                gate: Arc::default(),
            }),
        };
        store.ensure_tenant().await?;
        tokio::spawn(async move { meter.run(db).await });
        Ok(store)
    }

    /// The file of the database; of a server its address without the password.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads the whole file for damage; takes a while on a large one. A server is only asked whether it answers.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the first fault that SQLite finds.
    pub async fn check(&self) -> Result<(), Error> {
        self.db().check().await
    }

    /// Writes what is still in memory and closes the files or connections.
    pub async fn close(&self) {
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the last usage counts could not be stored");
        }
        self.inner.gate.close(self.db()).await;
        self.inner.meter.close();
        self.db().close().await;
    }

    pub(crate) fn db(&self) -> &Db {
        &self.inner.db
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rixin_base::{Code, Explain as _};

    use crate::{Error, MessageRole, NewConversation, NewMessage, Store};

    #[tokio::test]
    async fn a_full_disk_is_told_and_nothing_stored_is_lost() {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = Store::open(dir.path()).await.expect("opens");
        let scope = store.operator().default_scope().await.expect("scope");
        let new =
            NewConversation { title: Some("kept".into()), model: "m".into(), ..NewConversation::default() };
        let id = store.create_conversation(&scope, new).await.expect("made").id;
        // SQLite reports a database that has reached its greatest size exactly as it reports a full disk.
        sqlx::query("PRAGMA max_page_count = 60")
            .execute(store.inner.db.sqlite_writer())
            .await
            .expect("limited");
        let content = "字".repeat(400_000);
        let message = NewMessage {
            parent_id: None,
            role: MessageRole::User,
            content,
            model: None,
            usage: None,
            finish_reason: None,
        };
        let error = store.add_message(&scope, id, message).await.expect_err("full");
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert_eq!(error.code(), Code::DiskFull);
        assert_eq!(store.conversation(&scope, id).await.expect("there").title, "kept");
        assert!(store.messages(&scope, id).await.expect("list").is_empty());
        store.check().await.expect("sound");
    }
}
