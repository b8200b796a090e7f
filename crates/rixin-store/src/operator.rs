//! The person at the machine: whoever can open the database's file owns what is in it, so the command line needs no key.

use rixin_base::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, HostScope, Store, TenantScope, db::sql, now_ms, row::parsed};

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

    /// Two processes may do this at the same moment: the name is there once.
    pub(crate) async fn ensure_tenant(&self) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let insert = sql("INSERT INTO tenants (id, name, created_at, host) SELECT $1, $2, $3, 1 \
             WHERE NOT EXISTS (SELECT 1 FROM tenants) ON CONFLICT (name) DO NOTHING");
        tx.execute(insert.bind(TenantId::new().to_string()).bind(DEFAULT_TENANT).bind(now_ms())).await?;
        tx.commit().await
    }
}

impl Operator<'_> {
    /// The scope of the host organisation: the first tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn default_scope(&self) -> Result<TenantScope, Error> {
        let db = self.store.db();
        let row = db.fetch_one(sql("SELECT id FROM tenants WHERE host = 1")).await?;
        Ok(TenantScope { tenant: parsed(&row, "id").map_err(|e| db.failed(e))?, key: None })
    }

    /// The right to name all organisations.
    pub fn host_scope(&self) -> HostScope {
        HostScope::of_operator()
    }

    /// The scope of a tenant by name.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn scope(&self, name: &str) -> Result<TenantScope, Error> {
        let db = self.store.db();
        let row = db
            .fetch_optional(sql("SELECT id FROM tenants WHERE name = $1").bind(name))
            .await?
            .ok_or_else(|| Error::not_found("tenant", "租户", name))?;
        Ok(TenantScope { tenant: parsed(&row, "id").map_err(|e| db.failed(e))?, key: None })
    }

    /// All tenants, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        let db = self.store.db();
        let rows =
            db.fetch_all(sql("SELECT id, name, created_at FROM tenants ORDER BY created_at, id")).await?;
        db.all(&rows, |row| {
            Ok(Tenant {
                id: parsed(row, "id")?,
                name: row.try_get("name")?,
                created_at: row.try_get("created_at")?,
            })
        })
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// The name is empty, too long or taken.
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, Error> {
        if name.trim().is_empty() || name.chars().count() > 100 {
            return Err(Error::Invalid {
                param: "name",
                en: "a name has 1 to 100 characters",
                zh: "名称为 1 到 100 个字符",
            });
        }
        let tenant = Tenant { id: TenantId::new(), name: name.trim().to_owned(), created_at: now_ms() };
        let mut tx = self.store.db().write().await?;
        let insert = sql(
            "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        );
        let added =
            tx.execute(insert.bind(tenant.id.to_string()).bind(&tenant.name).bind(tenant.created_at)).await?;
        if added == 0 {
            return Err(Error::Exists { what: "a tenant named", what_zh: "租户", name: tenant.name });
        }
        tx.commit().await?;
        Ok(tenant)
    }
}
