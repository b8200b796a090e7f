//! `/v1/completions`.

use axum::response::Response;
use bytes::Bytes;
use rixin_base::{Code, Fault};
use rixin_chat::{
    Engine, Event, GenerateRequest, Overflow, SpecialTokens, Token,
    grammar::{Matcher, ValidGrammar},
};
use rixin_protocol::{
    chat::Truncation,
    completion::{CompletionChoice, CompletionLogprobs, CompletionRequest, CompletionResponse, Prompt},
    parse::out_of_range,
    usage::Usage,
};

use crate::{
    choices::{Choices, finish_word},
    context::{RequestContext, json_reply},
    logprobs,
    sampling::sampling,
    server::{App, Shared, seconds},
    stream::{self, Chunks},
};

/// OpenAI's default.
const MAX_TOKENS: u32 = 16;

/// The prompts as tokens.
///
/// # Errors
/// An empty prompt, or a token that is not in the vocabulary; `param` names the field.
pub(crate) fn prompts(app: &App, prompt: &Prompt, param: &str) -> Result<Vec<Vec<Token>>, Fault> {
    let tokenize = |text: &String| app.engine.tokenize(text, SpecialTokens::PROMPT);
    let vocab = app.engine.info().vocab_size;
    let lists: Vec<Vec<Token>> = match prompt {
        Prompt::Text(text) => vec![tokenize(text)],
        Prompt::Texts(texts) => texts.iter().map(tokenize).collect(),
        Prompt::Tokens(tokens) => vec![tokens.iter().copied().map(Token).collect()],
        Prompt::TokenLists(lists) => {
            lists.iter().map(|tokens| tokens.iter().copied().map(Token).collect()).collect()
        }
    };
    for tokens in &lists {
        if tokens.is_empty() {
            return Err(out_of_range(param, "it is empty", "内容为空"));
        }
        if let Some(token) = tokens.iter().find(|token| token.0 >= vocab) {
            return Err(out_of_range(
                param,
                &format!(
                    "{} is no token of this model: they go from 0 to {}",
                    token.0,
                    vocab.saturating_sub(1)
                ),
                &format!("{} 不是该模型的 token：编号为 0 到 {}", token.0, vocab.saturating_sub(1)),
            ));
        }
    }
    Ok(lists)
}

/// The texts that stand before the continuations where `echo` asks for it.
fn echoes(app: &App, prompt: &Prompt, lists: &[Vec<Token>]) -> Vec<String> {
    match prompt {
        Prompt::Text(text) => vec![text.clone()],
        Prompt::Texts(texts) => texts.clone(),
        Prompt::Tokens(_) | Prompt::TokenLists(_) => {
            lists.iter().map(|tokens| app.engine.detokenize(tokens, false)).collect()
        }
    }
}

