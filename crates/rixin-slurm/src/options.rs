//! How a cluster is reached, and whether it lives.

use std::{str::FromStr, time::Duration};

use crate::{Error, Result, Server, TokenSource};

/// The name of a suite, of which several may share a cluster: 1 to 32 of `a-z`, `0-9`, `-`. Its jobs are named `SUITE.TOKEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite(String);

impl Suite {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self("rixin".to_owned())
    }
}

impl FromStr for Suite {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(good) {
            return Err(Error::invalid(
                "slurm_suite",
                "it has 1 to 32 characters of a-z, 0-9 and '-'",
                "应为 1 到 32 个字符，由 a-z、0-9、'-' 组成",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where slurmrestd is.
    pub server: Server,
    /// Whose jobs these are: the name that goes with the token.
    pub user: String,
    /// Where the token comes from.
    pub token: TokenSource,
    /// The suite that the jobs belong to.
    pub suite: Suite,
    /// The cluster's name in slurmdbd, where that knows several.
    pub cluster: Option<String>,
    /// The longest time for one request.
    pub timeout: Duration,
    /// The largest list of jobs or nodes. Slurm can't be asked for a part; a job takes some 4 KB.
    pub list_limit_bytes: usize,
}

impl Options {
    /// With usual limits: 30 s, 256 MiB.
    pub fn new(server: Server, user: impl Into<String>, token: TokenSource) -> Self {
        Self {
            server,
            user: user.into(),
            token,
            suite: Suite::default(),
            cluster: None,
            timeout: Duration::from_secs(30),
            list_limit_bytes: 256 << 20,
        }
    }
}

/// One slurmctld's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its host.
    pub host: String,
    /// `primary`, `backup`.
    pub mode: String,
    /// Whether it answers.
    pub up: bool,
}

/// The controllers' signs of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// slurmrestd's release, `22.05.8`.
    pub release: String,
    /// The controllers.
    pub controllers: Vec<Controller>,
}

impl Ping {
    /// Whether any controller answers.
    pub fn is_up(&self) -> bool {
        self.controllers.iter().any(|controller| controller.up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites() {
        assert!("rixin-2".parse::<Suite>().is_ok());
        for bad in ["", "a.b", "A", "a b", &"a".repeat(33)] {
            assert!(bad.parse::<Suite>().is_err(), "{bad}");
        }
    }
}
