//! `/v1/chat/completions`.

use axum::response::Response;
use bytes::Bytes;
use rixin_base::Fault;
use rixin_chat::{
    Engine, Event, FinishReason, GenerateRequest,
    grammar::Matcher,
    tools::{self, Delta as Piece, Parser},
};
use rixin_protocol::{
    chat::{
        ChatChoice, ChatChunk, ChatMessage, ChatRequest, ChatResponse, ChoiceLogprobs, ChunkChoice, Content,
        Delta, FunctionCall, Role, ToolCall,
    },
    usage::Usage,
};

use crate::{
    chat_prompt::{self, ChatPrompt},
    choices::{Choices, finish_word},
    context::{RequestContext, json_reply},
    logprobs,
    sampling::sampling,
    server::{Shared, seconds},
    stream::{self, Chunks},
};

/// Answers a request.
///
/// # Errors
/// Everything that is wrong before the answer begins, and, where it is not streamed, until its end.
pub(crate) async fn answer(
    app: Shared,
    context: RequestContext,
    request: ChatRequest,
) -> Result<Response, Fault> {
    request.check()?;
    app.check_model(&request.model)?;
    let prompt = chat_prompt::build(&app, &request)?;
    let copies = request.n.unwrap_or(1) as usize;
    let logprobs = (request.logprobs == Some(true)).then(|| request.top_logprobs.unwrap_or(0) as u8);
    let generate = GenerateRequest {
        prompt: prompt.tokens.clone(),
        sampling: sampling(&request.sampling, app.engine.info().vocab_size)?,
        stop: request.stop.as_ref().map(|stop| stop.list().to_vec()).unwrap_or_default(),
        max_tokens: request.answer_limit(),
        grammar: prompt.grammar.as_ref().map(rixin_chat::grammar::ValidGrammar::to_request),
        logprobs,
        special: prompt.special,
        fairness: context.fairness.clone(),
        deadline: context.deadline,
        overflow: prompt.overflow,
    };
    let mut choices = Choices::start(&app.engine, vec![generate], copies)?;
    let head = Head {
        id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
        created: seconds(),
        model: app.spec.model.to_string(),
    };
    let readers: Vec<Reader> = (0..copies).map(|_| Reader::new(&prompt)).collect();
    if request.streamed() {
        let chunks = ChatChunks {
            head,
            engine: app.engine.clone(),
            readers,
            logprobs: logprobs.is_some(),
            include_usage: request.stream_options.is_some_and(|options| options.include_usage),
        };
        return stream::reply(choices, chunks, context, app.patience).await;
    }
    let mut wholes: Vec<Whole> = readers.into_iter().map(Whole::new).collect();
    while let Some((index, event)) = choices.next().await {
        wholes[index].event(&app.engine, event?)?;
    }
    let usage = choices.usage();
    let choices =
        wholes.into_iter().zip(0..).map(|(whole, index)| whole.choice(index, logprobs.is_some())).collect();
    Ok(json_reply(&ChatResponse {
        id: head.id,
        object: "chat.completion".into(),
        created: head.created,
        model: head.model,
        choices,
        usage: Some(usage),
    }))
}

struct Head {
    id: String,
    created: u64,
    model: String,
}

/// Reads one answer's text.
struct Reader {
    parser: Parser,
    matcher: Option<Matcher>,
    short_ids: bool,
}

impl Reader {
    fn new(prompt: &ChatPrompt) -> Self {
        let watched = prompt.grammar.as_ref().filter(|_| prompt.watched);
        Self {
            parser: Parser::new(prompt.parser.clone()),
            matcher: watched.map(rixin_chat::grammar::ValidGrammar::matcher),
            short_ids: prompt.short_ids,
        }
    }

    fn push(&mut self, text: &str) -> Result<Vec<Piece>, Fault> {
        if let Some(matcher) = &mut self.matcher
            && !matcher.push(text)?
        {
            // A stop string or the end of the context may cut where the grammar would not.
            self.matcher = None;
        }
        Ok(self.parser.push(text))
    }

    fn finish(&self, reason: &FinishReason) -> String {
        let called = self.parser.calls() > 0 && *reason != FinishReason::Length;
        if called { "tool_calls" } else { finish_word(reason) }.to_owned()
    }
}

/// An answer that is given at once.
struct Whole {
    reader: Reader,
    content: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    logprobs: ChoiceLogprobs,
    finish: Option<String>,
}

