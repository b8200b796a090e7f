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

impl Replica {
    /// Runs it until its parent goes or it is told to stop. The replica has a runtime and a log of its own.
    pub fn run(&self) -> Done {
        let Replica::Run { spec } = self;
        let ended = rixin_replica::main(spec, lease::keep);
        Ok(if ended == std::process::ExitCode::SUCCESS { Exit::Ok } else { Exit::Failed })
    }
}
