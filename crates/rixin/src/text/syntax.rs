//! Errors of the command line's syntax, in both languages.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use rixin_base::Message;

/// The message of a syntax error, without its `error:`; in English clap's own words.
pub fn syntax_error(error: &Error) -> Message {
    Message::new(english(error), chinese(error))
}

fn english(error: &Error) -> String {
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

fn value(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join("、")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::StyledStrs(texts) => {
            Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>().join("；"))
        }
        ContextValue::Number(number) => Some(number.to_string()),
        ContextValue::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn chinese(error: &Error) -> String {
    let get = |kind| value(error, kind).unwrap_or_default();
    let arg = get(ContextKind::InvalidArg);
    let mut text = match error.kind() {
        ErrorKind::InvalidValue => {
            let given = get(ContextKind::InvalidValue);
            if given.is_empty() {
                format!("'{arg}' 需要一个值，但没有给出")
            } else {
                format!("'{arg}' 的值 '{given}' 无效")
            }
        }
        ErrorKind::UnknownArgument => format!("没有参数 '{arg}'"),
        ErrorKind::InvalidSubcommand => format!("没有命令 '{}'", get(ContextKind::InvalidSubcommand)),
        ErrorKind::NoEquals => format!("给 '{arg}' 赋值时需要等号"),
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("'{arg}' 的值 '{}' 无效：{why}", get(ContextKind::InvalidValue))
        }
        ErrorKind::TooManyValues => format!("'{arg}' 不能再有值 '{}'", get(ContextKind::InvalidValue)),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => format!("'{arg}' 的值的个数不对"),
        ErrorKind::ArgumentConflict => {
            let prior = get(ContextKind::PriorArg);
            if prior.is_empty() || prior == arg {
                format!("参数 '{arg}' 只能出现一次")
            } else {
                format!("参数 '{arg}' 不能与 '{prior}' 同时使用")
            }
        }
        ErrorKind::MissingRequiredArgument => format!("缺少必需的参数：{arg}"),
        ErrorKind::MissingSubcommand => "缺少命令".to_owned(),
        ErrorKind::InvalidUtf8 => "参数中有无效的 UTF-8".to_owned(),
        _ => english(error),
    };
    if let Some(valid) = value(error, ContextKind::ValidValue).filter(|text| !text.is_empty()) {
        text.push_str(&format!("\n  可选值：{valid}"));
    }
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue] {
        if let Some(near) = value(error, kind).filter(|text| !text.is_empty()) {
            text.push_str(&format!("\n  您是否想写 '{near}'？"));
        }
    }
    if let Some(usage) = value(error, ContextKind::Usage) {
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        text.push_str(&format!("\n\n用法：{}", super::chinese_usage(usage.trim_end())));
    }
    text.push_str("\n\n加上 '--help' 可查看说明。");
    text
}

/// Whether clap only wants to show something: help or the version.
pub fn is_display(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

#[cfg(test)]
mod tests {
    use rixin_base::Lang;

    use super::*;

    fn zh(args: &[&str]) -> String {
        let error = crate::text::command(Lang::Zh).try_get_matches_from(args).expect_err("wrong on purpose");
        syntax_error(&error).zh
    }

    #[test]
    fn chinese_errors_hold_no_english_sentence() {
        for args in [
            &["rixin", "--no-such"][..],
            &["rixin", "srve"],
            &["rixin", "--lang", "fr", "version"],
            &["rixin", "serve", "--port", "x"],
            &["rixin", "models", "pull"],
            &["rixin", "keys", "create", "a", "--role", "king"],
            &["rixin", "serve", "--listen", "127.0.0.1:1", "--port", "2"],
        ] {
            let text = zh(args);
            for word in ["error", "Usage", "tip", "help'.", "possible", "unexpected", "[OPTIONS]"] {
                assert!(!text.contains(word), "{args:?}: {text}");
            }
            assert!(text.contains('：') || text.contains('有'), "{text}");
        }
    }

    #[test]
    fn a_near_name_is_offered() {
        assert!(zh(&["rixin", "srve"]).contains("'serve'"));
    }
}
