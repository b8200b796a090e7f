//! A chat request made into a prompt: messages, tools, form of the answer, and what is left out where it is too long.

use rixin_base::{Code, Fault};
use rixin_chat::{
    Overflow, SpecialTokens, Token,
    grammar::ValidGrammar,
    template::{Call, ChatTemplate, Message},
    tools::{self, Choice, ParserOptions, ToolPlan, ToolSpec},
};
use rixin_protocol::{
    chat::{ChatMessage, ChatRequest, ResponseFormat, ToolChoice, ToolMode, Truncation},
    parse::out_of_range,
};
use serde_json::{Map, Value as Json, json};

use crate::server::App;

/// What the engine and the reader of its text need.
pub(crate) struct ChatPrompt {
    pub tokens: Vec<Token>,
    pub grammar: Option<ValidGrammar>,
    pub parser: ParserOptions,
    /// Show special tokens in the text, because calls are marked by them.
    pub special: bool,
    /// Ids of calls have nine letters and digits.
    pub short_ids: bool,
    /// The grammar is the user's: watch it for ambiguity.
    pub watched: bool,
    pub overflow: Overflow,
}

/// A prompt as text and as tokens.
type Rendered = (String, Vec<Token>);

/// Names that a template's own variables have.
const RESERVED: [&str; 4] = ["messages", "tools", "add_generation_prompt", "documents"];

