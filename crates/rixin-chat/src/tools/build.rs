//! What a request with tools needs: what the template shows, the grammar that makes calls valid, and how the answer is read.

use serde_json::Value as Json;

use super::{Format, ParserOptions, ToolSpec, instructions};
use crate::{
    grammar::{GrammarError, ValidGrammar, literal, prefixed, schema_rules},
    template::{ChatTemplate, Message},
};

/// Most calls that a grammar lets one answer have, less one.
const MORE_CALLS: usize = 7;

/// Whether and what the model is to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Nothing.
    None,
    /// What it wants.
    #[default]
    Auto,
    /// At least one function.
    Required,
    /// This function.
    Function(String),
}

/// How tools are handled in one request.
#[derive(Clone, Debug)]
pub struct ToolPlan {
    format: Format,
    tools: Vec<ToolSpec>,
    choice: Choice,
    parallel: bool,
    thinks: bool,
    /// What the template is given as `tools`; empty where it knows none.
    pub shown: Vec<Json>,
    /// What stands in the system prompt instead.
    pub note: Option<String>,
    /// Ids of calls have nine letters and digits.
    pub short_ids: bool,
    /// The engine must show special tokens in its text.
    pub special: bool,
}

/// Plans a request with tools.
pub fn plan(template: &ChatTemplate, tools: Vec<ToolSpec>, choice: Choice, parallel: bool) -> ToolPlan {
    let caps = template.caps();
    let active = !tools.is_empty() && choice != Choice::None;
    let format = if caps.tools { Format::detect(template.source()) } else { Format::Generic };
    let list: Vec<Json> = if active { tools.iter().map(ToolSpec::to_json).collect() } else { Vec::new() };
    let note = (active && !caps.tools).then(|| instructions(&list, parallel));
    ToolPlan {
        format,
        tools: if active { tools } else { Vec::new() },
        choice,
        parallel: parallel && format != Format::Llama3,
        thinks: caps.thinks,
        shown: if caps.tools { list } else { Vec::new() },
        note,
        short_ids: caps.short_ids,
        special: active && format.needs_special(),
    }
}

impl ToolPlan {
    /// Puts the note into the messages: after the system prompt, or as one.
    pub fn add_note(&self, messages: &mut Vec<Message>) {
        let Some(note) = &self.note else { return };
        match messages.first_mut() {
            Some(first) if matches!(first.role.as_str(), "system" | "developer") => {
                first.content.push_str("\n\n");
                first.content.push_str(note);
            }
            _ => messages.insert(0, Message::new("system", note.as_str())),
        }
    }

    /// How the answer to this prompt is read.
    pub fn parser(&self, prompt: &str) -> ParserOptions {
        ParserOptions {
            format: (!self.tools.is_empty()).then_some(self.format),
            functions: self.tools.iter().map(|tool| (tool.name.clone(), text_parameters(tool))).collect(),
            reasoning: self.thinks,
            in_reasoning: in_reasoning(prompt),
            single: !self.parallel,
        }
    }

    /// The grammar of the answer to this prompt: from the start where a call is demanded, from the mark of a call on where it is free.
    ///
    /// # Errors
    /// A schema of a demanded function that has no grammar. Where calls are free, such a schema means: no grammar.
    pub fn grammar(&self, prompt: &str) -> Result<Option<ValidGrammar>, GrammarError> {
        if self.tools.is_empty() {
            return Ok(None);
        }
        let demanded = match &self.choice {
            Choice::None => return Ok(None),
            Choice::Auto => None,
            Choice::Required => Some(self.tools.iter().collect::<Vec<_>>()),
            Choice::Function(name) => Some(self.tools.iter().filter(|tool| tool.name == *name).collect()),
        };
        let Some(tools) = demanded else {
            let tools: Vec<&ToolSpec> = self.tools.iter().collect();
            let grammar = self.rules(&tools, "").and_then(|rules| ValidGrammar::gbnf(&rules));
            let triggers = match self.format.opening() {
                Some(mark) => vec![mark.to_owned()],
                None => self
                    .tools
                    .iter()
                    .map(|tool| format!("{{\"name\": {}", Json::from(tool.name.as_str())))
                    .collect(),
            };
            return Ok(match grammar {
                Ok(grammar) => Some(grammar.lazy(triggers)),
                Err(error) => {
                    tracing::debug!(%error, "tools without a grammar");
                    None
                }
            });
        };
        let before = thinking(self.thinks, in_reasoning(prompt));
        ValidGrammar::gbnf(&self.rules(&tools, before)?).map(Some)
    }

