//! Whether the gateway is up, and who the caller is.

use axum::{Json, extract::State};
use rixin_base::{KeyId, TenantId, VERSION};
use rixin_store::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AppState, auth::Caller, request::Info};

/// That the gateway is up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `stopping` while the last streams end.
    pub status: String,
    /// The suite's version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_secs: u64,
}

/// Whether the gateway is up.
#[utoipa::path(get, path = "/api/health", tag = "suite", responses((status = 200, description = "It is", body = Health)))]
pub(crate) async fn health(State(state): State<AppState>) -> Json<Health> {
    let stopping = state.stopping.is_cancelled();
    Json(Health {
        status: if stopping { "stopping" } else { "ok" }.into(),
        version: VERSION.into(),
        uptime_secs: state.started.elapsed().as_secs(),
    })
}

/// The caller.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Me {
    /// The key's id.
    #[schema(value_type = String)]
    pub key_id: KeyId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its tenant.
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    /// The language in which errors come: `en` or `zh-CN`.
    pub lang: String,
}

/// Who the caller is.
#[utoipa::path(get, path = "/api/me", tag = "suite", responses((status = 200, description = "The caller", body = Me)))]
pub(crate) async fn me(caller: Caller, info: Info) -> Json<Me> {
    Json(Me {
        key_id: caller.key_id,
        name: caller.name.clone(),
        role: caller.role,
        tenant_id: caller.scope.tenant(),
        lang: info.lang.tag().into(),
    })
}
