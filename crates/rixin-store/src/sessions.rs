//! Signing in: a name and a password, or a one-time link, become a session, whose cookie the browser keeps and whose SHA-256 is here.
//! Sessions are looked up at every request: ending one works at once on every gateway.

use std::time::Duration;

use rixin_base::{MemberId, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, Identity, Store, TenantScope,
    db::{Row, Tx, sql},
    keys::{fresh_secret, hash_of},
    members::member_name,
    now_ms, passwords,
    row::{parsed, parsed_opt},
};

/// What the secret of a session starts with.
const PREFIX: &str = "rxs-";
/// When a session was last used is written at most this often.
const SEEN_STEP_MS: i64 = 60_000;

/// A session as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SignInSession)]
pub struct Session {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// Who is signed in.
    #[schema(value_type = String)]
    pub member_id: MemberId,
    /// How they proved it: `password`, `link` or `oidc`.
    pub method: String,
    /// What their browser calls itself.
    pub agent: String,
    /// The address that they signed in from.
    pub address: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, exact to a minute.
    pub seen_at: i64,
    /// Milliseconds since 1970 at which it ends however much it is used.
    pub expires_at: i64,
}

/// Where and how somebody signs in.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What the browser calls itself.
    pub agent: String,
    /// The address that they sign in from.
    pub address: String,
    /// How long the session may last.
    pub lifetime: Duration,
}

/// A session at the only moment at which its secret is known.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// What the cookie holds.
    pub secret: String,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("session", &self.session).finish_non_exhaustive()
    }
}

const COLUMNS: &str = "id, member_id, method, agent, address, created_at, seen_at, expires_at";

