//! Which of slurmrestd's data parsers is spoken, and how its document spells the paths.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, de::IgnoredAny};

use crate::{Act, Error, Result, Server};

/// A version of slurmrestd's data parser, `v0.0.NN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParserVersion(u16);

impl ParserVersion {
    /// The oldest that is spoken: that of Slurm 22.05.
    pub const OLDEST: ParserVersion = ParserVersion(38);
    /// The newest that is spoken: that of Slurm 25.11.
    pub const NEWEST: ParserVersion = ParserVersion(44);

    /// Its last number.
    pub fn number(self) -> u16 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = ParserVersion> {
        (Self::OLDEST.0..=Self::NEWEST.0).map(ParserVersion)
    }
}

impl fmt::Display for ParserVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v0.0.{}", self.0)
    }
}

/// What is read of the OpenAPI document: some hundred kilobytes, of which the names of the paths.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, IgnoredAny>,
}

/// The server's offer.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub version: ParserVersion,
    paths: BTreeMap<String, String>,
}

impl Api {
    /// Chooses the newest version that both sides speak.
    pub fn read(server: &Server, document: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(document).map_err(|error| Error::Protocol {
            act: Act::Connect,
            why: format!("no OpenAPI document: {error}"),
        })?;
        let mut offered: Vec<u16> = document
            .paths
            .keys()
            .filter_map(|path| path.strip_prefix("/slurm/v0.0.")?.split('/').next()?.parse().ok())
            .collect();
        offered.sort_unstable();
        offered.dedup();
        let known = |number: &&u16| (ParserVersion::OLDEST.0..=ParserVersion::NEWEST.0).contains(number);
        let Some(version) = offered.iter().rev().find(known).copied().map(ParserVersion) else {
            let names: Vec<String> = offered.iter().take(20).map(|n| format!("v0.0.{n}")).collect();
            let offered = if names.is_empty() { "no data parser".to_owned() } else { names.join(", ") };
            return Err(Error::NoVersion { server: server.to_string(), offered });
        };
        // Newer documents end the paths of lists with a slash.
        let paths =
            document.paths.into_keys().map(|path| (path.trim_end_matches('/').to_owned(), path)).collect();
        Ok(Self { version, paths })
    }

    fn spelled(&self, family: &str, path: &str) -> Option<String> {
        self.paths.get(&format!("/{family}/{}/{path}", self.version)).cloned()
    }

    /// A path of slurmctld's part, as the document spells it.
    pub fn slurm(&self, path: &str) -> String {
        self.spelled("slurm", path).unwrap_or_else(|| format!("/slurm/{}/{path}", self.version))
    }

    /// A path of slurmdbd's part, where the document has it.
    pub fn slurmdb(&self, path: &str) -> Option<String> {
        self.spelled("slurmdb", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> Result<Api> {
        let paths: serde_json::Map<String, serde_json::Value> =
            paths.iter().map(|path| ((*path).to_owned(), serde_json::json!({"get": {}}))).collect();
        let server = "http://localhost:1".parse().expect("a server");
        Api::read(&server, serde_json::json!({ "openapi": "3.0.3", "paths": paths }).to_string().as_bytes())
    }

    #[test]
    fn the_newest_that_both_know() {
        let api =
            read(&["/slurm/v0.0.36/jobs", "/slurm/v0.0.38/jobs", "/slurmdb/v0.0.38/jobs"]).expect("known");
        assert_eq!(api.version.to_string(), "v0.0.38");
        assert_eq!(api.slurm("jobs"), "/slurm/v0.0.38/jobs");
        let api =
            read(&["/slurm/v0.0.42/jobs/", "/slurm/v0.0.41/jobs/", "/slurm/v0.0.99/jobs/"]).expect("known");
        assert_eq!(api.version.to_string(), "v0.0.42");
        assert_eq!(api.slurm("jobs"), "/slurm/v0.0.42/jobs/");
        assert_eq!(api.slurmdb("jobs"), None);
    }

    #[test]
    fn none_known_says_which_there_are() {
        let error = read(&["/slurm/v0.0.36/jobs", "/slurm/v0.0.37/jobs"]).expect_err("too old");
        assert!(error.to_string().contains("v0.0.36, v0.0.37"), "{error}");
        assert!(matches!(read(&["/x"]), Err(Error::NoVersion { .. })));
    }
}
