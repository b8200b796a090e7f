//! Metadata of the suite in SQLite or Postgres: tenants, keys, conversations, external engines, usage, jobs, files, settings.
//!
//! Takes a data folder, or the address of a Postgres database; gives typed rows, the same from both. Several processes may have the
//! same folder open (the server and the command line do), and several gateways on several machines the same Postgres database.
//! What belongs to a tenant is reached through a [`TenantScope`], which [`Store::authenticate`] makes of a key's secret,
//! [`Store::operator`] for the person at the machine, who could open the database anyway, and [`Store::enter_attempt`] for the process
//! of a job. The server's [`Supervisor`] moves jobs of all tenants.
//!
//! It does not know HTTP, models or replicas, and it never keeps the secret of a key.

mod audit;
mod batches;
mod blobs;
mod cluster;
mod conversations;
mod csv;
mod db;
mod error;
mod export;
mod externals;
mod files;
mod jobs;
mod keys;
mod ledger;
mod messages;
mod open;
mod operator;
mod page;
mod responses;
mod rights;
mod row;
mod scope;
mod search;
mod settings;
mod usage;

pub use audit::{
    Acting, Actor, AuditFinding, AuditHead, AuditHeadLine, AuditOutcome, AuditQuery, AuditReport, AuditRow,
    AuditVerifier, acting,
};
pub use batches::{NewBatch, StoredBatch};
pub use blobs::{
    Blob, BlobError, BlobOptions, BlobStream, Blobs, FRESH_FOR, MAX_BLOB_BYTES, S3Options, SAFE_AGE,
    SecretKey, Sha256, StoredBlob,
};
pub use cluster::{ClusterReplica, ClusterReplicas, ClusterState, Registration};
pub use conversations::{Conversation, ConversationPatch, ConversationQuery, NewConversation};
pub use csv::{audit_csv_head, audit_csv_row, csv_line};
pub use db::DatabaseUrl;
pub use error::Error;
pub use export::markdown;
pub use externals::{External, NewExternal};
pub use files::{FileQuery, NewFile, StoredFile};
pub use jobs::{
    Accelerators, Also, Attempt, AttemptScope, Cause, Claim, Claimed, Ended, Fenced, Finished, Job, JobEvent,
    JobInput, JobProgress, JobQuery, JobState, LineAnswer, NewJob, Next, OpenAttempt, Resources, Supervisor,
    Verdict,
};
pub use keys::{CreatedKey, Key};
pub use ledger::LedgerEntry;
pub use messages::{Message, MessageRole, MessageUsage, NewMessage};
pub use open::{Store, StoreOptions};
pub use operator::{Operator, Tenant};
pub use page::Page;
pub use responses::{NewResponse, StoredResponse};
pub use rights::{Right, Rights, Role, rights_markdown};
pub use scope::{Identity, TenantScope};
pub use usage::UsageRow;

/// Milliseconds since 1970, now.
pub fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
