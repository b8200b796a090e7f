//! A node as Slurm reports it.

use crate::{GresEntry, Result, parse_gres};

/// A node's base state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Nothing runs on it.
    Idle,
    /// Some of it is taken.
    Mixed,
    /// All of it is taken.
    Allocated,
    /// It is lost, or was set so.
    Down,
    /// It has an error.
    Error,
    /// It does not exist yet.
    Future,
    /// Slurm does not know, or a word that this version does not know.
    Unknown,
}

/// Generic resources of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeGres {
    /// The kind: `gpu`.
    pub kind: String,
    /// The model: `h100`.
    pub model: Option<String>,
    /// How many it has.
    pub total: u64,
    /// How many jobs hold.
    pub used: u64,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The name of the machine that it is, where Slurm says.
    pub host: String,
    /// Its base state.
    pub state: NodeState,
    /// What else holds, in Slurm's words: `DRAIN`, `NOT_RESPONDING`, `MAINTENANCE`.
    pub flags: Vec<String>,
    /// Why it is down or drained.
    pub reason: Option<String>,
    /// Cores.
    pub cpus: u32,
    /// Cores that jobs hold.
    pub cpus_used: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// Memory that jobs hold.
    pub memory_used_bytes: u64,
    /// Accelerators and other generic resources.
    pub gres: Vec<NodeGres>,
    /// The partitions that it is in.
    pub partitions: Vec<String>,
}

impl Node {
    /// Whether jobs can start on it, given room.
    pub fn is_usable(&self) -> bool {
        const CLOSED: [&str; 9] = [
            "DRAIN",
            "NOT_RESPONDING",
            "MAINTENANCE",
            "FAIL",
            "POWERED_DOWN",
            "POWERING_DOWN",
            "INVALID_REG",
            "REBOOT_ISSUED",
            "RESERVED",
        ];
        matches!(self.state, NodeState::Idle | NodeState::Mixed | NodeState::Allocated)
            && !self.flags.iter().any(|flag| CLOSED.contains(&flag.as_str()))
    }

    /// Base state and flags of Slurm's words: `mixed` with a list of flags, or all in one list.
    pub(crate) fn sort(words: &[String]) -> (NodeState, Vec<String>) {
        let mut state = None;
        let mut flags = Vec::new();
        for word in words {
            // `mixed*` marks, in texts, a node that does not respond.
            let word =
                word.trim_end_matches(['*', '~', '#', '!', '%', '$', '@', '^', '-']).to_ascii_uppercase();
            let base = match word.as_str() {
                "IDLE" => NodeState::Idle,
                "MIXED" => NodeState::Mixed,
                "ALLOCATED" => NodeState::Allocated,
                "DOWN" => NodeState::Down,
                "ERROR" => NodeState::Error,
                "FUTURE" => NodeState::Future,
                "UNKNOWN" | "INVALID" => NodeState::Unknown,
                _ => {
                    flags.push(word);
                    continue;
                }
            };
            state.get_or_insert(base);
        }
        (state.unwrap_or(NodeState::Unknown), flags)
    }

    /// What it has, with what of it is used.
    pub(crate) fn gres_of(total: &str, used: &str) -> Result<Vec<NodeGres>> {
        let used = parse_gres(used)?;
        let same =
            |a: &GresEntry, b: &GresEntry| a.kind == b.kind && (a.model == b.model || b.model.is_none());
        Ok(parse_gres(total)?
            .into_iter()
            .map(|entry| NodeGres {
                used: used.iter().find(|u| same(&entry, u)).map_or(0, |u| u.count.min(entry.count)),
                total: entry.count,
                kind: entry.kind,
                model: entry.model,
            })
            .collect())
    }
}
