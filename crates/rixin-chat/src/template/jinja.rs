//! The Jinja environment of transformers: `ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)` with loop controls,
//! `raise_exception`, `strftime_now` and its own `tojson`.

use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value, syntax::SyntaxConfig, value::Rest};

use super::{TemplateError, python};

pub(super) const NAME: &str = "chat_template";
/// The variable that holds the time of a test.
pub(super) const NOW: &str = "__now";

/// minijinja's measure of work: an instruction is one, so are 64 bytes made. A long conversation takes some ten thousand.
const FUEL: u64 = 4_000_000;
/// Marks an error of `raise_exception`.
const RAISED: &str = "\u{1}raised\u{1}";

pub(super) fn environment(source: &str) -> Result<Environment<'static>, TemplateError> {
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    env.set_syntax(syntax.map_err(|e| TemplateError::Syntax { why: e.to_string() })?);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(python::method);
    env.add_filter("tojson", python::tojson);
    env.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{text}")))
    });
    env.add_function("strftime_now", strftime_now);
    env.add_template_owned(NAME, without_generation_tags(source)).map_err(|e| syntax_error(&e))?;
    Ok(env)
}

/// JSON as a template's value; the order of keys stays.
pub(super) fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => Value::from(signed),
            (None, Some(unsigned)) => Value::from(unsigned),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, item)| (key.as_str(), value(item)))),
    }
}

fn strftime_now(state: &State, format: &str, rest: Rest<Value>) -> Result<String, Error> {
    let _ = rest;
    let now = match state.lookup(NOW).as_ref().and_then(Value::as_str) {
        Some(fixed) => fixed.parse::<jiff::civil::DateTime>().ok(),
        None => None,
    };
    let now = now.unwrap_or_else(|| jiff::ZonedDateTime::now().datetime());
    jiff::fmt::strtime::format(format, now)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}")))
}

/// `{% generation %}` marks the assistant's words for training; minijinja lacks it, and here it means nothing.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let Some(len) = rest[at..].find("%}") else { break };
        let inner = &rest[at + 2..at + len];
        let (open, word) = inner.strip_prefix(['-', '+']).map_or(("", inner), |w| (&inner[..1], w));
        let (close, word) =
            word.strip_suffix(['-', '+']).map_or(("", word), |w| (&word[word.len() - 1..], w));
        out.push_str(&rest[..at]);
        match word.trim() {
            "generation" => out.push_str(&format!("{{%{open} if true {close}%}}")),
            "endgeneration" => out.push_str(&format!("{{%{open} endif {close}%}}")),
            _ => out.push_str(&rest[at..at + len + 2]),
        }
        rest = &rest[at + len + 2..];
    }
    out.push_str(rest);
    out
}

fn syntax_error(error: &Error) -> TemplateError {
    TemplateError::Syntax { why: sentence(error) }
}

fn sentence(error: &Error) -> String {
    let mut text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(line) = error.line() {
        text.push_str(&format!(" (line {line})"));
    }
    text
}

pub(super) fn explain(error: &Error) -> TemplateError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = cause {
        if let Some(inner) = current.downcast_ref::<Error>() {
            if inner.kind() == ErrorKind::OutOfFuel {
                return TemplateError::TooMuch;
            }
            if let Some(why) = inner.detail().and_then(|d| d.strip_prefix(RAISED)) {
                return TemplateError::Refused { why: why.to_owned() };
            }
        }
        cause = current.source();
    }
    TemplateError::Failed { why: sentence(error) }
}
