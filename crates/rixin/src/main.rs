//! The `rixin` command: one binary that is the server, its replica processes, and every command.
//!
//! Takes the command line, the environment and one configuration file; gives text for people in their language, or one JSON
//! document for scripts. It does not know how models run, how files are fetched or what the routes of the API are: it calls
//! the crates that do.

mod cli;
mod command;
mod context;
mod gate;
mod log;
mod machine;
mod out;
mod table;
mod text;
mod time;

use std::{ffi::OsString, process::ExitCode};

use clap::FromArgMatches;
use rixin_base::Fault;

use crate::{
    cli::{Cli, Command},
    context::Context,
    out::{Done, Exit, Out},
};

fn main() -> ExitCode {
    say_how_to_report_panics();
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run(args) as u8)
}

fn run(args: Vec<OsString>) -> Exit {
    let lang = text::early_lang(&args, &context::environment);
    let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let out = Out { lang, json };
    let parsed =
        text::command(lang).try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if text::is_display(&error) => {
            let shown = error.render();
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stdout())
                && std::env::var_os("NO_COLOR").is_none();
            let shown = if ansi { shown.ansi().to_string() } else { shown.to_string() };
            if error.use_stderr() {
                out::eprint_line(shown.trim_end());
                return Exit::Usage;
            }
            out.raw(&shown);
            return Exit::Ok;
        }
        Err(error) => {
            out.failure("invalid_usage", text::syntax_error(&error).text(lang));
            return Exit::Usage;
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(fault) => {
            out.error(&fault);
            Exit::of(fault.code)
        }
    }
}

fn dispatch(cli: Cli) -> Done {
    let Cli { global, command, .. } = cli;
    // These need no settings, and a broken configuration file must not stand in their way.
    match &command {
        Command::Completions(completions) => return completions.run(),
        Command::Replica(replica) => return replica.run(),
        _ => {}
    }
    let extra = match &command {
        Command::Serve(serve) => serve.flags(),
        _ => Vec::new(),
    };
    let context = Context::load(&global, extra)?;
    let usage = if matches!(command, Command::Serve(_)) { log::Use::Server } else { log::Use::Command };
    log::start(&context, usage)?;
    match command {
        Command::Serve(serve) => block_on(serve.run(context)),
        Command::Chat(chat) => block_on(chat.run(context)),
        Command::Models(models) => block_on(models.run(context)),
        Command::Keys(keys) => block_on(keys.run(context)),
        Command::Doctor(doctor) => doctor.run(&context),
        Command::Config(config) => config.run(&context),
        Command::Version(version) => version.run(&context),
        Command::Help(help) => help.run(&context),
        Command::Openapi(openapi) => openapi.run(&context),
        Command::Reference(reference) => reference.run(&context),
        Command::Completions(_) | Command::Replica(_) => Ok(Exit::Ok),
    }
}

/// Runs a command that waits for disk, network or children.
fn block_on(done: impl Future<Output = Done>) -> Done {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::internal)?;
    let done = runtime.block_on(done);
    // A thread that waits at the terminal's prompt must not hold the process.
    runtime.shutdown_background();
    done
}

/// A panic is a defect of the suite: says so, and where to take it.
fn say_how_to_report_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        out::eprint_line(concat!(
            "\nrixin ",
            env!("CARGO_PKG_VERSION"),
            " hit a defect of its own. Please report it with the lines above: ",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues\n程序遇到了自身的缺陷。请附上以上内容反馈：",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues"
        ));
    }));
}
