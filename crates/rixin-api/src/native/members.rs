//! Members of the caller's organisation.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::{Code, Fault, MemberId};
use rixin_store::{Invitation, Member, MemberPatch, NewMember, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::{Caller, by},
    error::{ApiResult, no_such},
    extract::Json,
};

/// A member and the one-time link by which they set their password.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct InvitedMember {
    /// The member.
    pub member: Member,
    /// The link's text: it is shown this once.
    pub invitation: Invitation,
}

fn member_id(id: &str) -> ApiResult<MemberId> {
    id.parse().map_err(|error| no_such("member", "成员", &error))
}

/// Nobody gives a role that reaches further than they do.
fn check_role(caller: &Caller, role: Option<Role>) -> Result<(), Fault> {
    let narrow = &caller.limits;
    let narrowed = narrow.models.is_some() || narrow.networks.is_some() || narrow.expires_at.is_some();
    if role.is_none_or(|role| !narrowed && caller.rights.covers(role.rights(caller.host))) {
        return Ok(());
    }
    Err(Fault::new(
        Code::OutOfScope,
        "a key that is narrowed can't give a role that reaches further than it does: use one that is not narrowed",
        "受限的密钥不能授予超出自身权限的角色：请改用不受限的密钥",
    ))
}

/// The members, without those who were removed.
#[utoipa::path(get, path = "/api/members", tag = "members", responses((status = 200, description = "The members", body = List<Member>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::People,
) -> ApiResult<Reply<List<Member>>> {
    Ok(Reply(List { data: state.store.members(&caller.scope).await? }))
}

/// Adds a member. The link in the answer, good once and for seven days, lets them set their password.
#[utoipa::path(post, path = "/api/members", tag = "members", request_body = NewMember,
    responses((status = 201, description = "The member and the link", body = InvitedMember)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Members,
    Json(new): Json<NewMember>,
) -> ApiResult<(StatusCode, Reply<InvitedMember>)> {
    check_role(&caller, Some(new.role))?;
    let (member, invitation) = state.store.add_member(&caller.scope, new).await?;
    tracing::info!(id = %member.id, role = %member.role, "a member was added");
    Ok((StatusCode::CREATED, Reply(InvitedMember { member, invitation })))
}

/// A member.
#[utoipa::path(get, path = "/api/members/{id}", tag = "members", params(("id" = String, Path, description = "The member's id")),
    responses((status = 200, description = "The member", body = Member)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::People,
    Path(id): Path<String>,
) -> ApiResult<Reply<Member>> {
    Ok(Reply(state.store.member(&caller.scope, member_id(&id)?).await?))
}

/// Changes a member. One who is disabled is signed out, and their keys and jobs stop.
#[utoipa::path(patch, path = "/api/members/{id}", tag = "members", params(("id" = String, Path, description = "The member's id")),
    request_body = MemberPatch, responses((status = 200, description = "The member", body = Member)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    caller: by::Members,
    Path(id): Path<String>,
    Json(patch): Json<MemberPatch>,
) -> ApiResult<Reply<Member>> {
    let id = member_id(&id)?;
    check_role(&caller, patch.role)?;
    let member = state.store.change_member(&caller.scope, id, patch).await?;
    state.control.jobs().wake();
    tracing::info!(%id, role = %member.role, disabled = member.disabled_at.is_some(), "a member was changed");
    Ok(Reply(member))
}

/// Removes a member: they are signed out, their keys end, and their jobs are cancelled. What they made stays.
#[utoipa::path(delete, path = "/api/members/{id}", tag = "members", params(("id" = String, Path, description = "The member's id")),
    responses((status = 204, description = "They are out")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: by::Members,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = member_id(&id)?;
    state.store.remove_member(&caller.scope, id).await?;
    state.control.jobs().wake();
    tracing::info!(%id, "a member was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// A new one-time link for a member who lost the first one or forgot the password. Earlier ones are good no more.
#[utoipa::path(post, path = "/api/members/{id}/invitation", tag = "members", params(("id" = String, Path, description = "The member's id")),
    responses((status = 201, description = "The link", body = Invitation)))]
pub(crate) async fn invite(
    State(state): State<AppState>,
    caller: by::Members,
    Path(id): Path<String>,
) -> ApiResult<(StatusCode, Reply<Invitation>)> {
    let id = member_id(&id)?;
    // Whoever sets a password becomes that member.
    check_role(&caller, Some(state.store.member(&caller.scope, id).await?.role))?;
    let invitation = state.store.invite_member(&caller.scope, id).await?;
    tracing::info!(%id, "a member was invited");
    Ok((StatusCode::CREATED, Reply(invitation)))
}
