//! Which accelerators of its node are a started job's, told to the vendor's runtime by its own variable.
//!
//! For `gpu`, Slurm sets variables itself (`SLURM_JOB_GPUS`, `CUDA_VISIBLE_DEVICES`, `ROCR_VISIBLE_DEVICES`,
//! `GPU_DEVICE_ORDINAL`). For every other GRES it sets none (found with 22.05), and the indices are those of
//! `scontrol show job -d`, which exist only where gres.conf names device files.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use crate::{Error, GresEntry, Result, hostlist, hostlist::ranges, parse_gres};

/// The most devices of a node.
const MOST: usize = 1024;

/// Whose runtime drives a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vendor {
    /// NVIDIA, CUDA.
    Nvidia,
    /// AMD and Hygon (DCU), HIP.
    Hip,
    /// Huawei Ascend, CANN.
    Ascend,
    /// Cambricon, Neuware.
    Cambricon,
    /// Moore Threads, MUSA.
    MooreThreads,
}

impl Vendor {
    /// By GRES name and type. Under `gpu` the type decides, and one that is not known as another's is NVIDIA's. `None` for what
    /// is no accelerator (`nic`), and for shares of one (`shard`, `mps`), whose variables Slurm sets.
    pub fn of(kind: &str, model: Option<&str>) -> Option<Vendor> {
        let model = model.unwrap_or_default().to_ascii_lowercase();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| model.starts_with(prefix));
        Some(match kind.to_ascii_lowercase().as_str() {
            "npu" | "ascend" => Vendor::Ascend,
            "mlu" => Vendor::Cambricon,
            "dcu" | "hip" | "rocm" => Vendor::Hip,
            "musa" | "mtgpu" => Vendor::MooreThreads,
            "gpu"
                if starts(&[
                    "mi1", "mi2", "mi3", "mi4", "mi5", "gfx", "amd", "dcu", "k100", "z100", "bw1000",
                ]) =>
            {
                Vendor::Hip
            }
            "gpu" if starts(&["ascend", "910", "310", "950"]) => Vendor::Ascend,
            "gpu" if starts(&["mlu"]) => Vendor::Cambricon,
            "gpu" if starts(&["mtt", "s3000", "s4000", "s5000"]) => Vendor::MooreThreads,
            "gpu" | "cuda" => Vendor::Nvidia,
            _ => return None,
        })
    }

    /// The variable by which its runtime is told which devices to see.
    pub fn variable(self) -> &'static str {
        match self {
            Vendor::Nvidia => "CUDA_VISIBLE_DEVICES",
            Vendor::Hip => "HIP_VISIBLE_DEVICES",
            Vendor::Ascend => "ASCEND_RT_VISIBLE_DEVICES",
            Vendor::Cambricon => "MLU_VISIBLE_DEVICES",
            Vendor::MooreThreads => "MUSA_VISIBLE_DEVICES",
        }
    }
}

/// Devices of one kind that are the job's on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allotted {
    /// The kind, Slurm's GRES name.
    pub kind: String,
    /// The model, Slurm's GRES type.
    pub model: Option<String>,
    /// Whose it is.
    pub vendor: Vendor,
    /// The device numbers for the vendor's variable; for NVIDIA they may be UUIDs.
    pub devices: Vec<String>,
}

/// What a process of the job sets and removes before it starts an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceEnvironment {
    /// What the job has.
    pub allotted: Vec<Allotted>,
    /// Variables to set.
    pub set: BTreeMap<&'static str, String>,
    /// Variables to remove. HIP numbers what `ROCR_VISIBLE_DEVICES` leaves, and takes `CUDA_VISIBLE_DEVICES` for its own: with
    /// Slurm's values of all three, devices would be picked twice.
    pub remove: Vec<&'static str>,
}

/// The variables that Slurm sets for `gpu`, of which the first that is set tells the numbers as the job's process sees them: with
/// ConstrainDevices they count from 0, whatever `SLURM_JOB_GPUS` says.
const AS_SEEN: [&str; 3] = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"];
const OF_NODE: [&str; 2] = ["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"];

