//! Progress of all files of a pull as one figure.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rixin_base::Progress;

/// The shortest time between two reports.
const EVERY: Duration = Duration::from_millis(100);

/// Adds up bytes and reports them now and then.
#[derive(Debug)]
pub struct Meter {
    progress: Progress,
    stage: &'static str,
    item: String,
    done: AtomicU64,
    total: Option<u64>,
    last: Mutex<Option<Instant>>,
}

impl Meter {
    /// Nothing done yet.
    pub fn new(progress: &Progress, stage: &'static str, item: &str, total: Option<u64>) -> Self {
        let progress = progress.clone();
        Self {
            progress,
            stage,
            item: item.to_owned(),
            done: AtomicU64::new(0),
            total,
            last: Mutex::default(),
        }
    }

    /// More bytes are there.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
        self.now_and_then();
    }

    /// So many bytes are there, at most the total.
    pub fn set(&self, bytes: u64) {
        self.done.store(bytes.min(self.total.unwrap_or(u64::MAX)), Relaxed);
        self.now_and_then();
    }

    fn now_and_then(&self) {
        let now = Instant::now();
        let Some(mut last) = self.last.try_lock() else { return };
        if last.is_none_or(|last| now.duration_since(last) >= EVERY) {
            *last = Some(now);
            self.report();
        }
    }

    /// Bytes turned out to be of no use.
    pub fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes.min(self.done.load(Relaxed)), Relaxed);
        self.report();
    }

    /// Reports at once.
    pub fn report(&self) {
        let done = self.done.load(Relaxed);
        self.progress.bytes(self.stage, &self.item, done, self.total.map(|total| total.max(done)));
    }
}
