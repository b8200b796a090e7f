//! A client of a Slurm cluster through its REST daemon: submits, watches and cancels batch jobs, lists nodes, keeps accounts,
//! and tells a started job which accelerators are its own.
//!
//! Takes the address of slurmrestd and a token's source; gives typed jobs, states and nodes, whichever of the daemon's data
//! parsers (v0.0.38 to v0.0.44) is spoken. It does not know the suite's jobs, tenants, models or databases: a caller names its
//! submissions by a [`SubmitToken`] of its own, and finds them again by it.

mod accounts;
mod client;
pub mod devices;
mod error;
mod gres;
mod hostlist;
mod job;
mod node;
mod options;
mod submit;
mod token;
mod transport;
mod version;
mod wire;

pub use accounts::{Account, AccountName};
pub use client::Client;
pub use error::{Act, Error, Refusal, Result};
pub use gres::{GresEntry, GresRequest, parse_gres};
pub use hostlist::expand as expand_hosts;
pub use job::{Exit, Job, Phase, Record, Signal, SlurmJobId, State};
pub use node::{Node, NodeGres, NodeState};
pub use options::{Controller, Options, Ping, Suite};
pub use submit::{Dependency, Submit, SubmitToken};
pub use token::TokenSource;
pub use transport::Server;
pub use version::ParserVersion;