    fn rules(&self, tools: &[&ToolSpec], before: &str) -> Result<String, GrammarError> {
        let mut rules = String::new();
        let mut calls = Vec::new();
        for (i, tool) in tools.iter().enumerate() {
            let (call, more) = call_rule(self.format, tool, i)?;
            rules.push_str(&more);
            rules.push_str(&format!("call-{i} ::= {call}\n"));
            calls.push(format!("call-{i}"));
        }
        let call = calls.join(" | ");
        let more = if self.parallel { MORE_CALLS } else { 0 };
        let many = |open: &str, between: &str, close: &str| {
            let rest =
                if more == 0 { String::new() } else { format!("( {} call ){{0,{more}}} ", literal(between)) };
            format!("{} call {rest}{}", literal(open), literal(close))
        };
        let body = match self.format {
            Format::Hermes | Format::Generic => {
                many("<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>")
            }
            Format::Llama3 => "call".to_owned(),
            Format::Mistral => many("[TOOL_CALLS][", ", ", "]"),
            Format::MistralArgs => many("[TOOL_CALLS]", "[TOOL_CALLS]", ""),
            Format::DeepSeek | Format::DeepSeek31 => {
                many("<｜tool▁calls▁begin｜>", "\n", "<｜tool▁calls▁end｜>")
            }
            Format::Glm | Format::QwenXml => many("<tool_call>", "</tool_call>\n<tool_call>", "</tool_call>"),
        };
        Ok(format!("root ::= {before}{body}\n{THINK_RULES}call ::= {call}\n{rules}"))
    }
}

const THINK_RULES: &str = "think ::= ( [^<] | \"<\" [^/] )* \"</think>\" [ \\n]{0,4}\n";

/// The part of a root rule that lets a model finish its thinking first.
fn thinking(thinks: bool, inside: bool) -> &'static str {
    match (thinks, inside) {
        (true, true) => "think ",
        (true, false) => "( \"<think>\" think )? ",
        _ => "",
    }
}

/// A grammar for the answer alone, behind the thinking that the prompt began.
///
/// # Errors
/// As [`schema_rules`].
pub fn schema_after_thinking(
    schema: &Json,
    thinks: bool,
    prompt: &str,
) -> Result<ValidGrammar, GrammarError> {
    if !(thinks && in_reasoning(prompt)) {
        return ValidGrammar::json_schema(schema);
    }
    let rules = prefixed(&schema_rules(schema)?, "a-");
    ValidGrammar::gbnf(&format!("root ::= think a-root\n{THINK_RULES}{rules}"))
}

/// Whether a prompt ends inside `<think>`.
pub fn in_reasoning(prompt: &str) -> bool {
    prompt.trim_end().ends_with("<think>")
}

fn properties(tool: &ToolSpec) -> Vec<(&String, &Json, bool)> {
    let Some(parameters) = &tool.parameters else { return Vec::new() };
    let required: Vec<&str> =
        parameters["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    parameters["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name, schema, required.contains(&name.as_str())))
        .collect()
}

fn is_text(schema: &Json) -> bool {
    schema["type"] == "string"
        || schema["enum"].as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Json::is_string))
}

