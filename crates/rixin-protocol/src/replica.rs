//! What a supervisor and a replica process say to each other besides OpenAI's protocol: the specification that starts it,
//! the reports on its standard output, and the figures of `/stats`.

use std::path::PathBuf;

use rixin_base::{Fault, Lang, Message, ModelId, ReplicaId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a replica serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicaKind {
    /// Chat, completions, and embeddings by pooling.
    Chat,
    /// Embeddings only.
    Embedding,
}

/// The file that `rixin replica run --spec FILE` reads. A zero means: choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSpec {
    /// The model's name.
    pub model: ModelId,
    /// Its main file.
    pub file: PathBuf,
    /// The unix socket to listen on.
    pub socket: PathBuf,
    /// What to serve.
    pub kind: ReplicaKind,
    /// Threads; 0: the physical cores that the process may use.
    pub threads: u32,
    /// Longest prompt and answer, in tokens; 0: what the model was trained for, at most 32768.
    pub context_length: u32,
    /// Requests at the same time.
    pub slots: u32,
    /// Tokens of the shared cache; 0: twice the context length, at least 8192.
    pub cache_tokens: u32,
    /// Most tokens of one step.
    pub batch_tokens: u32,
    /// Layers on the accelerator.
    pub gpu_layers: u32,
    /// Requests that wait.
    pub queue: u32,
    /// The language of messages where a caller asks for none.
    pub lang: Lang,
    /// The log's filter.
    pub log: String,
    /// How it becomes known where no supervisor holds its pipes: it then listens on a port instead of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterSpec>,
}

/// How a replica on a cluster's node becomes known to the gateways.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSpec {
    /// Its id.
    pub replica: ReplicaId,
    /// The gateway's address, such as `http://gateway:8460`.
    pub gateway: String,
    /// Works once, to register.
    pub token: String,
}

impl std::fmt::Debug for ClusterSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterSpec")
            .field("replica", &self.replica)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

/// What a replica on a cluster's node sends to `POST /api/replicas/register`, with its token as `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its id.
    #[schema(value_type = String)]
    pub replica: ReplicaId,
    /// Where it answers, such as `http://10.0.0.7:41000/v1`.
    pub address: String,
    /// What gateways have to send to it; it renews its lease with this.
    pub key: String,
    /// Requests at the same time.
    pub slots: u32,
    /// Longest prompt and answer, in tokens.
    pub context_length: u32,
    /// Weights, cache and buffers, in bytes.
    pub memory_bytes: u64,
}

/// How long it may be asked without another sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaLease {
    /// In milliseconds; it renews in a third of that.
    pub lease_ms: u64,
}

/// A line of a replica's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Report {
    /// The weights are being read.
    Loading {
        /// 0 to 1.
        fraction: f32,
    },
    /// The socket answers.
    Ready {
        /// Longest prompt and answer, in tokens.
        context_length: u32,
        /// Requests at the same time.
        slots: u32,
        /// Weights, cache and buffers, in bytes.
        memory_bytes: u64,
    },
    /// It will not come up; the process ends.
    Failed {
        /// Why.
        fault: FaultReport,
    },
}

/// A fault on its way to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The stable code.
    pub code: String,
    /// Both texts.
    pub message: Message,
}

impl From<&Fault> for FaultReport {
    fn from(fault: &Fault) -> Self {
        Self { code: fault.code.as_str().to_owned(), message: fault.message.clone() }
    }
}

impl From<FaultReport> for Fault {
    fn from(report: FaultReport) -> Self {
        let code = rixin_base::Code::from_word(&report.code).unwrap_or(rixin_base::Code::LoadFailed);
        Fault::new(code, report.message.en, report.message.zh)
    }
}

/// The figures of a replica, from `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// The model's name.
    pub model: String,
    /// Requests being answered.
    pub active: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Requests that can be answered at the same time.
    pub slots: u32,
    /// Tokens that the cache holds now.
    pub cache_tokens_used: u64,
    /// Tokens that it can hold.
    pub cache_tokens: u64,
    /// Requests since the start.
    pub requests_total: u64,
    /// Prompt tokens since the start.
    pub prompt_tokens_total: u64,
    /// Those of them that the cache held already.
    pub cached_tokens_total: u64,
    /// Answer tokens since the start.
    pub completion_tokens_total: u64,
    /// Prompt tokens a second while computing prompts, over the last minute.
    pub prompt_tokens_per_second: f64,
    /// Answer tokens a second over all requests, over the last minute.
    pub decode_tokens_per_second: f64,
    /// Resident memory of the process, in bytes.
    pub rss_bytes: u64,
}
