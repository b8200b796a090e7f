//! Small values that outlive a process and are no setting of the configuration.

use crate::{Error, Store};

impl Store {
    /// The value of a name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
            .bind(name)
            .fetch_optional(self.reader())
            .await
            .map_err(|e| self.failed(e))
    }

    /// Sets a value; `None` removes it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let query = match value {
            Some(value) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            )
            .bind(name)
            .bind(value),
            None => sqlx::query("DELETE FROM settings WHERE name = ?").bind(name),
        };
        query.execute(&mut *tx).await.map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))
    }
}
