//! Prefixes of finished requests outside llama.cpp's pool.
//!
//! Attention looks at every cell of the pool up to the last one in use, if only to find it masked. So what nobody computes with
//! is copied out, and back when a request begins like it; the copy takes milliseconds where computing it again takes seconds.

use crate::{Token, cache::common};

/// One prefix with its saved keys and values.
#[derive(Debug)]
struct Entry<S> {
    tokens: Vec<Token>,
    state: S,
    used: u64,
}

/// The prefixes, at most so many tokens of them; the least recently used goes first.
#[derive(Debug)]
pub(crate) struct Parked<S> {
    entries: Vec<Entry<S>>,
    held: usize,
    most: usize,
}

impl<S> Parked<S> {
    pub fn new(most: usize) -> Self {
        Self { entries: Vec::new(), held: 0, most }
    }

    /// Whether a prefix of so many tokens has a place at all.
    pub fn takes(&self, tokens: usize) -> bool {
        tokens <= self.most
    }

    /// Adds a prefix; those that are a beginning of it go.
    pub fn add(&mut self, tokens: Vec<Token>, state: S, used: u64) {
        if !self.takes(tokens.len()) {
            return;
        }
        self.entries.retain(|entry| !tokens.starts_with(&entry.tokens));
        self.held = self.entries.iter().map(|entry| entry.tokens.len()).sum();
        while self.held + tokens.len() > self.most {
            let Some(oldest) = (0..self.entries.len()).min_by_key(|&at| self.entries[at].used) else { break };
            self.held -= self.entries.swap_remove(oldest).tokens.len();
        }
        self.held += tokens.len();
        self.entries.push(Entry { tokens, state, used });
    }

    /// The entry with the longest common beginning: its place, that beginning's length, its own length.
    pub fn longest(&self, wanted: &[Token]) -> Option<(usize, usize, usize)> {
        let entries = self.entries.iter().enumerate();
        entries
            .map(|(at, entry)| (common(&entry.tokens, wanted), at))
            .max()
            .filter(|&(len, _)| len > 0)
            .map(|(len, at)| (at, len, self.entries[at].tokens.len()))
    }

    /// Takes an entry out.
    pub fn take(&mut self, at: usize) -> (Vec<Token>, S) {
        let entry = self.entries.swap_remove(at);
        self.held -= entry.tokens.len();
        (entry.tokens, entry.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: &[u32]) -> Vec<Token> {
        ids.iter().copied().map(Token).collect()
    }

    #[test]
    fn the_oldest_goes_and_a_beginning_is_replaced() {
        let mut parked = Parked::new(6);
        parked.add(tokens(&[1, 2]), "a", 1);
        parked.add(tokens(&[3, 4]), "b", 2);
        parked.add(tokens(&[1, 2, 5]), "c", 3);
        assert_eq!(parked.longest(&tokens(&[1, 2, 9])), Some((1, 2, 3)));
        parked.add(tokens(&[7, 7, 7]), "d", 4);
        assert_eq!(parked.longest(&tokens(&[3, 4])), None, "b was the oldest");
        let (at, ..) = parked.longest(&tokens(&[1, 2, 5])).expect("c is there");
        assert_eq!(parked.take(at), (tokens(&[1, 2, 5]), "c"));
        parked.add(tokens(&[0; 7]), "too long", 5);
        assert_eq!(parked.longest(&tokens(&[0])), None);
    }
}
