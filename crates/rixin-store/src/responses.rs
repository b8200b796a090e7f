//! Stored answers of `/v1/responses`, which a later request may go on from.

use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{Error, Store, TenantScope, now_ms};

/// Answers older than this are removed when new ones come, as at OpenAI: 30 days.
const KEEP_MS: i64 = 30 * 86_400_000;
/// The longest chain that is followed.
const MAX_CHAIN: u32 = 1000;

/// What is needed to store one.
#[derive(Clone, Debug)]
pub struct NewResponse {
    /// Its id, `resp_...`.
    pub id: String,
    /// The one that it goes on from.
    pub previous_id: Option<String>,
    /// The items of this request alone, as a JSON list.
    pub input: String,
    /// The response, as a JSON object.
    pub response: String,
}

/// A stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its id.
    pub id: String,
    /// The items of its request alone, as a JSON list.
    pub input: String,
    /// The response, as a JSON object.
    pub response: String,
}

fn response_of(row: &SqliteRow) -> Result<StoredResponse, sqlx::Error> {
    Ok(StoredResponse {
        id: row.try_get("id")?,
        input: row.try_get("input")?,
        response: row.try_get("response")?,
    })
}

impl Store {
    /// Stores an answer, and removes outdated ones. A scope of the operator can't.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_response(&self, scope: &TenantScope, new: NewResponse) -> Result<(), Error> {
        let now = now_ms();
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO responses (id, tenant_id, key_id, previous_id, input, response, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.id)
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .bind(new.previous_id)
        .bind(new.input)
        .bind(new.response)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        sqlx::query("DELETE FROM responses WHERE created_at < ?")
            .bind(now - KEEP_MS)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))
    }

    /// One answer.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn response(&self, scope: &TenantScope, id: &str) -> Result<StoredResponse, Error> {
        let row = sqlx::query("SELECT * FROM responses WHERE id = ?1 AND tenant_id = ?2 AND key_id = ?3")
            .bind(id)
            .bind(scope.tenant_text())
            .bind(scope.key_text())
            .fetch_optional(self.reader())
            .await
            .map_err(|e| self.failed(e))?
            .ok_or_else(|| Error::not_found("stored response", "已保存的响应", id))?;
        response_of(&row).map_err(|e| self.failed(e))
    }

    /// An answer and all that it goes on from, oldest first.
    ///
    /// # Errors
    /// There is none with this id in the scope, or a part of the chain was removed.
    pub async fn response_chain(&self, scope: &TenantScope, id: &str) -> Result<Vec<StoredResponse>, Error> {
        let rows = sqlx::query(
            "WITH RECURSIVE chain (id, previous_id, input, response, depth) AS ( \
                 SELECT id, previous_id, input, response, 0 FROM responses \
                 WHERE id = ?1 AND tenant_id = ?2 AND key_id = ?3 \
                 UNION ALL \
                 SELECT r.id, r.previous_id, r.input, r.response, chain.depth + 1 FROM responses r \
                 JOIN chain ON r.id = chain.previous_id WHERE r.tenant_id = ?2 AND r.key_id = ?3 AND chain.depth < ?4 \
             ) SELECT id, previous_id, input, response FROM chain ORDER BY depth DESC",
        )
        .bind(id)
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .bind(MAX_CHAIN)
        .fetch_all(self.reader())
        .await
        .map_err(|e| self.failed(e))?;
        let broken = match rows.first() {
            None => Some(id.to_owned()),
            Some(first) => first.try_get::<Option<String>, _>("previous_id").map_err(|e| self.failed(e))?,
        };
        if let Some(missing) = broken {
            return Err(Error::not_found("stored response", "已保存的响应", missing));
        }
        rows.iter().map(response_of).collect::<Result<_, _>>().map_err(|e| self.failed(e))
    }

    /// Removes one.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn delete_response(&self, scope: &TenantScope, id: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM responses WHERE id = ?1 AND tenant_id = ?2 AND key_id = ?3")
            .bind(id)
            .bind(scope.tenant_text())
            .bind(scope.key_text())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("stored response", "已保存的响应", id));
        }
        tx.commit().await.map_err(|e| self.failed(e))
    }
}
