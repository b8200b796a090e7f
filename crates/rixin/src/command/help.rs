//! `rixin help`.

use clap::Args;
use rixin_base::{Code, Fault};

use crate::{
    context::Context,
    out::{Done, Exit},
    text,
};

/// Flags of `rixin help`.
#[derive(Args, Debug)]
pub struct Help {
    /// The command, such as `models pull`; all of them if left out
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Help {
    /// Prints it.
    pub fn run(&self, context: &Context) -> Done {
        let mut root = text::command(context.out.lang);
        root.build();
        let mut found = &mut root;
        for name in &self.command {
            found = found.find_subcommand_mut(name).ok_or_else(|| {
                let path = self.command.join(" ");
                Fault::new(
                    Code::NotFound,
                    format!("there is no command `rixin {path}`: `rixin help` lists them"),
                    format!("没有命令 `rixin {path}`：`rixin help` 列出全部命令"),
                )
            })?;
        }
        context.out.raw(&found.render_long_help().to_string());
        Ok(Exit::Ok)
    }
}
