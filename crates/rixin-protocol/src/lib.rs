//! The wire types of the OpenAI and Anthropic protocols, and the event-stream codec.
//!
//! Takes bytes of requests, replies and streams; gives types whose fields have been checked for type and range, and back.
//! It does not know sockets, models, tenants or engines: gateway, replica and command line share it.

pub mod anthropic;
pub mod chat;
pub mod completion;
pub mod embedding;
pub mod error;
pub mod model;
pub mod parse;
pub mod replica;
pub mod responses;
pub mod sse;
pub mod usage;

/// Headers between the gateway and its own replicas.
pub mod headers {
    /// The key on whose behalf a request runs: requests are shared out fairly between its values.
    pub const FAIRNESS: &str = "x-rixin-fairness";
    /// Milliseconds that the request may still take.
    pub const DEADLINE_MS: &str = "x-rixin-deadline-ms";
    /// The request's id, for logs on both sides.
    pub const REQUEST_ID: &str = "x-request-id";
    /// Asks a replica to end a stream with the comment line `: usage {JSON of Usage}`, which clients ignore and the gateway meters.
    pub const USAGE_COMMENT: &str = "x-rixin-usage-comment";
}
