//! Continuous batching: every step computes one token for each answer being written and, with what is left of its budget, pieces of
//! the prompts that came in.
//!
//! - A long prompt is cut into pieces that take about [`STALL`], so that the answers being written go on.
//! - A prompt that comes alone is cut where llama.cpp's server cuts it, and computed from the pool's first cell, so that it gets the same
//!   numbers; see [`crate::pieces`].
//! - A prompt that begins like one being computed right now waits for it and shares its cells, instead of computing the same again.
//! - A request is let in when the pool has room for its prompt. If the pool runs short later, prefixes of finished requests go first,
//!   then the youngest request: it goes back to the front of its queue and is computed again later; its listener notices a pause.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use llama_cpp_2::{context::session::SeqState, model::LlamaModel};

use crate::{
    Error, Token,
    cache::{Match, PrefixCache, common},
    context::{Context, StepError},
    options::Plan,
    pieces::{Ends, next_cut},
    queue::{FairQueue, deal},
    running::Running,
    sampler::Scratch,
    shared::Shared,
};

/// How long a piece of a prompt may hold up the answers being written.
const STALL: Duration = Duration::from_millis(200);
/// Smallest piece of a prompt while answers are being written.
const SMALLEST_PIECE: usize = 32;
/// Common tokens for which it is worth to wait for another prompt.
const WORTH_WAITING: usize = 16;
/// Common tokens that are shared: for fewer, a prompt is computed from its beginning, as it would be alone.
const WORTH_SHARING: usize = 16;
/// Cells of finished requests that stay in the pool; attention pays for each, but a copy out and back costs too.
const KEPT_CELLS: usize = 1024;
/// Cells that each running request should find free for its next tokens when another is let in.
const HEADROOM: usize = 16;

/// A request that has a place in the steps.
struct Slot {
    running: Box<Running>,
    /// Its sequence; `None` while it waits for another's prefix.
    seq: Option<u32>,
    /// Tokens whose keys and values are in the cache.
    computed: usize,
    /// Counts the requests let in: larger is younger.
    order: u64,
    /// Waits until the slot of this order has computed so many tokens.
    follows: Option<(u64, usize)>,
    since: Instant,
}

impl Slot {
    fn pending(&self) -> usize {
        self.running.tokens.len() - self.computed
    }

    /// One token is left to compute: the next step gives the next token.
    fn decodes(&self) -> bool {
        self.seq.is_some() && self.pending() == 1
    }
}

/// A slot's part in a step.
struct Part {
    slot: usize,
    tokens: usize,
    /// The row of logits, where the part reaches the end of the tokens.
    row: Option<i32>,
}

/// Everything that the owner thread needs to write answers.
pub(crate) struct Scheduler<'m> {
    context: Context<'m>,
    model: &'m LlamaModel,
    plan: Plan,
    cache: PrefixCache<SeqState>,
    slots: Vec<Slot>,
    queue: FairQueue<Box<Running>>,
    shared: Arc<Shared>,
    scratch: Scratch,
    orders: u64,
    /// Prompt tokens a second, smoothed; 0 before the first measure.
    prompt_speed: f64,
    partial: bool,
    /// llama.cpp's server cuts this model's prompts to save states.
    saves: bool,
    ends: Ends,
}

impl<'m> Scheduler<'m> {
    pub fn new(context: Context<'m>, model: &'m LlamaModel, plan: Plan, shared: Arc<Shared>) -> Self {
        let partial = !model.is_recurrent() && !model.is_hybrid();
        let saves = !partial || has_sliding_windows(model);
        Self {
            context,
            model,
            plan,
            cache: PrefixCache::new(plan.cache_tokens, plan.sequences, partial, plan.parked_tokens as usize),
            slots: Vec::new(),
            queue: FairQueue::new(),
            shared,
            scratch: Scratch::default(),
            orders: 0,
            prompt_speed: 0.0,
            partial,
            saves,
            ends: Ends::default(),
        }
    }

    /// A request that came in.
    pub fn push(&mut self, running: Box<Running>) {
        let key = running.fairness.clone();
        self.queue.push(&key, running);
    }

    pub fn is_idle(&self) -> bool {
        self.slots.is_empty() && self.queue.is_empty()
    }

