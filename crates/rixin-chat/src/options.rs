//! How an engine is set up, and what it tells about its model.

use std::path::PathBuf;

/// How to load a model. A zero means: choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The model's file, in the GGUF format (the first one, where it is split).
    pub path: PathBuf,
    /// Threads; 0: the physical cores that the process may use.
    pub threads: u32,
    /// Longest prompt and answer, in tokens; 0: what the model was trained for, at most 32768.
    pub context_length: u32,
    /// Requests at the same time; 1 to 128.
    pub slots: u32,
    /// Tokens of the cache that all share; 0: twice the context length, at least 8192.
    pub cache_tokens: u32,
    /// Most tokens of one step.
    pub batch_tokens: u32,
    /// Layers on the accelerator; without effect in a build without one.
    pub gpu_layers: u32,
    /// Only embeddings are wanted: no cache for answers is made.
    pub embeddings: bool,
    /// Requests that wait besides those in a slot.
    pub queue: u32,
}

impl EngineOptions {
    /// The defaults for a model's file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            threads: 0,
            context_length: 0,
            slots: 8,
            cache_tokens: 0,
            batch_tokens: 512,
            gpu_layers: 0,
            embeddings: false,
            queue: 256,
        }
    }
}

/// What a zero for the context length means at most: longer contexts are for those who ask.
const DEFAULT_CONTEXT_MAX: u32 = 32_768;
const DEFAULT_CACHE_MIN: u32 = 8_192;
/// llama.cpp rounds the cache up to this.
const CACHE_STEP: u32 = 256;

/// The options with every zero filled in, and bounds that hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub threads: u32,
    pub context_length: u32,
    pub slots: u32,
    pub cache_tokens: u32,
    /// Tokens of known prefixes that are held outside the pool.
    pub parked_tokens: u32,
    pub batch_tokens: u32,
    pub queue: u32,
    /// Sequences that llama.cpp keeps apart: one a slot, the others hold prefixes of finished requests.
    pub sequences: u32,
    /// Whether answers are written, or embeddings alone.
    pub generates: bool,
}

impl Plan {
    /// `states_cost` says that every sequence costs memory of its own (recurrent models).
    pub fn new(options: &EngineOptions, trained: u32, states_cost: bool) -> Self {
        let trained = trained.max(1);
        let context_length = match options.context_length {
            0 => trained.min(DEFAULT_CONTEXT_MAX),
            asked => asked,
        };
        let slots = options.slots.clamp(1, 128);
        let cache_tokens = match options.cache_tokens {
            0 => context_length.saturating_mul(2).max(DEFAULT_CACHE_MIN),
            asked => asked,
        };
        // One request must fit alone, or it could never be served.
        let cache_tokens = cache_tokens.max(context_length).next_multiple_of(CACHE_STEP);
        let spare = if states_cost { 2 } else { slots.max(16) };
        Self {
            threads: if options.threads == 0 { crate::threads::physical_cores() } else { options.threads },
            context_length,
            slots,
            cache_tokens,
            parked_tokens: if states_cost { 0 } else { cache_tokens / 2 },
            batch_tokens: options.batch_tokens.clamp(32, 8192).min(cache_tokens).max(slots),
            queue: options.queue,
            sequences: slots + spare,
            generates: !options.embeddings,
        }
    }
}

/// What the engine knows of its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// `general.name`, else the file's name.
    pub name: String,
    /// `general.architecture`: `llama`, `qwen3`, `gemma3`.
    pub architecture: String,
    /// Longest prompt and answer, in tokens.
    pub context_length: u32,
    /// What the model was trained for, in tokens.
    pub train_context_length: u32,
    /// Tokens of the vocabulary.
    pub vocab_size: u32,
    /// Length of an embedding.
    pub embedding_size: u32,
    /// Weights, counted.
    pub parameters: u64,
    /// The template for chat as the file has it.
    pub chat_template: Option<String>,
    /// The begin token's text; empty where there is none.
    pub bos_text: String,
    /// The end token's text; empty where there is none.
    pub eos_text: String,
    /// Whether the tokenizer puts the begin token first.
    pub adds_bos: bool,
    /// What the load added to the process's resident memory: weights, cache and buffers, in bytes.
    pub memory_bytes: u64,
    /// Requests at the same time.
    pub slots: u32,
    /// Tokens of the cache that all share.
    pub cache_tokens: u32,
    /// Threads that compute.
    pub threads: u32,
}

/// The engine's figures at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineStats {
    /// Requests in a slot.
    pub active: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Requests that can be answered at the same time.
    pub slots: u32,
    /// Tokens that the cache holds now.
    pub cache_tokens_used: u64,
    /// Tokens that it can hold.
    pub cache_tokens: u64,
    /// Requests since the start.
    pub requests_total: u64,
    /// Prompt tokens since the start.
    pub prompt_tokens_total: u64,
    /// Those of them that the cache held already.
    pub cached_tokens_total: u64,
    /// Answer tokens since the start.
    pub completion_tokens_total: u64,
    /// Steps (calls of llama.cpp) since the start.
    pub steps_total: u64,
    /// Requests that gave their place in the cache to older ones and were computed again.
    pub preempted_total: u64,
    /// Prompt tokens a second while computing prompts, over the last minute.
    pub prompt_tokens_per_second: f64,
    /// Answer tokens a second over all requests, over the last minute.
    pub decode_tokens_per_second: f64,
    /// Resident memory of the process, in bytes.
    pub rss_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_filled_in() {
        let plan = Plan::new(&EngineOptions { slots: 0, ..EngineOptions::new("x") }, 2048, false);
        assert_eq!((plan.context_length, plan.cache_tokens, plan.slots), (2048, 8192, 1));
        assert!(plan.threads >= 1);
        let plan = Plan::new(&EngineOptions::new("x"), 131_072, false);
        assert_eq!((plan.context_length, plan.cache_tokens), (32_768, 65_536));
    }

    #[test]
    fn the_cache_holds_one_whole_context() {
        let options = EngineOptions { cache_tokens: 100, context_length: 5000, ..EngineOptions::new("x") };
        let plan = Plan::new(&options, 2048, false);
        assert_eq!((plan.context_length, plan.cache_tokens), (5000, 5120));
    }
}
