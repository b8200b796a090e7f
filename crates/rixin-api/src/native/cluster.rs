//! The machine and the cluster that jobs run on.

use axum::{Json as Reply, extract::State};
use rixin_control::ClusterView;

use crate::{AppState, auth::by, request::Info};

/// Where jobs run: this machine and, where one is configured, the cluster with its nodes and the suite's jobs there.
#[utoipa::path(get, path = "/api/cluster", tag = "jobs", responses((status = 200, description = "Machine and cluster", body = ClusterView)))]
pub(crate) async fn show(State(state): State<AppState>, _: by::Cluster, info: Info) -> Reply<ClusterView> {
    Reply(state.control.jobs().cluster(info.lang).await)
}
