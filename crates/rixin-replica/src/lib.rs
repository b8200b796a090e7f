//! A replica process: one engine behind the OpenAI protocol on a unix socket.
//!
//! Takes a [`ReplicaSpec`] in a file, reports on standard output how it comes up, and then answers requests until it is told to stop or
//! its parent is gone. It does not know tenants, keys, the registry or the database: whoever can open the socket may ask.

mod chat;
mod chat_prompt;
mod choices;
mod completion;
mod context;
mod embedding;
mod logprobs;
mod process;
mod sampling;
mod server;
mod stream;
mod tables;

pub use process::{Keep, Serving, main};
pub use rixin_protocol::replica::ReplicaSpec;
