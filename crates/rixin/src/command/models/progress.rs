//! Progress of a pull: a bar on a terminal, plain lines elsewhere, JSON lines for scripts.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use rixin_base::{Lang, Progress, ProgressEvent, Unit, bytes_text};
use serde_json::json;

use crate::out::{Out, eprint_line};

/// A line at least this far apart, where there is no terminal.
const STEP: Duration = Duration::from_secs(5);
/// A JSON event at least this far apart.
const EVENT_STEP: Duration = Duration::from_millis(500);

/// Shows events.
#[derive(Clone)]
pub struct Shown(Arc<Inner>);

struct Inner {
    out: Out,
    bar: Option<ProgressBar>,
    /// The last line's stage and item, when it was, and whether it said that all is done.
    last: Mutex<Option<(String, Instant, bool)>>,
}

impl Shown {
    /// The form that fits the output.
    pub fn new(out: Out) -> Self {
        let bar = (!out.json && std::io::stderr().is_terminal())
            .then(|| ProgressBar::no_length().with_style(counting()));
        Self(Arc::new(Inner { out, bar, last: Mutex::new(None) }))
    }

    /// Where a library reports to.
    pub fn progress(&self) -> Progress {
        let shown = Arc::clone(&self.0);
        Progress::new(move |event| shown.show(&event))
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }
}

impl Inner {
    fn show(&self, event: &ProgressEvent) {
        if let Some(bar) = &self.bar {
            return self.draw(bar, event);
        }
        let step = if self.out.json { EVENT_STEP } else { STEP };
        // The first and the last of a stage always, in between only now and then.
        let ended = event.total.is_some_and(|total| total > 0 && event.done >= total);
        {
            let key = format!("{} {}", event.stage, event.item);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let due = match &*last {
                Some((before, at, over)) if *before == key => !over && (ended || at.elapsed() >= step),
                _ => true,
            };
            if !due {
                return;
            }
            *last = Some((key, Instant::now(), ended));
        }
        if self.out.json {
            self.out.event(&json!({"event": "progress", "progress": event}));
        } else {
            eprint_line(&self.line(event));
        }
    }

    fn draw(&self, bar: &ProgressBar, event: &ProgressEvent) {
        let name = stage(&event.stage, self.out.lang);
        let item = crate::table::cut(&event.item, 40);
        match event.total {
            Some(total) if bar.length() != Some(total) => {
                bar.set_length(total);
                bar.set_style(if event.unit == Unit::Bytes { bytes_bar() } else { items_bar() });
            }
            None if bar.length().is_some() => {
                bar.unset_length();
                bar.set_style(counting());
            }
            _ => {}
        }
        bar.set_message(if item.is_empty() { name.to_owned() } else { format!("{name} {item}") });
        bar.set_position(event.done);
        bar.tick();
    }

    fn line(&self, event: &ProgressEvent) -> String {
        let mut line = stage(&event.stage, self.out.lang).to_owned();
        if !event.item.is_empty() {
            line.push_str(&format!(" {}", event.item));
        }
        let count = |n: u64| if event.unit == Unit::Bytes { bytes_text(n) } else { n.to_string() };
        match (event.total, event.fraction()) {
            (Some(total), Some(part)) if total > 0 => {
                line.push_str(&format!("  {} / {} ({:.0} %)", count(event.done), count(total), part * 100.0));
            }
            _ if event.done > 0 => line.push_str(&format!("  {}", count(event.done))),
            _ => {}
        }
        line
    }
}

/// A stage for people.
fn stage(word: &str, lang: Lang) -> &str {
    match word {
        "resolve" => lang.pick("looking up", "查询"),
        "download" => lang.pick("downloading", "下载"),
        "copy" => lang.pick("copying", "复制"),
        "unpack" => lang.pick("unpacking", "解包"),
        "join" => lang.pick("joining", "拼接"),
        "verify" => lang.pick("checking", "校验"),
        "scan" | "read" => lang.pick("reading", "读取"),
        "install" => lang.pick("installing", "安装"),
        other => other,
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn bytes_bar() -> ProgressStyle {
    style("{msg:30} [{bar:28}] {binary_bytes:>11} / {binary_total_bytes} {binary_bytes_per_sec} {eta}")
        .progress_chars("=> ")
}

fn items_bar() -> ProgressStyle {
    style("{msg:30} [{bar:28}] {pos} / {len}").progress_chars("=> ")
}

fn counting() -> ProgressStyle {
    style("{spinner} {msg}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_stage_item_and_share() {
        let out = Out { lang: Lang::Zh, json: false };
        let inner = Inner { out, bar: None, last: Mutex::new(None) };
        let event = ProgressEvent {
            stage: "download".into(),
            item: "a.gguf".into(),
            done: 1 << 20,
            total: Some(4 << 20),
            unit: Unit::Bytes,
        };
        assert_eq!(inner.line(&event), "下载 a.gguf  1.0 MiB / 4.0 MiB (25 %)");
        let event = ProgressEvent {
            stage: "resolve".into(),
            item: String::new(),
            done: 0,
            total: None,
            unit: Unit::Items,
        };
        assert_eq!(inner.line(&event), "查询");
    }
}