    /// One step.
    pub fn step(&mut self) {
        self.reap();
        self.admit();
        self.unpark();
        let parts = self.plan_step();
        // Before anybody hears of a step's outcome, the figures know of it.
        self.publish();
        if !parts.is_empty() {
            self.compute(parts);
            self.publish();
        }
    }

    fn publish(&self) {
        self.shared.active.store(self.slots.len() as u32, Relaxed);
        self.shared.cells_used.store(self.cache.used() as u64, Relaxed);
    }

    /// Lets go those whose listener is gone or whose deadline has passed.
    fn reap(&mut self) {
        let now = Instant::now();
        for index in (0..self.slots.len()).rev() {
            let running = &mut self.slots[index].running;
            if running.is_abandoned() {
                self.leave(index);
            } else if running.is_late(now) {
                running.fail(Error::DeadlineExceeded);
                self.leave(index);
            }
        }
        for mut running in self.queue.take(|running| running.is_abandoned() || running.is_late(now)) {
            running.fail(Error::DeadlineExceeded);
        }
    }

    /// Takes a request out of its slot; its tokens stay in the cache.
    fn leave(&mut self, index: usize) -> Box<Running> {
        let slot = self.slots.remove(index);
        if let Some(seq) = slot.seq {
            self.cache.keep(seq, &mut self.context);
            self.cache.tidy(KEPT_CELLS, &mut self.context);
        }
        self.shared.served(slot.since.elapsed());
        slot.running
    }

    /// Lets in those who are next, as long as there are slots and room.
    fn admit(&mut self) {
        while self.slots.len() < self.plan.slots as usize {
            let slots = &self.slots;
            let places = |key: &str| slots.iter().filter(|slot| slot.running.fairness == key).count();
            let Some(mut running) = self.queue.pop(places) else { return };
            self.cache.revive(&running.tokens, &mut self.context);
            let found = self.find(&running.tokens);
            if found.is_none() && self.slots.is_empty() {
                // Attention's tiles count from the pool's first cell, and this way each finds the same tokens as in a fresh pool.
                self.cache.tidy(0, &mut self.context);
            }
            let held = found.map_or(0, |found| found.len);
            let follows = self.worth_following(&running, held);
            let need = running.tokens.len() - follows.map_or(held, |(_, len)| len);
            let promised: usize = self.slots.iter().map(Slot::pending).sum();
            let fits = self.slots.is_empty()
                || self.cache.available(found) >= promised + need + HEADROOM * (self.slots.len() + 1);
            if !fits {
                let key = running.fairness.clone();
                self.queue.push_front(&key, running);
                return;
            }
            let seq = if follows.is_some() {
                None
            } else {
                let seq = self.cache.open(found, &mut self.context);
                self.note_start(&mut running, held);
                seq
            };
            self.orders += 1;
            self.slots.push(Slot {
                running,
                seq,
                computed: if seq.is_some() { held } else { 0 },
                order: self.orders,
                follows,
                since: Instant::now(),
            });
            if self.begin_known(self.slots.len() - 1) {
                self.leave(self.slots.len() - 1);
            }
        }
    }

    /// What the cache holds of a request's beginning: all of it where the logits after it are known, else all but its last token.
    fn find(&self, tokens: &[Token]) -> Option<Match> {
        let whole = self.ends.get(tokens).and_then(|_| self.cache.find_whole(tokens));
        whole.or_else(|| self.cache.find(tokens).filter(|found| found.len >= WORTH_SHARING))
    }

    /// Begins the answer of a request whose tokens are all in the cache; whether that was its end.
    fn begin_known(&mut self, index: usize) -> bool {
        let slot = &mut self.slots[index];
        if slot.seq.is_none() || slot.pending() > 0 {
            return false;
        }
        let Some(logits) = self.ends.get(&slot.running.tokens) else { return false };
        self.shared.completion_tokens.fetch_add(1, Relaxed);
        slot.running.advance(logits, self.model, &mut self.scratch)
    }

    fn note_start(&self, running: &mut Running, held: usize) {
        if running.start(held) {
            self.shared.requests.fetch_add(1, Relaxed);
            self.shared.prompt_tokens.fetch_add(running.prompt_len() as u64, Relaxed);
            self.shared.cached_tokens.fetch_add(held as u64, Relaxed);
        }
    }

