//! Small pieces of GBNF text.

/// A GBNF literal of a text.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Rules (of [`schema_rules`](super::schema_rules): one a line) in which each name has a prefix, so that several sets can stand in one
/// grammar.
pub fn prefixed(rules: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(rules.len() * 2);
    let mut chars = rules.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '[' | '{' => {
                let close = match c {
                    '[' => ']',
                    '{' => '}',
                    _ => '"',
                };
                out.push(c);
                while let Some(inner) = chars.next() {
                    out.push(inner);
                    if inner == '\\' {
                        out.extend(chars.next());
                    } else if inner == close {
                        break;
                    }
                }
            }
            c if c.is_ascii_alphanumeric() || c == '-' => {
                out.push_str(prefix);
                out.push(c);
                while let Some(next) = chars.next_if(|n| n.is_ascii_alphanumeric() || *n == '-') {
                    out.push(next);
                }
            }
            c => out.push(c),
        }
    }
    out
}
