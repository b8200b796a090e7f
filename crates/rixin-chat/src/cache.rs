//! The prefix cache: which sequence holds which tokens, which cells they share, and who has to go when the pool is short.
//!
//! llama.cpp keeps one pool of cells; a cell holds one token's keys and values and may belong to several sequences. Sequences of
//! finished requests stay until their cells are needed, least recently used first. This book-keeping mirrors every change into
//! llama.cpp through [`Memory`], and counts cells exactly, so that a step never starts without room.

use crate::{Token, parked::Parked};

/// Common tokens more than the pool holds, for which a parked prefix is brought back.
const WORTH_REVIVING: usize = 16;

/// What the book-keeping asks of llama.cpp.
pub(crate) trait Memory {
    /// Keys and values of a sequence outside the pool.
    type State;
    /// Copies a sequence's keys and values out; `None` where that can't be.
    fn save(&mut self, seq: u32) -> Option<Self::State>;
    /// Copies them into an empty sequence; `false` leaves it empty.
    fn restore(&mut self, seq: u32, state: &Self::State) -> bool;
    /// `to`, which is empty, shares the first `len` tokens of `from`.
    fn share(&mut self, from: u32, to: u32, len: u32);
    /// A sequence forgets all its tokens.
    fn clear(&mut self, seq: u32);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// A request computes with it.
    Running,
    /// What a finished request left.
    Kept,
}

#[derive(Debug)]
struct Sequence {
    state: State,
    tokens: Vec<Token>,
    /// The cell of each token.
    cells: Vec<u32>,
    used: u64,
}

/// The book-keeping.
#[derive(Debug)]
pub(crate) struct PrefixCache<S> {
    sequences: Vec<Sequence>,
    /// How many sequences each cell belongs to.
    owners: Vec<u16>,
    free: Vec<u32>,
    clock: u64,
    /// Whether a sequence can be shared up to any token; recurrent models have only the state after the last.
    partial: bool,
    parked: Parked<S>,
}

/// The longest beginning that is in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    seq: u32,
    pub len: usize,
}

impl<S> PrefixCache<S> {
    /// `parked` is the most tokens that prefixes outside the pool may have together.
    pub fn new(cells: u32, sequences: u32, partial: bool, parked: usize) -> Self {
        let empty = || Sequence { state: State::Free, tokens: Vec::new(), cells: Vec::new(), used: 0 };
        Self {
            sequences: (0..sequences).map(|_| empty()).collect(),
            owners: vec![0; cells as usize],
            free: (0..cells).rev().collect(),
            clock: 0,
            partial,
            parked: Parked::new(parked),
        }
    }

    /// Cells that hold a token.
    pub fn used(&self) -> usize {
        self.owners.len() - self.free.len()
    }

    /// The longest beginning of `tokens` that some sequence holds. The last token is left out: its logits are needed, so it has
    /// to be computed.
    pub fn find(&self, tokens: &[Token]) -> Option<Match> {
        let wanted = &tokens[..tokens.len().saturating_sub(1)];
        let usable = |sequence: &Sequence| {
            let len = common(&sequence.tokens, wanted);
            if self.partial || len == sequence.tokens.len() { len } else { 0 }
        };
        (0..)
            .zip(&self.sequences)
            .filter(|(_, sequence)| sequence.state != State::Free)
            .map(|(seq, sequence)| (usable(sequence), sequence.used, seq))
            .filter(|&(len, ..)| len > 0)
            .max()
            .map(|(len, _, seq)| Match { seq, len })
    }

    /// A sequence that holds all of `tokens`, the last one too: for a caller that knows the logits after it.
    pub fn find_whole(&self, tokens: &[Token]) -> Option<Match> {
        let holds =
            |sequence: &Sequence| sequence.state != State::Free && sequence.tokens.starts_with(tokens);
        let seq = self.sequences.iter().position(holds).filter(|_| self.partial)?;
        Some(Match { seq: seq as u32, len: tokens.len() })
    }

    /// Cells that are free, or would be if every finished request's sequence but the match's beginning went.
    pub fn available(&self, besides: Option<Match>) -> usize {
        let mut held = vec![false; self.owners.len()];
        let mut hold = |cells: &[u32]| cells.iter().for_each(|&cell| held[cell as usize] = true);
        for sequence in self.sequences.iter().filter(|s| s.state == State::Running) {
            hold(&sequence.cells);
        }
        if let Some(found) = besides {
            hold(&self.sequences[found.seq as usize].cells[..found.len]);
        }
        held.iter().filter(|&&held| !held).count()
    }

    /// Opens a sequence for a request, sharing what was found. `None` only if all sequences run.
    pub fn open(&mut self, found: Option<Match>, memory: &mut impl Memory<State = S>) -> Option<u32> {
        let spare = found.map(|found| found.seq);
        let seq = match self.sequences.iter().position(|s| s.state == State::Free) {
            Some(seq) => seq as u32,
            None => self.evict(spare, memory)?,
        };
        self.clock += 1;
        if let Some(found) = found {
            let source = &mut self.sequences[found.seq as usize];
            source.used = self.clock;
            let (tokens, cells) = (source.tokens[..found.len].to_vec(), source.cells[..found.len].to_vec());
            for &cell in &cells {
                self.owners[cell as usize] += 1;
            }
            memory.share(found.seq, seq, found.len as u32);
            let target = &mut self.sequences[seq as usize];
            target.tokens = tokens;
            target.cells = cells;
        }
        let target = &mut self.sequences[seq as usize];
        target.state = State::Running;
        target.used = self.clock;
        Some(seq)
    }