/// Makes the prompt.
///
/// # Errors
/// Content that the model can't read, a template that refuses, a schema or grammar that can't be used.
pub(crate) fn build(app: &App, request: &ChatRequest) -> Result<ChatPrompt, Fault> {
    let template = app.template.as_ref().map_err(|error| Fault::from(error.clone()))?;
    let plan = plan(template, request);
    let mut messages = messages(&request.messages)?;
    plan.add_note(&mut messages);
    let kwargs: Map<String, Json> = request
        .chat_template_kwargs
        .iter()
        .flatten()
        .filter(|(name, _)| !RESERVED.contains(&name.as_str()) && !name.starts_with("__"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let tokenize = |prompt: &str| {
        let info = app.engine.info();
        // A template writes the begin token, and the tokenizer would add another.
        let text = match prompt.strip_prefix(info.bos_text.as_str()) {
            Some(rest) if info.adds_bos && !info.bos_text.is_empty() => rest,
            _ => prompt,
        };
        app.engine.tokenize(text, SpecialTokens::PROMPT)
    };
    let render = |messages: &[Message]| -> Result<Rendered, Fault> {
        let prompt = template.prompt(messages, &plan.shown, &kwargs)?;
        let tokens = tokenize(&prompt);
        Ok((prompt, tokens))
    };
    let (mut prompt, mut tokens) = render(&messages)?;
    if request.truncation == Some(Truncation::Auto) {
        let context = app.engine.info().context_length as usize;
        let quarter = (context / 4).max(1);
        let room = request.answer_limit().map_or(quarter, |limit| (limit as usize).min(quarter));
        if tokens.len() + room > context {
            (prompt, tokens) = shorten(&messages, context.saturating_sub(room), &render)?;
        }
    }
    let (grammar, watched) = form(request, &plan, template, &prompt)?;
    Ok(ChatPrompt {
        tokens,
        grammar,
        parser: plan.parser(&prompt),
        special: plan.special,
        short_ids: plan.short_ids,
        watched,
        overflow: Overflow::Refuse,
    })
}

/// Leaves out the oldest turns, whole, until the rest fits; system messages and the last turn stay.
fn shorten(
    messages: &[Message],
    most_tokens: usize,
    render: &dyn Fn(&[Message]) -> Result<Rendered, Fault>,
) -> Result<Rendered, Fault> {
    let is_system = |message: &Message| matches!(message.role.as_str(), "system" | "developer");
    // A turn starts with the user's words: calls and their results stay together.
    let turns: Vec<usize> = (1..messages.len())
        .filter(|&i| messages[i].role == "user" && messages[..i].iter().any(|m| !is_system(m)))
        .collect();
    let without = |cut: usize| -> Vec<Message> {
        messages
            .iter()
            .enumerate()
            .filter(|(i, m)| *i >= cut || is_system(m))
            .map(|(_, m)| m.clone())
            .collect()
    };
    // The fewest turns to leave out, by halving: each try renders and tokenizes once.
    let (mut low, mut high) = (0, turns.len());
    while low < high {
        let middle = (low + high) / 2;
        if render(&without(turns[middle]))?.1.len() <= most_tokens {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    match turns.get(low).or(turns.last()) {
        Some(&cut) => render(&without(cut)),
        None => render(messages),
    }
}

fn messages(list: &[ChatMessage]) -> Result<Vec<Message>, Fault> {
    let mut out = Vec::with_capacity(list.len());
    for (i, message) in list.iter().enumerate() {
        let content = match &message.content {
            None => String::new(),
            Some(content) => content.text().map_err(|kind| foreign_part(i, kind))?,
        };
        let calls = message.tool_calls.iter().flatten().map(|call| Call {
            id: call.id.clone().unwrap_or_default(),
            name: call.function.name.clone().unwrap_or_default(),
            arguments: call.function.arguments.clone(),
        });
        out.push(Message {
            role: message.role.as_str().to_owned(),
            content,
            calls: calls.collect(),
            call_id: message.tool_call_id.clone(),
            name: message.name.clone(),
            reasoning: message.reasoning_content.clone(),
        });
    }
    Ok(out)
}

fn foreign_part(i: usize, kind: &str) -> Fault {
    let kind: String = kind.chars().take(40).collect();
    Fault::new(
        Code::Unsupported,
        format!("this model reads text only: message {i} has a part of the type {kind:?}: leave it out or choose another model"),
        format!("该模型只能读取文本：第 {i} 条消息含有类型为 {kind:?} 的内容。请去掉该内容或换用其他模型"),
    )
    .with_param(format!("messages[{i}].content"))
}

fn plan(template: &ChatTemplate, request: &ChatRequest) -> ToolPlan {
    let specs = request.tools.iter().flatten().map(|tool| ToolSpec {
        name: tool.function.name.clone(),
        description: tool.function.description.clone(),
        parameters: tool.function.parameters.clone(),
    });
    let choice = match &request.tool_choice {
        None | Some(ToolChoice::Mode(ToolMode::Auto)) => Choice::Auto,
        Some(ToolChoice::Mode(ToolMode::None)) => Choice::None,
        Some(ToolChoice::Mode(ToolMode::Required)) => Choice::Required,
        Some(ToolChoice::Function(named)) => Choice::Function(named.function.name.clone()),
    };
    // A model that was not trained on tools repeats a call until it is stopped: it gets one unless several are asked for.
    let several = request.parallel_tool_calls.unwrap_or(template.caps().tools)
        && !matches!(choice, Choice::Function(_));
    tools::plan(template, specs.collect(), choice, several)
}

/// The grammar of the answer, and whether it is the user's.
fn form(
    request: &ChatRequest,
    plan: &ToolPlan,
    template: &ChatTemplate,
    prompt: &str,
) -> Result<(Option<ValidGrammar>, bool), Fault> {
    let calls_possible = request.tools.as_ref().is_some_and(|tools| !tools.is_empty())
        && request.tool_choice != Some(ToolChoice::Mode(ToolMode::None));
    let schema = match &request.response_format {
        Some(ResponseFormat::JsonObject { schema }) => {
            Some(schema.clone().unwrap_or_else(|| json!({"type": "object"})))
        }
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            Some(json_schema.schema.clone().unwrap_or_else(|| json!({"type": "object"})))
        }
        Some(ResponseFormat::Text) | None => None,
    };
    if calls_possible && (schema.is_some() || request.grammar.is_some()) {
        let field = if schema.is_some() { "response_format" } else { "grammar" };
        return Err(out_of_range(
            field,
            "it excludes 'tools': an answer that is bound to a form has no place for calls; set \"tool_choice\": \"none\" or leave one out",
            "不能与 'tools' 同用：受格式约束的回答无法包含工具调用；请设置 \"tool_choice\": \"none\" 或去掉其一",
        ));
    }
    if let Some(schema) = schema {
        let grammar = tools::schema_after_thinking(&schema, template.caps().thinks, prompt)
            .map_err(|error| Fault::from(error).with_param("response_format"))?;
        return Ok((Some(grammar), true));
    }
    if let Some(source) = &request.grammar {
        let grammar = ValidGrammar::gbnf(source).map_err(|error| Fault::from(error).with_param("grammar"))?;
        return Ok((Some(grammar), true));
    }
    let grammar = plan.grammar(prompt).map_err(|error| Fault::from(error).with_param("tools"))?;
    Ok((grammar, false))
}
