//! Several answers to one request: started so that they share the prompt's computed state, and read as one stream.

use futures::{StreamExt, stream::SelectAll};
use rixin_base::Fault;
use rixin_chat::{Engine, Error, Event, FinishReason, GenerateRequest, Generation};
use rixin_protocol::usage::Usage;

type Indexed = futures::stream::BoxStream<'static, (usize, Result<Event, Error>)>;

/// Answers being written; dropping it frees their slots.
pub(crate) struct Choices {
    engine: Engine,
    streams: SelectAll<Indexed>,
    /// For each prompt the answers that wait for its first token: by then the prompt's state is in the cache.
    waiting: Vec<Vec<(usize, GenerateRequest)>>,
    per_prompt: usize,
    /// Tokens of each prompt, and those of them that were cached, as its first answer saw it.
    prompts: Vec<Option<(u32, u32)>>,
    completion_tokens: u32,
}

impl Choices {
    /// Starts `per_prompt` answers to each request. The place of an answer is `prompt * per_prompt + copy`.
    ///
    /// # Errors
    /// What the engine refuses at once: a full queue, a prompt that is too long, a grammar.
    pub(crate) fn start(
        engine: &Engine,
        requests: Vec<GenerateRequest>,
        per_prompt: usize,
    ) -> Result<Self, Fault> {
        let mut choices = Self {
            engine: engine.clone(),
            streams: SelectAll::new(),
            waiting: Vec::with_capacity(requests.len()),
            per_prompt,
            prompts: vec![None; requests.len()],
            completion_tokens: 0,
        };
        for (prompt, request) in requests.into_iter().enumerate() {
            let copies = (1..per_prompt).map(|copy| {
                let mut request = request.clone();
                // The same seed would give the same answer.
                request.sampling.seed = request.sampling.seed.map(|seed| seed.wrapping_add(copy as u64));
                (prompt * per_prompt + copy, request)
            });
            choices.waiting.push(copies.collect());
            choices.add(prompt * per_prompt, engine.generate(request)?);
        }
        Ok(choices)
    }

    fn add(&mut self, index: usize, generation: Generation) {
        self.streams.push(generation.map(move |event| (index, event)).boxed());
    }

    /// The next event of some answer; `None` when all are done.
    pub(crate) async fn next(&mut self) -> Option<(usize, Result<Event, Fault>)> {
        let (index, event) = self.streams.next().await?;
        let prompt = index / self.per_prompt;
        for (place, request) in std::mem::take(&mut self.waiting[prompt]) {
            match self.engine.generate(request) {
                Ok(generation) => self.add(place, generation),
                Err(error) => return Some((place, Err(error.into()))),
            }
        }
        if let Ok(Event::Done { prompt_tokens, completion_tokens, cached_tokens, .. }) = &event {
            self.completion_tokens += completion_tokens;
            if index % self.per_prompt == 0 {
                self.prompts[prompt] = Some((*prompt_tokens, *cached_tokens));
            }
        }
        Some((index, event.map_err(Fault::from)))
    }

    /// The tokens of all answers; each prompt counts once.
    pub(crate) fn usage(&self) -> Usage {
        let (prompt, cached) =
            self.prompts.iter().flatten().fold((0, 0), |(p, c), (prompt, cached)| (p + prompt, c + cached));
        Usage::new(prompt, self.completion_tokens, cached)
    }
}

/// The protocol's word for an end.
pub(crate) fn finish_word(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopString(_) => "stop",
        FinishReason::Length => "length",
    }
}
