//! Replicas and the memory that they take.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_control::{MemoryPlan, ReplicaView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AppState,
    auth::{Admin, Caller},
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
}

/// The replicas, and the memory that they take.
#[utoipa::path(get, path = "/api/replicas", tag = "replicas", responses((status = 200, description = "The replicas", body = Replicas)))]
pub(crate) async fn list(State(state): State<AppState>, _: Caller, info: Info) -> Reply<Replicas> {
    let data = state.control.replicas().iter().map(|replica| replica.view(info.lang)).collect();
    Reply(Replicas { data, memory: state.control.memory() })
}

/// Starts a replica of a model, one more if there is one.
#[utoipa::path(post, path = "/api/replicas", tag = "replicas", request_body = NewReplica,
    responses((status = 202, description = "The replica, loading", body = ReplicaView)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    _: Admin,
    info: Info,
    Json(new): Json<NewReplica>,
) -> ApiResult<(StatusCode, Reply<ReplicaView>)> {
    let replica = state.control.start_replica(&new.model).await?;
    Ok((StatusCode::ACCEPTED, Reply(replica.view(info.lang))))
}

/// Stops a replica after the requests that it is answering.
#[utoipa::path(delete, path = "/api/replicas/{id}", tag = "replicas", params(("id" = String, Path, description = "The replica's id")),
    responses((status = 204, description = "It takes no more requests")))]
pub(crate) async fn stop(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = id.parse().map_err(|error| no_such("replica", "副本", &error))?;
    state.control.stop_replica(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
