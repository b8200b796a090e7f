//! What the replica tells about itself, and `/tokenize`.

use axum::{extract::State, response::Response};
use rixin_base::Fault;
use rixin_chat::SpecialTokens;
use rixin_protocol::{
    model::{Model, ModelList},
    replica::Stats,
};
use serde::{Deserialize, Serialize};

use crate::{
    context::json_reply,
    server::{App, Shared},
};

/// `GET /v1/models`.
pub(crate) async fn models(State(app): State<Shared>) -> Response {
    json_reply(&ModelList {
        object: "list".into(),
        data: vec![Model {
            id: app.spec.model.to_string(),
            object: "model".into(),
            created: app.started,
            owned_by: "rixin".into(),
        }],
    })
}

/// `GET /health`.
pub(crate) async fn health() -> Response {
    json_reply(&serde_json::json!({"status": "ok"}))
}

/// `GET /stats`.
pub(crate) async fn stats(State(app): State<Shared>) -> Response {
    let stats = app.engine.stats();
    json_reply(&Stats {
        model: app.spec.model.to_string(),
        active: stats.active,
        queued: stats.queued,
        slots: stats.slots,
        cache_tokens_used: stats.cache_tokens_used,
        cache_tokens: stats.cache_tokens,
        requests_total: stats.requests_total,
        prompt_tokens_total: stats.prompt_tokens_total,
        cached_tokens_total: stats.cached_tokens_total,
        completion_tokens_total: stats.completion_tokens_total,
        prompt_tokens_per_second: stats.prompt_tokens_per_second,
        decode_tokens_per_second: stats.decode_tokens_per_second,
        rss_bytes: stats.rss_bytes,
    })
}

/// The body of `/tokenize`.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenizeRequest {
    text: String,
    #[serde(default)]
    add_special: bool,
}

#[derive(Debug, Serialize)]
struct TokenizeReply {
    tokens: Vec<u32>,
}

/// `POST /tokenize`.
pub(crate) fn tokenize(app: &App, request: &TokenizeRequest) -> Result<Response, Fault> {
    let special = SpecialTokens { add: request.add_special, parse: true };
    let tokens = app.engine.tokenize(&request.text, special).into_iter().map(|token| token.0).collect();
    Ok(json_reply(&TokenizeReply { tokens }))
}
