//! What every other crate shares: typed ids, the two languages, faults with stable codes, settings, progress, cancellation.
//!
//! Takes nothing from the outside but the environment and one configuration file; gives small types without behaviour of
//! their own. It does not know HTTP, databases, models or engines.

mod cancel;
mod fault;
mod ids;
mod lang;
mod progress;
mod settings;
mod units;

pub use cancel::Cancel;
pub use fault::{Code, Explain, Fault, Kind};
pub use ids::{
    ConversationId, ExternalId, IdError, KeyId, MessageId, ModelId, PullId, ReplicaId, RequestId, TenantId,
};
pub use lang::{Lang, Message};
pub use progress::{Progress, ProgressEvent, Unit};
pub use settings::{Origin, Resolved, Secret, Setting, Settings, SettingsError, Size};
pub use units::{bytes_text, parse_bytes};

/// The version of the suite, as the command line and the API report it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
