//! What templates expect of Python: `json.dumps` behind `tojson`, and methods of strings that minijinja lacks.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Rest, ValueKind},
};

/// `str.removeprefix` and `str.removesuffix` besides those of minijinja-contrib.
pub(super) fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let (Some(text), [part]) = (value.as_str(), args) {
        let part = part.as_str().unwrap_or_default();
        match name {
            "removeprefix" => return Ok(Value::from(text.strip_prefix(part).unwrap_or(text))),
            "removesuffix" => return Ok(Value::from(text.strip_suffix(part).unwrap_or(text))),
            _ => {}
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// transformers' `tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`: `json.dumps` without HTML escapes.
pub(super) fn tojson(
    state: &State,
    value: &Value,
    rest: Rest<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let get = |name: &str| kwargs.get::<Option<Value>>(name).ok().flatten().filter(|v| !v.is_none());
    let ascii = rest.first().cloned().or_else(|| get("ensure_ascii")).is_some_and(|v| v.is_true());
    let indent = rest.get(1).cloned().or_else(|| get("indent")).filter(|v| !v.is_none());
    let indent = indent.map(|v| match v.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(v.as_usize().unwrap_or(0).min(32)),
    });
    let separators = rest.get(2).cloned().or_else(|| get("separators")).filter(|v| !v.is_none());
    let part = |i| {
        separators
            .as_ref()
            .and_then(|s| s.get_item_by_index(i).ok())
            .and_then(|v| v.as_str().map(str::to_owned))
    };
    let sort = rest.get(3).cloned().or_else(|| get("sort_keys")).is_some_and(|v| v.is_true());
    kwargs.assert_all_used().or_else(|_| Ok::<(), Error>(()))?;
    let mut writer = Dump {
        out: String::new(),
        ascii,
        item: part(0).unwrap_or_else(|| if indent.is_some() { "," } else { ", " }.to_owned()),
        key: part(1).unwrap_or_else(|| ": ".to_owned()),
        indent,
        sort,
    };
    writer.value(value, 0)?;
    state.consume_fuel((writer.out.len() / 64) as u64)?;
    Ok(Value::from_safe_string(writer.out))
}

struct Dump {
    out: String,
    ascii: bool,
    item: String,
    key: String,
    indent: Option<String>,
    sort: bool,
}

impl Dump {
    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > 128 {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: nested too deep"));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let mut first = true;
                self.out.push('[');
                for item in value.try_iter()? {
                    self.separate(&mut first, depth + 1);
                    self.value(&item, depth + 1)?;
                }
                self.close(first, depth, ']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort {
                    keys.sort_by_key(Value::to_string);
                }
                let mut first = true;
                self.out.push('{');
                for key in keys {
                    self.separate(&mut first, depth + 1);
                    self.string(&key.to_string());
                    let colon = self.key.clone();
                    self.out.push_str(&colon);
                    self.value(&value.get_item(&key)?, depth + 1)?;
                }
                self.close(first, depth, '}');
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson: {kind} is not JSON serializable"),
                ));
            }
        }
        Ok(())
    }

    fn separate(&mut self, first: &mut bool, depth: usize) {
        if !std::mem::replace(first, false) {
            let item = self.item.clone();
            self.out.push_str(&item);
        }
        self.line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    /// Python writes a float by `repr`: exponents from 1e16 on and below 1e-4.
    fn number(&mut self, value: &Value) {
        let text = value.to_string();
        if value.is_integer() {
            return self.out.push_str(&text);
        }
        match f64::try_from(value.clone()) {
            Ok(f) if f.is_nan() => self.out.push_str("NaN"),
            Ok(f) if f.is_infinite() => self.out.push_str(if f > 0.0 { "Infinity" } else { "-Infinity" }),
            Ok(f) if f != 0.0 && !(1e-4..1e16).contains(&f.abs()) => {
                let text = format!("{f:e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let exponent: i32 = exponent.parse().unwrap_or(0);
                let sign = if exponent < 0 { '-' } else { '+' };
                self.out.push_str(&format!("{digits}e{sign}{:02}", exponent.abs()));
            }
            _ => self.out.push_str(&text),
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ascii && (c as u32) > 0x7e) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}
