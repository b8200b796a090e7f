//! Progress, metrics and log lines, gathered and told to the store a few times a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rixin_base::{Progress, ProgressEvent, Unit};
use rixin_store::{AttemptScope, Fenced, JobProgress};
use serde_json::{Value, json};

/// How often it is told.
pub(crate) const EVERY: Duration = Duration::from_millis(400);
/// Lines of the log that one telling has room for; more are counted and left out.
const LINES: usize = 200;
/// Metric points that one telling has room for.
const POINTS: usize = 500;

#[derive(Default)]
struct Gathered {
    progress: Option<JobProgress>,
    metrics: Vec<Value>,
    lines: Vec<String>,
    left_out: usize,
}

/// Where a runner says how far it is. Cheap to clone; never blocks.
#[derive(Clone, Default)]
pub(crate) struct Reporter {
    gathered: Arc<Mutex<Gathered>>,
    changed: Arc<AtomicBool>,
}

impl Reporter {
    /// How far it is; replaces what was not told yet.
    pub fn progress(&self, progress: JobProgress) {
        self.gathered.lock().progress = Some(progress);
        self.changed.store(true, Ordering::Release);
    }

    /// A point of a series.
    #[allow(dead_code, reason = "kinds that train report series")]
    pub fn metric(&self, name: &str, step: u64, value: f64) {
        let mut gathered = self.gathered.lock();
        if gathered.metrics.len() < POINTS {
            gathered.metrics.push(json!({ "name": name, "step": step, "value": value }));
        }
        self.changed.store(true, Ordering::Release);
    }

    /// A line of the log.
    pub fn line(&self, line: String) {
        let mut gathered = self.gathered.lock();
        if gathered.lines.len() < LINES {
            gathered.lines.push(line);
        } else {
            gathered.left_out += 1;
        }
        self.changed.store(true, Ordering::Release);
    }

    /// For libraries that report in their own way.
    pub fn as_progress(&self) -> Progress {
        let reporter = self.clone();
        Progress::new(move |event: ProgressEvent| {
            reporter.progress(JobProgress {
                fraction: event.fraction(),
                stage: event.stage,
                item: event.item,
                done: event.done,
                total: event.total,
                unit: match event.unit {
                    Unit::Bytes => "bytes",
                    Unit::Items => "items",
                    Unit::Steps => "steps",
                }
                .into(),
            });
        })
    }

    /// Tells the store what was gathered.
    ///
    /// # Errors
    /// The attempt was given up; on other errors of the store everything is kept for the next time.
    pub async fn tell(&self, scope: &AttemptScope) -> Result<(), Fenced> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let taken = std::mem::take(&mut *self.gathered.lock());
        let mut told: Vec<(&str, Value)> = Vec::new();
        if !taken.metrics.is_empty() {
            told.push(("metric", json!({ "points": taken.metrics })));
        }
        if !taken.lines.is_empty() {
            told.push(("log", json!({ "lines": taken.lines, "left_out": taken.left_out })));
        }
        let result = scope.tell(taken.progress.as_ref(), &told).await;
        if matches!(result, Err(Fenced::Store(_))) {
            let mut gathered = self.gathered.lock();
            let newer = std::mem::replace(&mut *gathered, taken);
            gathered.progress = newer.progress.or(gathered.progress.take());
            gathered.metrics.extend(newer.metrics);
            gathered.lines.extend(newer.lines);
            gathered.left_out += newer.left_out;
            self.changed.store(true, Ordering::Release);
        }
        result
    }
}
