//! The command line as types. English help stands here as doc comments; its Chinese is the table in [`crate::text::zh`].

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::command;

/// Rixin (日新): a generative-AI suite on your own machines
#[derive(Debug, Parser)]
#[command(
    name = "rixin",
    bin_name = "rixin",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_display_order = 900)]
pub struct Global {
    /// Language of help and messages
    #[arg(long, global = true, value_name = "LANG", value_enum)]
    pub lang: Option<LangFlag>,
    /// Configuration file (RIXIN_CONFIG; otherwise rixin.toml in the data folder)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of models, keys and conversations
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Any setting by name, such as --set slots=4; `rixin config show` lists them
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Write one JSON document to standard output, and errors as JSON to standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// What is logged to standard error: error, warn, info, debug, or a filter such as rixin_api=trace
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Tell more; -vv also logs
    #[arg(long, short = 'v', global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Print help (-h for the short form)
    #[arg(long, short = 'h', global = true, action = ArgAction::Help)]
    help: Option<bool>,
}

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LangFlag {
    /// By RIXIN_LANG, LC_ALL, LC_MESSAGES, LANG
    Auto,
    /// English
    En,
    /// 中文
    Zh,
}

impl LangFlag {
    /// The value of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            LangFlag::Auto => "auto",
            LangFlag::En => "en",
            LangFlag::Zh => "zh",
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server: API and web console
    Serve(command::serve::Serve),
    /// Talk with a model in the terminal; works without a server
    Chat(command::chat::Chat),
    /// Find, fetch, import, check and remove models
    #[command(subcommand, arg_required_else_help = true)]
    Models(command::models::Models),
    /// Make, list and revoke API keys
    #[command(subcommand, arg_required_else_help = true)]
    Keys(command::keys::Keys),
    /// Look at this machine: what is there, what is missing, and the command that mends it
    Doctor(command::doctor::Doctor),
    /// Show the settings and where each came from
    #[command(subcommand, arg_required_else_help = true)]
    Config(command::config::Config),
    /// Print a completion script for a shell
    Completions(command::completions::Completions),
    /// Print the version and how this binary was built
    Version(command::version::Version),
    /// Print the help of a command
    Help(command::help::Help),
    /// Processes of the suite itself
    #[command(subcommand, hide = true)]
    Replica(command::replica::Replica),
    /// Print the API's OpenAPI document
    #[command(hide = true)]
    Openapi(command::openapi::Openapi),
    /// Print the reference of this command line as Markdown
    #[command(hide = true)]
    Reference(command::reference::Reference),
}
