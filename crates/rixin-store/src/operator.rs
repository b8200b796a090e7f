//! The person at the machine: whoever can open the database's file owns what is in it, so the command line needs no key.

use rixin_base::TenantId;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;

use crate::{Error, Store, TenantScope, now_ms, row::parsed};

/// The tenant that exists from the start.
const DEFAULT_TENANT: &str = "default";

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What the person at the machine may do. Nothing that serves requests may make one.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    store: &'a Store,
}

impl Store {
    /// Acts for the person at the machine; for the command line only.
    pub fn operator(&self) -> Operator<'_> {
        Operator { store: self }
    }

    pub(crate) async fn ensure_tenant(&self) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO tenants (id, name, created_at) SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM tenants)")
            .bind(TenantId::new().to_string())
            .bind(DEFAULT_TENANT)
            .bind(now_ms())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))
    }
}

impl Operator<'_> {
    /// The scope of the first tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn default_scope(&self) -> Result<TenantScope, Error> {
        let store = self.store;
        let row = sqlx::query("SELECT id FROM tenants ORDER BY created_at, id LIMIT 1")
            .fetch_one(store.reader())
            .await
            .map_err(|e| store.failed(e))?;
        Ok(TenantScope { tenant: parsed(&row, "id").map_err(|e| store.failed(e))?, key: None })
    }

    /// The scope of a tenant by name.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn scope(&self, name: &str) -> Result<TenantScope, Error> {
        let store = self.store;
        let row = sqlx::query("SELECT id FROM tenants WHERE name = ?")
            .bind(name)
            .fetch_optional(store.reader())
            .await
            .map_err(|e| store.failed(e))?
            .ok_or_else(|| Error::not_found("tenant", "租户", name))?;
        Ok(TenantScope { tenant: parsed(&row, "id").map_err(|e| store.failed(e))?, key: None })
    }

    /// All tenants, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        let store = self.store;
        let rows = sqlx::query("SELECT id, name, created_at FROM tenants ORDER BY created_at, id")
            .fetch_all(store.reader())
            .await
            .map_err(|e| store.failed(e))?;
        rows.iter()
            .map(|row| {
                Ok(Tenant {
                    id: parsed(row, "id")?,
                    name: row.try_get("name")?,
                    created_at: row.try_get("created_at")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|e| store.failed(e))
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// The name is empty, too long or taken.
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, Error> {
        let store = self.store;
        if name.trim().is_empty() || name.chars().count() > 100 {
            return Err(Error::Invalid {
                param: "name",
                en: "a name has 1 to 100 characters",
                zh: "名称为 1 到 100 个字符",
            });
        }
        let tenant = Tenant { id: TenantId::new(), name: name.trim().to_owned(), created_at: now_ms() };
        let mut tx = store.write().await?;
        let done = sqlx::query(
            "INSERT INTO tenants (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        )
        .bind(tenant.id.to_string())
        .bind(&tenant.name)
        .bind(tenant.created_at)
        .execute(&mut *tx)
        .await
        .map_err(|e| store.failed(e))?;
        if done.rows_affected() == 0 {
            return Err(Error::Exists { what: "a tenant named", what_zh: "租户", name: tenant.name });
        }
        tx.commit().await.map_err(|e| store.failed(e))?;
        Ok(tenant)
    }
}
