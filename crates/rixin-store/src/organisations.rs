//! Organisations, as the host's owners see them. The first one is the host.

use rixin_base::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, HostScope, Invitation, NewMember, Role, Store, TenantScope,
    db::{Row, sql},
    jobs::settle,
    keys::checked_name,
    members, now_ms,
    row::parsed,
};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// Its name, which its members sign in with.
    pub name: String,
    /// Whether it is the host, which looks after the machine.
    pub host: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970; absent while it works.
    pub disabled_at: Option<i64>,
}

/// What is needed to make one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganisation {
    /// Its name.
    pub name: String,
    /// What its first owner signs in with.
    pub owner: String,
}

fn organisation_of(row: &Row) -> Result<Organisation, sqlx::Error> {
    Ok(Organisation {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        host: row.try_get::<i64>("host")? != 0,
        created_at: row.try_get("created_at")?,
        disabled_at: row.try_get("disabled_at")?,
    })
}

impl Store {
    /// All organisations, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn organisations(&self, _: &HostScope) -> Result<Vec<Organisation>, Error> {
        let list = sql("SELECT id, name, host, created_at, disabled_at FROM tenants ORDER BY created_at, id");
        let rows = self.db().fetch_all(list).await?;
        self.db().all(&rows, organisation_of)
    }

    /// Makes an organisation with its first owner, who sets a password by the one-time link.
    ///
    /// # Errors
    /// The name is empty, too long or taken; the owner's name is none.
    pub async fn create_organisation(
        &self,
        _: &HostScope,
        new: &NewOrganisation,
    ) -> Result<(Organisation, Invitation), Error> {
        let name = checked_name(&new.name)?;
        let mut tx = self.db().write().await?;
        let insert = sql(
            "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING \
             RETURNING id, name, host, created_at, disabled_at",
        );
        let insert = insert.bind(TenantId::new().to_string()).bind(&name).bind(now_ms());
        let row = tx.fetch_optional(insert).await?;
        let row = row.ok_or(Error::Exists { what: "an organisation named", what_zh: "组织", name })?;
        let made = tx.read(organisation_of(&row))?;
        let scope = TenantScope { tenant: made.id, key: None };
        let owner = NewMember { name: new.owner.clone(), title: String::new(), role: Role::Owner };
        let owner = members::insert(&mut tx, &scope, &owner).await?;
        let invitation = members::invite(&mut tx, owner).await?;
        tx.commit().await?;
        Ok((made, invitation))
    }

    /// Disables an organisation or lets it work again. While it is disabled nobody of it gets in; what it runs is cancelled.
    ///
    /// # Errors
    /// There is none with this id; the host can't be disabled.
    pub async fn disable_organisation(
        &self,
        _: &HostScope,
        id: TenantId,
        disabled: bool,
    ) -> Result<Organisation, Error> {
        let mut tx = self.db().write().await?;
        let one = sql("SELECT id, name, host, created_at, disabled_at FROM tenants WHERE id = $1");
        let row = tx.fetch_optional(one.bind(id.to_string()).locking()).await?;
        let row = row.ok_or_else(|| Error::not_found("organisation", "组织", id))?;
        let mut found = tx.read(organisation_of(&row))?;
        if found.host && disabled {
            return Err(Error::Invalid {
                param: "disabled",
                en: "the host organisation can't be disabled",
                zh: "主组织不能停用",
            });
        }
        found.disabled_at = disabled.then(|| found.disabled_at.unwrap_or_else(now_ms));
        let update = sql("UPDATE tenants SET disabled_at = $1 WHERE id = $2");
        tx.execute(update.bind(found.disabled_at).bind(id.to_string())).await?;
        if disabled {
            let keys =
                tx.fetch_all(sql("SELECT id FROM keys WHERE tenant_id = $1").bind(id.to_string())).await?;
            let keys: Result<Vec<String>, _> = keys.iter().map(|row| row.try_get("id")).collect();
            let keys = tx.read(keys)?;
            settle::orphan(&mut tx, &keys).await?;
            tx.execute(sql("DELETE FROM sessions WHERE tenant_id = $1").bind(id.to_string())).await?;
        }
        tx.commit().await?;
        self.forget_identities().await;
        Ok(found)
    }
}
