//! What handle and owner thread both look at: places in the queue, counters, rates.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{EngineStats, Error, llama::resident_bytes};

/// Counters, written by the owner thread unless said otherwise.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The handle's wish that the owner thread ends.
    pub stopping: AtomicBool,
    /// Requests that wait or run; entered by handles.
    inside: AtomicU32,
    pub active: AtomicU32,
    pub cells_used: AtomicU64,
    pub requests: AtomicU64,
    pub prompt_tokens: AtomicU64,
    pub cached_tokens: AtomicU64,
    pub completion_tokens: AtomicU64,
    pub steps: AtomicU64,
    pub preempted: AtomicU64,
    /// How long a request holds its slot, smoothed, in microseconds.
    service_micros: AtomicU64,
    pub rates: Mutex<Rates>,
}

/// A place among the requests that wait or run; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Relaxed);
    }
}

impl Shared {
    /// Takes a place, if fewer than `most` are taken.
    ///
    /// # Errors
    /// [`Error::QueueFull`] with a guess when to come back.
    pub fn enter(self: &Arc<Self>, most: u32) -> Result<Place, Error> {
        if self.stopping.load(Relaxed) {
            return Err(Error::Stopped);
        }
        match self.inside.fetch_update(Relaxed, Relaxed, |inside| (inside < most).then_some(inside + 1)) {
            Ok(_) => Ok(Place(Arc::clone(self))),
            Err(inside) => {
                let active = self.active.load(Relaxed).max(1);
                // A place is free when the next of those that run is done.
                let micros = self.service_micros.load(Relaxed) / u64::from(active);
                let retry_after =
                    Duration::from_micros(micros).clamp(Duration::from_secs(1), Duration::from_secs(60));
                Err(Error::QueueFull { waiting: inside - self.active.load(Relaxed).min(inside), retry_after })
            }
        }
    }

    /// Notes how long a request held its slot.
    pub fn served(&self, held: Duration) {
        let held = held.as_micros() as u64;
        let before = self.service_micros.load(Relaxed);
        self.service_micros.store(if before == 0 { held } else { (before * 7 + held) / 8 }, Relaxed);
    }

    pub fn stats(&self, slots: u32, cache_tokens: u32) -> EngineStats {
        let active = self.active.load(Relaxed);
        let (prompt, decode) = self.rates.lock().per_second(Instant::now());
        EngineStats {
            active,
            queued: self.inside.load(Relaxed).saturating_sub(active),
            slots,
            cache_tokens_used: self.cells_used.load(Relaxed),
            cache_tokens: u64::from(cache_tokens),
            requests_total: self.requests.load(Relaxed),
            prompt_tokens_total: self.prompt_tokens.load(Relaxed),
            cached_tokens_total: self.cached_tokens.load(Relaxed),
            completion_tokens_total: self.completion_tokens.load(Relaxed),
            steps_total: self.steps.load(Relaxed),
            preempted_total: self.preempted.load(Relaxed),
            prompt_tokens_per_second: prompt,
            decode_tokens_per_second: decode,
            rss_bytes: resident_bytes(),
        }
    }
}

/// Tokens and the time that went into them, over the last minute.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// One entry a second with work.
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    start: Instant,
    prompt: u64,
    prompt_busy: Duration,
    decode: u64,
    decode_busy: Duration,
}

impl Rates {
    const WINDOW: Duration = Duration::from_secs(60);

    /// Notes a step: prompt tokens and answer tokens computed, and how long it took.
    pub fn step(&mut self, now: Instant, prompt: u64, decode: u64, took: Duration) {
        if self.seconds.back().is_none_or(|second| now - second.start >= Duration::from_secs(1)) {
            let zero = Duration::ZERO;
            self.seconds.push_back(Second {
                start: now,
                prompt: 0,
                prompt_busy: zero,
                decode: 0,
                decode_busy: zero,
            });
        }
        if let Some(second) = self.seconds.back_mut() {
            second.prompt += prompt;
            second.decode += decode;
            if prompt > 0 {
                second.prompt_busy += took;
            }
            if decode > 0 {
                second.decode_busy += took;
            }
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while self.seconds.front().is_some_and(|second| now - second.start > Self::WINDOW) {
            self.seconds.pop_front();
        }
    }

    fn per_second(&mut self, now: Instant) -> (f64, f64) {
        self.forget(now);
        let rate = |tokens: u64, busy: Duration| {
            if busy.is_zero() { 0.0 } else { tokens as f64 / busy.as_secs_f64() }
        };
        let prompt: u64 = self.seconds.iter().map(|s| s.prompt).sum();
        let decode: u64 = self.seconds.iter().map(|s| s.decode).sum();
        let prompt_busy: Duration = self.seconds.iter().map(|s| s.prompt_busy).sum();
        let decode_busy: Duration = self.seconds.iter().map(|s| s.decode_busy).sum();
        (rate(prompt, prompt_busy), rate(decode, decode_busy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let shared = Arc::new(Shared::default());
        let first = shared.enter(1).expect("free");
        assert!(matches!(shared.enter(1), Err(Error::QueueFull { .. })));
        drop(first);
        assert!(shared.enter(1).is_ok());
    }

    #[test]
    fn rates_are_of_the_last_minute() {
        let mut rates = Rates::default();
        let start = Instant::now();
        rates.step(start, 100, 0, Duration::from_millis(500));
        rates.step(start, 0, 10, Duration::from_millis(100));
        assert_eq!(rates.per_second(start), (200.0, 100.0));
        assert_eq!(rates.per_second(start + Duration::from_secs(62)), (0.0, 0.0));
    }
}
