//! Projects: what service keys are for, so that use can be told apart.

use rixin_base::ProjectId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope,
    db::{Row, sql},
    keys::{checked_name, end_keys},
    now_ms,
    row::parsed,
};

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970; absent while keys can be made for it.
    pub closed_at: Option<i64>,
}

fn project_of(row: &Row) -> Result<Project, sqlx::Error> {
    Ok(Project {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}

fn taken(name: String) -> Error {
    Error::Exists { what: "a project named", what_zh: "项目", name }
}

impl Store {
    /// All projects of the tenant, oldest first, the closed ones too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn projects(&self, scope: &TenantScope) -> Result<Vec<Project>, Error> {
        let list =
            sql("SELECT id, name, created_at, closed_at FROM projects WHERE tenant_id = $1 ORDER BY id");
        let rows = self.db().fetch_all(list.bind(scope.tenant_text())).await?;
        self.db().all(&rows, project_of)
    }

    /// Begins a project.
    ///
    /// # Errors
    /// The name is empty, too long, or an open project's.
    pub async fn create_project(&self, scope: &TenantScope, name: &str) -> Result<Project, Error> {
        let name = checked_name(name)?;
        let mut tx = self.db().write().await?;
        let insert = sql("INSERT INTO projects (id, tenant_id, name, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING RETURNING id, name, created_at, closed_at");
        let insert = insert.bind(ProjectId::new().to_string()).bind(scope.tenant_text()).bind(&name);
        let row = tx.fetch_optional(insert.bind(now_ms())).await?.ok_or_else(|| taken(name))?;
        let project = tx.read(project_of(&row))?;
        tx.commit().await?;
        Ok(project)
    }

    /// Gives a project another name.
    ///
    /// # Errors
    /// There is none with this id; the name is empty, too long, or another open project's.
    pub async fn rename_project(
        &self,
        scope: &TenantScope,
        id: ProjectId,
        name: &str,
    ) -> Result<Project, Error> {
        let name = checked_name(name)?;
        let mut tx = self.db().write().await?;
        let other = sql(
            "SELECT id FROM projects WHERE tenant_id = $1 AND name = $2 AND id <> $3 AND closed_at IS NULL",
        );
        let other = other.bind(scope.tenant_text()).bind(&name).bind(id.to_string());
        if tx.fetch_optional(other).await?.is_some() {
            return Err(taken(name));
        }
        let update = sql("UPDATE projects SET name = $1 WHERE tenant_id = $2 AND id = $3 \
             RETURNING id, name, created_at, closed_at");
        let update = update.bind(&name).bind(scope.tenant_text()).bind(id.to_string());
        let row = tx.fetch_optional(update).await?.ok_or_else(|| Error::not_found("project", "项目", id))?;
        let project = tx.read(project_of(&row))?;
        tx.commit().await?;
        Ok(project)
    }

    /// Closes a project and ends its keys. Closing it again changes nothing.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn close_project(&self, scope: &TenantScope, id: ProjectId) -> Result<Project, Error> {
        let mut tx = self.db().write().await?;
        let now = now_ms();
        let close =
            sql("UPDATE projects SET closed_at = COALESCE(closed_at, $1) WHERE tenant_id = $2 AND id = $3 \
             RETURNING id, name, created_at, closed_at");
        let close = close.bind(now).bind(scope.tenant_text()).bind(id.to_string());
        let row = tx.fetch_optional(close).await?.ok_or_else(|| Error::not_found("project", "项目", id))?;
        let project = tx.read(project_of(&row))?;
        let keys =
            sql("UPDATE keys SET revoked_at = $1 WHERE project_id = $2 AND revoked_at IS NULL RETURNING id");
        end_keys(&mut tx, keys.bind(now).bind(id.to_string())).await?;
        tx.commit().await?;
        self.forget_identities().await;
        Ok(project)
    }
}
