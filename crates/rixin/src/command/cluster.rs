//! `rixin cluster`: asks the cluster itself, with or without a running server.

use clap::Subcommand;
use rixin_base::{Code, Fault, bytes_text};
use rixin_control::{ClusterNodeView, ClusterState, cluster_now};

use crate::{
    context::Context,
    out::{Done, Exit, Out},
    table::{Side, Table},
};

/// The commands under `rixin cluster`.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Show the cluster's nodes, their accelerators, and the suite's jobs there
    Show,
}

impl Cluster {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let out = context.out;
        let Some(state) = cluster_now(context.settings(), out.lang).await else {
            if out.json {
                out.document(&serde_json::json!({ "cluster": null }));
            } else {
                out.note(
                    "no cluster is configured: jobs run on this machine. Set slurm_url to connect one",
                    "未接入集群：任务在本机运行。设置 slurm_url 可接入集群",
                );
            }
            return Ok(Exit::Ok);
        };
        if let Some(trouble) = &state.trouble {
            return Err(Fault::new(Code::BadUpstream, trouble.clone(), trouble.clone()));
        }
        if out.json {
            out.document(&serde_json::json!({ "cluster": state }));
        } else {
            show(out, &state);
        }
        Ok(Exit::Ok)
    }
}

fn accelerators(node: &ClusterNodeView) -> String {
    let list = node.accelerators.iter().map(|one| {
        let name =
            one.model.as_ref().map_or_else(|| one.family.clone(), |model| format!("{}:{model}", one.family));
        format!("{name} {}/{}", one.used, one.total)
    });
    list.collect::<Vec<_>>().join(", ")
}

fn show(out: Out, state: &ClusterState) {
    let heads = out.lang.pick(
        ["NODE", "STATE", "CORES", "MEMORY", "ACCELERATORS", "PARTITIONS"],
        ["节点", "状态", "核数", "内存", "加速卡", "分区"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for node in &state.nodes {
        let flags =
            if node.flags.is_empty() { String::new() } else { format!(" ({})", node.flags.join(", ")) };
        table.row([
            node.name.clone(),
            format!("{}{flags}", node.state),
            format!("{}/{}", node.cores_used, node.cores),
            format!("{}/{}", bytes_text(node.memory_used_bytes), bytes_text(node.memory_bytes)),
            accelerators(node),
            node.partitions.join(", "),
        ]);
    }
    out.raw(&table.render(None));
    if state.jobs.is_empty() {
        return;
    }
    let heads = out.lang.pick(
        ["SLURM JOB", "JOB", "STATE", "NODE", "ACCOUNT", "RESTARTS"],
        ["作业", "任务", "状态", "节点", "账户", "重启次数"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for job in &state.jobs {
        table.row([
            job.slurm_job.to_string(),
            job.job.clone(),
            job.state.clone(),
            job.node.clone(),
            job.account.clone(),
            job.restarts.to_string(),
        ]);
    }
    out.raw("\n");
    out.raw(&table.render(None));
}
