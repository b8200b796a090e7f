//! The book-keeping against a model of llama.cpp's memory.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// What llama.cpp would hold: each sequence's cells, by identity.
#[derive(Default)]
struct Model {
    sequences: Vec<Vec<u64>>,
    next: u64,
}

impl Model {
    fn cells(&self) -> usize {
        self.sequences.iter().flatten().collect::<HashSet<_>>().len()
    }

    fn append(&mut self, seq: u32, n: usize) {
        for _ in 0..n {
            self.next += 1;
            self.sequences[seq as usize].push(self.next);
        }
    }
}

impl Memory for Model {
    /// How many tokens were saved: the cells are new ones when they come back.
    type State = usize;

    fn save(&mut self, seq: u32) -> Option<usize> {
        Some(self.sequences[seq as usize].len())
    }

    fn restore(&mut self, seq: u32, state: &usize) -> bool {
        assert!(self.sequences[seq as usize].is_empty(), "restoring into a sequence that holds tokens");
        self.append(seq, *state);
        true
    }

    fn share(&mut self, from: u32, to: u32, len: u32) {
        assert!(self.sequences[to as usize].is_empty(), "sharing into a sequence that holds tokens");
        self.sequences[to as usize] = self.sequences[from as usize][..len as usize].to_vec();
    }

    fn clear(&mut self, seq: u32) {
        self.sequences[seq as usize].clear();
    }
}

fn tokens(ids: &[u32]) -> Vec<Token> {
    ids.iter().copied().map(Token).collect()
}

fn start(cells: u32, sequences: u32) -> (PrefixCache<usize>, Model) {
    let model = Model { sequences: vec![Vec::new(); sequences as usize], next: 0 };
    (PrefixCache::new(cells, sequences, true, 64), model)
}

/// Runs a whole request and returns how many tokens it found.
fn request(cache: &mut PrefixCache<usize>, model: &mut Model, prompt: &[Token]) -> usize {
    let found = cache.find(prompt);
    let len = found.map_or(0, |found| found.len);
    let seq = cache.open(found, model).expect("a sequence");
    assert!(cache.make_room(prompt.len() - len, model));
    cache.extend(seq, &prompt[len..]);
    model.append(seq, prompt.len() - len);
    cache.keep(seq, model);
    len
}

#[test]
fn the_second_turn_finds_the_first() {
    let (mut cache, mut model) = start(64, 4);
    assert_eq!(request(&mut cache, &mut model, &tokens(&[1, 2, 3])), 0);
    assert_eq!(request(&mut cache, &mut model, &tokens(&[1, 2, 3, 4, 5])), 3);
    assert_eq!(request(&mut cache, &mut model, &tokens(&[1, 2, 9])), 2);
    assert_eq!(cache.used(), 6);
    assert_eq!(model.cells(), 6);
}

#[test]
fn the_last_token_is_always_computed() {
    let (mut cache, mut model) = start(64, 4);
    request(&mut cache, &mut model, &tokens(&[1, 2, 3]));
    assert_eq!(cache.find(&tokens(&[1, 2, 3])).map(|m| m.len), Some(2));
    assert_eq!(cache.find(&tokens(&[1])), None);
}

#[test]
fn the_least_recently_used_goes_first() {
    let (mut cache, mut model) = start(6, 8);
    request(&mut cache, &mut model, &tokens(&[1, 1]));
    request(&mut cache, &mut model, &tokens(&[2, 2]));
    request(&mut cache, &mut model, &tokens(&[1, 1, 1]));
    request(&mut cache, &mut model, &tokens(&[3, 3, 3]));
    assert_eq!(cache.find(&tokens(&[2, 2, 0])), None);
    assert_eq!(cache.find(&tokens(&[1, 1, 1, 0])).map(|m| m.len), Some(3));
}

#[test]
fn a_parked_prefix_comes_back() {
    let (mut cache, mut model) = start(64, 4);
    let long: Vec<Token> = (1..=20).map(Token).collect();
    request(&mut cache, &mut model, &long);
    cache.tidy(0, &mut model);
    assert_eq!((cache.used(), model.cells()), (0, 0), "nothing is left in the pool");
    let next: Vec<Token> = (1..=22).map(Token).collect();
    assert_eq!(cache.find(&next), None);
    cache.revive(&next, &mut model);
    assert_eq!(cache.find(&next).map(|found| found.len), Some(20));
    assert_eq!((cache.used(), model.cells()), (20, 20));
}

#[test]
fn recurrent_models_share_whole_sequences_alone() {
    let mut model = Model { sequences: vec![Vec::new(); 4], next: 0 };
    let mut cache = PrefixCache::new(64, 4, false, 64);
    request(&mut cache, &mut model, &tokens(&[1, 2, 3]));
    assert_eq!(cache.find(&tokens(&[1, 2, 9])), None);
    assert_eq!(cache.find(&tokens(&[1, 2, 3])), None);
    assert_eq!(cache.find(&tokens(&[1, 2, 3, 4])).map(|m| m.len), Some(3));
}

proptest! {
    #[test]
    fn cells_are_counted_as_llama_holds_them(
        steps in prop::collection::vec((prop::collection::vec(0u32..3, 1..9), 0u8..6, 0usize..4), 1..80),
    ) {
        let (mut cache, mut model) = start(24, 6);
        let mut running: Vec<u32> = Vec::new();
        for (ids, action, index) in steps {
            let prompt = tokens(&ids);
            match action {
                0 | 1 if running.len() < 3 => {
                    let found = cache.find(&prompt);
                    if let Some(found) = found {
                        prop_assert!(found.len < prompt.len());
                    }
                    let len = found.map_or(0, |found| found.len);
                    if cache.available(found) >= prompt.len() - len {
                        let seq = cache.open(found, &mut model).expect("fewer run than there are sequences");
                        prop_assert!(cache.make_room(prompt.len() - len, &mut model), "available() promised it");
                        cache.extend(seq, &prompt[len..]);
                        model.append(seq, prompt.len() - len);
                        running.push(seq);
                    }
                }
                2 if !running.is_empty() => {
                    let seq = running.swap_remove(index % running.len());
                    cache.keep(seq, &mut model);
                }
                3 if !running.is_empty() => {
                    let seq = running.swap_remove(index % running.len());
                    cache.release(seq, &mut model);
                }
                4 => cache.tidy(index * 4, &mut model),
                5 => {
                    // Long and alike, so that a parked one is worth it.
                    let long: Vec<Token> = prompt.iter().cycle().take(18).copied().collect();
                    cache.revive(&long, &mut model);
                    if running.is_empty() {
                        request(&mut cache, &mut model, &long);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(cache.used(), model.cells());
            for (sequence, cells) in cache.sequences.iter().zip(&model.sequences) {
                prop_assert_eq!(sequence.tokens.len(), cells.len());
                prop_assert_eq!(sequence.cells.len(), cells.len());
            }
        }
    }
}
