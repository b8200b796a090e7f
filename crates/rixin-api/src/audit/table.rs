//! What every route that changes something leaves in the audit log; a test holds the table against the OpenAPI document.

/// What a route leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A row with this word.
    As(&'static str),
    /// Nothing, for this reason.
    Not(&'static str),
}
use Noted::{As, Not};

const METERED: &str = "asks a model: the ledger has who, when, which model and how much";
const OWN_TALK: &str = "the caller's own conversation, as much as asking is";
const OWN_PROCESS: &str = "a process of the suite on a cluster's node says that it lives; its start has its row";
const CHANGES_NOTHING: &str = "looks only; POST because it has a body or takes long";

/// Method, path, and what it leaves.
pub const MUTATING: &[(&str, &str, Noted)] = &[
    ("POST", "/v1/chat/completions", Not(METERED)),
    ("POST", "/v1/completions", Not(METERED)),
    ("POST", "/v1/embeddings", Not(METERED)),
    ("POST", "/v1/responses", Not(METERED)),
    ("POST", "/v1/messages", Not(METERED)),
    ("POST", "/v1/messages/count_tokens", Not(METERED)),
    ("DELETE", "/v1/responses/{id}", As("response.remove")),
    ("POST", "/v1/files", As("file.create")),
    ("DELETE", "/v1/files/{id}", As("file.remove")),
    ("POST", "/v1/batches", As("batch.create")),
    ("POST", "/v1/batches/{id}/cancel", As("job.cancel")),
    ("POST", "/api/jobs", As("job.submit")),
    ("DELETE", "/api/jobs/{id}", As("job.remove")),
    ("POST", "/api/jobs/{id}/cancel", As("job.cancel")),
    ("POST", "/api/jobs/{id}/retry", As("job.retry")),
    ("POST", "/api/keys", As("key.create")),
    ("DELETE", "/api/keys/{id}", As("key.revoke")),
    ("DELETE", "/api/models/{id}", As("model.remove")),
    ("POST", "/api/models/{id}/verify", Not(CHANGES_NOTHING)),
    ("POST", "/api/pulls/preview", Not(CHANGES_NOTHING)),
    ("POST", "/api/pulls", As("model.pull")),
    ("DELETE", "/api/pulls/{id}", As("model.pull_cancel")),
    ("POST", "/api/replicas", As("replica.start")),
    ("DELETE", "/api/replicas/{id}", As("replica.stop")),
    ("POST", "/api/replicas/register", Not(OWN_PROCESS)),
    ("POST", "/api/replicas/{id}/renew", Not(OWN_PROCESS)),
    ("POST", "/api/externals", As("external.add")),
    ("DELETE", "/api/externals/{id}", As("external.remove")),
    ("POST", "/api/conversations", Not(OWN_TALK)),
    ("PATCH", "/api/conversations/{id}", Not(OWN_TALK)),
    ("DELETE", "/api/conversations/{id}", As("conversation.remove")),
    ("POST", "/api/conversations/{id}/messages", Not(OWN_TALK)),
];
