//! Cores, memory, disk, and what a container takes away of them.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use rixin_base::{Settings, bytes_text};

use super::{Check, size};
use crate::{
    gate,
    machine::{self, Memory},
};

/// The figures of this machine.
#[derive(Debug)]
pub struct Machine {
    /// The processor's name.
    pub cpu_model: Option<String>,
    /// Cores without hyper-threads.
    pub physical_cores: usize,
    /// Threads that this process may run at the same time (affinity and container quota).
    pub allowed_cores: usize,
    /// Cores that a container's quota allows.
    pub quota_cores: Option<f64>,
    /// Memory.
    pub memory: Memory,
    /// Free space where the data is or will be.
    pub disk_free: Option<u64>,
    /// All of it.
    pub disk_total: Option<u64>,
}

impl Machine {
    /// Looks.
    pub fn look(data_dir: &Path) -> Self {
        let disk = nearest_existing(data_dir).and_then(|dir| rustix::fs::statvfs(&dir).ok());
        let allowed_cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cpu_model: cpu_model(),
            physical_cores: physical_cores().unwrap_or(allowed_cores),
            allowed_cores,
            quota_cores: machine::cpu_quota(),
            memory: machine::memory(),
            disk_free: disk.as_ref().map(|d| d.f_bavail.saturating_mul(d.f_frsize)),
            disk_total: disk.as_ref().map(|d| d.f_blocks.saturating_mul(d.f_frsize)),
        }
    }

    /// What the figures mean.
    pub fn checks(&self, settings: &Settings) -> Vec<Check> {
        let mut checks = vec![self.processor(), self.level(), self.memory(), self.disk()];
        if let Some(quota) = self.quota_cores.filter(|quota| *quota < self.physical_cores as f64) {
            checks.push(Check::note(
                "cpu_quota",
                format!("a container limits this process to {quota:.1} cores"),
                format!("容器将本进程限制为 {quota:.1} 个核"),
            ));
        }
        checks.push(data_dir(&settings.data_dir));
        checks
    }

    fn processor(&self) -> Check {
        let name = self.cpu_model.as_deref().unwrap_or("-");
        let en = format!(
            "processor: {name}, {} physical cores, {} threads allowed",
            self.physical_cores, self.allowed_cores
        );
        let zh = format!("处理器：{name}，物理核 {}，可用线程 {}", self.physical_cores, self.allowed_cores);
        Check::ok("cpu", en, zh)
    }

    fn level(&self) -> Check {
        let (has, needs) = (gate::processor_level(), gate::LEVEL);
        let features = gate::needed();
        if has > needs && cfg!(target_arch = "x86_64") && needs < "x86-64-v3" {
            return Check::note(
                "cpu_level",
                format!(
                    "instructions: the processor has {has}, this binary uses {needs}: it could be faster"
                ),
                format!("指令集：处理器支持 {has}，本程序只用 {needs}：还可以更快"),
            )
            .command("make build CPU=native");
        }
        Check::ok(
            "cpu_level",
            format!(
                "instructions: the processor has {has}, this binary needs {needs} ({})",
                features.join(", ")
            ),
            format!("指令集：处理器支持 {has}，本程序需要 {needs}（{}）", features.join("、")),
        )
    }

    fn memory(&self) -> Check {
        // The smallest chat model with its cache.
        const LEAST: u64 = 512 << 20;
        let Memory { total, available, limit } = self.memory;
        let mut en = format!("memory: {} of {} free", bytes_text(available), bytes_text(total));
        let mut zh = format!("内存：空闲 {}，共 {}", bytes_text(available), bytes_text(total));
        if let Some(limit) = limit {
            en.push_str(&format!(", a container limits it to {}", bytes_text(limit)));
            zh.push_str(&format!("，容器限制为 {}", bytes_text(limit)));
        }
        if available >= LEAST {
            return Check::ok("memory", en, zh);
        }
        Check::missing("memory", en, zh).mend(
            format!(
                "the smallest chat model needs {}: end other programs, or raise the container's limit",
                bytes_text(LEAST)
            ),
            format!("最小的对话模型需要 {}：请关闭其他程序，或提高容器的限制", bytes_text(LEAST)),
        )
    }

    fn disk(&self) -> Check {
        const LEAST: u64 = 1 << 30;
        let en = format!("disk: {} of {} free for models", size(self.disk_free), size(self.disk_total));
        let zh = format!("磁盘：可用于模型 {}，共 {}", size(self.disk_free), size(self.disk_total));
        if self.disk_free.is_none_or(|free| free >= LEAST) {
            return Check::ok("disk", en, zh);
        }
        Check::note("disk", en, zh).mend(
            "choose a folder on another disk: rixin config show data_dir",
            "请换一块磁盘上的文件夹：rixin config show data_dir",
        )
    }
}

/// Whether the data folder can be written, tried with a real file.
fn data_dir(dir: &Path) -> Check {
    let shown = dir.display();
    let failed = |error: std::io::Error| {
        Check::missing(
            "data_dir",
            format!("data folder {shown} can't be written: {error}"),
            format!("数据文件夹 {shown} 无法写入：{error}"),
        )
        .mend(
            "choose another: --data-dir DIR or RIXIN_DATA_DIR; or give this user the right to write there",
            "请用 --data-dir 或 RIXIN_DATA_DIR 换一个文件夹；或给当前用户写权限",
        )
    };
    let Some(existing) = nearest_existing(dir) else {
        return failed(std::io::ErrorKind::NotFound.into());
    };
    if !existing.is_dir() {
        return failed(std::io::ErrorKind::NotADirectory.into());
    }
    let probe = existing.join(format!(".rixin-doctor-{}", std::process::id()));
    match fs::OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {
            let _ = fs::remove_file(&probe);
            Check::ok(
                "data_dir",
                format!("data folder {shown} can be written"),
                format!("数据文件夹 {shown} 可写"),
            )
        }
        Err(error) => failed(error),
    }
}

/// The folder itself, or the nearest one above it that is there.
fn nearest_existing(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| dir.exists()).map(Path::to_path_buf)
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// Distinct (package, core) pairs among the processors that are online (Linux ABI, sysfs-devices-system-cpu).
fn physical_cores() -> Option<usize> {
    let mut cores = HashSet::new();
    for entry in fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let topology = entry.path().join("topology");
        let read = |name: &str| fs::read_to_string(topology.join(name)).ok();
        if let (Some(package), Some(core)) = (read("physical_package_id"), read("core_id")) {
            cores.insert((package, core));
        }
    }
    (!cores.is_empty()).then_some(cores.len())
}
