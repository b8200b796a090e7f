//! What memory llama.cpp needs for a model, from its header. Source: `llama-hparams.cpp` and `llama-kv-cache.cpp`.
//!
//! Every token counts in every layer that has a cache, also in layers with a sliding window: prefix reuse keeps them whole.

use super::{Header, Value};
use crate::{MemoryBasis, MemoryNeed};

/// Tokens of one step, which the compute buffers are made for.
const BATCH: u64 = 512;
/// Tokens of a step that are scored over the whole vocabulary: the last one of every running request, with room to spare.
/// The rest of that buffer is reserved and never touched.
const SCORED: u64 = 128;
/// The process without any model.
const PROCESS: u64 = 24 << 20;

/// Architectures with a fixed state instead of a cache.
const RECURRENT: [&str; 6] = ["mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"];
/// Encoders: no cache at all.
const ENCODERS: [&str; 10] = [
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "t5encoder",
    "gemma-embedding",
];
/// Some layers with a cache and some with a state, told apart by a head count of 0.
const HYBRID_BY_HEADS: [&str; 11] = [
    "jamba",
    "plamo2",
    "granitehybrid",
    "lfm2",
    "lfm2moe",
    "nemotron_h",
    "nemotron_h_moe",
    "kimi-linear",
    "kimi-k3",
    "bailingmoe3",
    "falcon-h1",
];
/// Every n-th layer with a cache, the others with a state.
const HYBRID_BY_INTERVAL: [&str; 3] = ["qwen3next", "qwen35", "qwen35moe"];
/// Caches or states of forms that are not reckoned here.
const UNKNOWN: [&str; 8] =
    ["minimax-01", "deepseek4", "glm5-next", "qwen4exp", "minimax-m3", "t5", "hrm_text", "dots3note"];

struct Layers<'a> {
    header: &'a Header,
    arch: &'a str,
    count: u64,
}

pub(super) fn need(header: &Header, arch: &str, vocabulary: Option<u64>) -> MemoryNeed {
    let number = |key: &str| header.number(&format!("{arch}.{key}"));
    let width = number("embedding_length").unwrap_or(0);
    let feed = match header.get(&format!("{arch}.feed_forward_length")) {
        Some(Value::List(list)) => list.iter().filter_map(Value::as_u64).max().unwrap_or(0),
        other => other.and_then(Value::as_u64).unwrap_or(0),
    };
    let vocabulary_size = vocabulary.unwrap_or(0);
    // Scores, activations; the vocabulary's texts and merges; 2 % of the weights for what is copied or reordered.
    let scores = SCORED.saturating_mul(vocabulary_size).saturating_mul(4);
    let activations = BATCH
        .saturating_mul(width.saturating_mul(4).saturating_add(feed.saturating_mul(2)))
        .saturating_mul(4);
    let overhead_bytes = PROCESS
        .saturating_add(scores)
        .saturating_add(activations)
        .saturating_add(vocabulary_size.saturating_mul(320))
        .saturating_add(header.tensor_bytes() / 50);
    let (per_token_bytes, per_sequence_bytes) = cache(header, arch);
    MemoryNeed {
        weights_bytes: header.tensor_bytes(),
        per_token_bytes,
        per_sequence_bytes,
        overhead_bytes,
        basis: MemoryBasis::Header,
    }
}

