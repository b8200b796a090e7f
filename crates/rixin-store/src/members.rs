//! Members: the people of an organisation. Each acts through a key of their own that has no secret, so that whatever belongs to a
//! key (conversations, jobs, use) belongs to people in the same way.

use rixin_base::{KeyId, MemberId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Error, Role, Store, TenantScope,
    db::{Row, Sql, Tx, sql},
    jobs::settle,
    keys::{an_owner_stays, end_keys, fresh_secret, hash_of, insert_own_key, lock_tenant, owners},
    now_ms, passwords,
    row::{parsed, word},
};

/// What the text of an invitation starts with.
const INVITATION: &str = "rxi-";
/// How long an invitation is good for.
const INVITATION_MS: i64 = 7 * 86_400_000;

/// A member as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MemberId,
    /// The key that they act through.
    #[schema(value_type = String)]
    pub key_id: KeyId,
    /// What they sign in with.
    pub name: String,
    /// What people call them.
    pub title: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have set a password.
    pub has_password: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, when they signed in last.
    pub last_seen: Option<i64>,
    /// Milliseconds since 1970; absent while they may sign in.
    pub disabled_at: Option<i64>,
}

/// Who is to be a member.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// What they sign in with: 1 to 64 characters without blanks; capitals don't matter.
    pub name: String,
    /// What people call them.
    #[serde(default)]
    pub title: String,
    /// What they may do.
    pub role: Role,
}

/// What to change of a member; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    /// What people call them.
    #[serde(default)]
    pub title: Option<String>,
    /// What they may do.
    #[serde(default)]
    pub role: Option<Role>,
    /// Whether they are kept out: their sessions and keys stop at once.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// A one-time link, at the only moment at which it is known.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Whose password it sets.
    #[schema(value_type = String)]
    pub member_id: MemberId,
    /// The text that proves it.
    pub token: String,
    /// Milliseconds since 1970 until which it is good.
    pub expires_at: i64,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("member_id", &self.member_id).finish_non_exhaustive()
    }
}

const SELECT: &str = "SELECT m.id, m.key_id, m.name, m.title, k.role, \
     m.password IS NOT NULL AS has_password, m.created_at, m.last_seen, m.disabled_at \
     FROM members m JOIN keys k ON k.id = m.key_id WHERE m.tenant_id = $1 AND m.removed_at IS NULL";

fn member_of(row: &Row) -> Result<Member, sqlx::Error> {
    Ok(Member {
        id: parsed(row, "id")?,
        key_id: parsed(row, "key_id")?,
        name: row.try_get("name")?,
        title: row.try_get("title")?,
        role: word(row, "role", Role::from_word)?,
        has_password: row.try_get("has_password")?,
        created_at: row.try_get("created_at")?,
        last_seen: row.try_get("last_seen")?,
        disabled_at: row.try_get("disabled_at")?,
    })
}

fn missing(id: MemberId) -> Error {
    Error::not_found("member", "成员", id)
}

/// The form in which names are kept and compared.
pub(crate) fn member_name(name: &str) -> Result<String, Error> {
    let name = name.trim().to_lowercase();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/\\:\"'<>".contains(c);
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(odd) {
        return Err(Error::Invalid {
            param: "name",
            en: "a member's name has 1 to 64 characters without blanks, slashes, colons, quotes and angle brackets",
            zh: "成员名称为 1 到 64 个字符，不含空白、斜杠、冒号、引号和尖括号",
        });
    }
    Ok(name)
}

fn checked_title(title: &str) -> Result<String, Error> {
    let title = title.trim();
    if title.chars().count() > 100 || title.chars().any(char::is_control) {
        return Err(Error::Invalid {
            param: "title",
            en: "a title has at most 100 characters",
            zh: "称呼最多 100 个字符",
        });
    }
    Ok(title.to_owned())
}

