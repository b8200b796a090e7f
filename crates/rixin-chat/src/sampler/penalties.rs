//! Repetition, presence and frequency penalties over the last tokens of prompt and answer.

use std::collections::{HashMap, VecDeque};

use crate::Sampling;

/// The window of last tokens and what it costs to stand in it.
#[derive(Debug)]
pub(super) struct Penalties {
    repetition: f32,
    presence: f32,
    frequency: f32,
    window: usize,
    last: VecDeque<u32>,
    counts: HashMap<u32, u32>,
}

impl From<&Sampling> for Penalties {
    fn from(sampling: &Sampling) -> Self {
        Self {
            repetition: sampling.repetition_penalty,
            presence: sampling.presence_penalty,
            frequency: sampling.frequency_penalty,
            window: sampling.penalty_window as usize,
            last: VecDeque::new(),
            counts: HashMap::new(),
        }
    }
}

impl Penalties {
    pub fn is_off(&self) -> bool {
        self.window == 0 || (self.repetition == 1.0 && self.presence == 0.0 && self.frequency == 0.0)
    }

    /// Takes a token into the window.
    pub fn push(&mut self, id: u32) {
        if self.is_off() {
            return;
        }
        if self.last.len() == self.window
            && let Some(old) = self.last.pop_front()
            && let Some(count) = self.counts.get_mut(&old)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&old);
            }
        }
        self.last.push_back(id);
        *self.counts.entry(id).or_insert(0) += 1;
    }

    /// Lowers the logits of the tokens in the window (Keskar et al. 2019 for the repetition, negative logits multiplied).
    pub fn apply(&self, logits: &mut [f32]) {
        if self.is_off() {
            return;
        }
        for (&id, &count) in &self.counts {
            let Some(logit) = logits.get_mut(id as usize) else { continue };
            if *logit <= 0.0 {
                *logit *= self.repetition;
            } else {
                *logit /= self.repetition;
            }
            *logit -= count as f32 * self.frequency + self.presence;
        }
    }
}
