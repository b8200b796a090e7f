//! Progress of long work, from wherever it runs to whoever watches: a bar in a terminal, events in the API, a bar in the console.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What `done` and `total` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes moved or checked.
    Bytes,
    /// Files, parts or records.
    Items,
    /// Steps of an engine.
    Steps,
}

/// How far a piece of work has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// A stable word for the stage: `resolve`, `download`, `verify`, `install`, `load` ...
    pub stage: String,
    /// What the stage works on, such as a file name; may be empty.
    pub item: String,
    /// Done so far in this stage.
    pub done: u64,
    /// All of it, where it is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

impl ProgressEvent {
    /// Done over total, 0 to 1, where the total is known.
    pub fn fraction(&self) -> Option<f64> {
        match self.total {
            Some(0) => Some(1.0),
            Some(total) => Some((self.done as f64 / total as f64).min(1.0)),
            None => None,
        }
    }
}

/// Where events go. Cheap to clone; the callee must not block for long.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(ProgressEvent) + Send + Sync>);

impl Progress {
    /// Sends each event to `sink`.
    pub fn new(sink: impl Fn(ProgressEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::new(|_| ())
    }

    /// Reports.
    pub fn report(&self, event: ProgressEvent) {
        (self.0)(event);
    }

    /// Reports bytes of one item.
    pub fn bytes(&self, stage: &str, item: &str, done: u64, total: Option<u64>) {
        self.report(ProgressEvent { stage: stage.into(), item: item.into(), done, total, unit: Unit::Bytes });
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
