//! What a caller asks for: the prompt, how to sample, when to stop.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Error;

/// An index into the model's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u32);

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Put the begin (and end) tokens around the text where the model asks for them.
    pub add: bool,
    /// Read `<|im_start|>` and the like in the text as the special tokens that they name.
    pub parse: bool,
}

impl SpecialTokens {
    /// Text from outside that is data alone.
    pub const NONE: Self = Self { add: false, parse: false };
    /// A rendered chat template, or a prompt for completion.
    pub const PROMPT: Self = Self { add: true, parse: true };
    /// A piece to be put inside a prompt.
    pub const PARSE: Self = Self { add: false, parse: true };
}

/// How the next token is chosen. The defaults are those of llama.cpp's server, as is the order:
/// bias, penalties, top-k, top-p, min-p, temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token always.
    pub temperature: f32,
    /// Keep the k likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keep the likeliest whose probabilities sum up to this; 1 keeps all.
    pub top_p: f32,
    /// Keep those at least this probable, relative to the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Logits of tokens among the last [`penalty_window`](Self::penalty_window) are divided by this; 1 is off.
    pub repetition_penalty: f32,
    /// Taken off the logit of every token in the window.
    pub presence_penalty: f32,
    /// Taken off the logit for every time that the token stands in the window.
    pub frequency_penalty: f32,
    /// How many of the last tokens of prompt and answer the penalties look at.
    pub penalty_window: u32,
    /// The same seed, prompt and settings give the same answer; `None` draws a seed.
    pub seed: Option<u64>,
    /// Added to logits; `-inf` forbids a token.
    pub logit_bias: Vec<(Token, f32)>,
    /// Do not end at the model's end token; go on until the limit.
    pub ignore_end: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_window: 64,
            seed: None,
            logit_bias: Vec::new(),
            ignore_end: false,
        }
    }
}

impl Sampling {
    /// The likeliest token always.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Error::BadRequest`] names the first field that is out of range.
    pub fn check(&self, vocab_size: u32) -> Result<(), Error> {
        let range = |field, range: &str| {
            Err(Error::field(field, format!("must be in {range}"), format!("须在 {range} 之间")))
        };
        if !(0.0..=100.0).contains(&self.temperature) {
            return range("temperature", "0 – 100");
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return range("top_p", "0 – 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return range("min_p", "0 – 1");
        }
        if !(0.01..=100.0).contains(&self.repetition_penalty) {
            return range("repetition_penalty", "0.01 – 100");
        }
        if !(-100.0..=100.0).contains(&self.presence_penalty) {
            return range("presence_penalty", "-100 – 100");
        }
        if !(-100.0..=100.0).contains(&self.frequency_penalty) {
            return range("frequency_penalty", "-100 – 100");
        }
        if self.logit_bias.iter().any(|(_, bias)| bias.is_nan() || *bias == f32::INFINITY) {
            return Err(Error::field("logit_bias", "must hold numbers or -inf", "须为数字或 -inf"));
        }
        if let Some((token, _)) = self.logit_bias.iter().find(|(token, _)| token.0 >= vocab_size) {
            return Err(no_such_token("logit_bias", token.0, vocab_size));
        }
        Ok(())
    }
}

/// A token that is not in the vocabulary.
pub(crate) fn no_such_token(field: &'static str, token: u32, vocab_size: u32) -> Error {
    Error::field(
        field,
        format!("names token {token}, but the vocabulary ends at {}", vocab_size.saturating_sub(1)),
        format!("含有 token {token}，而词表最大编号为 {}", vocab_size.saturating_sub(1)),
    )
}

/// A grammar in llama.cpp's GBNF that the answer has to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// The rules.
    pub gbnf: String,
    /// The rule that the answer starts with.
    pub root: String,
    /// Regular expressions: the grammar holds from the start of the first match on, and before it the answer is free.
    /// Empty: it holds from the start.
    pub triggers: Vec<String>,
}

impl Grammar {
    /// A grammar that holds from the start, with the rule `root`.
    pub fn new(gbnf: impl Into<String>) -> Self {
        Self { gbnf: gbnf.into(), root: "root".into(), triggers: Vec::new() }
    }
}

/// What to do with a prompt that does not fit the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Refuse with the figures.
    #[default]
    Refuse,
    /// Keep the first `keep` tokens and the newest of the rest, so that at least a quarter of the context (or `max_tokens`, where that
    /// is less) is left for the answer.
    Truncate {
        /// Tokens at the start that stay: the begin token and the system prompt.
        keep: usize,
    },
}

/// One answer to be written.
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    /// The prompt; at least one token.
    pub prompt: Vec<Token>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// The answer ends before the first of these; they are not part of it. Empty ones are ignored.
    pub stop: Vec<String>,
    /// Most tokens of the answer; `None`: to the end of the context.
    pub max_tokens: Option<u32>,
    /// The form that the answer has to follow.
    pub grammar: Option<Grammar>,
    /// Log probabilities with each token, and this many alternatives (0 to 20).
    pub logprobs: Option<u8>,
    /// Show special tokens (`<tool_call>` and the like) in the text, as llama.cpp's server does with `special`.
    pub special: bool,
    /// Requests of one key take turns with those of others.
    pub fairness: String,
    /// The answer is given up at this time.
    pub deadline: Option<Instant>,
    /// What to do with a prompt that does not fit.
    pub overflow: Overflow,
}

impl GenerateRequest {
    /// A request with the defaults.
    pub fn new(prompt: Vec<Token>) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            stop: Vec::new(),
            max_tokens: None,
            grammar: None,
            logprobs: None,
            special: false,
            fairness: String::new(),
            deadline: None,
            overflow: Overflow::default(),
        }
    }
}
