//! Keys of the caller's tenant.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::{Code, Fault, KeyId, ProjectId};
use rixin_protocol::parse::out_of_range;
use rixin_store::{CreatedKey, Key, KeyKind, Limits, Network, Right, Rights, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::{Caller, by},
    error::{ApiError, ApiResult, no_such},
    extract::Json,
};

/// What is needed to make a key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewKey {
    /// What its holder or use is called.
    pub name: String,
    /// What it may do; `admin` is read as `owner`.
    pub role: Role,
    /// The project that it is for; a key without one belongs to the member who makes it, if a member does.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The rights that it has at most.
    #[serde(default)]
    pub scopes: Option<Vec<Right>>,
    /// The models that it may ask.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// The networks that it works from, such as `10.0.0.0/8`, `2001:db8::/32` or a single address.
    #[serde(default)]
    pub networks: Option<Vec<String>>,
    /// Milliseconds since 1970 at which it stops working.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// Keys without their secrets, the revoked ones too: all with the right `people`, else the caller's own.
#[utoipa::path(get, path = "/api/keys", tag = "keys", responses((status = 200, description = "The keys", body = List<Key>)))]
pub(crate) async fn list(State(state): State<AppState>, caller: by::OwnUsage) -> ApiResult<Reply<List<Key>>> {
    let mut data = state.store.keys(&caller.scope).await?;
    if !caller.may(Right::People) {
        data.retain(|key| is_own(&caller, key));
    }
    data.retain(|key| key.kind == KeyKind::Service);
    Ok(Reply(List { data }))
}

/// Whether a key is the caller's, or the same person's.
fn is_own(caller: &Caller, key: &Key) -> bool {
    key.id == caller.key_id || caller.member.is_some() && key.member_id == caller.member
}

fn network(text: &String) -> Result<Network, Fault> {
    let zh = format!("{text:?} 不是网段（如 10.0.0.0/8、2001:db8::/32）或地址");
    text.parse().map_err(|why: String| out_of_range("networks", &why, &zh))
}

/// A key reaches no further than the caller who makes it.
fn check_reach(caller: &Caller, rights: Rights) -> Result<(), Fault> {
    let own = &caller.limits;
    if own.models.is_some() || own.networks.is_some() || own.expires_at.is_some() {
        return Err(Fault::new(
            Code::OutOfScope,
            "a key that is narrowed to models, networks or a date makes no other keys: use one that is not",
            "受模型、网段或期限限制的密钥不能创建其他密钥：请改用不受限的密钥",
        ));
    }
    if caller.rights.covers(rights) {
        return Ok(());
    }
    let more = rights.iter().find(|right| !caller.may(*right));
    let more = more.map_or("", Right::as_str);
    Err(Fault::new(
        Code::Forbidden,
        format!("a key can't have the right '{more}', which you lack: choose a smaller role or scopes"),
        format!("您没有权限 '{more}'，不能授予密钥：请选择较小的角色或权限范围"),
    ))
}

/// Makes a key. Its secret is in this answer and nowhere else. With the right `own_keys` alone it is the caller's own.
#[utoipa::path(post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, description = "The key with its secret", body = CreatedKey)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::OwnKeys,
    Json(new): Json<NewKey>,
) -> ApiResult<(StatusCode, Reply<CreatedKey>)> {
    let networks = new.networks.map(|nets| nets.iter().map(network).collect::<Result<_, _>>()).transpose()?;
    let limits = Limits { scopes: new.scopes, models: new.models, networks, expires_at: new.expires_at };
    let role_rights = new.role.rights(caller.host);
    let rights = match &limits.scopes {
        Some(scopes) => role_rights.and(scopes.iter().copied().collect()),
        None => role_rights,
    };
    check_reach(&caller, rights)?;
    let project = new.project_id.map(|id| id.parse::<ProjectId>()).transpose();
    let project = project.map_err(|error| no_such("project", "项目", &error))?;
    if project.is_some() || caller.member.is_none() {
        caller.must(Right::Keys)?;
    }
    let member = if project.is_some() { None } else { caller.member };
    let new = rixin_store::NewKey { name: new.name, role: new.role, project, member, limits };
    let created = state.store.create_key_with(&caller.scope, new).await?;
    tracing::info!(id = %created.key.id, role = %created.key.role, "a key was made");
    Ok((StatusCode::CREATED, Reply(created)))
}

/// Ends a key, and cancels the jobs that it asked for. The last owner can't be ended.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key, revoked", body = Key)))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    caller: by::OwnKeys,
    Path(id): Path<String>,
) -> ApiResult<Reply<Key>> {
    let id: KeyId = id.parse().map_err(|error| no_such("key", "密钥", &error))?;
    if !caller.may(Right::Keys) {
        let all = state.store.keys(&caller.scope).await?;
        if !all.iter().any(|key| key.id == id && is_own(&caller, key)) {
            return Err(missing(id));
        }
    }
    let key = state.store.revoke_key(&caller.scope, id).await?;
    state.control.jobs().wake();
    tracing::info!(%id, "a key was revoked");
    Ok(Reply(key))
}

/// The same words as for an id that never was.
fn missing(id: KeyId) -> ApiError {
    let id = id.to_string();
    ApiError(Fault::new(Code::NotFound, format!("there is no key {id:?}"), format!("密钥 {id} 不存在")))
}