impl Whole {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            content: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            logprobs: ChoiceLogprobs::default(),
            finish: None,
        }
    }

    fn event(&mut self, engine: &Engine, event: Event) -> Result<(), Fault> {
        match event {
            Event::Text { text, tokens } => {
                self.logprobs.content.extend(logprobs::chat(engine, &tokens));
                let pieces = self.reader.push(&text)?;
                self.add(pieces);
            }
            Event::Done { reason, .. } => {
                let pieces = self.reader.parser.finish();
                self.add(pieces);
                self.finish = Some(self.reader.finish(&reason));
            }
        }
        Ok(())
    }

    fn add(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::Content(text) => self.content.push_str(&text),
                Piece::Reasoning(text) => self.reasoning.push_str(&text),
                Piece::CallStart { name, .. } => self.calls.push(ToolCall {
                    index: None,
                    id: Some(tools::new_id(self.reader.short_ids)),
                    kind: Some("function".into()),
                    function: FunctionCall { name: Some(name), arguments: String::new() },
                }),
                Piece::CallArguments { index, text } => {
                    if let Some(call) = self.calls.get_mut(index as usize) {
                        call.function.arguments.push_str(&text);
                    }
                }
            }
        }
    }

    fn choice(self, index: u32, logprobs: bool) -> ChatChoice {
        let calls = !self.calls.is_empty();
        ChatChoice {
            index,
            message: ChatMessage {
                role: Role::Assistant,
                content: (!self.content.is_empty() || !calls).then_some(Content::Text(self.content)),
                tool_calls: calls.then_some(self.calls),
                reasoning_content: (!self.reasoning.is_empty()).then_some(self.reasoning),
                ..ChatMessage::default()
            },
            finish_reason: self.finish,
            logprobs: logprobs.then_some(self.logprobs),
        }
    }
}

/// An answer that is streamed.
struct ChatChunks {
    head: Head,
    engine: Engine,
    readers: Vec<Reader>,
    logprobs: bool,
    include_usage: bool,
}

impl ChatChunks {
    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> Result<Bytes, Fault> {
        stream::data(&ChatChunk {
            id: self.head.id.clone(),
            object: "chat.completion.chunk".into(),
            created: self.head.created,
            model: self.head.model.clone(),
            choices,
            usage,
        })
    }

    fn piece(
        &self,
        index: usize,
        delta: Delta,
        logprobs: Option<ChoiceLogprobs>,
        finish: Option<String>,
    ) -> Result<Bytes, Fault> {
        let choice = ChunkChoice { index: index as u32, delta, finish_reason: finish, logprobs };
        self.chunk(vec![choice], None)
    }

    fn delta(&self, index: usize, piece: Piece) -> Delta {
        let call = |call: ToolCall| Delta { tool_calls: Some(vec![call]), ..Delta::default() };
        match piece {
            Piece::Content(text) => Delta { content: Some(text), ..Delta::default() },
            Piece::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
            Piece::CallStart { index: place, name } => call(ToolCall {
                index: Some(place),
                id: Some(tools::new_id(self.readers[index].short_ids)),
                kind: Some("function".into()),
                function: FunctionCall { name: Some(name), arguments: String::new() },
            }),
            Piece::CallArguments { index: place, text } => call(ToolCall {
                index: Some(place),
                id: None,
                kind: None,
                function: FunctionCall { name: None, arguments: text },
            }),
        }
    }
}

impl Chunks for ChatChunks {
    fn opening(&mut self) -> Vec<Bytes> {
        (0..self.readers.len())
            .filter_map(|index| {
                let delta =
                    Delta { role: Some(Role::Assistant), content: Some(String::new()), ..Delta::default() };
                self.piece(index, delta, None, None).ok()
            })
            .collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Result<Vec<Bytes>, Fault> {
        let mut out = Vec::new();
        match event {
            Event::Text { text, tokens } => {
                let pieces = self.readers[index].push(&text)?;
                let mut news = (self.logprobs && !tokens.is_empty())
                    .then(|| ChoiceLogprobs { content: logprobs::chat(&self.engine, &tokens) });
                for piece in pieces {
                    let delta = self.delta(index, piece);
                    out.push(self.piece(index, delta, news.take(), None)?);
                }
                if news.is_some() {
                    // Their text is held back, or stands in a mark.
                    out.push(self.piece(index, Delta::default(), news, None)?);
                }
            }
            Event::Done { reason, .. } => {
                for piece in self.readers[index].parser.finish() {
                    let delta = self.delta(index, piece);
                    out.push(self.piece(index, delta, None, None)?);
                }
                let finish = self.readers[index].finish(&reason);
                out.push(self.piece(index, Delta::default(), None, Some(finish))?);
            }
        }
        Ok(out)
    }

    fn usage(&mut self, usage: Usage) -> Option<Bytes> {
        if self.include_usage { self.chunk(Vec::new(), Some(usage)).ok() } else { None }
    }
}
