//! What one request took: counted when it ends, however it ends.

use std::time::Instant;

use rixin_protocol::usage::Usage;
use rixin_store::{TenantScope, UsageRecord};

use crate::AppState;

/// The count of a request; it is recorded when dropped.
pub(crate) struct Meter {
    state: AppState,
    scope: TenantScope,
    model: String,
    arrived: Instant,
    first: Option<Instant>,
    /// Events with text so far: what is counted if the client goes away before the engine says.
    pieces: u32,
    usage: Option<Usage>,
    outcome: &'static str,
}

impl Meter {
    pub fn new(state: &AppState, scope: TenantScope, model: &str, arrived: Instant) -> Self {
        state.metrics.in_progress(1.0);
        Self {
            state: state.clone(),
            scope,
            model: model.to_owned(),
            arrived,
            first: None,
            pieces: 0,
            usage: None,
            outcome: "cancelled",
        }
    }

    /// The model that answers.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// A piece of the answer came.
    pub fn piece(&mut self) {
        self.pieces += 1;
        if self.first.is_none() {
            let now = Instant::now();
            self.first = Some(now);
            self.state.metrics.first_token(&self.model, now - self.arrived);
        }
    }

    /// The engine's own count.
    pub fn usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// The engine's count, where it has given one.
    pub fn counted(&self) -> Option<Usage> {
        self.usage
    }

    /// The answer is whole.
    pub fn done(&mut self) {
        self.outcome = "ok";
    }

    /// It failed.
    pub fn failed(&mut self) {
        self.outcome = "failed";
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let metrics = &self.state.metrics;
        metrics.in_progress(-1.0);
        let usage = match self.usage {
            Some(usage) => usage,
            // A refused request took nothing; one that was broken off took at least what was seen of it.
            None => Usage::new(0, self.pieces, 0),
        };
        metrics.answered(&self.model, self.outcome, &usage);
        if let Some(first) = self.first {
            metrics.token_rate(&self.model, usage.completion_tokens, first.elapsed());
        }
        if self.outcome == "failed" && usage.total_tokens == 0 {
            return;
        }
        self.state.store.record(
            &self.scope,
            UsageRecord {
                model: std::mem::take(&mut self.model),
                prompt_tokens: usage.prompt_tokens.into(),
                completion_tokens: usage.completion_tokens.into(),
            },
        );
    }
}
