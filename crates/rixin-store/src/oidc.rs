//! Members who sign in at an identity provider: what is remembered while they are there, and who they are when they come back.

use std::time::Duration;

use rixin_base::{MemberId, TenantId};

use crate::{
    Error, NewMember, NewSession, Role, SignedIn, Store, TenantScope,
    db::{Tx, sql},
    keys::{an_owner_stays, lock_tenant, owners},
    members::{self, member_name},
    now_ms,
    row::{parsed, word},
    sessions,
};

/// Sign-ins that are under way at the same time, at most: nobody has to be anybody to begin one.
const MOST: i64 = 10_000;

/// What is remembered of a sign-in while the browser is at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcFlow {
    /// What the ID token has to repeat.
    pub nonce: String,
    /// What proves that the same client ends it that began it.
    pub verifier: String,
}

/// Somebody whom a provider has vouched for.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// The provider.
    pub issuer: String,
    /// Whom it means, for good.
    pub subject: String,
    /// What they would be called: their address or name there.
    pub name: String,
    /// What people call them.
    pub title: String,
    /// The organisation that they belong to, by its name.
    pub organisation: String,
    /// What they may do there.
    pub role: Role,
}

/// A member's name out of whatever the provider calls somebody.
fn fitting(name: &str) -> String {
    let plain =
        |c: char| if c.is_whitespace() || c.is_control() || "/\\:\"'<>".contains(c) { '-' } else { c };
    let name: String = name.trim().to_lowercase().chars().map(plain).take(60).collect();
    if name.is_empty() { "member".into() } else { name }
}

impl Store {
    /// Remembers a sign-in that has begun.
    ///
    /// # Errors
    /// Too many are under way; the database failed.
    pub async fn begin_oidc(&self, state: &str, flow: &OidcFlow, within: Duration) -> Result<(), Error> {
        let now = now_ms();
        let until = now.saturating_add(i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 4));
        let mut tx = self.db().write().await?;
        tx.execute(sql("DELETE FROM oidc_flows WHERE expires_at <= $1").bind(now)).await?;
        let under_way: i64 = tx.scalar(sql("SELECT count(*) FROM oidc_flows")).await?;
        if under_way >= MOST {
            return Err(Error::Contended {
                place: self.db().place().to_string(),
                why: "too many sign-ins are under way".into(),
            });
        }
        let insert =
            sql("INSERT INTO oidc_flows (state, nonce, verifier, expires_at) VALUES ($1, $2, $3, $4)");
        tx.execute(insert.bind(state).bind(&flow.nonce).bind(&flow.verifier).bind(until)).await?;
        tx.commit().await
    }

    /// What was remembered; once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_oidc(&self, state: &str) -> Result<Option<OidcFlow>, Error> {
        let mut tx = self.db().write().await?;
        let take =
            sql("DELETE FROM oidc_flows WHERE state = $1 AND expires_at > $2 RETURNING nonce, verifier");
        let row = tx.fetch_optional(take.bind(state).bind(now_ms())).await?;
        let flow = match &row {
            None => None,
            Some(row) => Some(OidcFlow {
                nonce: tx.read(row.try_get("nonce"))?,
                verifier: tx.read(row.try_get("verifier"))?,
            }),
        };
        tx.commit().await?;
        Ok(flow)
    }

    /// Signs in somebody whom a provider has vouched for. Who comes for the first time becomes a member; whose role there has changed
    /// has the new one from now on.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`]: they are kept out, or belong to another organisation; there is no such organisation.
    pub async fn sign_in_vouched(&self, who: &Vouched, new: &NewSession) -> Result<SignedIn, Error> {
        let find =
            sql("SELECT id FROM tenants WHERE name = $1 AND disabled_at IS NULL").bind(&who.organisation);
        let row = self.db().fetch_optional(find).await?;
        let row = row.ok_or_else(|| Error::not_found("organisation", "组织", &who.organisation))?;
        let tenant: TenantId = parsed(&row, "id").map_err(|error| self.db().failed(error))?;
        let scope = TenantScope { tenant, key: None };
        let mut tx = self.db().write().await?;
        // Two first sign-ins of one person at once: the second waits here and sees the member that the first has made.
        lock_tenant(&mut tx, &scope).await?;
        let known =
            sql("SELECT m.id, m.tenant_id, m.disabled_at, m.name, k.id AS key_id, k.role FROM members m \
             JOIN keys k ON k.id = m.key_id WHERE m.issuer = $1 AND m.subject = $2 AND m.removed_at IS NULL");
        let member = match tx.fetch_optional(known.bind(&who.issuer).bind(&who.subject)).await? {
            None => self.first_visit(&mut tx, &scope, who).await?,
            Some(row) => {
                let home: TenantId = tx.read(parsed(&row, "tenant_id"))?;
                let disabled: Option<i64> = tx.read(row.try_get("disabled_at"))?;
                if home != tenant || disabled.is_some() {
                    return Err(Error::WrongCredentials);
                }
                let role = tx.read(word(&row, "role", Role::from_word))?;
                if role != who.role {
                    let name: String = tx.read(row.try_get("name"))?;
                    let key: String = tx.read(row.try_get("key_id"))?;
                    let before = owners(&mut tx, &scope).await?;
                    let update = sql("UPDATE keys SET role = $1 WHERE id = $2");
                    tx.execute(update.bind(who.role.as_str()).bind(key)).await?;
                    an_owner_stays(&mut tx, &scope, before, &name).await?;
                }
                tx.read(parsed(&row, "id"))?
            }
        };
        let signed_in = sessions::begin(&mut tx, &tenant.to_string(), member, "oidc", new).await?;
        tx.commit().await?;
        self.forget_identities().await;
        Ok(signed_in)
    }

    /// Makes the member. A name that somebody else has is not theirs for having the same one at the provider.
    async fn first_visit(&self, tx: &mut Tx, scope: &TenantScope, who: &Vouched) -> Result<MemberId, Error> {
        let wanted = fitting(&who.name);
        let mut name = member_name(&wanted)?;
        for number in 2..100 {
            let there =
                sql("SELECT id FROM members WHERE tenant_id = $1 AND name = $2 AND removed_at IS NULL");
            if tx.fetch_optional(there.bind(scope.tenant_text()).bind(&name)).await?.is_none() {
                break;
            }
            name = format!("{wanted}-{number}");
        }
        let title: String = who.title.chars().filter(|c| !c.is_control()).take(100).collect();
        let id = members::insert(tx, scope, &NewMember { name, title, role: who.role }).await?;
        let update = sql("UPDATE members SET issuer = $1, subject = $2 WHERE id = $3");
        tx.execute(update.bind(&who.issuer).bind(&who.subject).bind(id.to_string())).await?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_provider_calls_somebody_becomes_a_name() {
        for (given, expected) in [
            ("Li.Wei@Example.org", "li.wei@example.org"),
            (" 小 李 ", "小-李"),
            ("auth0|x:y/z", "auth0|x-y-z"),
            ("", "member"),
        ] {
            assert_eq!(fitting(given), expected);
            assert!(member_name(&fitting(given)).is_ok(), "{given}");
        }
    }
}