/// The devices of `gpu` by Slurm's variables; `None` where none is set.
fn gpus(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Vec<String>>> {
    let value = AS_SEEN
        .iter()
        .chain(&OF_NODE)
        .find_map(|name| get(name).filter(|v| !v.is_empty() && v != "NoDevFiles"));
    let Some(value) = value else { return Ok(None) };
    let mut devices = Vec::new();
    for part in value.split(',').map(str::trim).take(MOST) {
        if part.starts_with("GPU-") || part.starts_with("MIG-") {
            devices.push(part.to_owned());
        } else {
            let numbers = ranges(part, MOST).ok_or_else(|| Error::Devices {
                why: format!("{:?} is no list of devices", value.chars().take(80).collect::<String>()),
            })?;
            devices.extend(numbers.iter().map(u32::to_string));
        }
    }
    Ok(Some(devices))
}

/// What `scontrol show job -d` says that a job has on a node.
pub fn gres_on_node(details: &str, node: &str) -> Result<Vec<GresEntry>> {
    for line in details.lines() {
        let words = || line.split_whitespace().filter_map(|word| word.split_once('='));
        let value = |name: &str| words().find(|(key, _)| *key == name).map(|(_, value)| value);
        let (Some(hosts), Some(gres)) = (value("Nodes"), value("GRES")) else { continue };
        let hosts = hostlist::expand(hosts, 100_000).ok_or_else(|| Error::Devices {
            why: format!("{:?} is no host list", hosts.chars().take(80).collect::<String>()),
        })?;
        if hosts.iter().any(|host| host == node) {
            return parse_gres(gres);
        }
    }
    Ok(Vec::new())
}

/// The job's devices: of `gpu` by Slurm's variables, of all else by the indices of `entries`.
///
/// # Errors
///
/// [`Error::NoIndices`] where Slurm knows the count only.
pub fn allotted(entries: &[GresEntry], get: impl Fn(&str) -> Option<String>) -> Result<Vec<Allotted>> {
    let mut all: Vec<Allotted> = Vec::new();
    let from_variables = gpus(&get)?;
    let mut gpus_told = false;
    for entry in entries.iter().filter(|entry| entry.count > 0) {
        let Some(vendor) = Vendor::of(&entry.kind, entry.model.as_deref()) else { continue };
        let devices = match (&from_variables, &entry.indices) {
            (Some(devices), _) if entry.kind == "gpu" => {
                // The variables name the devices of all models together.
                if std::mem::replace(&mut gpus_told, true) {
                    continue;
                }
                devices.clone()
            }
            (_, Some(indices)) if !indices.is_empty() => indices.iter().map(u32::to_string).collect(),
            _ => return Err(Error::NoIndices { kind: entry.kind.clone() }),
        };
        all.push(Allotted { kind: entry.kind.clone(), model: entry.model.clone(), vendor, devices });
    }
    Ok(all)
}

/// The vendors' variables for a job's devices.
///
/// # Errors
///
/// [`Error::MixedDevices`] where two kinds would share one variable, whose numbers differ.
pub fn environment(allotted: Vec<Allotted>) -> Result<DeviceEnvironment> {
    let mut done = DeviceEnvironment::default();
    for (at, one) in allotted.iter().enumerate() {
        if let Some(other) =
            allotted[..at].iter().find(|other| other.vendor == one.vendor && other.kind != one.kind)
        {
            return Err(Error::MixedDevices {
                first: other.kind.clone(),
                second: one.kind.clone(),
                variable: one.vendor.variable(),
            });
        }
        let value = done.set.entry(one.vendor.variable()).or_default();
        for device in &one.devices {
            if !value.is_empty() {
                value.push(',');
            }
            value.push_str(device);
        }
        if one.kind == "gpu" && one.vendor != Vendor::Nvidia {
            done.remove = AS_SEEN.to_vec();
        }
    }
    done.allotted = allotted;
    Ok(done)
}

/// The environment for the devices of the job that this process is in; `None` outside of jobs. Asks `scontrol`, which the nodes
/// of a cluster have.
pub async fn of_this_job() -> Result<Option<DeviceEnvironment>> {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(job), Some(node)) = (get("SLURM_JOB_ID"), get("SLURMD_NODENAME")) else { return Ok(None) };
    let id: crate::SlurmJobId = job.parse()?;
    let running = tokio::process::Command::new("scontrol")
        .args(["show", "job", "-d", &id.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let failed = |why: String| Error::Devices { why: format!("`scontrol show job -d {id}`: {why}") };
    let output = tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .map_err(|_| failed("no answer within 60 s".into()))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect()));
    }
    let entries = gres_on_node(&String::from_utf8_lossy(&output.stdout), &node)?;
    environment(allotted(&entries, get)?).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Slurm 22.05 writes it.
    const DETAILS: &str = "JobId=2 JobName=a\n   TRES=cpu=1,mem=100M,node=1,billing=1,gres/mlu=2\n   JOB_GRES=mlu:mlu370:2\n     \
        Nodes=n[1-3] CPU_IDs=0 Mem=100 GRES=mlu:mlu370:2(IDX:0-1)\n     Nodes=n7 CPU_IDs=0 Mem=100 GRES=\n   TresPerNode=gres:mlu:mlu370:2\n";

    fn with(gres: &str, variables: &[(&str, &str)]) -> Result<DeviceEnvironment> {
        let get =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        environment(allotted(&parse_gres(gres)?, get)?)
    }

    #[test]
    fn the_line_of_the_node() {
        let on = |node| gres_on_node(DETAILS, node).expect("reads");
        assert_eq!(on("n3")[0].indices, Some(vec![0, 1]));
        assert!(on("n7").is_empty() && on("n4").is_empty());
    }

    #[test]
    fn every_vendor_has_its_variable() {
        for (gres, variable, value) in [
            ("npu:ascend910b:2(IDX:2-3)", "ASCEND_RT_VISIBLE_DEVICES", "2,3"),
            ("mlu:mlu370:1(IDX:1)", "MLU_VISIBLE_DEVICES", "1"),
            ("dcu:k100:2(IDX:0,3)", "HIP_VISIBLE_DEVICES", "0,3"),
            ("musa:s4000:1(IDX:0)", "MUSA_VISIBLE_DEVICES", "0"),
            ("gpu:h100:1(IDX:2)", "CUDA_VISIBLE_DEVICES", "2"),
        ] {
            let done = with(gres, &[]).expect("told");
            assert_eq!(done.set.get(variable).map(String::as_str), Some(value), "{gres}");
            assert_eq!(done.set.len(), 1);
        }
    }

    #[test]
    fn slurms_variables_count_for_gpus() {
        // With ConstrainDevices the job sees its devices from 0 on.
        let seen = [("CUDA_VISIBLE_DEVICES", "0,1"), ("SLURM_JOB_GPUS", "2,3")];
        assert_eq!(with("gpu:h100:2(IDX:2-3)", &seen).expect("told").set["CUDA_VISIBLE_DEVICES"], "0,1");
        let uuids = [("CUDA_VISIBLE_DEVICES", "GPU-1,MIG-2")];
        assert_eq!(with("gpu:2", &uuids).expect("told").set["CUDA_VISIBLE_DEVICES"], "GPU-1,MIG-2");
        assert_eq!(
            with("gpu:2", &[("SLURM_JOB_GPUS", "4-5")]).expect("told").set["CUDA_VISIBLE_DEVICES"],
            "4,5"
        );
        assert_eq!(
            with("gpu:h100:1(IDX:0),gpu:a100:1(IDX:1)", &seen).expect("told").set["CUDA_VISIBLE_DEVICES"],
            "0,1"
        );
        assert!(with("gpu:1", &[("SLURM_JOB_GPUS", "x")]).is_err());
    }

    #[test]
    fn hip_is_not_told_twice() {
        let slurms =
            [("CUDA_VISIBLE_DEVICES", "2,3"), ("ROCR_VISIBLE_DEVICES", "2,3"), ("GPU_DEVICE_ORDINAL", "2,3")];
        let done = with("gpu:mi300x:2(IDX:2-3)", &slurms).expect("told");
        assert_eq!(done.set["HIP_VISIBLE_DEVICES"], "2,3");
        assert_eq!(done.remove, AS_SEEN);
    }

    #[test]
    fn what_slurm_does_not_say_is_not_guessed() {
        assert_eq!(with("mlu:mlu370:2", &[]), Err(Error::NoIndices { kind: "mlu".into() }));
        assert_eq!(with("npu:2(IDX:N/A)", &[]), Err(Error::NoIndices { kind: "npu".into() }));
        assert!(matches!(with("dcu:1(IDX:0),gpu:mi300x:1(IDX:0)", &[]), Err(Error::MixedDevices { .. })));
        assert_eq!(with("nic:2,shard:4", &[]), Ok(DeviceEnvironment::default()));
        assert_eq!(with("", &[]), Ok(DeviceEnvironment::default()));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(details in "\\PC{0,80}|( ?(Nodes|GRES)=[a-z0-9:(),\\[\\]-]{0,20}){0,4}", value in "\\PC{0,30}") {
            let _ = gres_on_node(&details, "n1");
            let _ = with("gpu:1", &[("SLURM_JOB_GPUS", &value)]);
        }
    }
}
