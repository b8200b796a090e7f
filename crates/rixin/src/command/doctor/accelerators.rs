//! Accelerators that the system shows, and whether this build can use them.

use std::{fs, process::Command};

use serde::Serialize;

use super::Check;

/// A device.
#[derive(Clone, Debug, Serialize)]
pub struct Accelerator {
    /// `cuda`, `rocm`, `ascend`, `cambricon`, `musa`, `vulkan`.
    pub kind: &'static str,
    /// What it is, as far as the system says.
    pub name: String,
    /// The backend of this suite that would use it, where there is one.
    pub backend: Option<&'static str>,
}

/// Everything that is there.
pub fn look() -> Vec<Accelerator> {
    let mut seen = nvidia();
    if fs::exists("/dev/kfd").unwrap_or(false) {
        seen.push(Accelerator {
            kind: "rocm",
            name: "AMD / Hygon DCU (/dev/kfd)".into(),
            backend: Some("hip"),
        });
    }
    for (kind, prefix, name) in [
        ("ascend", "davinci", "Huawei Ascend"),
        ("cambricon", "cambricon_dev", "Cambricon MLU"),
        ("musa", "mtgpu", "Moore Threads"),
    ] {
        for device in devices(prefix) {
            seen.push(Accelerator { kind, name: format!("{name} (/dev/{device})"), backend: None });
        }
    }
    let drivers = vulkan();
    if !drivers.is_empty() {
        seen.push(Accelerator { kind: "vulkan", name: drivers.join(", "), backend: Some("vulkan") });
    }
    seen
}

/// `/dev/PREFIX` followed by digits.
fn devices(prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    names.sort();
    names
}

fn nvidia() -> Vec<Accelerator> {
    let device = |name: String| Accelerator { kind: "cuda", name, backend: Some("cuda") };
    let listed = Command::new("nvidia-smi")
        .args(["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
        .output();
    if let Ok(output) = listed
        && output.status.success()
    {
        let text = String::from_utf8_lossy(&output.stdout);
        return text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| device(line.trim().into()))
            .collect();
    }
    devices("nvidia").into_iter().map(|name| device(format!("NVIDIA (/dev/{name}, no nvidia-smi)"))).collect()
}

/// Vulkan drivers by their manifests, software renderers left out.
fn vulkan() -> Vec<String> {
    let mut names: Vec<String> = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".json") && !name.starts_with("lvp_"))
        .collect();
    // A driver without a device is no accelerator.
    if fs::read_dir("/dev/dri").is_err() {
        names.clear();
    }
    names.sort();
    names
}

/// What was found, against what this build has.
pub fn checks(seen: &[Accelerator], backends: &[&str]) -> Vec<Check> {
    let built = backends.join(", ");
    if seen.is_empty() {
        return vec![Check::ok(
            "accelerators",
            format!("accelerators: none seen; models run on the processor (backends of this build: {built})"),
            format!("加速卡：未发现；模型在处理器上运行（本版本的后端：{built}）"),
        )];
    }
    seen.iter()
        .map(|device| match device.backend {
            Some(backend) if backends.contains(&backend) => Check::ok(
                "accelerators",
                format!("accelerator: {} is used through {backend}", device.name),
                format!("加速卡：{}，通过 {backend} 使用", device.name),
            ),
            Some(backend) => Check::note(
                "accelerators",
                format!(
                    "accelerator: {} is not used, as this build has no {backend} ({built} only)",
                    device.name
                ),
                format!("加速卡：{}，未使用：本版本不含 {backend}（仅 {built}）", device.name),
            )
            .command(format!("cargo build --release -p rixin --features {backend}")),
            None => Check::note(
                "accelerators",
                format!("accelerator: {} has no backend in this suite yet", device.name),
                format!("加速卡：{}，尚无可用的后端", device.name),
            )
            .mend(
                "run an OpenAI-compatible engine of its maker on it and add it in the console under Replicas",
                "可在其上运行厂商的 OpenAI 兼容引擎，再到控制台的“副本”页添加",
            ),
        })
        .collect()
}
