//! `rixin replica run`: the process that holds one model's weights. Not for people; the server starts it, or a cluster for the server.

mod lease;

use std::path::PathBuf;

use clap::Subcommand;

use crate::out::{Done, Exit};

/// The commands under `rixin replica`.
#[derive(Debug, Subcommand)]
pub enum Replica {
    /// Serve one model
    Run {
        /// The file that says which model, which socket, and how large
        #[arg(long, value_name = "FILE")]
        spec: PathBuf,
    },
}

/// Whether a specification is that of a cluster's node. One that can't be read is told by the replica itself.
fn is_on_cluster(spec: &std::path::Path) -> bool {
    let bytes = std::fs::read(spec).unwrap_or_default();
    let spec: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    spec.get("cluster").is_some_and(|cluster| !cluster.is_null())
}

impl Replica {
    /// Runs it until its parent goes or it is told to stop. The replica has a runtime and a log of its own.
    pub fn run(&self) -> Done {
        let Replica::Run { spec } = self;
        if is_on_cluster(spec) {
            rixin_worker::take_devices()?;
        }
        let ended = rixin_replica::main(spec, lease::keep);
        Ok(if ended == std::process::ExitCode::SUCCESS { Exit::Ok } else { Exit::Failed })
    }
}
