//! The chat engine over llama.cpp: continuous batching, a prefix cache, sampling, chat templates, tool calls, grammars, embeddings.
//!
//! It takes a model's file and prompts as tokens, and gives text with its tokens as a stream. One thread owns llama.cpp's context and
//! runs it step by step; [`Engine`] is a cheap handle that any thread may use.
//!
//! It does not know: HTTP, JSON bodies, tenants, where models come from, or which chip it runs on.

mod cache;
mod context;
mod embed;
mod engine;
mod error;
mod event;
pub mod grammar;
mod llama;
mod options;
mod parked;
mod pieces;
mod queue;
mod request;
mod running;
mod sampler;
mod scheduler;
mod shared;
pub mod template;
mod text;
mod threads;
pub mod tools;
mod worker;

pub use engine::Engine;
pub use error::Error;
pub use event::{Event, FinishReason, Generation, Timing, TokenInfo, TopToken};
pub use llama::system_info;
pub use options::{EngineOptions, EngineStats, ModelInfo};
pub use request::{GenerateRequest, Grammar, Overflow, Sampling, SpecialTokens, Token};
pub use threads::physical_cores;
