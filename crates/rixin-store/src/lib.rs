//! Metadata of the suite in SQLite: tenants, keys, conversations, external engines, usage, settings.
//!
//! Takes a data folder; gives typed rows. Several processes may have the same folder open (the server and the command line do).
//! What belongs to a tenant is reached through a [`TenantScope`], and only two things make one: [`Store::authenticate`] with a
//! key's secret, and [`Store::operator`] for the person at the machine, who could open the file anyway.
//!
//! It does not know HTTP, models or replicas, and it never keeps the secret of a key.

mod conversations;
mod error;
mod export;
mod externals;
mod keys;
mod messages;
mod open;
mod operator;
mod page;
mod responses;
mod row;
mod scope;
mod search;
mod settings;
mod usage;

pub use conversations::{Conversation, ConversationPatch, ConversationQuery, NewConversation};
pub use error::Error;
pub use export::markdown;
pub use externals::{External, NewExternal};
pub use keys::{CreatedKey, Key};
pub use messages::{Message, MessageRole, MessageUsage, NewMessage};
pub use open::Store;
pub use operator::{Operator, Tenant};
pub use page::Page;
pub use responses::{NewResponse, StoredResponse};
pub use scope::{Identity, Role, TenantScope};
pub use usage::{UsageRecord, UsageRow};

/// Milliseconds since 1970, now.
pub fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
