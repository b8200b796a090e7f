//! Calls whose arguments stand in tags, one a parameter: GLM 4.5 and Qwen3-Coder.
//!
//! GLM: `<tool_call>name\n<arg_key>k</arg_key>\n<arg_value>v</arg_value>\n</tool_call>`;
//! Qwen: `<tool_call>\n<function=name>\n<parameter=k>\nv\n</parameter>\n</function>\n</tool_call>`.
//! A value is JSON, or bare text where the schema says that the parameter is a text (or where it is no JSON).

use serde_json::Value as Json;

/// Longest name of a function or a parameter, in bytes.
const MAX_NAME: usize = 256;

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaggedStep {
    /// More text is needed.
    Wait,
    /// The function's name is known.
    Start(String),
    /// A piece of the arguments.
    Arguments(String),
    /// The call is over, with the last piece.
    End(String),
    /// This is no call.
    Wrong,
}

struct Marks {
    key_open: &'static str,
    key_close: &'static str,
    value_open: &'static str,
    value_close: &'static str,
}

const GLM: Marks = Marks {
    key_open: "<arg_key>",
    key_close: "</arg_key>",
    value_open: "<arg_value>",
    value_close: "</arg_value>",
};
const QWEN: Marks =
    Marks { key_open: "<parameter=", key_close: ">", value_open: "", value_close: "</parameter>" };
const FUNCTION: &str = "<function=";
const FUNCTION_END: &str = "</function>";
const CALL_END: &str = "</tool_call>";

/// One call being read.
#[derive(Clone, Debug)]
pub(super) struct Tagged {
    glm: bool,
    name: Option<String>,
    arguments: usize,
}

impl Tagged {
    pub(super) fn new(glm: bool) -> Self {
        Self { glm, name: None, arguments: 0 }
    }

    pub(super) fn started(&self) -> bool {
        self.name.is_some()
    }

    /// Closes the arguments of a call that was cut off, so that what is complete can be read.
    pub(super) fn finish(&self) -> String {
        if self.arguments == 0 { "{}".into() } else { "}".into() }
    }

    pub(super) fn step(
        &mut self,
        buffer: &mut String,
        raw: &mut String,
        functions: &[(String, Vec<String>)],
    ) -> TaggedStep {
        let Some(name) = self.name.clone() else { return self.read_name(buffer, raw) };
        let marks = if self.glm { GLM } else { QWEN };
        let skipped = buffer.len() - buffer.trim_start().len();
        let rest = &buffer[skipped..];
        for end in [CALL_END, FUNCTION_END] {
            if rest.starts_with(end) {
                let used = skipped + end.len();
                buffer.drain(..used);
                if end == FUNCTION_END {
                    return TaggedStep::Arguments(String::new());
                }
                return TaggedStep::End(self.finish());
            }
        }
        if !rest.starts_with(marks.key_open) {
            let waits = [marks.key_open, CALL_END, FUNCTION_END].iter().any(|mark| mark.starts_with(rest));
            // Foreign text between the tags is skipped up to the next tag.
            if !waits {
                let next =
                    rest.char_indices().skip(1).find(|(_, c)| *c == '<').map_or(rest.len(), |(at, _)| at);
                let used = skipped + next;
                buffer.drain(..used);
                return TaggedStep::Arguments(String::new());
            }
            return TaggedStep::Wait;
        }
        let body = &rest[marks.key_open.len()..];
        let Some(key_end) = body.find(marks.key_close) else { return TaggedStep::Wait };
        let key = body[..key_end].trim().to_owned();
        let after_key = &body[key_end + marks.key_close.len()..];
        let Some(value_start) = after_key.find(marks.value_open) else { return TaggedStep::Wait };
        let value_at = value_start + marks.value_open.len();
        let Some(value_len) = after_key[value_at..].find(marks.value_close) else { return TaggedStep::Wait };
        let value = &after_key[value_at..value_at + value_len];
        let value = if self.glm {
            value
        } else {
            let value = value.strip_prefix('\n').unwrap_or(value);
            value.strip_suffix('\n').unwrap_or(value)
        };
        let is_text = functions.iter().any(|(known, texts)| *known == name && texts.contains(&key));
        let json = match serde_json::from_str::<Json>(value.trim()) {
            Ok(json) if !is_text => json,
            _ => Json::from(value),
        };
        let lead = if self.arguments == 0 { "{" } else { ", " };
        self.arguments += 1;
        let piece = format!("{lead}{}: {json}", Json::from(key));
        let used = buffer.len() - after_key.len() + value_at + value_len + marks.value_close.len();
        buffer.drain(..used);
        TaggedStep::Arguments(piece)
    }

    fn read_name(&mut self, buffer: &mut String, raw: &mut String) -> TaggedStep {
        let trimmed = buffer.trim_start();
        let skipped = buffer.len() - trimmed.len();
        let (start, end) = if self.glm {
            (0, trimmed.find(['\n', '<']).map(|at| (at, at)))
        } else if let Some(body) = trimmed.strip_prefix(FUNCTION) {
            (FUNCTION.len(), body.find('>').map(|at| (FUNCTION.len() + at, FUNCTION.len() + at + 1)))
        } else if FUNCTION.starts_with(trimmed) {
            return TaggedStep::Wait;
        } else {
            return TaggedStep::Wrong;
        };
        let Some((name_end, used)) = end else {
            return if trimmed.len() > MAX_NAME { TaggedStep::Wrong } else { TaggedStep::Wait };
        };
        let name = trimmed[start..name_end].trim().to_owned();
        if name.is_empty() || name.len() > MAX_NAME {
            return TaggedStep::Wrong;
        }
        let taken: String = buffer.drain(..skipped + used).collect();
        raw.push_str(&taken);
        self.name = Some(name.clone());
        TaggedStep::Start(name)
    }
}
