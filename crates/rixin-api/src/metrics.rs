//! Prometheus metrics of one gateway. The recorder is not global, so that several gateways of one process (tests) keep apart.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use rixin_control::{MemoryPlan, ReplicaState, ReplicaStatus};
use rixin_protocol::usage::Usage;

const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const RATES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 800.0];

const HTTP_REQUESTS: &str = "rixin_http_requests_total";
const HTTP_SECONDS: &str = "rixin_http_response_seconds";
const MODEL_REQUESTS: &str = "rixin_model_requests_total";
const PROMPT_TOKENS: &str = "rixin_prompt_tokens_total";
const CACHED_TOKENS: &str = "rixin_cached_prompt_tokens_total";
const COMPLETION_TOKENS: &str = "rixin_completion_tokens_total";
const FIRST_TOKEN: &str = "rixin_time_to_first_token_seconds";
const TOKEN_RATE: &str = "rixin_decode_tokens_per_second";
const STREAMS: &str = "rixin_requests_in_progress";

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The counters of a gateway.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

fn labels<const N: usize>(name: &'static str, labels: [(&'static str, String); N]) -> Key {
    Key::from_parts(name, labels.into_iter().map(|(key, value)| Label::new(key, value)).collect::<Vec<_>>())
}

impl Metrics {
    pub fn new() -> Self {
        // Setting buckets fails only for an empty list.
        let builder = PrometheusBuilder::new();
        let builder = [(HTTP_SECONDS, SECONDS), (FIRST_TOKEN, SECONDS), (TOKEN_RATE, RATES)]
            .into_iter()
            .try_fold(builder, |builder, (name, buckets)| {
                builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
            });
        let recorder = builder.unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        metrics.describe();
        metrics
    }

    fn describe(&self) {
        let text = |text: &'static str| SharedString::const_str(text);
        for (name, help) in [
            (HTTP_REQUESTS, "Requests by route, method and status."),
            (MODEL_REQUESTS, "Requests that a replica was asked to answer, by model and outcome."),
            (PROMPT_TOKENS, "Prompt tokens by model."),
            (CACHED_TOKENS, "Prompt tokens that the prefix cache held, by model."),
            (COMPLETION_TOKENS, "Answer tokens by model."),
        ] {
            self.recorder.describe_counter(KeyName::from_const_str(name), None, text(help));
        }
        for (name, unit, help) in [
            (HTTP_SECONDS, Unit::Seconds, "Time until the response's head, by route."),
            (
                FIRST_TOKEN,
                Unit::Seconds,
                "Time from a request's arrival to its first piece of text, by model.",
            ),
            (TOKEN_RATE, Unit::Count, "Answer tokens a second of one streamed answer, by model."),
        ] {
            self.recorder.describe_histogram(KeyName::from_const_str(name), Some(unit), text(help));
        }
        let name = KeyName::from_const_str(STREAMS);
        self.recorder.describe_gauge(name, None, text("Requests being answered by replicas."));
    }

    fn add(&self, key: &Key, value: u64) {
        self.recorder.register_counter(key, &METADATA).increment(value);
    }

    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let key =
            [("route", route.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
        self.add(&labels(HTTP_REQUESTS, key), 1);
        let key = labels(HTTP_SECONDS, [("route", route.to_owned())]);
        self.recorder.register_histogram(&key, &METADATA).record(took.as_secs_f64());
    }

    pub fn answered(&self, model: &str, outcome: &str, usage: &Usage) {
        self.add(&labels(MODEL_REQUESTS, [("model", model.to_owned()), ("outcome", outcome.to_owned())]), 1);
        let cached = usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens);
        for (name, value) in [
            (PROMPT_TOKENS, usage.prompt_tokens),
            (CACHED_TOKENS, cached),
            (COMPLETION_TOKENS, usage.completion_tokens),
        ] {
            self.add(&labels(name, [("model", model.to_owned())]), u64::from(value));
        }
    }

    pub fn first_token(&self, model: &str, after: Duration) {
        let key = labels(FIRST_TOKEN, [("model", model.to_owned())]);
        self.recorder.register_histogram(&key, &METADATA).record(after.as_secs_f64());
    }

    pub fn token_rate(&self, model: &str, tokens: u32, over: Duration) {
        let secs = over.as_secs_f64();
        if tokens > 1 && secs > 0.0 {
            let key = labels(TOKEN_RATE, [("model", model.to_owned())]);
            self.recorder.register_histogram(&key, &METADATA).record(f64::from(tokens - 1) / secs);
        }
    }

    pub fn in_progress(&self, change: f64) {
        self.recorder.register_gauge(&Key::from_static_name(STREAMS), &METADATA).increment(change);
    }

    /// Sorts the samples since the last call into their buckets; without it they pile up.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The text form, with gauges of the replicas as they are now. Those are written out here and not kept, so that a replica
    /// that is gone is gone.
    pub fn render(&self, replicas: &[ReplicaStatus], memory: &MemoryPlan) -> String {
        use std::fmt::Write as _;
        self.upkeep();
        let mut text = self.handle.render();
        let mut gauge = |name: &str, help: &str, value: &dyn Fn(&ReplicaStatus) -> Option<u64>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for replica in replicas.iter().filter(|r| r.state != ReplicaState::Failed) {
                if let Some(value) = value(replica) {
                    let (id, model) = (escape(&replica.id), escape(&replica.model));
                    let _ = writeln!(text, "{name}{{replica=\"{id}\",model=\"{model}\"}} {value}");
                }
            }
        };
        gauge("rixin_replica_active", "Requests at a replica.", &|r| Some(r.active.into()));
        gauge("rixin_replica_queued", "Requests that wait inside a replica.", &|r| Some(r.queued.into()));
        gauge("rixin_replica_slots", "Requests that a replica answers at the same time.", &|r| {
            Some(r.slots.into())
        });
        gauge("rixin_replica_memory_bytes", "Memory reserved for a replica.", &|r| Some(r.memory_bytes));
        gauge("rixin_replica_resident_bytes", "Resident memory of a replica's process.", &|r| {
            r.stats.as_ref().map(|stats| stats.rss_bytes)
        });
        gauge("rixin_replica_restarts", "Failed starts of its model in a row.", &|r| Some(r.restarts.into()));
        for (name, help, value) in [
            ("rixin_memory_limit_bytes", "Memory that all replicas together may take.", memory.limit_bytes),
            ("rixin_memory_used_bytes", "Memory reserved for replicas.", memory.used_bytes),
            ("rixin_memory_free_bytes", "Memory that a further replica may take.", memory.free_bytes),
        ] {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        text
    }
}

/// A label's value in the text format.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
