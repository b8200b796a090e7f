//! Model files: their headers, read with limits, and telling one format from another.

mod detect;
mod flaw;
mod ggml;
pub mod gguf;
pub mod safetensors;

pub use detect::{Format, detect};
pub use flaw::Flaw;
pub use ggml::{GgmlType, bits_per_weight};
