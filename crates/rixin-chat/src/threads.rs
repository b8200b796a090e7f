//! How many threads compute: more than free physical cores collapses llama.cpp's speed, because its threads wait for each other
//! at every layer.

use std::collections::BTreeSet;

/// The physical cores that this process may use: its affinity mask, counted by core, and not more than its cgroup's CPU quota.
pub fn physical_cores() -> u32 {
    // `available_parallelism` knows the affinity mask and the cgroup quotas (v1 and v2) on Linux.
    let logical = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let allowed = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        parse_cpu_list(list.trim())
    });
    let topology = |cpu: u32, file: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{file}");
        std::fs::read_to_string(path).ok()?.trim().parse::<i64>().ok()
    };
    let Some(allowed) = allowed else { return logical };
    let cores: Option<BTreeSet<(i64, i64)>> = allowed
        .iter()
        .map(|&cpu| Some((topology(cpu, "physical_package_id")?, topology(cpu, "core_id")?)))
        .collect();
    let physical = cores.map_or(allowed.len(), |cores| cores.len()) as u32;
    physical.min(logical).max(1)
}

/// Reads the kernel's list format: `0-3,8,10-11`. At most 4096 numbers.
fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
        if last < first || last - first >= 4096 || cpus.len() > 4096 {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_cpu_lists() {
        assert_eq!(parse_cpu_list("0-3,8,10-11"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_cpu_list("5"), Some(vec![5]));
        assert_eq!(parse_cpu_list("3-1"), None);
        assert_eq!(parse_cpu_list("0-4294967295"), None);
        assert_eq!(parse_cpu_list(""), None);
    }

    #[test]
    fn at_least_one_core_and_not_more_than_the_kernel_gives() {
        let cores = physical_cores();
        assert!(cores >= 1);
        assert!(cores as usize <= std::thread::available_parallelism().map_or(1, |n| n.get()));
    }
}
