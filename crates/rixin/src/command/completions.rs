//! `rixin completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{
    cli::Cli,
    out::{Done, Exit, Out},
};

/// Flags of `rixin completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub fn run(&self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "rixin", &mut script);
        let out = Out { lang: rixin_base::Lang::En, json: false };
        out.raw(&String::from_utf8_lossy(&script));
        Ok(Exit::Ok)
    }
}
