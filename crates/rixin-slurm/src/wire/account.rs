//! Accounts, users and associations of slurmdbd.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, WireError, nullable};

macro_rules! reply {
    ($name:ident, $field:ident, $item:ident) => {
        #[derive(Deserialize)]
        pub(crate) struct $name {
            #[serde(default, deserialize_with = "nullable")]
            pub $field: Vec<$item>,
            #[serde(default, deserialize_with = "nullable")]
            errors: Vec<WireError>,
        }

        impl Reply for $name {
            fn errors(&self) -> &[WireError] {
                &self.errors
            }
        }
    };
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Named {
    pub name: Option<String>,
}

/// An association: an account on a cluster, or a user in it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireAssociation {
    pub account: Option<String>,
    pub cluster: Option<String>,
    pub partition: Option<String>,
    pub user: Option<String>,
}

reply!(AccountsReply, accounts, Named);
reply!(UsersReply, users, Named);
reply!(ClustersReply, clusters, Named);
reply!(AssociationsReply, associations, WireAssociation);

/// Creates or changes an account; the association comes apart.
pub(crate) fn account_request(name: &str, description: &str, organization: &str) -> Value {
    json!({ "accounts": [{ "name": name, "description": description, "organization": organization }] })
}

/// Creates a user, with the account that is charged when a job names none.
pub(crate) fn user_request(user: &str, account: &str) -> Value {
    json!({ "users": [{ "name": user, "default": { "account": account } }] })
}

/// Puts an account on a cluster, or a user into it. The account's own has a user that is null: an empty one is refused, and an
/// absent one is reported as an error and yet made (v0.0.38).
pub(crate) fn association_request(cluster: &str, account: &str, user: Option<&str>) -> Value {
    json!({ "associations": [{ "cluster": cluster, "account": account, "user": user }] })
}

/// Both at once, by `accounts_association` (v0.0.41 and later).
pub(crate) fn joint_account_request(
    cluster: &str,
    name: &str,
    description: &str,
    organization: &str,
) -> Value {
    json!({
        "association_condition": { "accounts": [name], "clusters": [cluster] },
        "account": { "description": description, "organization": organization },
    })
}

/// User and association at once, by `users_association` (v0.0.41 and later).
pub(crate) fn joint_association_request(cluster: &str, account: &str, user: &str) -> Value {
    json!({
        "association_condition": { "accounts": [account], "clusters": [cluster], "users": [user] },
        "user": {},
    })
}
