//! Who is asking, and what they may name.

use rixin_base::{KeyId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyRole)]
pub enum Role {
    /// Everything in its tenant, and the machine's models, replicas and engines.
    Admin,
    /// Ask models, and keep its own conversations.
    Member,
}

impl Role {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Member => "member",
        }
    }

    pub(crate) fn from_word(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Role::Admin),
            "member" => Some(Role::Member),
            _ => None,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Role::from_word(text).ok_or_else(|| format!("{text:?} is not a role: admin or member"))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The right to name the rows of one tenant; its fields are private, so that only this crate makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantScope {
    pub(crate) tenant: TenantId,
    /// Narrows conversations, responses and usage to one key; `None` for the operator.
    pub(crate) key: Option<KeyId>,
}

impl TenantScope {
    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The key that was authenticated; `None` for the operator.
    pub fn key(&self) -> Option<KeyId> {
        self.key
    }

    pub(crate) fn tenant_text(&self) -> String {
        self.tenant.to_string()
    }

    pub(crate) fn key_text(&self) -> Option<String> {
        self.key.map(|key| key.to_string())
    }
}

/// An authenticated key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key_id: KeyId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it may name.
    pub scope: TenantScope,
}
