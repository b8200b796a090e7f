//! Who is asking: `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use rixin_base::{Code, Fault};
use rixin_store::{Identity, Role};

use crate::{AppState, error::ApiError};

/// Somebody with a key that works.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub Arc<Identity>);

impl Deref for Caller {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0
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
        match state.store.authenticate(secret).await? {
            Some(identity) => {
                tracing::Span::current().record("key", tracing::field::display(identity.key_id));
                Ok(Self(identity))
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