/// Bytes a token, where they can be told, and bytes a sequence.
fn cache(header: &Header, arch: &str) -> (Option<u64>, u64) {
    if ENCODERS.contains(&arch) {
        return (Some(0), 0);
    }
    let number = |key: &str| header.number(&format!("{arch}.{key}"));
    let layers =
        number("block_count").unwrap_or(0).saturating_sub(number("nextn_predict_layers").unwrap_or(0));
    if layers == 0 || layers > 4096 || UNKNOWN.contains(&arch) {
        return (None, 0);
    }
    let layers = Layers { header, arch, count: layers };
    let states = layers.state_bytes();
    if RECURRENT.contains(&arch) {
        return (Some(0), states.unwrap_or(0).saturating_mul(layers.count));
    }
    let interval = number("full_attention_interval").unwrap_or(4).max(1);
    let mut total = Some(0u64);
    let mut state_layers = 0;
    let cached = layers.count.saturating_sub(number("attention.shared_kv_layers").unwrap_or(0));
    for layer in 0..cached {
        if HYBRID_BY_INTERVAL.contains(&arch) && (layer + 1) % interval != 0 {
            state_layers += 1;
            continue;
        }
        let bytes = layers.token_bytes(layer);
        if bytes == Some(0) || arch == "falcon-h1" {
            state_layers += 1;
        }
        total = total.zip(bytes).map(|(total, bytes)| total.saturating_add(bytes));
    }
    let hybrid = HYBRID_BY_INTERVAL.contains(&arch) || HYBRID_BY_HEADS.contains(&arch);
    match (hybrid, states) {
        (true, Some(bytes)) => (total, bytes.saturating_mul(state_layers)),
        (true, None) => (None, 0),
        (false, _) => (total, 0),
    }
}

impl Layers<'_> {
    /// A figure that is one for all layers, or a list by layer.
    fn at(&self, key: &str, layer: u64) -> Option<u64> {
        match self.header.get(&format!("{}.{key}", self.arch))? {
            Value::List(list) => list.get(layer as usize)?.as_u64(),
            value => value.as_u64(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.header.number(&format!("{}.{key}", self.arch))
    }

    /// Keys and values of one token in one layer, 16 bits each.
    fn token_bytes(&self, layer: u64) -> Option<u64> {
        let heads = self.at("attention.head_count", layer)?;
        let kv_heads = self.at("attention.head_count_kv", layer).unwrap_or(heads);
        if kv_heads == 0 {
            return Some(0);
        }
        let plain = || {
            self.number("embedding_length")
                .zip(Some(heads))
                .and_then(|(width, heads)| width.checked_div(heads))
        };
        let widest = |key: &str, window: &str| self.number(key).max(self.number(window)).or_else(plain);
        let key = widest("attention.key_length", "attention.key_length_swa")?;
        // Multi-head latent attention keeps one compressed vector, and reads the values out of the keys.
        let latent = self.number("attention.key_length_mla").is_some();
        let value = if latent { 0 } else { widest("attention.value_length", "attention.value_length_swa")? };
        let indexer = self.number("attention.indexer.key_length").unwrap_or(0);
        kv_heads.checked_mul(key.checked_add(value)?)?.checked_add(indexer)?.checked_mul(2)
    }

    /// The state of one sequence in one layer, 32 bits a number.
    fn state_bytes(&self) -> Option<u64> {
        let width = self.number("embedding_length")?;
        let convolution = self.number("ssm.conv_kernel").unwrap_or(0);
        if let Some(head) = self.number("wkv.head_size") {
            let shifts = self.number("token_shift_count").unwrap_or(2);
            return width.checked_mul(shifts.checked_add(head)?)?.checked_mul(4);
        }
        if let Some(cache) = self.number("shortconv.l_cache") {
            return width.checked_mul(cache.saturating_sub(1))?.checked_mul(4);
        }
        if let Some(head) = self.number("kda.head_dim") {
            let heads = self.at("attention.head_count", 0)?;
            let taps = if convolution > 0 { convolution - 1 } else { 3 };
            let inner = heads.checked_mul(head)?;
            return inner.checked_mul(taps.checked_mul(3)?.checked_add(head)?)?.checked_mul(4);
        }
        let inner = self.number("ssm.inner_size")?;
        let state = self.number("ssm.state_size")?;
        let groups = self.number("ssm.group_count").unwrap_or(0);
        let mixed = inner.checked_add(groups.checked_mul(state)?.checked_mul(2)?)?;
        let taps = convolution.saturating_sub(1).checked_mul(mixed)?;
        taps.checked_add(state.checked_mul(inner)?)?.checked_mul(4)
    }
}
