//! The OpenAPI document, made from the routes themselves.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::header;
use rixin_protocol::error::ErrorBody;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, Ref, RefOr, Response as DocResponse, ResponseBuilder,
        content::ContentBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::AppState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rixin 日新",
        description = "Generative AI on your own machines: OpenAI-compatible and Anthropic-compatible routes under `/v1`, the suite's own under `/api`.\n\n部署在自有机器上的生成式 AI：`/v1` 下为兼容 OpenAI 与 Anthropic 的接口，`/api` 下为本系统的接口。\n\nSend a key as `Authorization: Bearer KEY` or as `x-api-key: KEY`. Errors have one shape and a stable `code`; their message is in English or Chinese, by `Accept-Language`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "openai", description = "OpenAI's protocol 兼容 OpenAI 的接口"),
        (name = "anthropic", description = "Anthropic's protocol 兼容 Anthropic 的接口"),
        (name = "models", description = "The catalogue, installed models, downloads 模型目录、已安装模型与下载"),
        (name = "replicas", description = "Running models and external engines 运行中的模型与外部引擎"),
        (name = "conversations", description = "The caller's stored conversations 当前密钥保存的会话"),
        (name = "keys", description = "Keys and what they took 密钥与用量"),
        (name = "suite", description = "The suite itself 系统本身"),
    ),
    components(schemas(ErrorBody, rixin_protocol::chat::ChatChunk)),
    modifiers(&Keys)
)]
struct Document;

/// The two headers that carry a key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, doc: &mut utoipa::openapi::OpenApi) {
        let components = doc.components.get_or_insert_with(Components::new);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKey::Header(ApiKeyValue::new("x-api-key"));
        components.add_security_scheme("x-api-key", SecurityScheme::ApiKey(header));
    }
}

/// Routes that need no key.
const OPEN: &[&str] = &["/api/health", "/metrics"];

/// All routes that are in the document.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(crate::v1::router())
        .merge(crate::responses::router())
        .merge(crate::messages::router())
        .merge(crate::native::router())
}

fn with_common_parts(mut doc: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    doc.info.version = rixin_base::VERSION.to_owned();
    for (path, item) in &mut doc.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put];
        for (method, operation) in METHODS.into_iter().zip(operations) {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(method, path));
                finish(path, operation);
            }
        }
    }
    doc
}

const METHODS: [&str; 5] = ["get", "post", "patch", "delete", "put"];

/// `get_api_models_by_id`: from what is unique already, as the names of functions are not.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split('/').filter(|word| !word.is_empty()).map(|word| match word.strip_prefix('{') {
        Some(name) => format!("by_{}", name.trim_end_matches('}')),
        None => word.replace('-', "_"),
    });
    std::iter::once(method.to_owned()).chain(words).collect::<Vec<_>>().join("_")
}

fn finish(path: &str, operation: &mut Operation) {
    if !OPEN.contains(&path) {
        let one = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
        operation.security = Some(vec![one("bearer"), one("x-api-key")]);
    }
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let error: DocResponse =
        ResponseBuilder::new().description("What went wrong").content("application/json", error).build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(error));
}

static JSON: LazyLock<String> = LazyLock::new(|| {
    let doc = with_common_parts(router().into_openapi());
    let mut json = doc.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
});

/// The OpenAPI document as pretty JSON with a line break at its end, as it is committed.
pub fn openapi_json() -> String {
    JSON.clone()
}

/// `GET /openapi.json`.
pub(crate) async fn serve() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], JSON.as_str())
        .into_response()
}
