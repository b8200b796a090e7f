//! What the outside sees: replicas, external engines, memory, and the models that can be asked.

use rixin_base::{ExternalId, Fault, Lang};
use rixin_protocol::{error::ErrorObject, replica::Stats};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a replica runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicaPlace {
    /// A child process of this server.
    Local,
    /// An engine behind a URL.
    External,
    /// A job of the cluster.
    Cluster,
}

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicaState {
    /// It waits for memory, or reads its weights.
    Loading,
    /// It answers requests.
    Ready,
    /// It is loaded and nobody asks.
    Idle,
    /// It did not come up, or died; the next request after the back-off tries again.
    Failed,
    /// It takes no more requests and is about to end.
    Stopping,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Its id: a replica's, or that of the external engine.
    pub id: String,
    /// The model; for an external engine its name.
    pub model: String,
    /// Where it runs.
    pub place: ReplicaPlace,
    /// What it is doing.
    pub state: ReplicaState,
    /// 0 to 1 while it loads.
    pub load_fraction: Option<f32>,
    /// The memory that is reserved for it, in bytes.
    pub memory_bytes: u64,
    /// Requests that hold a lease.
    pub active: u32,
    /// Those of them that wait inside the replica, as it last reported.
    pub queued: u32,
    /// Requests that it answers at the same time; 0 where that is not known.
    pub slots: u32,
    /// When this state began, in milliseconds since 1970.
    pub since_ms: i64,
    /// When it will be unloaded if nobody asks, in milliseconds since 1970.
    pub idle_unload_at_ms: Option<i64>,
    /// Why it failed.
    pub error: Option<Fault>,
    /// Failed or crashed starts of this model in a row.
    pub restarts: u32,
    /// The figures that it last reported.
    pub stats: Option<Stats>,
}

/// [`ReplicaStatus`] as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Replica)]
pub struct ReplicaView {
    /// Its id: a replica's, or that of the external engine.
    pub id: String,
    /// The model; for an external engine its name.
    pub model: String,
    /// Where it runs.
    pub kind: ReplicaPlace,
    /// What it is doing.
    pub state: ReplicaState,
    /// 0 to 1 while it loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_fraction: Option<f32>,
    /// The memory that is reserved for it, in bytes.
    pub memory_bytes: u64,
    /// Requests being answered or waiting.
    pub active: u32,
    /// Those of them that wait.
    pub queued: u32,
    /// Requests that it answers at the same time; 0 where that is not known.
    pub slots: u32,
    /// When this state began, in milliseconds since 1970.
    pub since: i64,
    /// When it will be unloaded if nobody asks, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_unload_at: Option<i64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// Failed or crashed starts of this model in a row.
    pub restarts: u32,
    /// The figures that it last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
}

impl ReplicaStatus {
    /// For the API, in the caller's language.
    pub fn view(&self, lang: Lang) -> ReplicaView {
        ReplicaView {
            id: self.id.clone(),
            model: self.model.clone(),
            kind: self.place,
            state: self.state,
            load_fraction: self.load_fraction,
            memory_bytes: self.memory_bytes,
            active: self.active,
            queued: self.queued,
            slots: self.slots,
            since: self.since_ms,
            idle_unload_at: self.idle_unload_at_ms,
            error: self.error.as_ref().map(|fault| error_object(fault, lang)),
            restarts: self.restarts,
            stats: self.stats.clone(),
        }
    }
}

/// A fault as the API shows it inside of other objects.
pub(crate) fn error_object(fault: &Fault, lang: Lang) -> ErrorObject {
    rixin_protocol::error::ErrorBody::new(fault, lang).error
}

/// The planner's figures, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryPlan {
    /// What the machine, or the container, has.
    pub total_bytes: u64,
    /// What a further replica may take without another one being unloaded.
    pub free_bytes: u64,
    /// What all replicas together may take now.
    pub limit_bytes: u64,
    /// What is reserved for replicas.
    pub used_bytes: u64,
}

/// A model that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedModel {
    /// The name to ask for.
    pub id: String,
    /// When it was installed or its engine added, in seconds since 1970.
    pub created: u64,
    /// `rixin` for installed models, else the name of the external engine.
    pub owned_by: String,
    /// Whether an external engine answers.
    pub external: bool,
}

/// Whether an external engine can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExternalState {
    /// The first check is under way.
    Checking,
    /// The last check was answered.
    Ok,
    /// The last check or request failed.
    Failed,
}

/// An external engine.
#[derive(Clone, Debug)]
pub struct ExternalStatus {
    /// Its id.
    pub id: ExternalId,
    /// The name that an administrator gave it.
    pub name: String,
    /// The address that `/chat/completions` is appended to.
    pub base_url: String,
    /// Whether a key is sent along.
    pub has_key: bool,
    /// Whether it can be asked.
    pub state: ExternalState,
    /// Why not.
    pub error: Option<Fault>,
    /// When it was last checked, in milliseconds since 1970.
    pub checked_at_ms: Option<i64>,
    /// The models that can be asked there, by the names to ask for.
    pub models: Vec<String>,
    /// When it was added, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// Requests that hold a lease.
    pub active: u32,
}

/// [`ExternalStatus`] as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = External)]
pub struct ExternalView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ExternalId,
    /// The name that an administrator gave it.
    pub name: String,
    /// The address that `/chat/completions` is appended to.
    pub base_url: String,
    /// Whether a key is sent along.
    pub has_key: bool,
    /// Whether it can be asked.
    pub state: ExternalState,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// When it was last checked, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<i64>,
    /// The models that can be asked there, by the names to ask for.
    pub models: Vec<String>,
    /// When it was added, in milliseconds since 1970.
    pub created_at: i64,
    /// Requests being answered.
    pub active: u32,
}

impl ExternalStatus {
    /// For the API, in the caller's language.
    pub fn view(&self, lang: Lang) -> ExternalView {
        ExternalView {
            id: self.id,
            name: self.name.clone(),
            base_url: self.base_url.clone(),
            has_key: self.has_key,
            state: self.state,
            error: self.error.as_ref().map(|fault| error_object(fault, lang)),
            checked_at: self.checked_at_ms,
            models: self.models.clone(),
            created_at: self.created_at_ms,
            active: self.active,
        }
    }
}
