//! The handle: checks a request on the caller's thread and passes it to the thread that owns the context.

use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::Instant,
};

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};
use tokio::sync::oneshot;

use crate::{
    EngineOptions, EngineStats, Error, GenerateRequest, Generation, ModelInfo, Overflow, SpecialTokens,
    Token,
    embed::EmbedJob,
    options::Plan,
    request::no_such_token,
    running::Running,
    shared::Shared,
    worker::{self, Command},
};

/// A loaded model, ready for requests. Clones share it; it is unloaded when the last clone is dropped.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    model: Arc<LlamaModel>,
    info: ModelInfo,
    plan: Plan,
    shared: Arc<Shared>,
    /// `None` only while dropping.
    commands: Option<mpsc::Sender<Command>>,
    owner: Option<JoinHandle<()>>,
}

impl Engine {
    /// Loads a model; returns when it can answer. `progress` gets 0 to 1 and may return `false` to cancel.
    ///
    /// This blocks for as long as the disk takes: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::BadModelFile`] for a file that is no model or is damaged, [`Error::LoadFailed`] where memory or the system is the reason,
    /// [`Error::LoadCancelled`].
    pub fn load(options: EngineOptions, progress: impl FnMut(f32) -> bool) -> Result<Engine, Error> {
        let worker::Started { model, info, plan, shared, commands, owner } =
            worker::start(options, progress)?;
        let inner = Inner { model, info, plan, shared, commands: Some(commands), owner: Some(owner) };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// What is known of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.inner.info
    }

    /// Text to tokens.
    pub fn tokenize(&self, text: &str, special: SpecialTokens) -> Vec<Token> {
        let tokens = self.inner.model.vocab().tokenize(text.as_bytes(), special.add, special.parse);
        tokens.into_iter().map(|token| Token(token.0 as u32)).collect()
    }

    /// A token's bytes; `special` shows the text of special tokens, which is empty otherwise.
    pub fn token_bytes(&self, token: Token, special: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if token.0 < self.inner.info.vocab_size {
            let token = LlamaToken(token.0 as i32);
            self.inner.model.vocab().token_to_piece_into(token, &mut bytes, special, None);
        }
        bytes
    }

    /// Tokens to text; bytes that are no UTF-8 become U+FFFD.
    pub fn detokenize(&self, tokens: &[Token], special: bool) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.token_bytes(token, special)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether an answer ends at this token.
    pub fn is_end(&self, token: Token) -> bool {
        token.0 < self.inner.info.vocab_size && self.inner.model.vocab().is_eog(LlamaToken(token.0 as i32))
    }

    /// Starts an answer. It waits for a slot in the queue; the [`Generation`] says how it goes on.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::BadGrammar`], [`Error::ContextLength`], [`Error::QueueFull`], [`Error::Stopped`].
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, Error> {
        let inner = &*self.inner;
        let request = self.checked(request)?;
        let grammar =
            request.grammar.as_ref().map(|grammar| crate::sampler::Constraint::new(&inner.model, grammar));
        let grammar = grammar.transpose()?;
        let place = inner.shared.enter(inner.plan.queue + inner.plan.slots)?;
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let running = Running::new(request, grammar, &inner.model, place, sender, inner.plan.context_length);
        self.send(Command::Generate(Box::new(running)))?;
        Ok(Generation::new(receiver))
    }

    /// One L2-normalised vector for each text, by the model's own pooling, else the mean over its tokens.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for an empty text, [`Error::ContextLength`] for one that is too long, [`Error::Unsupported`],
    /// [`Error::QueueFull`], [`Error::Stopped`].
    pub async fn embed(&self, texts: Vec<Vec<Token>>) -> Result<Vec<Vec<f32>>, Error> {
        let inner = &*self.inner;
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        for text in &texts {
            self.check_tokens("input", text)?;
        }
        let place = inner.shared.enter(inner.plan.queue + inner.plan.slots)?;
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Embed(EmbedJob::new(texts, sender, place)))?;
        receiver.await.unwrap_or(Err(Error::Stopped))
    }

    /// The figures of this moment.
    pub fn stats(&self) -> EngineStats {
        let plan = &self.inner.plan;
        self.inner.shared.stats(plan.slots, plan.cache_tokens)
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        let sender = self.inner.commands.as_ref().ok_or(Error::Stopped)?;
        sender.send(command).map_err(|_| Error::Stopped)
    }

    fn check_tokens(&self, field: &'static str, tokens: &[Token]) -> Result<(), Error> {
        let vocab = self.inner.info.vocab_size;
        if tokens.is_empty() {
            return Err(Error::field(field, "must not be empty", "不能为空"));
        }
        match tokens.iter().find(|token| token.0 >= vocab) {
            Some(token) => Err(no_such_token(field, token.0, vocab)),
            None => Ok(()),
        }
    }

    /// The request with every field checked and its prompt cut where that was asked for.
    fn checked(&self, mut request: GenerateRequest) -> Result<GenerateRequest, Error> {
        let info = &self.inner.info;
        if self.inner.plan.generates {
            self.check_tokens("prompt", &request.prompt)?;
        } else {
            return Err(Error::Unsupported { what: "text generation" });
        }
        request.sampling.check(info.vocab_size)?;
        if request.max_tokens == Some(0) {
            return Err(Error::field("max_tokens", "must be at least 1", "至少为 1"));
        }
        if request.logprobs.is_some_and(|n| n > 20) {
            return Err(Error::field("top_logprobs", "must be in 0 – 20", "须在 0 – 20 之间"));
        }
        if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::DeadlineExceeded);
        }
        request.stop.retain(|stop| !stop.is_empty());
        let context = info.context_length as usize;
        if request.prompt.len() >= context {
            match request.overflow {
                Overflow::Refuse => {
                    return Err(Error::ContextLength {
                        prompt: request.prompt.len(),
                        context: info.context_length,
                    });
                }
                Overflow::Truncate { keep } => {
                    truncate(&mut request.prompt, keep, request.max_tokens, context)
                }
            }
        }
        Ok(request)
    }
}

/// Cuts out the middle: the first `keep` tokens and the newest stay, and room for the answer is left.
fn truncate(prompt: &mut Vec<Token>, keep: usize, max_tokens: Option<u32>, context: usize) {
    let quarter = (context / 4).max(1);
    let room = max_tokens.map_or(quarter, |max| (max as usize).min(quarter)).max(1);
    let budget = context.saturating_sub(room).max(1);
    // The newest token must stay in any case.
    let keep = keep.min(budget - 1);
    let newest = budget - keep;
    prompt.drain(keep..prompt.len() - newest);
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.commands = None;
        if let Some(owner) = self.owner.take()
            && owner.join().is_err()
        {
            tracing::error!("the engine's thread ended with a panic");
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("info", &self.inner.info).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_keeps_the_head_and_the_newest() {
        let mut prompt: Vec<Token> = (0..100).map(Token).collect();
        truncate(&mut prompt, 4, None, 40);
        assert_eq!(prompt.len(), 30);
        assert_eq!(prompt[..4], [Token(0), Token(1), Token(2), Token(3)]);
        assert_eq!(prompt[4], Token(74));
        assert_eq!(prompt.last(), Some(&Token(99)));
    }

    #[test]
    fn truncation_never_drops_the_newest_token() {
        for (keep, context) in [(1000, 8), (0, 2), (7, 4), (0, 1)] {
            let mut prompt: Vec<Token> = (0..50).map(Token).collect();
            truncate(&mut prompt, keep, Some(1), context);
            assert_eq!(prompt.last(), Some(&Token(49)));
            assert!(prompt.len() <= context.max(1));
        }
    }
}
