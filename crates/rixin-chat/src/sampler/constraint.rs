//! A grammar that the answer has to follow.

use llama_cpp_2::{
    model::LlamaModel,
    sampling::LlamaSampler,
    token::{LlamaToken, data::LlamaTokenData, data_array::LlamaTokenDataArray},
};

use super::{
    Candidate,
    filter::{Filters, draw, keep},
    select::{argmax, top},
};
use crate::{Error, Grammar};

/// How many of the likeliest tokens are tried before the whole vocabulary is: the grammar looks at every one of them letter by letter.
const FIRST_TRY: usize = 256;

/// A grammar with its state.
pub(crate) struct Constraint {
    sampler: LlamaSampler,
}

impl Constraint {
    /// Reads the grammar; costs a few milliseconds for a long one.
    ///
    /// # Errors
    /// [`Error::BadGrammar`] with llama.cpp's reason.
    pub fn new(model: &LlamaModel, grammar: &Grammar) -> Result<Self, Error> {
        crate::llama::clear_errors();
        let sampler = if grammar.triggers.is_empty() {
            LlamaSampler::grammar(model, &grammar.gbnf, &grammar.root)
        } else {
            LlamaSampler::grammar_lazy_patterns(model, &grammar.gbnf, &grammar.root, &grammar.triggers, &[])
        };
        match sampler {
            Ok(sampler) => Ok(Self { sampler }),
            Err(error) => Err(Error::BadGrammar {
                why: crate::llama::first_error().unwrap_or_else(|| error.to_string()),
            }),
        }
    }

    /// Whether the answer may go on with this token.
    pub fn allows(&mut self, id: u32) -> bool {
        let mut one = data([Candidate { id, logit: 0.0 }].iter());
        self.sampler.apply(&mut one);
        one.data.first().is_some_and(|token| token.logit() != f32::NEG_INFINITY)
    }

    /// Goes on with a token.
    ///
    /// # Errors
    /// [`Error::BadGrammar`] if the grammar has no place for it.
    pub fn accept(&mut self, id: u32) -> Result<(), Error> {
        self.sampler
            .try_accept(LlamaToken(id as i32))
            .map_err(|error| Error::BadGrammar { why: format!("token {id}: {error}") })
    }

    /// Chooses among the tokens that the grammar allows, as if the others were not there.
    ///
    /// # Errors
    /// [`Error::BadGrammar`] if there is none.
    pub(super) fn pick_allowed(
        &mut self,
        filters: &Filters,
        row: &[f32],
        at: f64,
        candidates: &mut Vec<Candidate>,
    ) -> Result<u32, Error> {
        top(row, FIRST_TRY, candidates);
        let mut tokens = data(candidates.iter());
        self.sampler.apply(&mut tokens);
        let allowed: Vec<f32> = tokens.data.iter().map(LlamaTokenData::logit).collect();
        let likeliest: Vec<Candidate> = candidates
            .iter()
            .zip(&allowed)
            .filter(|&(_, &logit)| logit != f32::NEG_INFINITY)
            .map(|(candidate, _)| *candidate)
            .collect();
        // Those left out are all less likely, so what the filters would look at is here already.
        if filters.is_greedy() {
            if let Some(first) = likeliest.first() {
                return Ok(first.id);
            }
        } else if filters.top_k > 0 && likeliest.len() >= filters.top_k {
            return Ok(self.pick_from(filters, row.len(), &likeliest, at, candidates));
        }
        let all: Vec<Candidate> = (0..).zip(row).map(|(id, &logit)| Candidate { id, logit }).collect();
        let mut tokens = data(all.iter());
        self.sampler.apply(&mut tokens);
        let allowed: Vec<Candidate> = tokens
            .data
            .iter()
            .map(|token| Candidate { id: token.id().0 as u32, logit: token.logit() })
            .filter(|candidate| candidate.logit != f32::NEG_INFINITY)
            .collect();
        if allowed.is_empty() {
            return Err(Error::BadGrammar { why: "no token of the vocabulary can follow it here".into() });
        }
        Ok(self.pick_from(filters, row.len(), &allowed, at, candidates))
    }

    fn pick_from(
        &self,
        filters: &Filters,
        vocab: usize,
        allowed: &[Candidate],
        at: f64,
        candidates: &mut Vec<Candidate>,
    ) -> u32 {
        let mut row = vec![f32::NEG_INFINITY; vocab];
        for candidate in allowed {
            row[candidate.id as usize] = candidate.logit;
        }
        if filters.is_greedy() {
            return argmax(&row);
        }
        keep(filters, &row, candidates);
        draw(candidates, at)
    }
}

fn data<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> LlamaTokenDataArray {
    let tokens = candidates.map(|c| LlamaTokenData::new(LlamaToken(c.id as i32), c.logit, 0.0)).collect();
    LlamaTokenDataArray::new(tokens, false)
}
