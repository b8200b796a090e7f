//! What memory there is: the machine's, the container's, and what our own processes hold of it.
//!
//! Weights are mapped from files, and the kernel counts pages of files as available. So what is available is no measure of what a
//! further replica may take: the capacity for all replicas is what is available and what they hold in anonymous memory, as if none
//! of them ran, and the planner takes off in full what it has reserved for each.

use std::path::{Path, PathBuf};

/// Kept back for the server itself and the rest of the machine, in bytes.
const HEADROOM: u64 = 192 << 20;

/// What a machine or container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// All memory, in bytes.
    pub total: u64,
    /// What could be taken now without swapping, in bytes.
    pub available: u64,
}

/// Reads the machine's figures, narrowed by the limits of the control groups that this process is in (both versions).
pub(crate) fn machine() -> Machine {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut machine = parse_meminfo(&meminfo).unwrap_or_else(from_sysinfo);
    for group in groups(&own, Path::new("/sys/fs/cgroup")) {
        if let Some(limit) = group.read() {
            machine.total = machine.total.min(limit.total);
            machine.available = machine.available.min(limit.available);
        }
    }
    machine
}

/// What all replicas together may take, in bytes: the setting (0: none), and what the machine would have without them.
pub(crate) fn capacity(machine: Machine, held: u64, setting: u64) -> u64 {
    let physical = machine.available.saturating_add(held).saturating_sub(HEADROOM.min(machine.total / 16));
    if setting == 0 { physical } else { physical.min(setting) }
}

/// Anonymous and shared memory of a process, in bytes; 0 where it has gone.
pub(crate) fn held_by(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kib_of(&status, "RssAnon:").unwrap_or(0) + kib_of(&status, "RssShmem:").unwrap_or(0)
}

/// How often the kernel has ended a process for lack of memory.
pub(crate) fn oom_kills() -> Option<u64> {
    let vmstat = std::fs::read_to_string("/proc/vmstat").ok()?;
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where there is no `/proc`. Where nothing can be known, only the setting is a limit.
fn from_sysinfo() -> Machine {
    match sysinfo::System::new() {
        Ok(mut system) => {
            system.refresh_memory();
            Machine { total: system.total_memory(), available: system.available_memory() }
        }
        Err(_) => Machine { total: u64::MAX, available: u64::MAX },
    }
}

fn parse_meminfo(text: &str) -> Option<Machine> {
    Some(Machine { total: kib_of(text, "MemTotal:")?, available: kib_of(text, "MemAvailable:")? })
}

fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A control group that limits memory.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    folder: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

/// The groups of `/proc/self/cgroup`, each with all that are above it, in either version's layout.
fn groups(own: &str, root: &Path) -> Vec<Group> {
    let mut all = Vec::new();
    for line in own.lines().take(64) {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (base, limit, usage) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max", "memory.current")
        } else if controllers.split(',').any(|c| c == "memory") {
            (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            continue;
        };
        // inside a container the path may name a group of the host that is not visible: the mount's root is then our own
        let relative = path.trim_start_matches('/');
        let relative = if relative.split('/').any(|part| part == "..") { "" } else { relative };
        let mut folder = base.join(relative);
        loop {
            all.push(Group { folder: folder.clone(), limit, usage });
            if folder == base || !folder.pop() {
                break;
            }
        }
    }
    all
}

impl Group {
    /// The group's limit and what is left of it, pages of files counted as available; `None` where it has no limit.
    fn read(&self) -> Option<Machine> {
        let number =
            |name: &str| std::fs::read_to_string(self.folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let total = number(self.limit)?;
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let of = |names: [&str; 2]| {
            stat.lines()
                .filter_map(|line| line.split_once(' '))
                .find(|(key, _)| names.contains(key))
                .and_then(|(_, value)| value.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        let files = of(["total_inactive_file", "inactive_file"]) + of(["total_active_file", "active_file"]);
        let used = number(self.usage).unwrap_or(0).saturating_sub(files);
        Some(Machine { total, available: total.saturating_sub(used) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_the_setting_bound_the_capacity() {
        const GIB: u64 = 1 << 30;
        let machine =
            parse_meminfo("MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
        let machine = machine.expect("both lines are there");
        assert_eq!(machine, Machine { total: 16 * GIB, available: 8 * GIB });
        assert_eq!(capacity(machine, GIB, 0), 9 * GIB - HEADROOM);
        assert_eq!(capacity(machine, GIB, 2 * GIB), 2 * GIB);
        assert_eq!(capacity(machine, 0, u64::MAX), 8 * GIB - HEADROOM);
    }

    #[test]
    fn limits_of_both_control_group_versions() {
        let root = tempfile::tempdir().expect("temp dir");
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("create");
        std::fs::write(deep.join("memory.max"), "max\n").expect("write");
        std::fs::write(root.path().join("a/memory.max"), "1000\n").expect("write");
        std::fs::write(root.path().join("a/memory.current"), "600\n").expect("write");
        std::fs::write(root.path().join("a/memory.stat"), "anon 300\ninactive_file 100\nactive_file 200\n")
            .expect("write");
        let read: Vec<Machine> = groups("0::/a/b\n", root.path()).iter().filter_map(Group::read).collect();
        assert_eq!(read, [Machine { total: 1000, available: 700 }]);

        let old = root.path().join("memory/x");
        std::fs::create_dir_all(&old).expect("create");
        std::fs::write(old.join("memory.limit_in_bytes"), "500\n").expect("write");
        std::fs::write(old.join("memory.usage_in_bytes"), "200\n").expect("write");
        let read: Vec<Machine> = groups("4:cpu,memory:/x\n1:name=systemd:/y\n", root.path())
            .iter()
            .filter_map(Group::read)
            .collect();
        assert_eq!(read, [Machine { total: 500, available: 300 }]);
        assert!(groups("nonsense\n0::/../../etc\n", root.path()).iter().all(|g| g.folder == root.path()));
    }

    #[test]
    fn this_machine_has_memory_and_so_have_we() {
        let machine = machine();
        assert!(machine.total > 0 && machine.available <= machine.total);
        assert!(held_by(std::process::id()) > 0);
    }
}
