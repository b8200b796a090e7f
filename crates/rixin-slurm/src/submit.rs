//! What is submitted, and the token by which its sender finds it again.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::{Error, GresRequest, Result, SlurmJobId};

/// A name that the sender gives to one submission: 1 to 96 of `a-z`, `A-Z`, `0-9`, `_`, `-`. It becomes part of the job's name in
/// Slurm, so that a sender that died before it noted the job's number finds the job again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmitToken(String);

impl SubmitToken {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubmitToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SubmitToken {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > 96 || !text.bytes().all(good) {
            return Err(Error::invalid(
                "token",
                "it has 1 to 96 characters of a-z, A-Z, 0-9, '_' and '-'",
                "应为 1 到 96 个字符，由 a-z、A-Z、0-9、'_'、'-' 组成",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// The other job's end with exit code 0. If it ends otherwise, this job is cancelled.
    Success(SlurmJobId),
    /// The other job's end, however.
    End(SlurmJobId),
}

/// A batch job to submit. It runs on one node, as the user whose token is sent.
#[derive(Clone, Debug)]
pub struct Submit {
    /// The sender's name for this submission.
    pub token: SubmitToken,
    /// For people: what `scontrol show job` shows as comment. The job's name holds the token.
    pub comment: String,
    /// The account to charge; empty for the user's default.
    pub account: String,
    /// The partition; empty for the cluster's default.
    pub partition: String,
    /// The script, from its `#!` line on.
    pub script: String,
    /// The script's environment. `PATH` is set if it is absent; Slurm adds its own variables.
    pub environment: BTreeMap<String, String>,
    /// The folder that the script starts in, on a file system that all nodes have.
    pub cwd: PathBuf,
    /// Where standard output goes. `%j` stands for the job's number. An attempt appends to what the last one wrote.
    pub stdout: PathBuf,
    /// Where standard error goes.
    pub stderr: PathBuf,
    /// Cores.
    pub cpus: u32,
    /// Memory; Slurm counts it in MiB, upwards.
    pub memory_bytes: u64,
    /// Accelerators.
    pub gres: Vec<GresRequest>,
    /// The longest time to run, counted in minutes, upwards.
    pub time_limit: Option<Duration>,
    /// Whether Slurm puts the job back into the queue when its node is lost.
    pub requeue: bool,
    /// What it waits for.
    pub dependencies: Vec<Dependency>,
}

/// The longest script and environment together, in bytes. slurmctld refuses scripts over 4 MiB.
const TEXT_MOST: usize = 3 << 20;

impl Submit {
    /// Finds what Slurm would refuse or, worse, misread.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.script.starts_with("#!") || self.script.contains('\0') {
            return Err(Error::invalid(
                "script",
                "it starts with #! and has no zero byte",
                "应以 #! 开头且不含零字节",
            ));
        }
        let size =
            self.script.len() + self.environment.iter().map(|(k, v)| k.len() + v.len() + 2).sum::<usize>();
        if size > TEXT_MOST {
            return Err(Error::invalid(
                "script",
                format!("script and environment have {size} bytes, {TEXT_MOST} are allowed"),
                format!("脚本与环境变量共 {size} 字节，上限为 {TEXT_MOST}"),
            ));
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Error::invalid(
                    "environment",
                    format!("{name:?} is no name of a variable, or its value has a zero byte"),
                    format!("{name:?} 不是合法的变量名，或其值含有零字节"),
                ));
            }
        }
        for (param, path) in [("cwd", &self.cwd), ("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !path.is_absolute() || path.to_str().is_none_or(|p| p.contains(['\0', '\n'])) {
                return Err(Error::invalid(
                    param,
                    "it is an absolute path in UTF-8",
                    "应为 UTF-8 编码的绝对路径",
                ));
            }
        }
        if self.cpus == 0 || self.memory_bytes == 0 {
            return Err(Error::invalid("cpus", "cores and memory are at least 1", "核数与内存至少为 1"));
        }
        if self.comment.len() > 1024 || self.comment.contains('\0') {
            return Err(Error::invalid("comment", "it has at most 1024 bytes", "最长 1024 字节"));
        }
        Ok(())
    }

    /// In MiB, upwards.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory_bytes.div_ceil(1 << 20)
    }

    /// In minutes, upwards.
    pub(crate) fn minutes(&self) -> Option<u64> {
        self.time_limit.map(|limit| limit.as_secs().div_ceil(60).max(1))
    }

    pub(crate) fn gres_text(&self) -> String {
        self.gres.iter().map(GresRequest::text).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn dependency_text(&self) -> String {
        let one = |dependency: &Dependency| match dependency {
            Dependency::Success(id) => format!("afterok:{id}"),
            Dependency::End(id) => format!("afterany:{id}"),
        };
        self.dependencies.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
pub(crate) fn example() -> Submit {
    Submit {
        token: "job_1-1".parse().expect("a token"),
        comment: "a test".into(),
        account: "a".into(),
        partition: String::new(),
        script: "#!/bin/sh\ntrue\n".into(),
        environment: BTreeMap::from([("A".into(), "b c".into())]),
        cwd: "/tmp".into(),
        stdout: "/tmp/out".into(),
        stderr: "/tmp/err".into(),
        cpus: 2,
        memory_bytes: (100 << 20) + 1,
        gres: vec![
            GresRequest::new("gpu", Some("h100"), 2).expect("fine"),
            GresRequest::new("mlu", None, 1).expect("fine"),
        ],
        time_limit: Some(Duration::from_secs(61)),
        requeue: true,
        dependencies: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_go_upwards() {
        assert_eq!(example().memory_mib(), 101);
        assert_eq!(example().minutes(), Some(2));
    }

    #[test]
    fn what_slurm_would_misread_is_refused_here() {
        assert!(example().check().is_ok());
        assert!(Submit { script: "true".into(), ..example() }.check().is_err());
        assert!(Submit { cwd: "tmp".into(), ..example() }.check().is_err());
        assert!(
            Submit { environment: BTreeMap::from([("A=B".into(), String::new())]), ..example() }
                .check()
                .is_err()
        );
        assert!(Submit { cpus: 0, ..example() }.check().is_err());
        for bad in ["", "a b", "a.b", "ä", &"a".repeat(97)] {
            assert!(bad.parse::<SubmitToken>().is_err(), "{bad}");
        }
    }
}
