//! llama.cpp's context for answers: one pool of cells that all sequences share.

use std::num::NonZeroU32;

use llama_cpp_2::{
    DecodeError,
    context::{
        LlamaContext,
        params::LlamaContextParams,
        session::{LlamaStateSeqFlags, SeqState},
    },
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::LlamaModel,
    token::LlamaToken,
};

use crate::{Token, cache::Memory, options::Plan};

/// Most tokens that llama.cpp computes at once inside a step; its own server's value, and numbers depend on it. With fewer than 64,
/// attention would add in the same order in every batch, so that answers depended less on their neighbours, but prompts would take a
/// sixth more processor time.
const MICRO_BATCH: u32 = 512;

/// The context and the batch of the step being built.
pub(crate) struct Context<'m> {
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    recurrent: bool,
}

/// Why a step was not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepError {
    /// llama.cpp found no cells; nothing was changed.
    NoRoom,
    /// Anything else, with its status.
    Failed(i32),
}

impl<'m> Context<'m> {
    /// `None` if llama.cpp could not make it; its log says why.
    pub fn new(backend: &LlamaBackend, model: &'m LlamaModel, plan: &Plan) -> Option<Self> {
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(plan.cache_tokens))
            .with_n_batch(plan.batch_tokens)
            .with_n_ubatch(plan.batch_tokens.min(MICRO_BATCH))
            .with_n_seq_max(plan.sequences)
            .with_n_threads(plan.threads as i32)
            .with_n_threads_batch(plan.threads as i32)
            .with_kv_unified(true)
            // Sliding windows are kept whole, or a prefix could not be shared up to any token.
            .with_swa_full(true)
            .with_no_perf(true);
        let context = model.new_context(backend, params).ok()?;
        let batch = LlamaBatch::new(plan.batch_tokens as usize, 1);
        let recurrent = model.is_recurrent() || model.is_hybrid();
        Some(Self { context, batch, recurrent })
    }

    /// Starts a new batch.
    pub fn begin(&mut self) {
        self.batch.clear();
    }

    /// Adds a token at its position; `logits` asks for the row that says what follows it. Returns the row's index.
    pub fn add(&mut self, token: Token, position: usize, seq: u32, logits: bool) -> i32 {
        let row = self.batch.n_tokens();
        let added = self.batch.add(LlamaToken(token.0 as i32), position as i32, &[seq as i32], logits);
        debug_assert!(added.is_ok(), "the step's budget is the batch's size");
        row
    }

    /// Computes the batch.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn compute(&mut self) -> Result<(), StepError> {
        let result = self.context.decode(&mut self.batch);
        self.context.synchronize();
        match result {
            Ok(()) => Ok(()),
            Err(DecodeError::NoKvCacheSlot) => Err(StepError::NoRoom),
            Err(DecodeError::NTokensZero) => Err(StepError::Failed(-1)),
            Err(DecodeError::Unknown(status)) => Err(StepError::Failed(status)),
        }
    }

    /// The logits of a row of the last batch, the vocabulary in its order.
    pub fn logits(&self, row: i32) -> &[f32] {
        self.context.get_logits_ith(row)
    }
}

impl Memory for Context<'_> {
    type State = SeqState;

    fn save(&mut self, seq: u32) -> Option<SeqState> {
        let saved = self.context.state_seq_get(seq as i32, LlamaStateSeqFlags::empty());
        saved.inspect_err(|error| tracing::warn!(%error, "copying a prefix out failed")).ok()
    }

    fn restore(&mut self, seq: u32, state: &SeqState) -> bool {
        let restored = self.context.state_seq_set(state, seq as i32);
        restored.inspect_err(|error| tracing::warn!(%error, "copying a prefix back failed")).is_ok()
    }

    fn share(&mut self, from: u32, to: u32, len: u32) {
        let end = (!self.recurrent).then_some(len);
        if let Err(error) = self.context.kv_cache_seq_cp(from as i32, to as i32, None, end) {
            tracing::error!(%error, "sharing a prefix failed");
        }
    }

    fn clear(&mut self, seq: u32) {
        if let Err(error) = self.context.kv_cache_seq_rm(seq as i32, None, None) {
            tracing::error!(%error, "forgetting a sequence failed");
        }
    }
}
