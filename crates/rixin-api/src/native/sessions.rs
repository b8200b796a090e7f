//! Signing in and out, and who is signed in.

use std::{net::IpAddr, time::Duration};

use axum::{
    Json as Reply,
    extract::{FromRequestParts, Path, State},
    response::{AppendHeaders, IntoResponse as _, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use http::{StatusCode, header, request::Parts};
use rixin_base::{Code, Fault, MemberId, SessionId};
use rixin_store::{NewSession, Right, Session, SignedIn};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::List;
use crate::{
    AppState, address,
    auth::Caller,
    cookie,
    error::{ApiError, ApiResult, no_such},
    extract::{Json, Query},
};

/// Tries a minute for one name.
const BY_NAME: u32 = 10;
/// Tries a minute from one address.
const BY_ADDRESS: u32 = 30;

/// How often somebody may try.
pub(crate) struct SignIns {
    by_name: DefaultKeyedRateLimiter<String>,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for SignIns {
    fn default() -> Self {
        let a_minute =
            |most| Quota::per_minute(std::num::NonZeroU32::new(most).unwrap_or(std::num::NonZeroU32::MIN));
        Self {
            by_name: RateLimiter::keyed(a_minute(BY_NAME)),
            by_address: RateLimiter::keyed(a_minute(BY_ADDRESS)),
        }
    }
}

impl SignIns {
    /// Forgets who has not tried for a while.
    pub fn retain_recent(&self) {
        self.by_name.retain_recent();
        self.by_address.retain_recent();
    }

    /// Counts a try.
    pub fn check(&self, from: Option<IpAddr>, name: Option<String>) -> Result<(), Fault> {
        let now = DefaultClock::default().now();
        let late = |after: Duration| {
            let secs = after.as_millis().div_ceil(1000).max(1);
            Fault::new(
                Code::RateLimited,
                format!("too many tries to sign in: try again in {secs} s"),
                format!("登录尝试过多：请在 {secs} 秒后重试"),
            )
            .with_retry_after(after)
        };
        if let Some(from) = from {
            self.by_address.check_key(&from).map_err(|until| late(until.wait_time_from(now)))?;
        }
        if let Some(name) = name {
            self.by_name.check_key(&name).map_err(|until| late(until.wait_time_from(now)))?;
        }
        Ok(())
    }
}

/// Where a request comes from, and by which browser.
pub(crate) struct From {
    address: Option<IpAddr>,
    agent: String,
}

impl FromRequestParts<AppState> for From {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // A page of another site must not sign its reader in as somebody else.
        let browser = parts.headers.contains_key("origin") || parts.headers.contains_key("sec-fetch-site");
        if browser {
            cookie::check_origin(&parts.method, &parts.headers)?;
        }
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address: address::of(state, &parts.extensions, &parts.headers),
            agent: agent.unwrap_or_default().to_owned(),
        })
    }
}

impl From {
    fn session(&self, state: &AppState) -> NewSession {
        NewSession {
            agent: self.agent.clone(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            lifetime: state.settings.session_lifetime,
        }
    }
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The organisation's name; the host organisation if absent.
    #[serde(default)]
    pub organisation: Option<String>,
    /// The member's name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// A one-time link that is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// The link's text.
    pub token: String,
    /// The password to set: at least 10 characters.
    pub password: String,
}

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The one until now.
    pub old: String,
    /// The one from now on: at least 10 characters.
    pub new: String,
}

/// A session as its owner or an owner of the organisation sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SessionView {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// Whether it is the one that asks.
    pub current: bool,
}

fn begun(state: &AppState, signed: SignedIn) -> ApiResult<Response> {
    let cookie = cookie::set(state, &signed.secret);
    let cookie = cookie.ok_or_else(|| ApiError(Fault::internal("a session's secret is no cookie")))?;
    let view = SessionView { session: signed.session, current: true };
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), Reply(view)).into_response())
}