    /// Makes room for so many tokens by letting kept sequences go; whether that was enough.
    pub fn make_room(&mut self, tokens: usize, memory: &mut impl Memory<State = S>) -> bool {
        while self.free.len() < tokens {
            if self.evict(None, memory).is_none() {
                return false;
            }
        }
        true
    }

    /// Notes tokens that were computed behind those of a running sequence; [`make_room`](Self::make_room) made room for them.
    pub fn extend(&mut self, seq: u32, tokens: &[Token]) {
        let sequence = &mut self.sequences[seq as usize];
        for &token in tokens {
            let Some(cell) = self.free.pop() else {
                debug_assert!(false, "a step was started without room");
                return;
            };
            self.owners[cell as usize] = 1;
            sequence.tokens.push(token);
            sequence.cells.push(cell);
        }
    }

    /// A request is done: its tokens stay for the next that begins like them. Kept sequences that are a beginning of this one have
    /// nothing more to offer and go; so does this one, if another that runs or was kept holds all of it.
    pub fn keep(&mut self, seq: u32, memory: &mut impl Memory<State = S>) {
        self.clock += 1;
        let at = seq as usize;
        self.sequences[at].state = State::Kept;
        self.sequences[at].used = self.clock;
        let begins = |short: &Sequence, long: &Sequence| long.tokens.starts_with(&short.tokens);
        if self.partial {
            let held = |(other, sequence): (usize, &Sequence)| {
                other != at && sequence.state != State::Free && begins(&self.sequences[at], sequence)
            };
            if let Some(other) = self.sequences.iter().enumerate().position(held) {
                self.sequences[other].used = self.clock;
                self.release(seq, memory);
                return;
            }
        }
        if self.sequences[at].tokens.is_empty() {
            self.release(seq, memory);
            return;
        }
        for other in 0..self.sequences.len() {
            let sequence = &self.sequences[other];
            if other != at
                && sequence.state == State::Kept
                && self.partial
                && begins(sequence, &self.sequences[at])
            {
                self.release(other as u32, memory);
            }
        }
    }

    /// Parks kept sequences, least recently used first, until those that stay hold at most `most` cells that no running one shares.
    pub fn tidy(&mut self, most: usize, memory: &mut impl Memory<State = S>) {
        while self.partial && self.available(None) - self.free.len() > most {
            if self.evict(None, memory).is_none() {
                return;
            }
        }
    }

    /// Brings a parked prefix back into the pool where it holds more of `tokens` than any sequence there and finds room.
    pub fn revive(&mut self, tokens: &[Token], memory: &mut impl Memory<State = S>) {
        let wanted = &tokens[..tokens.len().saturating_sub(1)];
        let Some((at, len, whole)) = self.parked.longest(wanted) else { return };
        let live = self.find(tokens).map_or(0, |found| found.len);
        if len < live + WORTH_REVIVING || self.available(None) < whole {
            return;
        }
        let (tokens, state) = self.parked.take(at);
        let free = self.sequences.iter().position(|s| s.state == State::Free).map(|seq| seq as u32);
        let Some(seq) = free.or_else(|| self.evict(None, memory)) else { return };
        if !self.make_room(whole, memory) || !memory.restore(seq, &state) {
            memory.clear(seq);
            return;
        }
        self.clock += 1;
        let sequence = &mut self.sequences[seq as usize];
        sequence.state = State::Kept;
        sequence.used = self.clock;
        self.extend(seq, &tokens);
    }

    /// Forgets every kept sequence without a copy: what the pool holds can't be trusted.
    pub fn forget_kept(&mut self, memory: &mut impl Memory<State = S>) {
        for seq in 0..self.sequences.len() {
            if self.sequences[seq].state == State::Kept {
                self.release(seq as u32, memory);
            }
        }
    }

    /// Forgets a sequence and frees the cells that no other shares.
    pub fn release(&mut self, seq: u32, memory: &mut impl Memory<State = S>) {
        let sequence = &mut self.sequences[seq as usize];
        sequence.state = State::Free;
        sequence.tokens.clear();
        for cell in sequence.cells.drain(..) {
            let owners = &mut self.owners[cell as usize];
            *owners -= 1;
            if *owners == 0 {
                self.free.push(cell);
            }
        }
        memory.clear(seq);
    }

    /// Lets the least recently used kept sequence go, into the park where that takes it.
    fn evict(&mut self, besides: Option<u32>, memory: &mut impl Memory<State = S>) -> Option<u32> {
        let (seq, _) = (0..)
            .zip(&self.sequences)
            .filter(|&(seq, sequence)| sequence.state == State::Kept && Some(seq) != besides)
            .min_by_key(|(_, sequence)| sequence.used)?;
        let (len, used) = (self.sequences[seq as usize].tokens.len(), self.sequences[seq as usize].used);
        if self.partial
            && len >= WORTH_REVIVING
            && self.parked.takes(len)
            && let Some(state) = memory.save(seq)
        {
            self.parked.add(self.sequences[seq as usize].tokens.clone(), state, used);
        }
        self.release(seq, memory);
        Some(seq)
    }
}

/// How many tokens two lists begin with together.
pub(crate) fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
