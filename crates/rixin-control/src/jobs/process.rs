//! Processes of this machine by what can't be mistaken: number and start time.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A process of some machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The machine, and its boot: numbers mean nothing after the next one.
    pub boot: String,
    pub pid: u32,
    /// When it started, in ticks since the boot.
    pub start: u64,
}

impl Process {
    /// A process of this machine; `None` where it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { boot: boot(), pid, start: start(pid)? })
    }

    /// This process.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self { boot: boot(), pid, start: start(pid).unwrap_or(0) }
    }

    pub fn from_place(place: Option<&Value>) -> Option<Self> {
        serde_json::from_value(place?.clone()).ok()
    }

    pub fn is_here(&self) -> bool {
        self.boot == boot()
    }

    pub fn is_alive(&self) -> bool {
        self.is_here() && start(self.pid) == Some(self.start)
    }

    /// Ends it and what it started, if it still is the same one.
    pub fn kill(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.is_alive()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.boot, self.pid, self.start)
    }
}

impl std::str::FromStr for Process {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (Some(boot), Some(pid), Some(start)) = (words.next(), words.next(), words.next()) else {
            return Err(());
        };
        Ok(Self {
            boot: boot.to_owned(),
            pid: pid.parse().map_err(drop)?,
            start: start.parse().map_err(drop)?,
        })
    }
}

/// Containers on one machine share the boot, but not the numbers of processes: their namespace tells them apart.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}-{space}", id.trim())
}

/// The 22nd field of `/proc/PID/stat`; a zombie counts as ended.
fn start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // the name, in brackets, may hold anything
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_another_is_not() {
        let own = Process::own();
        assert!(own.is_alive() && own.start > 0);
        assert_eq!(own.to_string().parse(), Ok(own.clone()));
        assert!(!Process { start: own.start + 1, ..own.clone() }.is_alive());
        assert!(!Process { boot: "elsewhere".into(), ..own }.is_alive());
        let mut child = std::process::Command::new("true").spawn().expect("starts");
        let there = Process::of(child.id());
        child.wait().expect("ends");
        assert!(there.is_none_or(|process| !process.is_alive()));
    }
}
