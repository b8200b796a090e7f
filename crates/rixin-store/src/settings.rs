//! Small values that outlive a process and are no setting of the configuration.

use crate::{Error, Store, db::sql};

impl Store {
    /// The value of a name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let row =
            self.db().fetch_optional(sql("SELECT value FROM settings WHERE name = $1").bind(name)).await?;
        row.map(|row| row.at(0)).transpose().map_err(|e| self.db().failed(e))
    }

    /// Sets a value; `None` removes it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let statement = match value {
            Some(value) => sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(name)
            .bind(value),
            None => sql("DELETE FROM settings WHERE name = $1").bind(name),
        };
        tx.execute(statement).await?;
        tx.commit().await
    }
}