fn session_of(row: &Row) -> Result<Session, sqlx::Error> {
    Ok(Session {
        id: parsed(row, "id")?,
        member_id: parsed(row, "member_id")?,
        method: row.try_get("method")?,
        agent: row.try_get("agent")?,
        address: row.try_get("address")?,
        created_at: row.try_get("created_at")?,
        seen_at: row.try_get("seen_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Begins a session in a transaction.
pub(crate) async fn begin(
    tx: &mut Tx,
    tenant: &str,
    member: MemberId,
    method: &str,
    new: &NewSession,
) -> Result<SignedIn, Error> {
    let (secret, now) = (fresh_secret(PREFIX), now_ms());
    let plain =
        |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    let session = Session {
        id: SessionId::new(),
        member_id: member,
        method: method.to_owned(),
        agent: plain(&new.agent, 200),
        address: plain(&new.address, 64),
        created_at: now,
        seen_at: now,
        expires_at: now.saturating_add(millis(new.lifetime)),
    };
    tx.execute(sql("DELETE FROM sessions WHERE expires_at <= $1").bind(now)).await?;
    let insert = sql("INSERT INTO sessions (id, tenant_id, member_id, hash, method, agent, address, created_at, seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)")
        .bind(session.id.to_string())
        .bind(tenant)
        .bind(member.to_string())
        .bind(hash_of(&secret).as_slice())
        .bind(&session.method)
        .bind(&session.agent)
        .bind(&session.address)
        .bind(now)
        .bind(session.expires_at);
    tx.execute(insert).await?;
    tx.execute(sql("UPDATE members SET last_seen = $1 WHERE id = $2").bind(now).bind(member.to_string()))
        .await?;
    Ok(SignedIn { session, secret })
}

impl Store {
    /// Signs somebody in by name and password; `organisation` by its name, the host where absent.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], whatever it was that is wrong, after the same time.
    pub async fn sign_in(
        &self,
        organisation: Option<&str>,
        name: &str,
        password: &str,
        new: &NewSession,
    ) -> Result<SignedIn, Error> {
        let find =
            sql("SELECT m.id, m.tenant_id, m.password FROM members m JOIN tenants t ON t.id = m.tenant_id \
             WHERE m.name = $1 AND (($2 IS NULL AND t.host = 1) OR t.name = $2) \
             AND m.removed_at IS NULL AND m.disabled_at IS NULL AND t.disabled_at IS NULL");
        let name = member_name(name).unwrap_or_default();
        let row = self.db().fetch_optional(find.bind(name).bind(organisation.map(str::to_owned))).await?;
        let stored: Option<String> = match &row {
            Some(row) => row.try_get("password").map_err(|error| self.db().failed(error))?,
            None => None,
        };
        let right = passwords::verified(password, stored.clone()).await?;
        let Some(row) = row.filter(|_| right) else { return Err(Error::WrongCredentials) };
        let mut tx = self.db().write().await?;
        let member: MemberId = tx.read(parsed(&row, "id"))?;
        let tenant: String = tx.read(row.try_get("tenant_id"))?;
        // It may have been changed, or the member disabled, while it was compared.
        let still = sql("SELECT id FROM members WHERE id = $1 AND password = $2 AND disabled_at IS NULL");
        if tx.fetch_optional(still.bind(member.to_string()).bind(stored).locking()).await?.is_none() {
            return Err(Error::WrongCredentials);
        }
        let signed_in = begin(&mut tx, &tenant, member, "password", new).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Sets the password of whoever has a one-time link, ends their other sessions, and signs them in.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] where the link is unknown, used or too old; the password is too short or too long.
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: &str,
        new: &NewSession,
    ) -> Result<SignedIn, Error> {
        let find = "SELECT m.id, m.tenant_id, m.name FROM invitations i JOIN members m ON m.id = i.member_id \
             JOIN tenants t ON t.id = m.tenant_id WHERE i.hash = $1 AND i.expires_at > $2 \
             AND m.removed_at IS NULL AND m.disabled_at IS NULL AND t.disabled_at IS NULL";
        let hash = hash_of(token);
        let find = || sql(find).bind(hash.as_slice()).bind(now_ms());
        let row = self.db().fetch_optional(find()).await?.ok_or(Error::WrongCredentials)?;
        let name: String = row.try_get("name").map_err(|error| self.db().failed(error))?;
        let stored = passwords::hashed(password, &name).await?;
        let mut tx = self.db().write().await?;
        // Two who use one link at once: the first takes it.
        let taken = tx.execute(sql("DELETE FROM invitations WHERE hash = $1").bind(hash.as_slice())).await?;
        if taken == 0 {
            return Err(Error::WrongCredentials);
        }
        let member: MemberId = tx.read(parsed(&row, "id"))?;
        let tenant: String = tx.read(row.try_get("tenant_id"))?;
        let update = sql("UPDATE members SET password = $1 WHERE id = $2");
        tx.execute(update.bind(stored).bind(member.to_string())).await?;
        tx.execute(sql("DELETE FROM sessions WHERE member_id = $1").bind(member.to_string())).await?;
        let signed_in = begin(&mut tx, &tenant, member, "link", new).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Changes a member's own password; their other sessions end.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] where the old one is wrong; the new one is too short or too long.
    pub async fn change_password(
        &self,
        scope: &TenantScope,
        member: MemberId,
        (old, new): (&str, &str),
        kept: Option<SessionId>,
    ) -> Result<(), Error> {
        let find =
            sql("SELECT name, password FROM members WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL");
        let row = self.db().fetch_optional(find.bind(scope.tenant_text()).bind(member.to_string())).await?;
        let row = row.ok_or_else(|| Error::not_found("member", "成员", member))?;
        let stored: Option<String> = row.try_get("password").map_err(|error| self.db().failed(error))?;
        let name: String = row.try_get("name").map_err(|error| self.db().failed(error))?;
        if !passwords::verified(old, stored).await? {
            return Err(Error::WrongCredentials);
        }
        let hash = passwords::hashed(new, &name).await?;
        let mut tx = self.db().write().await?;
        let update = sql("UPDATE members SET password = $1 WHERE id = $2 AND removed_at IS NULL");
        tx.execute(update.bind(hash).bind(member.to_string())).await?;
        let others = sql("DELETE FROM sessions WHERE member_id = $1 AND ($2 IS NULL OR id <> $2)");
        tx.execute(others.bind(member.to_string()).bind(kept.map(|id| id.to_string()))).await?;
        tx.commit().await
    }

    /// Who a session's secret belongs to; `None` if it is unknown, was ended, or its time is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn authenticate_session(
        &self,
        secret: &str,
        idle: Duration,
    ) -> Result<Option<(Identity, SessionId)>, Error> {
        if !secret.starts_with(PREFIX) {
            return Ok(None);
        }
        let now = now_ms();
        let find =
            sql("SELECT s.id, s.seen_at, m.key_id FROM sessions s JOIN members m ON m.id = s.member_id \
             WHERE s.hash = $1 AND s.expires_at > $2 AND s.seen_at > $3");
        let find = find.bind(hash_of(secret).as_slice()).bind(now).bind(now.saturating_sub(millis(idle)));
        let Some(row) = self.db().fetch_optional(find).await? else { return Ok(None) };
        let failed = |error| self.db().failed(error);
        let id: SessionId = parsed(&row, "id").map_err(failed)?;
        let seen: i64 = row.try_get("seen_at").map_err(failed)?;
        let key = parsed_opt(&row, "key_id").map_err(failed)?;
        let Some(key) = key else { return Ok(None) };
        let Some(identity) = self.key_identity(key).await? else { return Ok(None) };
        if now - seen >= SEEN_STEP_MS {
            let mut tx = self.db().write().await?;
            tx.execute(sql("UPDATE sessions SET seen_at = $1 WHERE id = $2").bind(now).bind(id.to_string()))
                .await?;
            tx.commit().await?;
        }
        Ok(Some((identity, id)))
    }

    /// Sessions that are not over, newest first: a member's, or all of the tenant.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sessions(
        &self,
        scope: &TenantScope,
        member: Option<MemberId>,
        idle: Duration,
    ) -> Result<Vec<Session>, Error> {
        let now = now_ms();
        let mut list = sql("SELECT ");
        list.push(COLUMNS).push(
            " FROM sessions WHERE tenant_id = $1 AND ($2 IS NULL OR member_id = $2) \
             AND expires_at > $3 AND seen_at > $4 ORDER BY id DESC",
        );
        let list = list.bind(scope.tenant_text()).bind(member.map(|id| id.to_string())).bind(now);
        let rows = self.db().fetch_all(list.bind(now.saturating_sub(millis(idle)))).await?;
        self.db().all(&rows, session_of)
    }

    /// Ends a session, at once and everywhere: a member's own, or anybody's in the tenant.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn end_session(
        &self,
        scope: &TenantScope,
        member: Option<MemberId>,
        id: SessionId,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let delete =
            sql("DELETE FROM sessions WHERE tenant_id = $1 AND id = $2 AND ($3 IS NULL OR member_id = $3)");
        let delete = delete.bind(scope.tenant_text()).bind(id.to_string());
        if tx.execute(delete.bind(member.map(|id| id.to_string()))).await? == 0 {
            return Err(Error::not_found("session", "会话", id));
        }
        tx.commit().await
    }
}
