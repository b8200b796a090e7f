//! top-k, top-p, min-p and temperature, and the draw from what they keep.

use super::{
    Candidate,
    select::{order, top},
};
use crate::Sampling;

/// The filters' settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters {
    pub temperature: f32,
    pub top_k: usize,
    pub top_p: f32,
    pub min_p: f32,
}

impl From<&Sampling> for Filters {
    fn from(sampling: &Sampling) -> Self {
        Self {
            temperature: sampling.temperature,
            top_k: sampling.top_k as usize,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
        }
    }
}

impl Filters {
    /// Every filter keeps the likeliest token, so without temperature, or with room for one, it is the answer.
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0 || self.top_k == 1
    }
}

/// Fills `out` with the tokens that may be drawn, their logits divided by the temperature: likeliest first, except where no filter
/// is on, when it is the vocabulary in its order.
pub(super) fn keep(filters: &Filters, row: &[f32], out: &mut Vec<Candidate>) {
    if filters.top_k > 0 {
        top(row, filters.top_k, out);
        top_p(filters.top_p, out);
    } else if filters.top_p < 1.0 {
        top_p_of_all(filters.top_p, row, out);
    } else {
        all_at_least(filters.min_p, row, out);
    }
    min_p(filters.min_p, out);
    for candidate in out.iter_mut() {
        candidate.logit /= filters.temperature;
    }
}

/// Cuts a list, likeliest first, after the token with which the probabilities reach `p`.
fn top_p(p: f32, out: &mut Vec<Candidate>) {
    let Some(max) = out.first().map(|c| c.logit) else { return };
    if p >= 1.0 {
        return;
    }
    let sum: f32 = out.iter().map(|c| (c.logit - max).exp()).sum();
    let mut reached = 0.0;
    let kept = out.iter().position(|c| {
        reached += (c.logit - max).exp() / sum;
        reached >= p
    });
    out.truncate(kept.map_or(out.len(), |at| at + 1));
}

/// top-p over the whole vocabulary: mostly a few hundred tokens reach it, so more are only sorted when they are needed.
fn top_p_of_all(p: f32, row: &[f32], out: &mut Vec<Candidate>) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = row.iter().map(|&logit| (logit - max).exp()).sum();
    let mut k = 256;
    loop {
        top(row, k, out);
        let mut reached = 0.0;
        let kept = out.iter().position(|c| {
            reached += (c.logit - max).exp() / sum;
            reached >= p
        });
        if let Some(at) = kept {
            out.truncate(at + 1);
            return;
        }
        if out.len() < k {
            return;
        }
        k *= 8;
    }
}

/// The tokens whose probability is at least `p` of the likeliest one's; all of them, in the vocabulary's order, for 0.
fn all_at_least(p: f32, row: &[f32], out: &mut Vec<Candidate>) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = if p > 0.0 { max + p.ln() } else { f32::MIN };
    out.clear();
    out.extend(
        (0..).zip(row).filter(|&(_, &logit)| logit >= least).map(|(id, &logit)| Candidate { id, logit }),
    );
    if p > 0.0 {
        out.sort_unstable_by(order);
    }
}

/// Cuts a list, likeliest first, before the first token whose probability is under `p` of the likeliest one's.
fn min_p(p: f32, out: &mut Vec<Candidate>) {
    let Some(max) = out.first().map(|c| c.logit) else { return };
    if p <= 0.0 {
        return;
    }
    let least = max + p.ln();
    // The first always stays: rounding must not empty the list.
    let kept = out.iter().skip(1).position(|c| c.logit < least);
    if let Some(at) = kept {
        out.truncate(at + 1);
    }
}

/// Draws one by their probabilities; `at` is in [0, 1). 0 for an empty list.
pub(super) fn draw(candidates: &[Candidate], at: f64) -> u32 {
    let max = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let weight = |c: &Candidate| f64::from((c.logit - max).exp());
    let target = candidates.iter().map(weight).sum::<f64>() * at;
    let mut reached = 0.0;
    for candidate in candidates {
        reached += weight(candidate);
        if reached > target {
            return candidate.id;
        }
    }
    candidates.last().map_or(0, |c| c.id)
}
