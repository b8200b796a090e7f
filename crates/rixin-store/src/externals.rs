//! External engines: OpenAI-compatible servers that an administrator has added.

use rixin_base::ExternalId;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    Error, Store, now_ms,
    row::{json, parsed},
};

/// An external engine. Its key is in the database as it is, since it must be sent on; the file is readable by its owner only.
#[derive(Clone, PartialEq, Eq)]
pub struct External {
    /// Its id.
    pub id: ExternalId,
    /// Its unique name.
    pub name: String,
    /// The address before `/chat/completions`, such as `http://gpu1:8000/v1`.
    pub base_url: String,
    /// The key that it asks for.
    pub api_key: Option<String>,
    /// The models to offer; empty: all that it lists.
    pub models: Vec<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// What is needed to add one.
#[derive(Clone, Default)]
pub struct NewExternal {
    /// Its unique name.
    pub name: String,
    /// The address before `/chat/completions`.
    pub base_url: String,
    /// The key that it asks for.
    pub api_key: Option<String>,
    /// The models to offer; empty: all that it lists.
    pub models: Vec<String>,
}

fn external_of(row: &SqliteRow) -> Result<External, sqlx::Error> {
    Ok(External {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        base_url: row.try_get("base_url")?,
        api_key: row.try_get("api_key")?,
        models: json(row, "models")?,
        created_at: row.try_get("created_at")?,
    })
}

impl Store {
    /// All external engines, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn externals(&self) -> Result<Vec<External>, Error> {
        let rows = sqlx::query("SELECT * FROM externals ORDER BY id")
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.failed(e))?;
        rows.iter().map(external_of).collect::<Result<_, _>>().map_err(|e| self.failed(e))
    }

    /// Adds one. The address is kept as given: whoever connects has checked it.
    ///
    /// # Errors
    /// The name is empty, too long or taken.
    pub async fn add_external(&self, new: NewExternal) -> Result<External, Error> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::Invalid {
                param: "name",
                en: "a name has 1 to 100 characters",
                zh: "名称为 1 到 100 个字符",
            });
        }
        let external = External {
            id: ExternalId::new(),
            name: name.to_owned(),
            base_url: new.base_url,
            api_key: new.api_key.filter(|key| !key.is_empty()),
            models: new.models,
            created_at: now_ms(),
        };
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO externals (id, name, base_url, api_key, models, created_at) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(external.id.to_string())
        .bind(&external.name)
        .bind(&external.base_url)
        .bind(&external.api_key)
        .bind(serde_json::to_string(&external.models).unwrap_or_default())
        .bind(external.created_at)
        .execute(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists {
                what: "an external engine named",
                what_zh: "外部引擎",
                name: external.name,
            });
        }
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(external)
    }

    /// Forgets one.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn remove_external(&self, id: ExternalId) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM externals WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("external engine", "外部引擎", id));
        }
        tx.commit().await.map_err(|e| self.failed(e))
    }
}
