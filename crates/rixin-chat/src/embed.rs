//! Embeddings: a context of its own, made when the first request comes, so that every model can embed.

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use llama_cpp_2::{
    context::{
        LlamaContext,
        params::{LlamaContextParams, LlamaPoolingType},
    },
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::LlamaModel,
    token::LlamaToken,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Error, Token, options::Plan, shared::Place};

/// Longest text: pooling needs all of it in one micro-batch, and its buffers grow with that.
const LONGEST: u32 = 2048;
/// Texts at once.
const TEXTS: usize = 32;
/// Tokens at once, except for one longer text: answers being written wait for this.
const TOKENS: usize = 512;

/// Texts of one request.
pub(crate) struct EmbedJob {
    texts: Vec<Vec<Token>>,
    reply: Arc<Reply>,
}

/// Where the vectors of one request come together.
struct Reply {
    state: Mutex<ReplyState>,
}

struct ReplyState {
    sender: Option<oneshot::Sender<Result<Vec<Vec<f32>>, Error>>>,
    vectors: Vec<Vec<f32>>,
    missing: usize,
    place: Option<Place>,
}

impl EmbedJob {
    pub fn new(
        texts: Vec<Vec<Token>>,
        sender: oneshot::Sender<Result<Vec<Vec<f32>>, Error>>,
        place: Place,
    ) -> Self {
        let state = ReplyState {
            sender: Some(sender),
            vectors: vec![Vec::new(); texts.len()],
            missing: texts.len(),
            place: Some(place),
        };
        Self { texts, reply: Arc::new(Reply { state: Mutex::new(state) }) }
    }
}

impl Reply {
    fn is_wanted(&self) -> bool {
        self.state.lock().sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.place = None;
        if let Some(sender) = state.sender.take() {
            // A caller who went away does not need it.
            let _ = sender.send(Err(error));
        }
    }

    fn put(&self, index: usize, vector: Vec<f32>) {
        let mut state = self.state.lock();
        state.vectors[index] = vector;
        state.missing -= 1;
        if state.missing == 0 {
            state.place = None;
            let vectors = std::mem::take(&mut state.vectors);
            if let Some(sender) = state.sender.take() {
                let _ = sender.send(Ok(vectors));
            }
        }
    }
}

struct Text {
    tokens: Vec<Token>,
    index: usize,
    reply: Arc<Reply>,
}

/// Computes embeddings, several texts at once.
pub(crate) struct Embedder<'m> {
    backend: &'static LlamaBackend,
    model: &'m LlamaModel,
    plan: Plan,
    context: Option<LlamaContext<'m>>,
    waiting: VecDeque<Text>,
}

impl<'m> Embedder<'m> {
    pub fn new(backend: &'static LlamaBackend, model: &'m LlamaModel, plan: Plan) -> Self {
        Self { backend, model, plan, context: None, waiting: VecDeque::new() }
    }

    pub fn push(&mut self, job: EmbedJob) {
        let longest = self.longest();
        if let Some(text) = job.texts.iter().find(|text| text.len() > longest as usize) {
            job.reply.fail(Error::ContextLength { prompt: text.len(), context: longest });
            return;
        }
        let reply = job.reply;
        let text = |(index, tokens)| Text { tokens, index, reply: Arc::clone(&reply) };
        self.waiting.extend(job.texts.into_iter().enumerate().map(text));
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    fn longest(&self) -> u32 {
        LONGEST.min(self.plan.context_length)
    }

    /// Computes the next texts, if any wait.
    pub fn step(&mut self) {
        let mut texts: Vec<Text> = Vec::new();
        let mut tokens = 0;
        while let Some(next) = self.waiting.front() {
            if !next.reply.is_wanted() {
                self.waiting.pop_front();
                continue;
            }
            let fits = tokens + next.tokens.len() <= TOKENS.min(self.longest() as usize);
            if !texts.is_empty() && (!fits || texts.len() == TEXTS) {
                break;
            }
            tokens += next.tokens.len();
            texts.extend(self.waiting.pop_front());
        }
        if texts.is_empty() {
            return;
        }
        match self.compute(&texts, tokens) {
            Ok(vectors) => {
                for (text, vector) in texts.iter().zip(vectors) {
                    text.reply.put(text.index, vector);
                }
            }
            Err(error) => texts.iter().for_each(|text| text.reply.fail(error.clone())),
        }
    }

    fn compute(&mut self, texts: &[Text], tokens: usize) -> Result<Vec<Vec<f32>>, Error> {
        let context = match &mut self.context {
            Some(context) => context,
            empty => empty.insert(open(
                self.backend,
                self.model,
                &self.plan,
                LONGEST.min(self.plan.context_length),
            )?),
        };
        let mut batch = LlamaBatch::new(tokens, 1);
        for (seq, text) in (0..).zip(texts) {
            for (position, token) in (0..).zip(&text.tokens) {
                let added = batch.add(LlamaToken(token.0 as i32), position, &[seq], true);
                debug_assert!(added.is_ok(), "the batch is as large as its texts");
            }
        }
        context.clear_kv_cache();
        context.decode(&mut batch).map_err(|error| {
            tracing::error!(%error, "llama.cpp failed while it embedded");
            Error::Compute { status: -1 }
        })?;
        (0..texts.len() as i32)
            .map(|seq| match context.embeddings_seq_ith(seq) {
                Ok(vector) => Ok(normalised(vector)),
                Err(_) => Err(Error::Unsupported { what: "embeddings" }),
            })
            .collect()
    }
}

fn open<'m>(
    backend: &LlamaBackend,
    model: &'m LlamaModel,
    plan: &Plan,
    longest: u32,
) -> Result<LlamaContext<'m>, Error> {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let own = model.meta_val_str(&format!("{architecture}.pooling_type")).ok();
    let pooling = match own.as_deref() {
        // Models for ranking give a score, not a vector.
        Some("4") => return Err(Error::Unsupported { what: "embeddings" }),
        None | Some("0") => LlamaPoolingType::Mean,
        Some(_) => LlamaPoolingType::Unspecified,
    };
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(longest.next_multiple_of(256)))
        .with_n_batch(longest)
        .with_n_ubatch(longest)
        .with_n_seq_max(TEXTS as u32)
        .with_n_threads(plan.threads as i32)
        .with_n_threads_batch(plan.threads as i32)
        .with_kv_unified(true)
        .with_embeddings(true)
        .with_pooling_type(pooling)
        .with_no_perf(true);
    model.new_context(backend, params).map_err(|_| Error::Unsupported { what: "embeddings" })
}

/// The vector with length 1; zeros stay.
fn normalised(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    vector.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
}
