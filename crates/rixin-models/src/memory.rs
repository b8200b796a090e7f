//! What memory a model needs, as read from its header or estimated from its parameters.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemoryBasis {
    /// From the header of the model's file.
    Header,
    /// From the number of parameters and the bits of each, before the file is there.
    Estimate,
}

/// The memory of one replica, in bytes. What can't be known is absent rather than guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryNeed {
    /// The weights.
    pub weights_bytes: u64,
    /// One token in the key-value cache (16-bit, every layer that has one); absent where the architecture is not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_token_bytes: Option<u64>,
    /// Fixed state of one running sequence, for recurrent and hybrid architectures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub per_sequence_bytes: u64,
    /// Compute buffers for a batch of 512 tokens, vocabulary tables, and the process itself.
    pub overhead_bytes: u64,
    /// Where the figures come from.
    pub basis: MemoryBasis,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl MemoryNeed {
    /// Weights, overhead, `cache_tokens` in the cache and the state of `sequences`; a cache of unknown size counts as a
    /// quarter of the weights for 8192 tokens.
    pub fn total(&self, cache_tokens: u64, sequences: u64) -> u64 {
        let cache = match self.per_token_bytes {
            Some(bytes) => bytes.saturating_mul(cache_tokens),
            None => (self.weights_bytes / 4).saturating_mul(cache_tokens) / 8192,
        };
        self.weights_bytes
            .saturating_add(self.overhead_bytes)
            .saturating_add(cache)
            .saturating_add(self.per_sequence_bytes.saturating_mul(sequences))
    }

    /// An estimate for a chat model with `parameters` weights of `bits_per_weight`, known by nothing else.
    pub fn estimate(parameters: u64, bits_per_weight: f64) -> Self {
        let weights_bytes = (parameters as f64 * bits_per_weight / 8.0) as u64;
        Self {
            weights_bytes,
            per_token_bytes: None,
            per_sequence_bytes: 0,
            overhead_bytes: (256 << 20) + weights_bytes / 32,
            basis: MemoryBasis::Estimate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_do_not_overflow() {
        let need = MemoryNeed {
            weights_bytes: 100,
            per_token_bytes: Some(3),
            per_sequence_bytes: 7,
            overhead_bytes: 20,
            basis: MemoryBasis::Header,
        };
        assert_eq!(need.total(10, 2), 100 + 20 + 30 + 14);
        assert_eq!(need.total(u64::MAX, u64::MAX), u64::MAX);
        let unknown = MemoryNeed { per_token_bytes: None, ..need };
        assert_eq!(unknown.total(8192, 0), 100 + 20 + 25);
    }
}
