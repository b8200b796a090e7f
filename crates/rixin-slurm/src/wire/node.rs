//! Nodes, and whether slurmctld lives.

use serde::Deserialize;
use serde_json::Value;

use super::{Number, Reply, WireError, Words, nullable};
use crate::{Controller, Node, Ping, Result};

const MIB: u64 = 1 << 20;

/// The nodes.
#[derive(Deserialize)]
pub(crate) struct NodesReply {
    #[serde(default, deserialize_with = "nullable")]
    nodes: Vec<WireNode>,
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireNode {
    name: Option<String>,
    hostname: Option<String>,
    state: Words,
    state_flags: Words,
    reason: Option<String>,
    cpus: Number,
    alloc_cpus: Number,
    real_memory: Number,
    alloc_memory: Number,
    gres: Option<String>,
    gres_used: Option<String>,
    partitions: Words,
}

impl NodesReply {
    pub fn into_nodes(self) -> Result<Vec<Node>> {
        let one = |node: WireNode| {
            let words = [node.state.0, node.state_flags.0].concat();
            let (state, flags) = Node::sort(&words);
            Ok(Node {
                name: node.name.unwrap_or_default(),
                host: node.hostname.unwrap_or_default(),
                state,
                flags,
                reason: node.reason.filter(|reason| !reason.is_empty()),
                cpus: node.cpus.u32(),
                cpus_used: node.alloc_cpus.u32(),
                memory_bytes: node.real_memory.u64().saturating_mul(MIB),
                memory_used_bytes: node.alloc_memory.u64().saturating_mul(MIB),
                gres: Node::gres_of(&node.gres.unwrap_or_default(), &node.gres_used.unwrap_or_default())?,
                partitions: node.partitions.0,
            })
        };
        self.nodes.into_iter().map(one).collect()
    }
}

impl Reply for NodesReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

/// The controllers' signs of life.
#[derive(Deserialize)]
pub(crate) struct PingReply {
    #[serde(default, deserialize_with = "nullable")]
    pings: Vec<WirePing>,
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
    #[serde(default)]
    meta: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WirePing {
    hostname: Option<String>,
    /// `UP` or `DOWN`.
    ping: Option<String>,
    pinged: Option<String>,
    responding: Option<bool>,
    mode: Option<String>,
}

impl PingReply {
    pub fn into_ping(self) -> Ping {
        // `Slurm` in v0.0.38 and v0.0.39, `slurm` later.
        let slurm = self.meta.get("slurm").or_else(|| self.meta.get("Slurm"));
        let release =
            slurm.and_then(|s| s.get("release")).and_then(Value::as_str).unwrap_or_default().to_owned();
        let controllers = self
            .pings
            .into_iter()
            .map(|ping| Controller {
                up: ping.responding.unwrap_or(false)
                    || [ping.ping, ping.pinged]
                        .into_iter()
                        .flatten()
                        .any(|word| word.eq_ignore_ascii_case("UP")),
                host: ping.hostname.unwrap_or_default(),
                mode: ping.mode.unwrap_or_default(),
            })
            .collect();
        Ping { release, controllers }
    }
}

impl Reply for PingReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeState;

    fn nodes(text: &str) -> Vec<Node> {
        serde_json::from_str::<NodesReply>(text).expect("a reply").into_nodes().expect("nodes")
    }

    #[test]
    fn v0_0_38_as_recorded() {
        let all = nodes(include_str!("../../tests/fixtures/v0.0.38_nodes.json"));
        assert_eq!((all[0].name.as_str(), &all[0].state), ("n1", &NodeState::Mixed));
        assert!(all[0].is_usable());
        assert_eq!((all[0].gres[0].total, all[0].gres[0].used), (4, 2));
        assert_eq!((all[0].memory_bytes, all[0].memory_used_bytes), (4000 * MIB, 100 * MIB));
        assert_eq!(all[3].gres[1].kind, "mlu");
        assert_eq!((all[3].gres[1].total, all[3].gres[1].used), (4, 0));
    }

    #[test]
    fn v0_0_42() {
        let all = nodes(include_str!("../../tests/fixtures/v0.0.42_nodes.json"));
        assert_eq!((&all[0].state, all[0].is_usable()), (&NodeState::Mixed, true));
        assert_eq!((&all[1].state, all[1].is_usable()), (&NodeState::Idle, false));
        assert_eq!(all[1].flags, ["DRAIN"]);
        assert_eq!((&all[2].state, all[2].is_usable()), (&NodeState::Down, false));
        assert_eq!(all[0].gres[0].used, 2);
    }

    #[test]
    fn pings() {
        let read = |text: &str| serde_json::from_str::<PingReply>(text).expect("a reply").into_ping();
        let old = read(
            r#"{"meta":{"Slurm":{"release":"22.05.8"}},"pings":[{"hostname":"a","ping":"UP","status":0,"mode":"primary"}]}"#,
        );
        assert_eq!((old.release.as_str(), old.is_up()), ("22.05.8", true));
        let new = read(
            r#"{"meta":{"slurm":{"release":"24.11.1"}},"pings":[{"hostname":"a","pinged":"DOWN","responding":false}]}"#,
        );
        assert_eq!((new.release.as_str(), new.is_up()), ("24.11.1", false));
    }
}