    /// An older request that is about to compute much more of this one's beginning than the cache holds.
    fn worth_following(&self, running: &Running, held: usize) -> Option<(u64, usize)> {
        if !self.partial {
            return None;
        }
        let wanted = &running.tokens[..running.tokens.len() - 1];
        self.slots
            .iter()
            .filter(|slot| !slot.decodes())
            .map(|slot| (common(&slot.running.tokens, wanted), slot.order))
            .filter(|&(len, _)| len >= held + WORTH_WAITING)
            .max_by_key(|&(len, order)| (len, std::cmp::Reverse(order)))
            .map(|(len, order)| (order, len))
    }

    /// Lets those go on whose prefix is there, or whose leader is gone.
    fn unpark(&mut self) {
        let mut ended = Vec::new();
        for index in 0..self.slots.len() {
            let Some((leader, len)) = self.slots[index].follows else { continue };
            if self.slots.iter().any(|slot| slot.order == leader && slot.computed < len) {
                continue;
            }
            let found = self.find(&self.slots[index].running.tokens);
            let held = found.map_or(0, |found| found.len);
            // Fewer requests run than there are sequences, so one can always be had.
            let seq = self.cache.open(found, &mut self.context);
            let mut slot = self.slots.remove(index);
            self.note_start(&mut slot.running, held);
            slot.follows = None;
            slot.seq = seq;
            slot.computed = held;
            self.slots.insert(index, slot);
            if self.begin_known(index) {
                ended.push(index);
            }
        }
        for index in ended.into_iter().rev() {
            self.leave(index);
        }
    }

    /// Decides what the next step computes, and puts it into the batch.
    fn plan_step(&mut self) -> Vec<Part> {
        // A token for each answer comes first, and the youngest gives way until there is room for all of them.
        let decoding = loop {
            let decoding: Vec<usize> = (0..self.slots.len()).filter(|&i| self.slots[i].decodes()).collect();
            if self.cache.make_room(decoding.len(), &mut self.context) {
                break decoding;
            }
            self.preempt();
        };
        let mut budget = self.plan.batch_tokens as usize - decoding.len();
        if !decoding.is_empty() {
            budget = budget.min(self.piece());
        }
        let mut pieces = self.deal_prompts(budget.min(self.cache.available(None) - decoding.len()));
        while decoding.is_empty() && pieces.is_empty() && self.slots.len() > 1 {
            // Prompts alone, and no room for any: the youngest gives way.
            self.preempt();
            pieces = self.deal_prompts(budget.min(self.cache.available(None)));
        }
        let total = decoding.len() + pieces.iter().map(|piece| piece.1).sum::<usize>();
        if !self.cache.make_room(total, &mut self.context) {
            return Vec::new();
        }
        self.context.begin();
        decoding
            .into_iter()
            .map(|slot| (slot, 1))
            .chain(pieces)
            .map(|(slot, tokens)| self.add(slot, tokens))
            .collect()
    }

    /// Most prompt tokens in a step while answers are being written.
    fn piece(&self) -> usize {
        ((self.prompt_speed * STALL.as_secs_f64()) as usize).max(SMALLEST_PIECE)
    }

    /// Pieces of prompts.
    fn deal_prompts(&self, budget: usize) -> Vec<(usize, usize)> {
        let waiting: Vec<usize> = (0..self.slots.len())
            .filter(|&i| self.slots[i].seq.is_some() && !self.slots[i].decodes())
            .collect();
        let claims: Vec<(&str, usize)> = waiting
            .iter()
            .map(|&i| &self.slots[i])
            .map(|slot| {
                let end = next_cut(slot.computed, slot.running.tokens.len(), self.saves);
                (slot.running.fairness.as_str(), end - slot.computed)
            })
            .collect();
        let parts = deal(budget, &claims, self.shared.steps.load(Relaxed) as usize);
        waiting.into_iter().zip(parts).filter(|part| part.1 > 0).collect()
    }

