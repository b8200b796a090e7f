//! Replicas and downloads under supervision: who runs, who waits, who is asked, who has to make room.
//!
//! Takes settings, the model registry and the store; gives leases: the right to send requests to a running replica of a
//! model, counted until dropped. A replica is a child process of this binary that speaks OpenAI's protocol on a unix socket, or
//! an external engine behind a URL.
//!
//! It does not know HTTP routes, keys or tenants, it reads no weights, and it never looks into a request beyond the name of the
//! model.
//!
//! The interface that the rest of this crate fills in:
//!
//! ```text
//! impl Control {
//!     async fn start(settings: Arc<Settings>, registry: Arc<Registry>, store: Store) -> Result<Arc<Control>>;
//!     async fn start_with(options: Options, settings, registry, store) -> Result<Arc<Control>>;   // tests: other program, shorter times
//!     async fn resolve(&self, name: &str) -> Result<String>;             // "" and "default" are the default model; NotFound lists near names
//!     async fn models(&self) -> Result<Vec<ServedModel>>;               // installed chat and embedding models, then external ones
//!     async fn acquire(&self, request: &AcquireRequest<'_>) -> Result<Lease>;
//!     fn replicas(&self) -> Vec<ReplicaStatus>;                         // never blocks; ReplicaStatus::view(lang) is the API's form
//!     fn memory(&self) -> MemoryPlan;
//!     async fn start_replica(&self, model: &str) -> Result<ReplicaStatus>; // one more replica, loading
//!     async fn stop_replica(&self, id: ReplicaId) -> Result<()>;        // drains
//!     async fn stop_model(&self, model: &ModelId);                      // all of its replicas, before it is removed
//!     fn externals(&self) -> Vec<ExternalStatus>;                       // ExternalStatus::view(lang)
//!     async fn add_external(&self, engine: NewEngine) -> Result<ExternalStatus>;
//!     async fn remove_external(&self, id: ExternalId) -> Result<()>;
//!     fn pulls(&self) -> &Pulls;
//!     async fn shutdown(&self, drain: Duration);
//! }
//! struct AcquireRequest<'a> { model: &'a str, affinity: Option<u64>, lang: Lang }
//! struct NewEngine { name: String, base_url: String, api_key: Option<String>, models: Vec<String> /* "name" or "alias=name"; empty: all */ }
//! impl Lease {                                                          // Send + Sync; dropping it ends the count (a body still being read counts too)
//!     fn model(&self) -> &str;                                          // the resolved name
//!     fn replica(&self) -> &str;                                        // id of the replica or engine, for logs and metrics
//!     fn is_external(&self) -> bool;
//!     async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<UpstreamBody>>; // path such as /v1/chat/completions
//! }
//! impl http_body::Body for UpstreamBody { type Data = Bytes; type Error = Error; } // Unpin + Send
//! impl Pulls {
//!     fn start(&self, request: rixin_models::PullRequest) -> Result<Pull>;
//!     fn list(&self) -> Vec<Pull>;                                      // newest first; Pull::view(lang)
//!     fn get(&self, id: PullId) -> Result<Pull>;
//!     fn watch(&self, id: PullId) -> Result<tokio::sync::watch::Receiver<Pull>>;
//!     fn cancel(&self, id: PullId) -> Result<Pull>;
//! }
//! ```

mod error;
mod status;

pub use error::{Error, Result};
pub use status::{
    ExternalState, ExternalStatus, ExternalView, MemoryPlan, ReplicaPlace, ReplicaState, ReplicaStatus,
    ReplicaView, ServedModel,
};
