//! Choosing the next token from a row of logits.
//!
//! The order and the meaning of each filter are those of llama.cpp's server: logit bias, penalties, top-k, top-p, min-p, temperature,
//! draw. The vocabulary is never sorted; a request that is greedy costs one pass over it.

mod constraint;
mod filter;
mod penalties;
mod select;

use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

pub(crate) use constraint::Constraint;
use filter::{Filters, keep};
use penalties::Penalties;
use select::{argmax, top};

use crate::{Error, GenerateRequest, Sampling, Token};

/// A token that may follow, with its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub id: u32,
    pub logit: f32,
}

/// The token that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub token: Token,
    /// Only where logprobs were asked for.
    pub logprob: Option<f32>,
    /// The likeliest in the model's own distribution.
    pub top: Vec<(Token, f32)>,
}

/// Memory that all requests of an engine share, so that a step allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    logits: Vec<f32>,
    candidates: Vec<Candidate>,
}

/// How one request chooses, with what it remembers.
pub(crate) struct Sampler {
    filters: Filters,
    /// Added to the logits, `-inf` for tokens that may never come.
    bias: Vec<(u32, f32)>,
    penalties: Penalties,
    grammar: Option<Constraint>,
    logprobs: Option<u8>,
    seed: u64,
}

impl Sampler {
    pub fn new(request: &GenerateRequest, grammar: Option<Constraint>, model: &LlamaModel) -> Self {
        let sampling = &request.sampling;
        let vocab = model.vocab();
        let forbid = |token: LlamaToken| (token.0 as u32, f32::NEG_INFINITY);
        let mut bias: Vec<(u32, f32)> =
            sampling.logit_bias.iter().map(|&(token, bias)| (token.0, bias)).collect();
        bias.extend(vocab.suppress_tokens().iter().copied().map(forbid));
        if sampling.ignore_end {
            bias.extend(vocab.tokens().filter(|&token| vocab.is_eog(token)).map(forbid));
        }
        let mut sampler = Self::from_parts(sampling, bias, request.logprobs);
        sampler.grammar = grammar;
        for &token in &request.prompt {
            sampler.penalties.push(token.0);
        }
        sampler
    }

    fn from_parts(sampling: &Sampling, bias: Vec<(u32, f32)>, logprobs: Option<u8>) -> Self {
        Self {
            filters: Filters::from(sampling),
            bias,
            penalties: Penalties::from(sampling),
            grammar: None,
            logprobs,
            seed: sampling.seed.unwrap_or_else(rand::random),
        }
    }

    /// Chooses from the logits, the whole vocabulary in its order; `place` counts the answer's tokens from 0 and gives each its own
    /// random number, so that a request that is computed again repeats itself.
    ///
    /// # Errors
    /// A grammar that no token can follow.
    pub fn choose(&mut self, logits: &[f32], place: u64, scratch: &mut Scratch) -> Result<Choice, Error> {
        let Scratch { logits: changed, candidates } = scratch;
        let row = if self.bias.is_empty() && self.penalties.is_off() {
            logits
        } else {
            changed.clear();
            changed.extend_from_slice(logits);
            for &(id, bias) in &self.bias {
                if let Some(logit) = changed.get_mut(id as usize) {
                    *logit += bias;
                }
            }
            self.penalties.apply(changed);
            &changed[..]
        };
        let draw = uniform(self.seed, place);
        let mut id = pick(&self.filters, row, draw, candidates);
        if let Some(grammar) = &mut self.grammar {
            if !grammar.allows(id) {
                id = grammar.pick_allowed(&self.filters, row, draw, candidates)?;
            }
            grammar.accept(id)?;
        }
        self.penalties.push(id);
        let (logprob, top) = match self.logprobs {
            None => (None, Vec::new()),
            Some(n) => {
                let (logprob, top) = logprobs(logits, id, usize::from(n), candidates);
                (Some(logprob), top)
            }
        };
        Ok(Choice { token: Token(id), logprob, top })
    }
}

/// The likeliest token, or one drawn from those that the filters keep.
fn pick(filters: &Filters, row: &[f32], draw: f64, candidates: &mut Vec<Candidate>) -> u32 {
    if filters.is_greedy() {
        return argmax(row);
    }
    keep(filters, row, candidates);
    filter::draw(candidates, draw)
}

/// Log probability of a token and of the `n` likeliest, in the distribution before any filter.
fn logprobs(row: &[f32], id: u32, n: usize, candidates: &mut Vec<Candidate>) -> (f32, Vec<(Token, f32)>) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    let norm = max + sum.ln() as f32;
    let own = row.get(id as usize).map_or(f32::NEG_INFINITY, |logit| logit - norm);
    top(row, n, candidates);
    (own, candidates.iter().map(|c| (Token(c.id), c.logit - norm)).collect())
}

/// A number in [0, 1) for a place of an answer (SplitMix64's output function over seed and counter).
fn uniform(seed: u64, place: u64) -> f64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
