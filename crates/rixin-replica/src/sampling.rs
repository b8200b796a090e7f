//! The protocol's sampling fields as the engine's.

use rixin_base::Fault;
use rixin_chat::{Sampling, Token};
use rixin_protocol::{chat::SamplingFields, parse::out_of_range};

/// Absent fields keep llama.cpp's server's defaults, which are the engine's.
///
/// # Errors
/// A token of `logit_bias` that is not in the vocabulary.
pub(crate) fn sampling(fields: &SamplingFields, vocab_size: u32) -> Result<Sampling, Fault> {
    let defaults = Sampling::default();
    let mut logit_bias = Vec::new();
    for (key, bias) in fields.logit_bias.iter().flatten() {
        match key.parse::<u32>() {
            Ok(id) if id < vocab_size => {
                // OpenAI's: -100 forbids the token.
                let bias = if *bias <= -100.0 { f32::NEG_INFINITY } else { *bias };
                logit_bias.push((Token(id), bias));
            }
            _ => {
                return Err(out_of_range(
                    &format!("logit_bias.{key}"),
                    &format!("the model's tokens go from 0 to {}", vocab_size.saturating_sub(1)),
                    &format!("该模型的 token 编号为 0 到 {}", vocab_size.saturating_sub(1)),
                ));
            }
        }
    }
    Ok(Sampling {
        temperature: fields.temperature.unwrap_or(defaults.temperature),
        top_k: fields.top_k.unwrap_or(defaults.top_k),
        top_p: fields.top_p.unwrap_or(defaults.top_p),
        min_p: fields.min_p.unwrap_or(defaults.min_p),
        repetition_penalty: fields.repetition_penalty.unwrap_or(defaults.repetition_penalty),
        presence_penalty: fields.presence_penalty.unwrap_or(defaults.presence_penalty),
        frequency_penalty: fields.frequency_penalty.unwrap_or(defaults.frequency_penalty),
        seed: fields.seed.and_then(|seed| u64::try_from(seed).ok()),
        logit_bias,
        ..defaults
    })
}