/// Signs in by name and password. The session is in a cookie that scripts can't read.
#[utoipa::path(post, path = "/api/session", tag = "members", request_body = SignIn,
    responses((status = 201, description = "The session; its cookie is set", body = SessionView)))]
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    from: From,
    Json(asked): Json<SignIn>,
) -> ApiResult<Response> {
    let organisation = asked.organisation.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let mut name = format!("{}/{}", organisation.unwrap_or_default(), asked.name.trim().to_lowercase());
    name.truncate(name.floor_char_boundary(200));
    state.sign_ins.check(from.address, Some(name))?;
    let new = from.session(&state);
    let signed = state.store.sign_in(organisation, &asked.name, &asked.password, &new).await?;
    tracing::info!(member = %signed.session.member_id, "somebody signed in");
    begun(&state, signed)
}

/// Ends the session that asks.
#[utoipa::path(delete, path = "/api/session", tag = "members", responses((status = 204, description = "It is over")))]
pub(crate) async fn sign_out(State(state): State<AppState>, caller: Caller) -> ApiResult<Response> {
    if let Some(session) = caller.session {
        state.store.end_session(&caller.scope, caller.member, session).await?;
    }
    let cookie = cookie::set(&state, "");
    let headers: Vec<_> = cookie.into_iter().map(|cookie| (header::SET_COOKIE, cookie)).collect();
    Ok((StatusCode::NO_CONTENT, AppendHeaders(headers)).into_response())
}

/// Sets a password by a one-time link, ends earlier sessions, and signs in.
#[utoipa::path(post, path = "/api/invitation", tag = "members", request_body = Accept,
    responses((status = 201, description = "The session; its cookie is set", body = SessionView)))]
pub(crate) async fn accept(
    State(state): State<AppState>,
    from: From,
    Json(asked): Json<Accept>,
) -> ApiResult<Response> {
    state.sign_ins.check(from.address, None)?;
    let signed = state.store.accept_invitation(&asked.token, &asked.password, &from.session(&state)).await?;
    tracing::info!(member = %signed.session.member_id, "an invitation was used");
    begun(&state, signed)
}

/// Changes the caller's own password; their other sessions end.
#[utoipa::path(post, path = "/api/password", tag = "members", request_body = NewPassword,
    responses((status = 204, description = "It is changed")))]
pub(crate) async fn change_password(
    State(state): State<AppState>,
    caller: Caller,
    Json(asked): Json<NewPassword>,
) -> ApiResult<StatusCode> {
    // A key in somebody's script must not be enough to take its owner's account.
    let (Some(member), Some(session)) = (caller.member, caller.session) else {
        return Err(ApiError(Fault::new(
            Code::Conflict,
            "a password belongs to somebody who is signed in: sign in with it first",
            "只有登录的成员才能更改密码：请先登录",
        )));
    };
    state.sign_ins.check(None, Some(member.to_string()))?;
    let passwords = (asked.old.as_str(), asked.new.as_str());
    state.store.change_password(&caller.scope, member, passwords, Some(session)).await?;
    tracing::info!(%member, "a password was changed");
    Ok(StatusCode::NO_CONTENT)
}

/// Whose sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// The sessions of everybody in the organisation, with the right `members`.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
}

/// The caller's sessions, newest first; everybody's for those who look after the members.
#[utoipa::path(get, path = "/api/sessions", tag = "members", params(SessionQuery),
    responses((status = 200, description = "The sessions", body = List<SessionView>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<SessionQuery>,
) -> ApiResult<Reply<List<SessionView>>> {
    if query.all {
        caller.must(Right::Members)?;
    } else if caller.member.is_none() {
        return Ok(Reply(List { data: Vec::new() }));
    }
    let member: Option<MemberId> = if query.all { None } else { caller.member };
    let all = state.store.sessions(&caller.scope, member, state.settings.session_idle).await?;
    let view = |session: Session| SessionView { current: Some(session.id) == caller.session, session };
    Ok(Reply(List { data: all.into_iter().map(view).collect() }))
}

/// Ends a session: one's own, or anybody's with the right `members`.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "members", params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "It is over")))]
pub(crate) async fn end(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id: SessionId = id.parse().map_err(|error| no_such("session", "登录会话", &error))?;
    let everybody = caller.may(Right::Members);
    // A key without a member has no sessions: an id that nobody has stands for its owner.
    let member = if everybody { None } else { Some(caller.member.unwrap_or_else(MemberId::new)) };
    state.store.end_session(&caller.scope, member, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