/// Adds a member in a transaction.
pub(crate) async fn insert(tx: &mut Tx, scope: &TenantScope, new: &NewMember) -> Result<MemberId, Error> {
    let (name, title) = (member_name(&new.name)?, checked_title(&new.title)?);
    // Two at once with one name: the second waits here and sees the first.
    lock_tenant(tx, scope).await?;
    let there = sql("SELECT id FROM members WHERE tenant_id = $1 AND name = $2 AND removed_at IS NULL");
    if tx.fetch_optional(there.bind(scope.tenant_text()).bind(&name)).await?.is_some() {
        return Err(Error::Exists { what: "a member named", what_zh: "成员", name });
    }
    let key = insert_own_key(tx, scope, &name, new.role).await?;
    let id = MemberId::new();
    let insert = sql(
        "INSERT INTO members (id, tenant_id, key_id, name, title, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let insert = insert.bind(id.to_string()).bind(scope.tenant_text()).bind(key.to_string());
    tx.execute(insert.bind(name).bind(title).bind(now_ms())).await?;
    tx.execute(
        sql("UPDATE keys SET member_id = $1 WHERE id = $2").bind(id.to_string()).bind(key.to_string()),
    )
    .await?;
    Ok(id)
}

/// Makes an invitation in a transaction; an earlier one is good no more.
pub(crate) async fn invite(tx: &mut Tx, member_id: MemberId) -> Result<Invitation, Error> {
    let token = fresh_secret(INVITATION);
    let (now, expires_at) = (now_ms(), now_ms() + INVITATION_MS);
    let insert =
        sql("INSERT INTO invitations (hash, member_id, created_at, expires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (member_id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, \
         expires_at = excluded.expires_at");
    let insert = insert.bind(hash_of(&token).as_slice()).bind(member_id.to_string());
    tx.execute(insert.bind(now).bind(expires_at)).await?;
    Ok(Invitation { member_id, token, expires_at })
}

fn one(scope: &TenantScope, id: MemberId) -> Sql {
    let mut one = sql(SELECT);
    one.push(" AND m.id = $2");
    one.bind(scope.tenant_text()).bind(id.to_string())
}

async fn end_sessions(tx: &mut Tx, id: MemberId) -> Result<(), Error> {
    tx.execute(sql("DELETE FROM sessions WHERE member_id = $1").bind(id.to_string())).await.map(drop)
}

impl Store {
    /// All members of the tenant, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn members(&self, scope: &TenantScope) -> Result<Vec<Member>, Error> {
        let mut list = sql(SELECT);
        list.push(" ORDER BY m.id");
        let rows = self.db().fetch_all(list.bind(scope.tenant_text())).await?;
        self.db().all(&rows, member_of)
    }

    /// One member.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn member(&self, scope: &TenantScope, id: MemberId) -> Result<Member, Error> {
        let row = self.db().fetch_optional(one(scope, id)).await?.ok_or_else(|| missing(id))?;
        member_of(&row).map_err(|error| self.db().failed(error))
    }

    /// Adds a member, with the one-time link by which they set their password.
    ///
    /// # Errors
    /// The name is none or taken.
    pub async fn add_member(
        &self,
        scope: &TenantScope,
        new: NewMember,
    ) -> Result<(Member, Invitation), Error> {
        let mut tx = self.db().write().await?;
        let id = insert(&mut tx, scope, &new).await?;
        let invitation = invite(&mut tx, id).await?;
        tx.commit().await?;
        Ok((self.member(scope, id).await?, invitation))
    }

    /// A new one-time link for a member; an earlier one is good no more. The old password works until the link is used.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn invite_member(&self, scope: &TenantScope, id: MemberId) -> Result<Invitation, Error> {
        let mut tx = self.db().write().await?;
        if tx.fetch_optional(one(scope, id)).await?.is_none() {
            return Err(missing(id));
        }
        let invitation = invite(&mut tx, id).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Changes a member. One who is disabled is signed out, their keys stop, and what they asked for is cancelled.
    ///
    /// # Errors
    /// There is none with this id; or the organisation would have no owner.
    pub async fn change_member(
        &self,
        scope: &TenantScope,
        id: MemberId,
        patch: MemberPatch,
    ) -> Result<Member, Error> {
        let title = patch.title.as_deref().map(checked_title).transpose()?;
        let mut tx = self.db().write().await?;
        lock_tenant(&mut tx, scope).await?;
        let row = tx.fetch_optional(one(scope, id)).await?.ok_or_else(|| missing(id))?;
        let member = tx.read(member_of(&row))?;
        let before = owners(&mut tx, scope).await?;
        if let Some(title) = title {
            tx.execute(sql("UPDATE members SET title = $1 WHERE id = $2").bind(title).bind(id.to_string()))
                .await?;
        }
        if let Some(role) = patch.role {
            let update = sql("UPDATE keys SET role = $1 WHERE id = $2");
            tx.execute(update.bind(role.as_str()).bind(member.key_id.to_string())).await?;
        }
        match patch.disabled {
            Some(true) => {
                let update = sql("UPDATE members SET disabled_at = COALESCE(disabled_at, $1) WHERE id = $2");
                tx.execute(update.bind(now_ms()).bind(id.to_string())).await?;
                end_sessions(&mut tx, id).await?;
                let keys = tx
                    .fetch_all(sql("SELECT id FROM keys WHERE member_id = $1").bind(id.to_string()))
                    .await?;
                let keys: Result<Vec<String>, _> = keys.iter().map(|row| row.try_get("id")).collect();
                let keys = tx.read(keys)?;
                settle::orphan(&mut tx, &keys).await?;
            }
            Some(false) => {
                let update = sql("UPDATE members SET disabled_at = NULL WHERE id = $1");
                tx.execute(update.bind(id.to_string())).await?;
            }
            None => {}
        }
        an_owner_stays(&mut tx, scope, before, &member.name).await?;
        tx.commit().await?;
        self.forget_identities().await;
        self.member(scope, id).await
    }

    /// Removes a member: they are signed out, their keys end, and what they asked for is cancelled. Their conversations, files and use
    /// stay with the organisation.
    ///
    /// # Errors
    /// There is none with this id; or the organisation would have no owner.
    pub async fn remove_member(&self, scope: &TenantScope, id: MemberId) -> Result<Member, Error> {
        let mut tx = self.db().write().await?;
        lock_tenant(&mut tx, scope).await?;
        let row = tx.fetch_optional(one(scope, id)).await?.ok_or_else(|| missing(id))?;
        let member = tx.read(member_of(&row))?;
        let before = owners(&mut tx, scope).await?;
        let now = now_ms();
        let update = sql("UPDATE members SET removed_at = $1, password = NULL WHERE id = $2");
        tx.execute(update.bind(now).bind(id.to_string())).await?;
        let keys =
            sql("UPDATE keys SET revoked_at = $1 WHERE member_id = $2 AND revoked_at IS NULL RETURNING id");
        end_keys(&mut tx, keys.bind(now).bind(id.to_string())).await?;
        end_sessions(&mut tx, id).await?;
        tx.execute(sql("DELETE FROM invitations WHERE member_id = $1").bind(id.to_string())).await?;
        an_owner_stays(&mut tx, scope, before, &member.name).await?;
        tx.commit().await?;
        self.forget_identities().await;
        Ok(member)
    }

    /// Sets a member's password without knowing the old one, and ends their sessions: for the person at the machine.
    ///
    /// # Errors
    /// There is none with this id; the password is too short or too long.
    pub async fn set_password(
        &self,
        scope: &TenantScope,
        id: MemberId,
        password: &str,
    ) -> Result<Member, Error> {
        let member = self.member(scope, id).await?;
        let hash = passwords::hashed(password, &member.name).await?;
        let mut tx = self.db().write().await?;
        let update = sql("UPDATE members SET password = $1 WHERE id = $2 AND removed_at IS NULL");
        tx.execute(update.bind(hash).bind(id.to_string())).await?;
        end_sessions(&mut tx, id).await?;
        tx.commit().await?;
        self.member(scope, id).await
    }
}