/// Answers a request.
///
/// # Errors
/// Everything that is wrong before the answer begins, and, where it is not streamed, until its end.
pub(crate) async fn answer(
    app: Shared,
    context: RequestContext,
    request: CompletionRequest,
) -> Result<Response, Fault> {
    request.check()?;
    app.check_model(&request.model)?;
    let echo = request.echo == Some(true);
    if echo && request.logprobs.is_some() {
        return Err(Fault::new(
            Code::Unsupported,
            "'echo' with 'logprobs' is not supported: log probabilities exist for the continuation only; leave one out",
            "不支持同时使用 'echo' 与 'logprobs'：对数概率只针对续写部分，请去掉其一",
        )
        .with_param("echo"));
    }
    let lists = prompts(&app, &request.prompt, "prompt")?;
    let copies = request.n.unwrap_or(1) as usize;
    let before = if echo { echoes(&app, &request.prompt, &lists) } else { vec![String::new(); lists.len()] };
    let grammar = request.grammar.as_deref().map(ValidGrammar::gbnf).transpose();
    let grammar = grammar.map_err(|error| Fault::from(error).with_param("grammar"))?;
    let sampling = sampling(&request.sampling, app.engine.info().vocab_size)?;
    let overflow = match request.truncation {
        Some(Truncation::Auto) => Overflow::Truncate { keep: usize::from(app.engine.info().adds_bos) },
        _ => Overflow::Refuse,
    };
    let requests = lists.into_iter().map(|prompt| GenerateRequest {
        prompt,
        sampling: sampling.clone(),
        stop: request.stop.as_ref().map(|stop| stop.list().to_vec()).unwrap_or_default(),
        max_tokens: Some(request.max_tokens.unwrap_or(MAX_TOKENS)),
        grammar: grammar.as_ref().map(ValidGrammar::to_request),
        logprobs: request.logprobs.map(|n| n as u8),
        special: false,
        fairness: context.fairness.clone(),
        deadline: context.deadline,
        overflow,
    });
    let mut choices = Choices::start(&app.engine, requests.collect(), copies)?;
    let readers = before.iter().flat_map(|before| {
        let matcher = grammar.as_ref().map(ValidGrammar::matcher);
        std::iter::repeat_n(Reader { offset: 0, matcher, before: before.clone() }, copies)
    });
    let mut writer = Writer {
        id: format!("cmpl-{}", uuid::Uuid::new_v4().simple()),
        created: seconds(),
        model: app.spec.model.to_string(),
        engine: app.engine.clone(),
        logprobs: request.logprobs.is_some(),
        include_usage: request.stream_options.is_some_and(|options| options.include_usage),
        readers: readers.collect(),
    };
    if request.stream == Some(true) {
        return stream::reply(choices, writer, context, app.patience).await;
    }
    let mut wholes: Vec<CompletionChoice> = writer.readers.iter().zip(0..).map(|(r, i)| r.empty(i)).collect();
    while let Some((index, event)) = choices.next().await {
        let piece = writer.piece(index, event?)?;
        let whole = &mut wholes[index];
        whole.text.push_str(&piece.text);
        whole.finish_reason = piece.finish_reason.or(whole.finish_reason.take());
        if let Some(more) = piece.logprobs {
            let all = whole.logprobs.get_or_insert_default();
            all.tokens.extend(more.tokens);
            all.token_logprobs.extend(more.token_logprobs);
            all.top_logprobs.extend(more.top_logprobs);
            all.text_offset.extend(more.text_offset);
        }
    }
    let usage = choices.usage();
    Ok(json_reply(&writer.response(wholes, Some(usage))))
}

#[derive(Clone)]
struct Reader {
    offset: u32,
    matcher: Option<Matcher>,
    before: String,
}

impl Reader {
    fn empty(&self, index: u32) -> CompletionChoice {
        CompletionChoice { text: self.before.clone(), index, finish_reason: None, logprobs: None }
    }
}

struct Writer {
    id: String,
    created: u64,
    model: String,
    engine: Engine,
    logprobs: bool,
    include_usage: bool,
    readers: Vec<Reader>,
}

impl Writer {
    fn response(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> CompletionResponse {
        CompletionResponse {
            id: self.id.clone(),
            object: "text_completion".into(),
            created: self.created,
            model: self.model.clone(),
            choices,
            usage,
        }
    }

    fn piece(&mut self, index: usize, event: Event) -> Result<CompletionChoice, Fault> {
        let reader = &mut self.readers[index];
        let mut choice = CompletionChoice {
            text: String::new(),
            index: index as u32,
            finish_reason: None,
            logprobs: None,
        };
        match event {
            Event::Text { text, tokens } => {
                if let Some(matcher) = &mut reader.matcher
                    && !matcher.push(&text)?
                {
                    reader.matcher = None;
                }
                if self.logprobs && !tokens.is_empty() {
                    choice.logprobs = Some(logprobs::completion(&self.engine, &tokens, &mut reader.offset));
                }
                choice.text = text;
            }
            Event::Done { reason, .. } => {
                choice.finish_reason = Some(finish_word(&reason).to_owned());
                if self.logprobs {
                    choice.logprobs = Some(CompletionLogprobs::default());
                }
            }
        }
        Ok(choice)
    }
}

impl Chunks for Writer {
    fn opening(&mut self) -> Vec<Bytes> {
        let echoed: Vec<CompletionChoice> = self
            .readers
            .iter()
            .zip(0..)
            .filter(|(reader, _)| !reader.before.is_empty())
            .map(|(reader, index)| reader.empty(index))
            .collect();
        echoed
            .into_iter()
            .filter_map(|choice| stream::data(&self.response(vec![choice], None)).ok())
            .collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Result<Vec<Bytes>, Fault> {
        let choice = self.piece(index, event)?;
        if choice.text.is_empty() && choice.finish_reason.is_none() && choice.logprobs.is_none() {
            return Ok(Vec::new());
        }
        Ok(vec![stream::data(&self.response(vec![choice], None))?])
    }

    fn usage(&mut self, usage: Usage) -> Option<Bytes> {
        if self.include_usage { stream::data(&self.response(Vec::new(), Some(usage))).ok() } else { None }
    }
}
