//! Who is asking, and what they may name.

use rixin_base::{KeyId, MemberId, ProjectId, TenantId};

use crate::{Limits, Right, Rights, Role};

/// The right to make, list and disable organisations; an [`Identity`] with that right gives one.
#[derive(Clone, Copy, Debug)]
pub struct HostScope(());

impl HostScope {
    /// For the person at the machine.
    pub(crate) fn of_operator() -> Self {
        Self(())
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

    /// The whole tenant: for what an administrator sees of everybody's, which are jobs.
    pub fn of_tenant(&self) -> Self {
        Self { tenant: self.tenant, key: None }
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
    /// What its holder is.
    pub role: Role,
    /// Whether its organisation is the host, which looks after the machine too.
    pub host: bool,
    /// What it may do.
    pub rights: Rights,
    /// What narrows it beyond its role.
    pub limits: Limits,
    /// The person whose key it is.
    pub member: Option<MemberId>,
    /// The project that it is for.
    pub project: Option<ProjectId>,
    /// What it may name.
    pub scope: TenantScope,
}

impl Identity {
    /// The right to name all organisations, where it has that.
    pub fn host_scope(&self) -> Option<HostScope> {
        (self.host && self.may(Right::Organisations)).then_some(HostScope(()))
    }

    /// Whether it may.
    pub fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }
}
