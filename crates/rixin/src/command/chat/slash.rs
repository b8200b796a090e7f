//! The commands of a talk, such as `/set temperature 0.2`.

use rixin_base::Lang;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slash {
    /// What there is.
    Help,
    /// Show, set or (with `-`) remove the instructions.
    System(Option<String>),
    /// Show or change the model.
    Model(Option<String>),
    /// List what can be asked.
    Models,
    /// Change a parameter.
    Set(String, String),
    /// Show the parameters.
    Params,
    /// Forget what was said.
    Clear,
    /// Ask the last question again.
    Retry,
    /// Write the talk to a file.
    Save(String),
    /// Read a talk from a file.
    Load(String),
    /// Tokens of the last answer.
    Tokens,
    /// Show what was said.
    History,
    /// End.
    Exit,
    /// Something that does not exist, or lacks its value.
    Unknown(String),
}

/// Name, value, English, Chinese.
pub const TABLE: &[(&str, &str, &str, &str)] = &[
    ("/help", "", "this list", "显示本列表"),
    ("/model", "[NAME]", "show or change the model", "查看或切换模型"),
    ("/models", "", "models that can be asked", "列出可用的模型"),
    ("/system", "[TEXT|-]", "show, set or remove the instructions", "查看、设置或清除系统提示"),
    (
        "/set",
        "NAME VALUE",
        "change a parameter: /set temperature 0.2 (or default)",
        "修改参数：/set temperature 0.2（或 default）",
    ),
    ("/params", "", "show the parameters", "查看参数"),
    ("/retry", "", "ask the last question again", "重新回答上一个问题"),
    ("/clear", "", "forget what was said", "清空对话"),
    ("/history", "", "show what was said", "查看对话内容"),
    ("/tokens", "", "tokens of the last answer", "上一次回答的词元数"),
    ("/save", "FILE", "write the talk: .md as Markdown, else JSON", "保存对话：.md 为 Markdown，否则为 JSON"),
    ("/load", "FILE", "read a talk that was saved as JSON", "读取以 JSON 保存的对话"),
    ("/exit", "", "end (also /quit, Ctrl-D)", "退出（也可用 /quit 或 Ctrl-D）"),
];

/// Reads a line that starts with a slash; `None` for one that does not. `//` starts a message with a slash.
pub fn parse(line: &str) -> Option<Slash> {
    let line = line.trim();
    if !line.starts_with('/') || line.starts_with("//") {
        return None;
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let given = || (!rest.is_empty()).then(|| rest.to_owned());
    let unknown = || Slash::Unknown(line.to_owned());
    Some(match name {
        "/help" | "/?" => Slash::Help,
        "/system" => Slash::System(given()),
        "/model" => Slash::Model(given()),
        "/models" => Slash::Models,
        "/set" => match rest.split_once(|c: char| c.is_whitespace() || c == '=') {
            Some((name, value)) if !value.trim().is_empty() => {
                Slash::Set(name.trim().into(), value.trim().into())
            }
            _ => unknown(),
        },
        "/params" => Slash::Params,
        "/clear" => Slash::Clear,
        "/retry" => Slash::Retry,
        "/save" => given().map_or_else(unknown, Slash::Save),
        "/load" => given().map_or_else(unknown, Slash::Load),
        "/tokens" => Slash::Tokens,
        "/history" => Slash::History,
        "/exit" | "/quit" | "/bye" => Slash::Exit,
        _ => unknown(),
    })
}

/// What `/help` prints.
pub fn help(lang: Lang) -> String {
    let mut text = String::new();
    for (name, value, en, zh) in TABLE {
        let left = if value.is_empty() { (*name).to_owned() } else { format!("{name} {value}") };
        text.push_str(&format!("  {left:<18} {}\n", lang.pick(en, zh)));
    }
    text.push_str(lang.pick(
        "  A line that ends in \\ goes on in the next one; // starts a message with a slash. Ctrl-C stops an answer.\n",
        "  行末加 \\ 可续行；以 // 开头可发送以斜杠开头的消息；Ctrl-C 停止回答。\n",
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(parse("hello /set"), None);
        assert_eq!(parse("//etc is a path"), None);
        assert_eq!(parse(" /set temperature 0.2 "), Some(Slash::Set("temperature".into(), "0.2".into())));
        assert_eq!(parse("/set temperature=0.2"), Some(Slash::Set("temperature".into(), "0.2".into())));
        assert_eq!(parse("/system 请用中文 回答"), Some(Slash::System(Some("请用中文 回答".into()))));
        assert_eq!(parse("/model"), Some(Slash::Model(None)));
        assert_eq!(parse("/save"), Some(Slash::Unknown("/save".into())));
        assert_eq!(parse("/nope x"), Some(Slash::Unknown("/nope x".into())));
    }

    #[test]
    fn every_listed_command_exists() {
        for (name, value, ..) in TABLE {
            let line = if value.is_empty() { (*name).to_owned() } else { format!("{name} a b") };
            assert!(!matches!(parse(&line), Some(Slash::Unknown(_)) | None), "{name}");
        }
    }
}
