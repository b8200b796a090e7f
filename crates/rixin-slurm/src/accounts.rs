//! Accounts and who may use them, in slurmdbd. The user of the token must be an administrator there.

use std::{fmt, str::FromStr};

use crate::{
    Act, Client, Error, Result,
    client::Ask,
    wire::{self, AccountsReply, AssociationsReply, ClustersReply, PlainReply, UsersReply},
};

/// An account's name: 1 to 64 of `a-z`, `0-9`, `_`, `-`. Slurm folds capitals, so there are none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(good) {
            return Err(Error::invalid(
                "account",
                "it has 1 to 64 characters of a-z, 0-9, '_' and '-'",
                "应为 1 到 64 个字符，由 a-z、0-9、'_'、'-' 组成",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An account to keep.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// What `sacctmgr show account` shows.
    pub description: String,
    /// Whom it belongs to.
    pub organization: String,
}

/// Whether an error means that there is no slurmdbd, as told by what asked for it.
pub(crate) fn is_absent(error: &Error) -> bool {
    match error {
        Error::NoAccounting { .. } => true,
        // ESLURM_DB_CONNECTION, and Slurm 22.05's word where AccountingStorageType is none
        Error::Refused { number, .. } => matches!(number, 7000 | 7001 | 9202),
        Error::ControllerDown { why, .. } => why.contains("Slurmdbd") || why.contains("accounting"),
        _ => false,
    }
}

impl Client {
    fn slurmdb(&self, path: &str) -> Result<String> {
        self.api().slurmdb(path).ok_or_else(|| Error::NoAccounting {
            why: format!("slurmrestd has no /slurmdb/{}/{path}", self.version()),
        })
    }

    /// Absence of slurmdbd under its own name.
    async fn database<R: wire::Reply>(&self, ask: Ask<'_>) -> Result<Option<R>> {
        self.find(ask).await.map_err(|error| match is_absent(&error) {
            true => Error::NoAccounting { why: error.to_string() },
            false => error,
        })
    }

    /// The name under which slurmdbd knows this cluster.
    async fn cluster_name(&self) -> Result<String> {
        if let Some(name) = self.cluster() {
            return Ok(name.to_owned());
        }
        let reply =
            self.database::<ClustersReply>(Ask::get(Act::Accounts, self.slurmdb("clusters")?)).await?;
        let mut names: Vec<String> =
            reply.map(|r| r.clusters).unwrap_or_default().into_iter().filter_map(|c| c.name).collect();
        match (names.pop(), names.is_empty()) {
            (Some(name), true) => Ok(name),
            (None, _) => Err(Error::NoAccounting { why: "slurmdbd knows no cluster".into() }),
            (Some(_), false) => Err(Error::invalid(
                "slurm_cluster",
                "slurmdbd knows several clusters: name this one",
                "slurmdbd 中有多个集群：请指明本集群的名称",
            )),
        }
    }

    /// Whether an account (`user` none) or a user in it is known on this cluster.
    async fn has_association(&self, cluster: &str, account: &str, user: Option<&str>) -> Result<bool> {
        let query = [("account", account), ("cluster", cluster)];
        let ask = Ask::get(Act::Accounts, self.slurmdb("associations")?).query(&query);
        let reply = self.database::<AssociationsReply>(ask).await?;
        // The answer is filtered again: not every version takes every condition.
        Ok(reply.map(|r| r.associations).unwrap_or_default().iter().any(|known| {
            known.account.as_deref() == Some(account)
                && known.cluster.as_deref() == Some(cluster)
                && known.user.as_deref().filter(|u| !u.is_empty()) == user
                && known.partition.as_deref().is_none_or(str::is_empty)
        }))
    }

    async fn post(&self, path: String, body: &serde_json::Value) -> Result<()> {
        // Adding what is there changes nothing, so it can be repeated.
        self.database::<PlainReply>(Ask::post(Act::Accounts, path, body).repeatable()).await.map(|_| ())
    }

    /// Makes sure that an account exists on this cluster.
    pub async fn ensure_account(&self, account: &Account) -> Result<()> {
        let name = account.name.as_str();
        let cluster = self.cluster_name().await?;
        if self.has_association(&cluster, name, None).await? {
            return Ok(());
        }
        if let Some(path) = self.api().slurmdb("accounts_association") {
            self.post(
                path,
                &wire::joint_account_request(&cluster, name, &account.description, &account.organization),
            )
            .await?;
        } else {
            let path = self.slurmdb("account/{account_name}")?.replace("{account_name}", name);
            let known = self.database::<AccountsReply>(Ask::get(Act::Accounts, path)).await?;
            if known.is_none_or(|reply| reply.accounts.is_empty()) {
                let body = wire::account_request(name, &account.description, &account.organization);
                self.post(self.slurmdb("accounts")?, &body).await?;
            }
            self.post(self.slurmdb("associations")?, &wire::association_request(&cluster, name, None))
                .await?;
        }
        self.must_have(&cluster, name, None).await
    }

    /// Makes sure that a user may submit jobs in an account, which exists.
    pub async fn ensure_association(&self, account: &AccountName, user: &str) -> Result<()> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if user.is_empty() || user.len() > 64 || !user.bytes().all(good) {
            return Err(Error::invalid("user", "it is the name of a user of the cluster", "应为集群用户名"));
        }
        let name = account.as_str();
        let cluster = self.cluster_name().await?;
        if self.has_association(&cluster, name, Some(user)).await? {
            return Ok(());
        }
        if let Some(path) = self.api().slurmdb("users_association") {
            self.post(path, &wire::joint_association_request(&cluster, name, user)).await?;
        } else {
            let path = self.slurmdb("user/{user_name}")?.replace("{user_name}", user);
            let known = self.database::<UsersReply>(Ask::get(Act::Accounts, path)).await?;
            if known.is_none_or(|reply| reply.users.is_empty()) {
                self.post(self.slurmdb("users")?, &wire::user_request(user, name)).await?;
            }
            self.post(self.slurmdb("associations")?, &wire::association_request(&cluster, name, Some(user)))
                .await?;
        }
        self.must_have(&cluster, name, Some(user)).await
    }

    async fn must_have(&self, cluster: &str, account: &str, user: Option<&str>) -> Result<()> {
        if self.has_association(cluster, account, user).await? {
            return Ok(());
        }
        let who = user.map_or_else(String::new, |user| format!(" of user {user}"));
        Err(Error::Protocol {
            act: Act::Accounts,
            why: format!("slurmdbd took the association{who} with account {account} and does not list it"),
        })
    }
}
