//! What a page shows of the machine and the cluster that jobs run on.

use rixin_base::{Fault, Lang};
use rixin_slurm::{Job as SlurmJob, Node, NodeState, Phase};
use serde::Serialize;
use utoipa::ToSchema;

use super::Jobs;

/// Where jobs run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClusterView {
    /// Where jobs go that ask for no accelerator: `local` or `slurm`.
    pub executor: String,
    /// This machine.
    pub machine: MachineView,
    /// The cluster; absent where none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterState>,
}

/// This machine's part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MachineView {
    /// Its name.
    pub name: String,
    /// Cores that jobs may use.
    pub cores: u32,
    /// Cores that running jobs asked for.
    pub cores_used: u32,
    /// Memory for jobs and replicas, in bytes.
    pub memory_bytes: u64,
    /// Memory that running jobs asked for, in bytes.
    pub memory_used_bytes: u64,
    /// Jobs that run here.
    pub jobs: u64,
}

/// A cluster.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClusterState {
    /// slurmrestd's address.
    pub url: String,
    /// Why it can't be used at the moment, in the caller's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Its nodes.
    pub nodes: Vec<ClusterNodeView>,
    /// The suite's jobs that wait or run there.
    pub jobs: Vec<ClusterJobView>,
}

/// A node.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClusterNodeView {
    /// Its name.
    pub name: String,
    /// `idle`, `mixed`, `allocated`, `down`, `error`, `future`, `unknown`.
    pub state: String,
    /// What else holds, in Slurm's words: `DRAIN`, `NOT_RESPONDING`.
    pub flags: Vec<String>,
    /// Whether jobs can run on it.
    pub usable: bool,
    /// Why it is down or drained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Cores.
    pub cores: u32,
    /// Cores in use, by anybody.
    pub cores_used: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory in use, by anybody.
    pub memory_used_bytes: u64,
    /// Accelerators by family and model.
    pub accelerators: Vec<AcceleratorView>,
    /// Its partitions.
    pub partitions: Vec<String>,
}

/// Accelerators of one family and model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AcceleratorView {
    /// The family, Slurm's GRES name: `gpu`, `npu`.
    pub family: String,
    /// The model, Slurm's GRES type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many there are.
    pub total: u64,
    /// How many are in use.
    pub used: u64,
}

/// A job of the suite on the cluster.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClusterJobView {
    /// Slurm's number.
    pub slurm_job: u32,
    /// The suite's job.
    pub job: String,
    /// Slurm's state.
    pub state: String,
    /// Why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its nodes.
    pub node: String,
    /// The account that it is charged to.
    pub account: String,
    /// How often Slurm has started it again.
    pub restarts: u32,
}

impl Jobs {
    /// The machine, and the cluster as it is now.
    pub async fn cluster(&self, lang: Lang) -> ClusterView {
        let held = self.local.held();
        let machine = MachineView {
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cores: self.local.cores(),
            cores_used: self.local.cores_held(),
            memory_bytes: self.core.memory_for_jobs().0,
            memory_used_bytes: held.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add),
            jobs: held.len() as u64,
        };
        let mut cluster = None;
        if let Some(slurm) = &self.slurm {
            let (nodes, trouble) = match slurm.nodes().await {
                Ok(nodes) => (nodes, slurm.trouble()),
                Err(error) => (Vec::new(), Some(Fault::from(error))),
            };
            cluster = Some(ClusterState {
                url: self.settings.slurm_url.clone(),
                trouble: trouble.map(|fault| fault.text(lang).to_owned()),
                nodes: nodes.into_iter().map(node).collect(),
                jobs: slurm.seen().iter().filter(|job| job.phase() != Phase::Ended).map(job).collect(),
            });
        }
        ClusterView { executor: self.settings.executor.clone(), machine, cluster }
    }
}

fn node(node: Node) -> ClusterNodeView {
    let state = match node.state {
        NodeState::Idle => "idle",
        NodeState::Mixed => "mixed",
        NodeState::Allocated => "allocated",
        NodeState::Down => "down",
        NodeState::Error => "error",
        NodeState::Future => "future",
        NodeState::Unknown => "unknown",
    };
    ClusterNodeView {
        usable: node.is_usable(),
        state: state.into(),
        accelerators: node
            .gres
            .into_iter()
            .map(|gres| AcceleratorView {
                family: gres.kind,
                model: gres.model,
                total: gres.total,
                used: gres.used,
            })
            .collect(),
        name: node.name,
        flags: node.flags,
        reason: node.reason,
        cores: node.cpus,
        cores_used: node.cpus_used,
        memory_bytes: node.memory_bytes,
        memory_used_bytes: node.memory_used_bytes,
        partitions: node.partitions,
    }
}

fn job(job: &SlurmJob) -> ClusterJobView {
    ClusterJobView {
        slurm_job: job.id.get(),
        job: super::slurm::job_of(job).map(|id| id.to_string()).unwrap_or_default(),
        state: super::slurm::state_word(&job.state),
        reason: job.reason.clone().filter(|reason| reason != "None"),
        node: job.nodes.clone(),
        account: job.account.clone(),
        restarts: job.restarts,
    }
}
