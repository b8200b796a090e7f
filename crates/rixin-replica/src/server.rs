//! The routes, and what all of them share.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rixin_base::{Code, Fault, bytes_text};
use rixin_chat::{
    Engine,
    template::{ChatTemplate, TemplateError},
};
use rixin_protocol::{parse, replica::ReplicaSpec};

use crate::{
    chat, completion,
    context::{RequestContext, error_reply},
    embedding,
    stream::Patience,
    tables,
};

/// The largest body, in bytes; the gateway in front has its own, smaller limit.
const MAX_BODY: usize = 64 << 20;

/// The model and its engine.
pub(crate) struct App {
    pub spec: ReplicaSpec,
    pub engine: Engine,
    pub template: Result<ChatTemplate, TemplateError>,
    /// What readers of streams that do not keep up are allowed.
    pub patience: Patience,
    /// Seconds since 1970 when the replica came up.
    pub started: u64,
}

pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(spec: ReplicaSpec, engine: Engine) -> Self {
        let info = engine.info();
        let template = match &info.chat_template {
            Some(source) => ChatTemplate::new(source, &info.bos_text, &info.eos_text),
            None => Err(TemplateError::Missing),
        };
        if let Err(error) = &template {
            tracing::warn!(%error, "chat is not possible with this model");
        }
        Self { spec, engine, template, patience: Patience::default(), started: seconds() }
    }

    /// Refuses a request that means another model.
    pub(crate) fn check_model(&self, asked: &str) -> Result<(), Fault> {
        if asked == self.spec.model.as_str() {
            return Ok(());
        }
        let name: String = asked.chars().take(120).collect();
        let here = &self.spec.model;
        Err(Fault::new(
            Code::ModelNotFound,
            format!("this replica has the model {here:?}, not {name:?}"),
            format!("此副本的模型是“{here}”，而不是“{name}”"),
        )
        .with_param("model"))
    }
}

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// All routes.
pub(crate) fn router(app: Shared) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_route))
        .route("/v1/completions", post(completion_route))
        .route("/v1/embeddings", post(embedding_route))
        .route("/tokenize", post(tokenize_route))
        .route("/v1/models", get(tables::models))
        .route("/health", get(tables::health))
        .route("/stats", get(tables::stats))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
}

async fn chat_route(State(app): State<Shared>, request: Request) -> Response {
    let (context, body) = open(&app, request).await;
    let lang = context.lang;
    let reply = async { chat::answer(app, context, parse::body(&body?)?).await };
    reply.await.unwrap_or_else(|fault| error_reply(&fault, lang))
}

async fn completion_route(State(app): State<Shared>, request: Request) -> Response {
    let (context, body) = open(&app, request).await;
    let lang = context.lang;
    let reply = async { completion::answer(app, context, parse::body(&body?)?).await };
    reply.await.unwrap_or_else(|fault| error_reply(&fault, lang))
}

async fn embedding_route(State(app): State<Shared>, request: Request) -> Response {
    let (context, body) = open(&app, request).await;
    let reply = async { embedding::answer(&app, parse::body(&body?)?).await };
    reply.await.unwrap_or_else(|fault| error_reply(&fault, context.lang))
}

async fn tokenize_route(State(app): State<Shared>, request: Request) -> Response {
    let (context, body) = open(&app, request).await;
    let reply = async { tables::tokenize(&app, &parse::body(&body?)?) };
    reply.await.unwrap_or_else(|fault| error_reply(&fault, context.lang))
}

async fn no_route(State(app): State<Shared>, request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let fault = Fault::new(
        Code::RouteNotFound,
        format!("there is no route {path:?}"),
        format!("不存在路由 {path:?}"),
    );
    error_reply(&fault, RequestContext::read(request.headers(), app.spec.lang).lang)
}

async fn no_method(State(app): State<Shared>, request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let fault = Fault::new(
        Code::MethodNotAllowed,
        format!("the route {path:?} does not take {method}"),
        format!("路由 {path:?} 不支持 {method} 方法"),
    );
    error_reply(&fault, RequestContext::read(request.headers(), app.spec.lang).lang)
}

/// Reads the headers and the whole body.
async fn open(app: &App, request: Request) -> (RequestContext, Result<Bytes, Fault>) {
    let context = RequestContext::read(request.headers(), app.spec.lang);
    let body: Body = request.into_body();
    let bytes = Limited::new(body, MAX_BODY).collect().await.map(|all| all.to_bytes()).map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            let limit = bytes_text(MAX_BODY as u64);
            Fault::new(
                Code::BodyTooLarge,
                format!("the body is larger than {limit}"),
                format!("请求体超过 {limit}"),
            )
        } else {
            Fault::new(Code::InvalidJson, "the body was cut off before its end", "请求体在结束之前中断")
        }
    });
    (context, bytes)
}
