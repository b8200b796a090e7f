//! Replicas and downloads under supervision: who runs, who waits, who is asked, who has to make room.
//!
//! Takes settings, the model registry and the store; gives [`Lease`]s: the right to send requests to a running replica of a
//! model, counted until dropped. A replica is a child process of this binary that speaks OpenAI's protocol on a unix socket, or
//! an external engine behind a URL.
//!
//! It does not know HTTP routes, keys or tenants, it reads no weights, and it never looks into a request beyond the name of the
//! model.
//!
//! The rooms: `plan` decides (a state machine without clock, process or socket), `core` carries out what it decided, `child`
//! starts and ends processes, `endpoint` talks to them, `external` watches engines elsewhere, `pulls` runs downloads.

mod child;
mod control;
mod core;
mod endpoint;
mod error;
mod external;
mod facts;
mod lease;
mod lines;
mod memory;
mod near;
mod options;
mod plan;
mod pulls;
mod run_dir;
mod stats;
mod status;

pub use control::{AcquireRequest, Control};
pub use endpoint::UpstreamBody;
pub use error::{Error, Result};
pub use external::NewEngine;
pub use lease::Lease;
pub use options::{Launcher, Options};
pub use pulls::{Pull, PullState, PullView, Pulls};
pub use rixin_models::{PullPreview, PullRequest};
pub use status::{
    ExternalState, ExternalStatus, ExternalView, MemoryPlan, ReplicaPlace, ReplicaState, ReplicaStatus,
    ReplicaView, ServedModel,
};
