//! `rixin doctor`.

mod accelerators;
mod machine;
mod tools;

use clap::Args;
use rixin_base::{Message, bytes_text};
use serde::Serialize;
use serde_json::json;

use super::version::backends;
use crate::{
    context::Context,
    gate,
    out::{Done, Exit, Out},
};

/// Flags of `rixin doctor`.
#[derive(Args, Debug)]
pub struct Doctor {}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// Something works less well, or not at all, that not everyone needs.
    Note,
    /// The suite does not work without it.
    Missing,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Check {
    /// A stable word.
    id: &'static str,
    status: Status,
    /// What was found.
    message: Message,
    /// The command or setting that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<Message>,
}

impl Check {
    fn ok(id: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { id, status: Status::Ok, message: Message::new(en, zh), mend: None }
    }

    fn note(id: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { status: Status::Note, ..Self::ok(id, en, zh) }
    }

    fn missing(id: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { status: Status::Missing, ..Self::ok(id, en, zh) }
    }

    fn mend(mut self, en: impl Into<String>, zh: impl Into<String>) -> Self {
        self.mend = Some(Message::new(en, zh));
        self
    }

    /// A mend that is a command, and so the same in both languages.
    fn command(self, command: impl Into<String>) -> Self {
        let command = command.into();
        self.mend(command.clone(), command)
    }
}

impl Doctor {
    /// Looks at everything and reports.
    pub fn run(&self, context: &Context) -> Done {
        let settings = context.settings();
        let machine = machine::Machine::look(&settings.data_dir);
        let seen = accelerators::look();
        let mut checks = machine.checks(settings);
        checks.extend(accelerators::checks(&seen, &backends()));
        checks.extend(tools::checks(settings));
        let whole = checks.iter().all(|check| check.status != Status::Missing);
        if context.out.json {
            context.out.document(&json!({
                "ok": whole,
                "version": rixin_base::VERSION,
                "cpu": {
                    "model": machine.cpu_model,
                    "physical_cores": machine.physical_cores,
                    "allowed_cores": machine.allowed_cores,
                    "quota_cores": machine.quota_cores,
                    "level": gate::processor_level(),
                    "needs_level": gate::LEVEL,
                    "needs_features": gate::needed(),
                },
                "memory": {
                    "total_bytes": machine.memory.total,
                    "available_bytes": machine.memory.available,
                    "cgroup_limit_bytes": machine.memory.limit,
                },
                "disk": {"path": settings.data_dir, "free_bytes": machine.disk_free, "total_bytes": machine.disk_total},
                "accelerators": seen,
                "backends": backends(),
                "checks": checks,
            }));
        } else {
            print(context.out, &checks);
            let missing = checks.iter().filter(|check| check.status == Status::Missing).count();
            context.out.line("");
            if whole {
                context.out.say("Everything that is needed is there.", "所需条件均已具备。");
            } else {
                context.out.say(
                    format!("{missing} thing(s) are missing: see the lines marked ✗."),
                    format!("有 {missing} 项缺失：见标 ✗ 的行。"),
                );
            }
        }
        Ok(if whole { Exit::Ok } else { Exit::Failed })
    }
}

fn print(out: Out, checks: &[Check]) {
    for check in checks {
        let mark = match check.status {
            Status::Ok => "✓",
            Status::Note => "·",
            Status::Missing => "✗",
        };
        out.line(&format!("{mark} {}", check.message.text(out.lang)));
        if let Some(mend) = &check.mend {
            out.line(&format!("    → {}", mend.text(out.lang)));
        }
    }
}

/// Bytes for people, or a dash.
fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), bytes_text)
}
