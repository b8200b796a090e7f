//! Replicas and the memory that they take.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_control::{MemoryPlan, ReplicaView};
use rixin_store::Resources;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AppState, audit,
    auth::by,
    error::{ApiResult, no_such},
    extract::Json,
    request::Info,
};

/// The replicas and the planner's figures.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replicas {
    /// The replicas.
    pub data: Vec<ReplicaView>,
    /// The planner's figures.
    pub memory: MemoryPlan,
}

/// What to start.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewReplica {
    /// The model.
    pub model: String,
    /// Where it runs; this machine if absent.
    #[serde(default)]
    pub on: Place,
    /// What it may take on the cluster; what is left open is chosen by the model.
    #[serde(default)]
    pub resources: Resources,
}

/// Where a replica is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReplicaOn)]
pub(crate) enum Place {
    /// This machine.
    #[default]
    Machine,
    /// The cluster, as a job of it.
    Cluster,
}

/// The replicas, and the memory that they take.
#[utoipa::path(get, path = "/api/replicas", tag = "replicas", responses((status = 200, description = "The replicas", body = Replicas)))]
pub(crate) async fn list(State(state): State<AppState>, _: by::Machine, info: Info) -> Reply<Replicas> {
    let data = state.control.replicas().iter().map(|replica| replica.view(info.lang)).collect();
    Reply(Replicas { data, memory: state.control.memory() })
}

/// Starts a replica of a model, one more if there is one.
#[utoipa::path(post, path = "/api/replicas", tag = "replicas", request_body = NewReplica,
    responses((status = 202, description = "The replica, loading", body = ReplicaView)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    _: by::Replicas,
    info: Info,
    Json(new): Json<NewReplica>,
) -> ApiResult<(StatusCode, Reply<ReplicaView>)> {
    audit::about(&new.model, &serde_json::Value::Null);
    let replica = match new.on {
        Place::Machine => state.control.start_replica(&new.model).await?,
        Place::Cluster => state.control.start_on_cluster(&new.model, &new.resources).await?,
    };
    Ok((StatusCode::ACCEPTED, Reply(replica.view(info.lang))))
}

/// Stops a replica after the requests that it is answering.
#[utoipa::path(delete, path = "/api/replicas/{id}", tag = "replicas", params(("id" = String, Path, description = "The replica's id")),
    responses((status = 204, description = "It takes no more requests")))]
pub(crate) async fn stop(
    State(state): State<AppState>,
    _: by::Replicas,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = id.parse().map_err(|error| no_such("replica", "副本", &error))?;
    state.control.stop_replica(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
