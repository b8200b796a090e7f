//! What replicas on a cluster's nodes say to the gateway: that they are there, and that they still are.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use rixin_base::{Code, Fault};
use rixin_protocol::replica::{Register, ReplicaLease};
use rixin_store::Registration;

use crate::{
    AppState,
    auth::ProcessToken,
    error::{ApiError, ApiResult, no_such},
    extract::Json,
};

fn lease(granted: Option<std::time::Duration>) -> ApiResult<Reply<ReplicaLease>> {
    let granted = granted.ok_or_else(|| {
        ApiError(Fault::new(
            Code::InvalidKey,
            "the token is none that works: the replica is not wanted any more, or another attempt has taken over; its process has to end",
            "令牌无效：该副本已不再需要，或已由新的作业接替；其进程应当结束",
        ))
    })?;
    Ok(Reply(ReplicaLease { lease_ms: u64::try_from(granted.as_millis()).unwrap_or(u64::MAX) }))
}

/// A replica's process on a cluster's node registers, with the token that works once; requests go to it from then on.
#[utoipa::path(post, path = "/api/replicas/register", tag = "replicas", request_body = Register,
    responses((status = 200, description = "It is known, for so long", body = ReplicaLease)))]
pub(crate) async fn register(
    State(state): State<AppState>,
    ProcessToken(token): ProcessToken,
    Json(new): Json<Register>,
) -> ApiResult<Reply<ReplicaLease>> {
    let said = Registration {
        address: new.address,
        key: new.key,
        slots: new.slots,
        context_length: new.context_length,
        memory_bytes: new.memory_bytes,
    };
    lease(state.control.register_replica(new.replica, &token, &said).await?)
}

/// A sign of life of such a process, with the key that it registered.
#[utoipa::path(post, path = "/api/replicas/{id}/renew", tag = "replicas", params(("id" = String, Path, description = "The replica's id")),
    responses((status = 200, description = "It is known for longer", body = ReplicaLease)))]
pub(crate) async fn renew(
    State(state): State<AppState>,
    ProcessToken(key): ProcessToken,
    Path(id): Path<String>,
) -> ApiResult<Reply<ReplicaLease>> {
    let id = id.parse().map_err(|error| no_such("replica", "副本", &error))?;
    lease(state.control.renew_replica(id, &key).await?)
}
