//! The log on standard error, as text or JSON.

use rixin_base::{Code, Fault, Origin};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::context::Context;

/// Who writes the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A server: what happens is of interest.
    Server,
    /// A command that a person waits for: only trouble is.
    Command,
}

/// Starts the log.
///
/// # Errors
/// A filter or a form that does not exist.
pub fn start(context: &Context, usage: Use) -> Result<(), Fault> {
    let asked = context.origin("log") != Origin::Default;
    let settings = context.settings();
    let filter = match (usage, context.verbose) {
        _ if asked => settings.log.as_str(),
        (_, 3..) => "debug",
        (Use::Server, _) | (Use::Command, 2) => settings.log.as_str(),
        (Use::Command, _) => "error",
    };
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Fault::new(
            Code::BadSetting,
            format!(
                "the log filter {filter:?} is wrong ({error}): write info, debug, or rixin_api=trace,info"
            ),
            format!("日志过滤 {filter:?} 有误（{error}）：可写 info、debug 或 rixin_api=trace,info"),
        )
    })?;
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format.as_str() {
        "text" => registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(colour)).init(),
        "json" => registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).init(),
        other => {
            return Err(Fault::new(
                Code::BadSetting,
                format!("the setting log_format is {other:?}: it is text or json"),
                format!("设置 log_format 的值为 {other:?}：只能是 text 或 json"),
            ));
        }
    }
    Ok(())
}