    fn add(&mut self, index: usize, tokens: usize) -> Part {
        let slot = &self.slots[index];
        let seq = slot.seq.unwrap_or_default();
        let end = slot.computed + tokens;
        let mut row = None;
        for at in slot.computed..end {
            let last = at + 1 == slot.running.tokens.len();
            let added = self.context.add(slot.running.tokens[at], at, seq, last);
            row = last.then_some(added);
        }
        Part { slot: index, tokens, row }
    }

    /// The youngest request gives its cells back and waits again, in front of the others of its key.
    fn preempt(&mut self) {
        let youngest = (0..self.slots.len()).max_by_key(|&i| self.slots[i].order);
        let Some(index) = youngest else { return };
        let slot = self.slots.remove(index);
        if let Some(seq) = slot.seq {
            self.cache.keep(seq, &mut self.context);
        }
        tracing::debug!(tokens = slot.running.tokens.len(), "the pool is short: a request waits again");
        self.shared.preempted.fetch_add(1, Relaxed);
        let key = slot.running.fairness.clone();
        self.queue.push_front(&key, slot.running);
    }

    fn compute(&mut self, parts: Vec<Part>) {
        let start = Instant::now();
        let result = self.context.compute();
        self.shared.steps.fetch_add(1, Relaxed);
        match result {
            Ok(()) => {}
            Err(StepError::NoRoom) => {
                // Our count says that there is room, so this is llama.cpp keeping more than we know: give way and go on.
                tracing::warn!(
                    "llama.cpp found no cells where {} should be free",
                    self.cache.available(None)
                );
                if self.slots.len() > 1 {
                    self.preempt();
                    self.cache.forget_kept(&mut self.context);
                } else {
                    self.fail_all(1);
                }
                return;
            }
            Err(StepError::Failed(status)) => {
                tracing::error!(status, "llama.cpp failed in a step");
                self.fail_all(status);
                return;
            }
        }
        let (mut prompt, mut answers, mut ended) = (0, 0, Vec::new());
        for part in &parts {
            let slot = &mut self.slots[part.slot];
            let tokens = &slot.running.tokens[slot.computed..slot.computed + part.tokens];
            self.cache.extend(slot.seq.unwrap_or_default(), tokens);
            slot.computed += part.tokens;
            if slot.running.answers() && part.tokens == 1 {
                answers += 1;
            } else {
                prompt += part.tokens as u64;
            }
            let Some(row) = part.row else { continue };
            self.shared.completion_tokens.fetch_add(1, Relaxed);
            if self.partial && !slot.running.answers() {
                self.ends.add(&slot.running.tokens, self.context.logits(row));
            }
            if slot.running.advance(self.context.logits(row), self.model, &mut self.scratch) {
                ended.push(part.slot);
            }
        }
        ended.sort_unstable();
        for index in ended.into_iter().rev() {
            self.leave(index);
        }
        self.measure(prompt, answers, start);
    }

    fn measure(&mut self, prompt: u64, answers: u64, start: Instant) {
        let now = Instant::now();
        let took = now - start;
        self.shared.rates.lock().step(now, prompt, answers, took);
        // Steps with a handful of prompt tokens say little about the speed of prompts.
        if prompt as usize >= SMALLEST_PIECE {
            let speed = (prompt + answers) as f64 / took.as_secs_f64().max(1e-6);
            self.prompt_speed =
                if self.prompt_speed == 0.0 { speed } else { self.prompt_speed * 0.75 + speed * 0.25 };
        }
    }

    /// llama.cpp is in an unknown state: nothing of the cache can be trusted any more.
    fn fail_all(&mut self, status: i32) {
        for mut slot in std::mem::take(&mut self.slots) {
            slot.running.fail(Error::Compute { status });
            if let Some(seq) = slot.seq {
                self.cache.release(seq, &mut self.context);
            }
        }
        self.cache.forget_kept(&mut self.context);
    }
}

/// The file's word for it: `n_swa` of llama.cpp is not to be had through its bindings.
fn has_sliding_windows(model: &LlamaModel) -> bool {
    let arch = model.meta_val_str("general.architecture").unwrap_or_default();
    let window = model.meta_val_str(&format!("{arch}.attention.sliding_window"));
    window.is_ok_and(|window| window.parse::<u32>().is_ok_and(|window| window > 0))
}
