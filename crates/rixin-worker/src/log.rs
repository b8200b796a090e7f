//! The process's log: to standard error, and line by line to whoever looks at the job.

use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::Context, prelude::*};

use crate::report::Reporter;

/// Longest line that is kept, in characters.
const LONGEST: usize = 2000;

struct ToReporter(Reporter);

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}

impl<S: Subscriber> Layer<S> for ToReporter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        // what the store and the HTTP client say of themselves is no news of the job
        if *meta.level() > Level::INFO || !meta.target().starts_with("rixin") {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let line = format!("{} {}{}", meta.level(), text.message, text.fields);
        self.0.line(line.chars().take(LONGEST).collect());
    }
}

/// Starts the log. A filter that is none is replaced by `info`.
pub(crate) fn start(filter: &str, reporter: Reporter) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::registry()
        .with(fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter))
        .with(ToReporter(reporter))
        .try_init();
}
