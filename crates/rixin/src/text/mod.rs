//! The two languages of the command line: help, headings, and the errors of its syntax.

mod syntax;
mod zh;

use clap::{Arg, ArgAction, Command, CommandFactory};
use rixin_base::{Lang, Settings};

pub use syntax::{is_display, syntax_error};

use crate::cli::Cli;

/// The command tree in one language.
pub fn command(lang: Lang) -> Command {
    let command = Cli::command();
    match lang {
        Lang::En => command,
        Lang::Zh => {
            let mut built = command.clone();
            built.build();
            chinese(command, &mut built, "")
        }
    }
}

/// The language before the command line is parsed: help and syntax errors need it. The same sources in the same order as
/// after it: flag, environment, configuration file, locale.
pub fn early_lang(args: &[std::ffi::OsString], get: &dyn Fn(&str) -> Option<String>) -> Lang {
    let value = |name: &str| {
        let mut args = args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
        while let Some(arg) = args.next() {
            match arg.strip_prefix(name) {
                Some("") => return args.next().map(|next| next.into_owned()),
                Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
                _ => {}
            }
        }
        None
    };
    let flag = |name: &'static str, value: Option<String>| value.map(|value| (name, value));
    let flags: Vec<_> = [flag("lang", value("--lang")), flag("data_dir", value("--data-dir"))]
        .into_iter()
        .flatten()
        .collect();
    let named = flags.iter().find(|(name, _)| *name == "lang").and_then(|(_, tag)| Lang::from_tag(tag));
    named
        .or_else(|| {
            let loaded = Settings::load(&flags, value("--config").map(Into::into), get);
            match loaded {
                Ok(resolved) => resolved.settings.fixed_lang(),
                Err(_) => get("RIXIN_LANG").and_then(|tag| Lang::from_tag(&tag)),
            }
        })
        .unwrap_or_else(|| Lang::from_env(get))
}

/// Puts the Chinese texts over the English ones.
fn chinese(command: Command, built: &mut Command, path: &str) -> Command {
    let about = zh::about(path);
    let usage = built.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let mut command = command
        .override_usage(chinese_usage(&usage))
        .help_template("{before-help}{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}")
        .subcommand_help_heading("命令")
        .subcommand_value_name("命令");
    if let Some(about) = about {
        command = command.about(about);
    }
    command = command.mut_args(|arg| chinese_arg(arg, path));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let Some(inner) = built.find_subcommand_mut(&name) else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        let mut inner = inner.clone();
        command = command.mut_subcommand(&name, |sub| chinese(sub, &mut inner, &path));
    }
    command
}

/// Clap's own words in a usage line.
fn chinese_usage(usage: &str) -> String {
    usage.replace("[OPTIONS]", "[选项]").replace("<COMMAND>", "<命令>")
}

fn chinese_arg(arg: Arg, path: &str) -> Arg {
    let positional = arg.is_positional();
    let id = arg.get_id().as_str().to_owned();
    let text = zh::help(path, &id).unwrap_or_default();
    let mut text = text.to_owned();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes_value {
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() {
            text.push_str(&format!(" [默认：{}]", defaults.join(" ")));
        }
        let possible = arg.get_possible_values();
        if !possible.is_empty() && !arg.is_hide_possible_values_set() {
            let names: Vec<_> = possible.iter().map(|value| value.get_name()).collect();
            text.push_str(&format!(" [可选值：{}]", names.join("、")));
        }
    }
    let mut arg = arg.help(text).hide_default_value(true).hide_possible_values(true);
    arg = arg.long_help(None::<&str>);
    if arg.get_help_heading().is_none() {
        arg.help_heading(if positional { "参数" } else { "选项" })
    } else {
        arg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &Command, path: &str, seen: &mut Vec<(String, Option<String>)>) {
        seen.push((path.to_owned(), None));
        for arg in command.get_arguments() {
            seen.push((path.to_owned(), Some(arg.get_id().to_string())));
        }
        for sub in command.get_subcommands() {
            let path = if path.is_empty() {
                sub.get_name().to_owned()
            } else {
                format!("{path} {}", sub.get_name())
            };
            walk(sub, &path, seen);
        }
    }

    #[test]
    fn every_command_and_argument_has_both_texts() {
        let command = Cli::command();
        let mut seen = Vec::new();
        walk(&command, "", &mut seen);
        let mut missing = Vec::new();
        for (path, arg) in &seen {
            let found = match arg {
                None => zh::about(path).is_some(),
                Some(arg) => zh::help(path, arg).is_some(),
            };
            if !found {
                missing.push(format!("{path} / {}", arg.as_deref().unwrap_or("about")));
            }
        }
        assert!(missing.is_empty(), "no Chinese text for: {missing:#?}");
        fn english(command: &Command, path: &str, missing: &mut Vec<String>) {
            if command.get_about().is_none() {
                missing.push(path.to_owned());
            }
            for arg in command.get_arguments() {
                if arg.get_help().is_none() {
                    missing.push(format!("{path} {}", arg.get_id()));
                }
            }
            for sub in command.get_subcommands() {
                english(sub, &format!("{path} {}", sub.get_name()), missing);
            }
        }
        english(&command, "rixin", &mut missing);
        assert!(missing.is_empty(), "no English text for: {missing:#?}");
    }

    #[test]
    fn the_table_has_nothing_left_over() {
        let mut seen = Vec::new();
        walk(&Cli::command(), "", &mut seen);
        for (path, arg, _) in zh::TABLE {
            let known = match *arg {
                "" => seen.iter().any(|(p, a)| p == path && a.is_none()),
                arg if *path == "*" => seen.iter().any(|(_, a)| a.as_deref() == Some(arg)),
                arg => seen.iter().any(|(p, a)| p == path && a.as_deref() == Some(arg)),
            };
            assert!(known, "{path} {arg} is not on the command line any more");
        }
    }

    #[test]
    fn both_trees_are_sound() {
        command(Lang::En).debug_assert();
        command(Lang::Zh).debug_assert();
    }

    #[test]
    fn the_flag_decides_the_language_before_parsing() {
        let args = |list: &[&str]| list.iter().map(Into::into).collect::<Vec<std::ffi::OsString>>();
        let env = |name: &str| (name == "LANG").then(|| "zh_CN.UTF-8".to_owned());
        assert_eq!(early_lang(&args(&["rixin", "--lang=en"]), &env), Lang::En);
        assert_eq!(early_lang(&args(&["rixin", "--lang", "auto"]), &env), Lang::Zh);
        assert_eq!(early_lang(&args(&["rixin", "chat", "--", "--lang=en"]), &env), Lang::Zh);
        assert_eq!(early_lang(&args(&["rixin", "--lang"]), &|_| None), Lang::En);
    }
}
