//! Reading the log: pages for people, pieces for an export.

use serde::{Deserialize, Serialize};

use super::{Actor, AuditHead, AuditOutcome, AuditRow, chain};
use crate::{
    Error, Page, Store, TenantScope,
    db::Row,
    db::sql,
    page::MAX_LIMIT,
    row::{count, json, word},
};

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only of this actor, by id or name.
    pub actor: Option<String>,
    /// Only this action, or all of a family: `key.` for everything about keys.
    pub action: Option<String>,
    /// Not before, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Before, in milliseconds since 1970.
    pub until: Option<i64>,
    /// At most so many, 1 to 200; 0: 50.
    pub limit: u32,
    /// The `next` of the page before: the number of its last row.
    pub after: Option<String>,
}

/// The first line of an export. Whoever has the file can find out from it whether its end, or later the log's, was cut off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditHeadLine {
    /// The version of the form: 1.
    pub rixin_audit: u32,
    /// Whose log.
    pub tenant: String,
    /// Whether it is the whole log, which can be verified; an excerpt can't.
    pub whole: bool,
    /// The log's last row when the export began.
    pub head: AuditHead,
}

/// The columns of the CSV form.
pub(crate) const AUDIT_COLUMNS: [&str; 12] = [
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "address",
    "action",
    "target",
    "project_id",
    "outcome",
    "details",
    "hash",
];

fn row_of(row: &Row) -> Result<AuditRow, sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    Ok(AuditRow {
        seq: count(row, "seq")?,
        at: row.try_get("at")?,
        actor: Actor {
            kind: row.try_get("actor_kind")?,
            id: row.try_get("actor_id")?,
            name: row.try_get("actor_name")?,
            address: row.try_get("address")?,
        },
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        project_id: row.try_get("project_id")?,
        outcome: word(row, "outcome", AuditOutcome::from_word)?,
        details: json(row, "details")?,
        hash: chain::hex(&hash),
    })
}

impl AuditQuery {
    fn is_all(&self) -> bool {
        self.actor.is_none() && self.action.is_none() && self.since.is_none() && self.until.is_none()
    }

    /// What an export says of itself.
    pub fn head_line(&self, scope: &TenantScope, head: AuditHead) -> AuditHeadLine {
        AuditHeadLine { rixin_audit: 1, tenant: scope.tenant().to_string(), whole: self.is_all(), head }
    }
}

impl Store {
    /// Rows, newest first.
    ///
    /// # Errors
    /// `after` is not from an earlier page.
    pub async fn audit(&self, scope: &TenantScope, query: &AuditQuery) -> Result<Page<AuditRow>, Error> {
        let limit = if query.limit == 0 { 50 } else { query.limit.min(MAX_LIMIT) };
        let after =
            query.after.as_deref().map(str::parse::<i64>).transpose().map_err(|_| Error::Invalid {
                param: "after",
                en: "it is not the 'next' of an earlier page",
                zh: "它不是先前某页返回的 'next'",
            })?;
        let mut items = self.audit_rows(scope, query, after, true, limit + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|row| row.seq.to_string());
        Ok(Page { items, next })
    }

    /// A piece of the log, oldest first: at most `most` rows after a number, and none after `last`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit_piece(
        &self,
        scope: &TenantScope,
        query: &AuditQuery,
        after: u64,
        most: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        self.audit_rows(scope, query, Some(i64::try_from(after).unwrap_or(i64::MAX)), false, most).await
    }

    async fn audit_rows(
        &self,
        scope: &TenantScope,
        query: &AuditQuery,
        after: Option<i64>,
        newest_first: bool,
        most: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        let mut list = sql(
            "SELECT seq, at, actor_kind, actor_id, actor_name, address, action, target, project_id, outcome, details, hash \
             FROM audit WHERE tenant_id = ",
        );
        list.push_bind(scope.tenant_text());
        if let Some(actor) = &query.actor {
            list.push(" AND (actor_id = ").push_bind(actor);
            list.push(" OR actor_name = ").push_bind(actor).push(")");
        }
        match query.action.as_deref() {
            Some(family) if family.ends_with('.') => {
                // The character after '.' in ASCII is '/': everything that begins so, by the index.
                list.push(" AND action > ").push_bind(family);
                list.push(" AND action < ").push_bind(format!("{}/", family.trim_end_matches('.')));
            }
            Some(action) => {
                list.push(" AND action = ").push_bind(action);
            }
            None => {}
        }
        if let Some(since) = query.since {
            list.push(" AND at >= ").push_bind(since);
        }
        if let Some(until) = query.until {
            list.push(" AND at < ").push_bind(until);
        }
        if let Some(after) = after {
            list.push(if newest_first { " AND seq < " } else { " AND seq > " }).push_bind(after);
        }
        list.push(if newest_first { " ORDER BY seq DESC LIMIT " } else { " ORDER BY seq LIMIT " });
        list.push_bind(i64::from(most));
        let rows = self.db().fetch_all(list).await?;
        self.db().all(&rows, row_of)
    }
}
