//! Who is asking: `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it. The process of a job sends its
//! attempt's token in a key's place, and is then the job's owner, as far as asking models goes.

use std::{ops::Deref, sync::Arc};

use axum::extract::{FromRequestParts, MatchedPath};
use http::{HeaderMap, header, request::Parts};
use rixin_base::{Code, Fault, JobId};
use rixin_store::{Acting, Actor, Identity, Role, TenantScope};

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
    /// Whose jobs the caller sees: an administrator everybody's in the tenant, a member the own ones.
    pub fn jobs_scope(&self) -> TenantScope {
        if self.role == Role::Admin { self.scope.of_tenant() } else { self.scope }
    }
}

impl Deref for Caller {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.identity
    }
}

/// Somebody with an admin key.
#[derive(Clone, Debug)]
pub(crate) struct Admin(pub Caller);

impl Deref for Admin {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0
    }
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim());
    }
    headers.get("x-api-key")?.to_str().ok()
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

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.role == Role::Admin {
            return Ok(Self(caller));
        }
        Err(ApiError(Fault::new(
            Code::Forbidden,
            format!("the key {:?} is a member's, and this needs an admin key", caller.name),
            format!("密钥 {:?} 是普通成员密钥，此操作需要管理员密钥", caller.name),
        )))
    }
}
