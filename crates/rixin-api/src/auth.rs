//! Who is asking: `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it. The process of a job sends its
//! attempt's token in a key's place, and is then the job's owner, as far as asking models goes.
//!
//! A handler takes `by::RIGHT` where it would take a [`Caller`]: so a request is refused before its body is read.

use std::{ops::Deref, sync::Arc};

use axum::extract::{FromRequestParts, MatchedPath};
use http::{HeaderMap, header, request::Parts};
use rixin_base::{Code, Fault, JobId, Lang};
use rixin_store::{Acting, Actor, Identity, Right, TenantScope};

use crate::{AppState, error::ApiError, request::Peer};

/// What the token of an attempt starts with.
const ATTEMPT: &str = "rxj-";
/// What the process of a job may ask: models, and nothing that is kept.
const FOR_JOBS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{id}",
];

/// Somebody with a key that works.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    identity: Arc<Identity>,
    /// The job whose process asks on the key's behalf.
    pub job: Option<JobId>,
}

impl Caller {
    /// Whose jobs the caller sees: everybody's in the organisation, or the own ones.
    pub fn jobs_scope(&self) -> TenantScope {
        if self.may(Right::AllJobs) { self.scope.of_tenant() } else { self.scope }
    }

    /// Refuses a caller who lacks a right.
    ///
    /// # Errors
    /// [`Code::Forbidden`] with the right, and who has it.
    pub fn must(&self, right: Right) -> Result<(), Fault> {
        if self.may(right) { Ok(()) } else { Err(lacking(self, right)) }
    }
}

impl Deref for Caller {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.identity
    }
}

fn lacking(caller: &Caller, right: Right) -> Fault {
    let (name, role, word) = (&caller.name, caller.role, right.as_str());
    if right.needs_host() && !caller.host {
        return Fault::new(
            Code::Forbidden,
            format!(
                "this needs the right '{word}' ({}), which the host organisation alone has: ask those who look after the machine",
                right.about(Lang::En)
            ),
            format!(
                "此操作需要权限 '{word}'（{}），仅主组织拥有该权限：请联系管理本机的人员",
                right.about(Lang::Zh)
            ),
        );
    }
    if role.rights(caller.host).has(right) {
        return Fault::new(
            Code::Forbidden,
            format!("the scopes of the key {name:?} leave out the right '{word}': use a key that has it"),
            format!("密钥 {name:?} 的权限范围不含 '{word}'：请改用含该权限的密钥"),
        );
    }
    let roles = |lang: Lang| {
        let names: Vec<&str> = right.roles().iter().map(|role| role.name(lang)).collect();
        names.join(lang.pick(", ", "、"))
    };
    Fault::new(
        Code::Forbidden,
        format!(
            "{name:?} has the role {role}, and this needs the right '{word}' ({}), which these roles have: {}",
            right.about(Lang::En),
            roles(Lang::En)
        ),
        format!(
            "{name:?} 的角色为{}，此操作需要权限 '{word}'（{}），拥有该权限的角色：{}",
            role.name(Lang::Zh),
            right.about(Lang::Zh),
            roles(Lang::Zh)
        ),
    )
}

/// A caller who has a right, by its place in the table.
#[derive(Clone, Debug)]
pub(crate) struct May<const RIGHT: usize>(pub Caller);

impl<const RIGHT: usize> Deref for May<RIGHT> {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<const RIGHT: usize> FromRequestParts<AppState> for May<RIGHT> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Right::ALL[RIGHT])?;
        Ok(Self(caller))
    }
}

/// Callers by what they may.
pub(crate) mod by {
    use super::{May, Right};

    macro_rules! by {
        ($($right:ident),*) => {$(
            #[doc = concat!("A caller with the right `", stringify!($right), "`.")]
            pub(crate) type $right = May<{ Right::$right as usize }>;
        )*};
    }
    by!(Ask, Audit, Browse, Files, Jobs, OwnUsage, People, Keys, Machine, Models, Replicas, Cluster);
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim());
    }
    headers.get("x-api-key")?.to_str().ok()
}

/// What a process of the suite itself proves itself with, as `Authorization: Bearer`; the handler finds out whether it works.
pub(crate) struct ProcessToken(pub String);

impl FromRequestParts<AppState> for ProcessToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        secret(&parts.headers).map(|token| Self(token.to_owned())).ok_or_else(|| {
            ApiError(Fault::new(
                Code::MissingKey,
                "no token came with the request: this route is for the suite's own processes, which have one",
                "请求未携带令牌：此接口仅供系统自身的进程使用",
            ))
        })
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Some(secret) = secret(&parts.headers) else {
            return Err(ApiError(Fault::new(
                Code::MissingKey,
                "no API key came with the request: send the header 'Authorization: Bearer KEY' (make a key with `rixin keys create NAME`)",
                "请求未携带 API 密钥：请发送请求头 'Authorization: Bearer 密钥'（可用 `rixin keys create 名称` 创建）",
            )));
        };
        let found = if secret.starts_with(ATTEMPT) {
            let found = state.store.authenticate_attempt(secret).await?;
            found.map(|(identity, job)| Self { identity, job: Some(job) })
        } else {
            state.store.authenticate(secret).await?.map(|identity| Self { identity, job: None })
        };
        match found {
            Some(caller) => {
                tracing::Span::current().record("key", tracing::field::display(caller.key_id));
                let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
                if caller.job.is_some() && !FOR_JOBS.contains(&path) {
                    return Err(ApiError(Fault::new(
                        Code::Forbidden,
                        "the token of a job's attempt may ask models only: send a key",
                        "任务尝试的令牌只能用于请求模型：请改用 API 密钥",
                    )));
                }
                if let Some(acting) = Acting::current() {
                    let peer =
                        parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical().to_string());
                    let actor = Actor::key(caller.key_id, &caller.name, &peer.unwrap_or_default());
                    acting.is(&caller.scope, actor, None);
                }
                Ok(caller)
            }
            None => Err(ApiError(Fault::new(
                Code::InvalidKey,
                "the API key is unknown or revoked: check it, or make another one with `rixin keys create NAME`",
                "API 密钥无效或已吊销：请核对，或用 `rixin keys create 名称` 新建",
            ))),
        }
    }
}
