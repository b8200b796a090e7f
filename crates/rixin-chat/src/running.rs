//! One request on its way: its tokens so far, how it samples, and who listens.

use std::time::Instant;

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Error, Event, FinishReason, GenerateRequest, Timing, Token, TokenInfo, TopToken,
    sampler::{Choice, Constraint, Sampler, Scratch},
    shared::Place,
    text::TextStream,
};

/// A request with everything that it needs to be taken up again after it lost its sequence.
pub(crate) struct Running {
    pub fairness: String,
    /// Prompt and answer.
    pub tokens: Vec<Token>,
    pub deadline: Option<Instant>,
    prompt_len: usize,
    /// Where the answer ends at the latest: length of prompt and answer.
    limit: usize,
    sampler: Sampler,
    text: TextStream,
    special: bool,
    wants_tokens: bool,
    events: UnboundedSender<Result<Event, Error>>,
    arrived: Instant,
    started: Option<Instant>,
    first_token: Option<Instant>,
    /// Prompt tokens that the cache held when it got its slot first.
    cached: usize,
    /// Given back just before the listener hears of the end, so that its next request finds the place free.
    place: Option<Place>,
}

impl Running {
    /// `request` was checked.
    pub fn new(
        request: GenerateRequest,
        grammar: Option<Constraint>,
        model: &LlamaModel,
        place: Place,
        events: UnboundedSender<Result<Event, Error>>,
        context: u32,
    ) -> Self {
        let sampler = Sampler::new(&request, grammar, model);
        let prompt_len = request.prompt.len();
        let most = request.max_tokens.map_or(usize::MAX, |max| max as usize);
        Self {
            fairness: request.fairness,
            tokens: request.prompt,
            deadline: request.deadline,
            prompt_len,
            limit: prompt_len.saturating_add(most).min(context as usize),
            sampler,
            text: TextStream::new(request.stop),
            special: request.special,
            wants_tokens: request.logprobs.is_some(),
            events,
            arrived: Instant::now(),
            started: None,
            first_token: None,
            cached: 0,
            place: Some(place),
        }
    }

    /// Nobody listens any more.
    pub fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Notes that the request got a slot, and how much the cache held; true at the first time.
    pub fn start(&mut self, cached: usize) -> bool {
        let first = self.started.is_none();
        if first {
            self.started = Some(Instant::now());
            self.cached = cached;
        }
        first
    }

    pub fn prompt_len(&self) -> usize {
        self.prompt_len
    }

    /// Whether the answer has begun.
    pub fn answers(&self) -> bool {
        self.tokens.len() > self.prompt_len
    }

    /// Tells the listener that it is over.
    pub fn fail(&mut self, error: Error) {
        self.place = None;
        // Nobody may listen; then nobody needs to know.
        let _ = self.events.send(Err(error));
    }

    /// Takes the logits after the last token: chooses, tells the listener. True when the answer is over.
    pub fn advance(&mut self, logits: &[f32], model: &LlamaModel, scratch: &mut Scratch) -> bool {
        let place = (self.tokens.len() - self.prompt_len) as u64;
        let choice = match self.sampler.choose(logits, place, scratch) {
            Ok(choice) => choice,
            Err(error) => {
                self.fail(error);
                return true;
            }
        };
        self.first_token.get_or_insert_with(Instant::now);
        self.tokens.push(choice.token);
        if model.vocab().is_eog(LlamaToken(choice.token.0 as i32)) {
            self.end(FinishReason::Stop);
            return true;
        }
        let bytes = piece(model, choice.token, self.special);
        let pushed = self.text.push(&bytes);
        let tokens = if self.wants_tokens { vec![self.info(model, choice)] } else { Vec::new() };
        if !pushed.text.is_empty() || !tokens.is_empty() {
            let _ = self.events.send(Ok(Event::Text { text: pushed.text, tokens }));
        }
        if let Some(stop) = pushed.stop {
            self.end(FinishReason::StopString(stop));
            return true;
        }
        if self.tokens.len() >= self.limit {
            self.end(FinishReason::Length);
            return true;
        }
        false
    }

    fn info(&self, model: &LlamaModel, choice: Choice) -> TokenInfo {
        let top = choice
            .top
            .into_iter()
            .map(|(id, logprob)| TopToken { id, bytes: piece(model, id, true), logprob })
            .collect();
        TokenInfo { id: choice.token, bytes: piece(model, choice.token, true), logprob: choice.logprob, top }
    }

    fn end(&mut self, reason: FinishReason) {
        let text = self.text.finish();
        if !text.is_empty() {
            let _ = self.events.send(Ok(Event::Text { text, tokens: Vec::new() }));
        }
        let now = Instant::now();
        self.place = None;
        let started = self.started.unwrap_or(self.arrived);
        let first = self.first_token.unwrap_or(now);
        let _ = self.events.send(Ok(Event::Done {
            reason,
            prompt_tokens: self.prompt_len as u32,
            completion_tokens: (self.tokens.len() - self.prompt_len) as u32,
            cached_tokens: self.cached as u32,
            timing: Timing {
                queued: started.saturating_duration_since(self.arrived),
                prompt: first.saturating_duration_since(started),
                decode: now.saturating_duration_since(first),
            },
        }));
    }
}

fn piece(model: &LlamaModel, token: Token, special: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    model.vocab().token_to_piece_into(LlamaToken(token.0 as i32), &mut bytes, special, None);
    bytes
}
