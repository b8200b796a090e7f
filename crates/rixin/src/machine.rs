//! Memory and quota of this machine, and what a container takes away of them (Linux: /proc and control groups, both versions).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is installed.
    pub total: u64,
    /// What a new process could have, the container's limit considered.
    pub available: u64,
    /// The container's limit, where it is below what is installed.
    pub limit: Option<u64>,
}

/// Reads the figures.
pub fn memory() -> Memory {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let mut memory = Memory {
        total: field("MemTotal:").unwrap_or(0),
        available: field("MemAvailable:").unwrap_or(0),
        limit: None,
    };
    for (limit, left) in limits() {
        if limit < memory.total {
            memory.limit = Some(memory.limit.map_or(limit, |other| other.min(limit)));
            memory.available = memory.available.min(left);
        }
    }
    memory
}

/// Limit and what is left of it, for each control group above this process that has one. Pages of files can be taken back.
fn limits() -> Vec<(u64, u64)> {
    let v2 = groups("/sys/fs/cgroup", None).into_iter().map(|dir| (dir, "memory.max", "memory.current"));
    let v1 = groups("/sys/fs/cgroup/memory", Some("memory"))
        .into_iter()
        .map(|dir| (dir, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    v2.chain(v1)
        .filter_map(|(dir, limit, usage)| {
            let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u64>().ok();
            let limit = number(limit)?;
            let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
            let files: u64 = ["inactive_file ", "active_file "]
                .iter()
                .filter_map(|name| {
                    stat.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok()
                })
                .sum();
            let used = number(usage).unwrap_or(0).saturating_sub(files);
            Some((limit, limit.saturating_sub(used)))
        })
        .collect()
}

/// The tightest processor quota, in cores (v2 `cpu.max`, v1 `cpu.cfs_quota_us`).
pub fn cpu_quota() -> Option<f64> {
    let v2 = groups("/sys/fs/cgroup", None).into_iter().filter_map(|dir| {
        let text = fs::read_to_string(dir.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    let v1 = groups("/sys/fs/cgroup/cpu", Some("cpu")).into_iter().filter_map(|dir| {
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<f64>().ok();
        let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    });
    v2.chain(v1).min_by(f64::total_cmp)
}

/// The folder of this process in a hierarchy, and all above it.
fn groups(root: &str, controller: Option<&str>) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = match controller {
            None => names.is_empty(),
            Some(name) => names.split(',').any(|n| n == name),
        };
        fits.then(|| path.to_owned())
    });
    let path = path.unwrap_or_default();
    let whole = Path::new(root).join(path.trim_start_matches('/'));
    whole.ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_path_buf).collect()
}
