//! Calls of functions: how a model writes them, how it is made to, and how they are read out of its text.
//!
//! A model's template shows the form that it was trained on. Where a template knows no tools at all (SmolLM2), the tools stand in the
//! system prompt with the request to answer in Hermes' form, which is the most common one.

mod build;
mod json_scan;
mod parser;
mod tagged;

use serde_json::{Value as Json, json};

use crate::template::Call;

pub use build::{Choice, ToolPlan, in_reasoning, plan, schema_after_thinking};
pub use parser::{Delta, Parser, ParserOptions};

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    pub parameters: Option<Json>,
}

impl ToolSpec {
    /// OpenAI's shape, as templates take it.
    pub fn to_json(&self) -> Json {
        let mut function = json!({"name": self.name});
        if let Some(description) = &self.description {
            function["description"] = description.as_str().into();
        }
        function["parameters"] =
            self.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        json!({"type": "function", "function": function})
    }

    fn schema(&self) -> Json {
        match &self.parameters {
            Some(Json::Object(map)) if !map.is_empty() => Json::Object(map.clone()),
            _ => json!({"type": "object", "properties": {}, "additionalProperties": false}),
        }
    }
}

/// The form in which a model writes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `<tool_call>{"name": .., "arguments": {..}}</tool_call>` (Hermes, Qwen).
    Hermes,
    /// `{"name": .., "parameters": {..}}`, perhaps after `<|python_tag|>` (Llama 3).
    Llama3,
    /// `[TOOL_CALLS][{"name": .., "arguments": {..}, "id": ".."}]` (Mistral).
    Mistral,
    /// `[TOOL_CALLS]name[ARGS]{..}` (Mistral since 2025).
    MistralArgs,
    /// `<｜tool▁calls▁begin｜>` and so on around `function`, the name and a fenced block of JSON (DeepSeek R1, V3).
    DeepSeek,
    /// The same tags around the name and plain JSON (DeepSeek V3.1).
    DeepSeek31,
    /// `<tool_call>name` with `<arg_key>` and `<arg_value>` (GLM 4.5).
    Glm,
    /// `<tool_call><function=name><parameter=key>` (Qwen3-Coder).
    QwenXml,
    /// Hermes' form, asked for in the system prompt.
    Generic,
}

impl Format {
    /// The form of a template.
    pub fn detect(template: &str) -> Self {
        let has = |text: &str| template.contains(text);
        if has("<arg_key>") {
            Self::Glm
        } else if has("<function=") && has("<parameter=") {
            Self::QwenXml
        } else if has("<｜tool▁calls▁begin｜>") {
            // R1 and V3 say `'<｜tool▁sep｜>' + name + '\n' + '```json'`.
            if has("```json") { Self::DeepSeek } else { Self::DeepSeek31 }
        } else if has("[TOOL_CALLS]") {
            if has("[ARGS]") { Self::MistralArgs } else { Self::Mistral }
        } else if has("<tool_call>") {
            Self::Hermes
        } else if has("<|python_tag|>") || (has("ipython") && has("parameters")) {
            Self::Llama3
        } else {
            Self::Generic
        }
    }

    /// The text that starts calls, where there is one.
    pub fn opening(self) -> Option<&'static str> {
        match self {
            Self::Hermes | Self::Glm | Self::QwenXml | Self::Generic => Some("<tool_call>"),
            Self::Mistral | Self::MistralArgs => Some("[TOOL_CALLS]"),
            Self::DeepSeek | Self::DeepSeek31 => Some("<｜tool▁calls▁begin｜>"),
            Self::Llama3 => None,
        }
    }

    /// Whether the marks may be special tokens, which an engine hides unless it is told to show them.
    pub fn needs_special(self) -> bool {
        !matches!(self, Self::Generic)
    }
}

/// The system prompt's part that tells a model without tools in its template about them.
pub fn instructions(tools: &[Json], parallel: bool) -> String {
    let list: Vec<String> = tools.iter().map(|tool| tool["function"].to_string()).collect();
    let many =
        if parallel { "For several calls write several such blocks." } else { "Write one block only." };
    format!(
        "You can call these functions (JSON, one a line):\n<tools>\n{}\n</tools>\n\
         To call a function, answer with nothing but its name and arguments as JSON inside <tool_call></tool_call>:\n\
         <tool_call>\n{{\"name\": \"function\", \"arguments\": {{\"argument\": \"value\"}}}}\n</tool_call>\n{many}",
        list.join("\n")
    )
}

/// Calls as a message's text, for templates that know none.
pub fn calls_as_text(content: &str, calls: &[Call]) -> String {
    let mut out = content.to_owned();
    for call in calls {
        if !out.is_empty() {
            out.push('\n');
        }
        let name = Json::from(call.name.as_str());
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
        out.push_str(&format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>"));
    }
    out
}

/// A function's result as the user's text, for templates that know none.
pub fn result_as_text(name: Option<&str>, content: &str) -> String {
    match name {
        Some(name) => format!("<tool_response name={}>\n{content}\n</tool_response>", Json::from(name)),
        None => format!("<tool_response>\n{content}\n</tool_response>"),
    }
}

/// Nine letters and digits made of a number.
pub fn short_id(mut number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    (0..9)
        .map(|_| {
            let digit = DIGITS[(number % 62) as usize] as char;
            number /= 62;
            digit
        })
        .collect()
}

/// An id for a new call, in the form that the model's template takes.
pub fn new_id(short: bool) -> String {
    if short { short_id(rand::random()) } else { format!("call_{:032x}", rand::random::<u128>()) }
}

#[cfg(test)]
mod tests;
