//! Where a prompt is cut, and what is known of its end.
//!
//! llama.cpp adds in another order in batches of other sizes: attention works in tiles from 64 tokens on, and weights that it repacked
//! multiply tokens in fours and the rest one by one. So a prompt that is to give the numbers of llama.cpp's server has to be cut where
//! that cuts it, and a prompt that the cache holds needs the logits of its first time.

use std::collections::VecDeque;

use crate::Token;

/// How far before a prompt's end llama.cpp's server begins a new batch, to save the state there (`checkpoint_offsets` in
/// `tools/server/server-context.cpp`: its micro-batch of 512 and 4, and 4). It does so for models that can't forget single tokens, and
/// counts sliding windows among them.
const SAVED: [usize; 2] = [516, 4];

/// The end of the piece that begins at `done` in a prompt of `len` tokens, if nothing else bounds it.
pub(crate) fn next_cut(done: usize, len: usize, saves: bool) -> usize {
    let cut = |&offset: &usize| len.checked_sub(offset).filter(|&cut| cut > done);
    if saves { SAVED.iter().find_map(cut).unwrap_or(len) } else { len }
}

/// Bytes that the logits of prompts' ends may take.
const MOST_BYTES: usize = 8 << 20;

/// The logits after the last tokens of the newest prompts, so that a repeated prompt begins its answer from the same numbers: computing
/// its last token again, alone, would give others.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    entries: VecDeque<(Vec<Token>, Vec<f32>)>,
}

impl Ends {
    /// Notes the logits after a prompt.
    pub fn add(&mut self, prompt: &[Token], logits: &[f32]) {
        let most = (MOST_BYTES / size_of_val(logits).max(1)).max(1);
        self.entries.retain(|(known, _)| known != prompt);
        while self.entries.len() >= most {
            self.entries.pop_front();
        }
        self.entries.push_back((prompt.to_vec(), logits.to_vec()));
    }

    /// The logits after a prompt, if they are known.
    pub fn get(&self, prompt: &[Token]) -> Option<&[f32]> {
        self.entries.iter().find(|(known, _)| known == prompt).map(|(_, logits)| logits.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(len: usize, saves: bool) -> Vec<usize> {
        std::iter::successors(Some(0), |&done| (done < len).then(|| next_cut(done, len, saves))).collect()
    }

    #[test]
    fn prompts_are_cut_as_the_server_cuts_them() {
        assert_eq!(cuts(1018, false), [0, 1018]);
        assert_eq!(cuts(1018, true), [0, 502, 1014, 1018]);
        assert_eq!(cuts(516, true), [0, 512, 516]);
        assert_eq!(cuts(5, true), [0, 1, 5]);
        assert_eq!(cuts(4, true), [0, 4]);
        assert_eq!(next_cut(1015, 1018, true), 1018);
    }

    #[test]
    fn the_newest_ends_stay() {
        let mut ends = Ends::default();
        let logits = |first: f32| [vec![first], vec![0.0; (MOST_BYTES / 8) - 1]].concat();
        for (token, first) in [(1, 1.0), (2, 2.0), (1, 3.0), (3, 4.0)] {
            ends.add(&[Token(token)], &logits(first));
        }
        assert_eq!(ends.get(&[Token(2)]), None);
        assert_eq!(ends.get(&[Token(1)]).map(|logits| logits[0]), Some(3.0));
        assert_eq!(ends.get(&[Token(3)]).map(|logits| logits[0]), Some(4.0));
    }
}