fn text_parameters(tool: &ToolSpec) -> Vec<String> {
    properties(tool)
        .into_iter()
        .filter(|(_, schema, _)| is_text(schema))
        .map(|(name, ..)| name.clone())
        .collect()
}

/// The right side of a call's rule, and the rules that it needs.
fn call_rule(format: Format, tool: &ToolSpec, i: usize) -> Result<(String, String), GrammarError> {
    if matches!(format, Format::Glm | Format::QwenXml) {
        return tagged_rule(format, tool, i);
    }
    let rules = prefixed(&schema_rules(&tool.schema())?, &format!("t{i}-"));
    let arguments = format!("t{i}-root");
    let name = Json::from(tool.name.as_str());
    let call = match format {
        Format::Llama3 => {
            format!("{} {arguments} \"}}\"", literal(&format!("{{\"name\": {name}, \"parameters\": ")))
        }
        Format::Mistral => format!(
            "{} {arguments} {} [a-zA-Z0-9]{{9}} {}",
            literal(&format!("{{\"name\": {name}, \"arguments\": ")),
            literal(", \"id\": \""),
            literal("\"}")
        ),
        Format::MistralArgs => format!("{} {arguments}", literal(&format!("{}[ARGS]", tool.name))),
        Format::DeepSeek => format!(
            "{} {arguments} {}",
            literal(&format!("<｜tool▁call▁begin｜>function<｜tool▁sep｜>{}\n```json\n", tool.name)),
            literal("\n```<｜tool▁call▁end｜>")
        ),
        Format::DeepSeek31 => format!(
            "{} {arguments} {}",
            literal(&format!("<｜tool▁call▁begin｜>{}<｜tool▁sep｜>", tool.name)),
            literal("<｜tool▁call▁end｜>")
        ),
        _ => format!("{} {arguments} \"}}\"", literal(&format!("{{\"name\": {name}, \"arguments\": "))),
    };
    Ok((call, rules))
}

/// Parameters in the schema's order, each in its tags.
fn tagged_rule(format: Format, tool: &ToolSpec, i: usize) -> Result<(String, String), GrammarError> {
    let glm = format == Format::Glm;
    let mut rules = String::new();
    let mut call =
        literal(&if glm { format!("{}\n", tool.name) } else { format!("\n<function={}>\n", tool.name) });
    for (p, (name, schema, required)) in properties(tool).into_iter().enumerate() {
        let value = match schema["enum"].as_array() {
            Some(list) if is_text(schema) => {
                let words: Vec<String> = list.iter().filter_map(Json::as_str).map(literal).collect();
                format!("( {} )", words.join(" | "))
            }
            _ if is_text(schema) => "( [^<] | \"<\" [^/] )*".to_owned(),
            _ => {
                let prefix = format!("t{i}-p{p}-");
                rules.push_str(&prefixed(&schema_rules(&with_definitions(schema, tool))?, &prefix));
                format!("{prefix}root")
            }
        };
        let (open, close) = if glm {
            (format!("<arg_key>{name}</arg_key>\n<arg_value>"), "</arg_value>\n")
        } else {
            (format!("<parameter={name}>\n"), "\n</parameter>\n")
        };
        let pair = format!("{} {value} {}", literal(&open), literal(close));
        call.push_str(&if required { format!(" {pair}") } else { format!(" ( {pair} )?") });
    }
    if !glm {
        call.push_str(" \"</function>\\n\"");
    }
    Ok((call, rules))
}

/// A parameter's schema with the definitions that its references mean.
fn with_definitions(schema: &Json, tool: &ToolSpec) -> Json {
    let mut schema = schema.clone();
    for key in ["$defs", "definitions"] {
        let definitions = tool.parameters.as_ref().and_then(|p| p.get(key));
        if let (Some(definitions), Some(map)) = (definitions, schema.as_object_mut()) {
            map.insert(key.to_owned(), definitions.clone());
        }
    }
    schema
}
