//! Model files: their headers, read with limits, and telling one format from another.

mod ggml;

pub use ggml::{GgmlType, bits_per_weight};
