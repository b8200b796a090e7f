//! The client of an external engine: any server that speaks OpenAI's protocol, over http or https.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use parking_lot::Mutex;
use reqwest::redirect;
use rixin_base::Message;
use serde::Deserialize;
use tokio::sync::Notify;
use url::{Host, Url};

use super::UpstreamBody;
use crate::{Error, ExternalState, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest list of models that is read, in bytes.
const LIST_MOST: usize = 4 << 20;
/// The most models of one engine, and the longest name.
const MODELS_MOST: usize = 10_000;
pub(crate) const NAME_MOST: usize = 200;
/// Headers of a request that concern an engine elsewhere; all others stay here.
const PASSED: [HeaderName; 4] =
    [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderName::from_static("x-request-id")];

/// What is known of an engine's health.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// Whether it can be asked.
    pub state: ExternalState,
    /// Why not.
    pub why: Option<Error>,
    /// When this was found out, in milliseconds since 1970.
    pub checked_at_ms: Option<i64>,
    /// The models that it listed last.
    pub listed: Arc<Vec<Arc<str>>>,
}

/// An engine elsewhere.
pub(crate) struct Remote {
    name: String,
    /// A replica of this suite: `name` is its model.
    ours: bool,
    base: Url,
    key: Option<HeaderValue>,
    client: reqwest::Client,
    health: Mutex<Health>,
    /// Tells the checker that something went wrong, and those who wait for a first check that it is done.
    pub(crate) troubled: Notify,
    pub(crate) checked: Notify,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("name", &self.name)
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

impl Remote {
    /// The client of an engine. `base` has passed [`parse_base`].
    pub fn new(name: &str, base: &str, key: Option<&str>, request_timeout: Duration) -> Result<Self> {
        let base = parse_base(base)?;
        // an error means that another part of the process has chosen already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(request_timeout)
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // a machine without certificates can still ask an engine that needs none
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| Error::BadUrl {
            url: base.to_string(),
            why: Message::new(chain(&error), chain(&error)),
        })?;
        let key = key
            .map(|key| HeaderValue::try_from(format!("Bearer {key}")))
            .transpose()
            .map_err(|_| Error::Invalid {
                param: "api_key",
                why: Message::new("it has characters that no header may have", "含有请求头不允许的字符"),
            })?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        let health =
            Health { state: ExternalState::Checking, why: None, checked_at_ms: None, listed: Arc::default() };
        Ok(Self {
            name: name.to_owned(),
            ours: false,
            base,
            key,
            client,
            health: Mutex::new(health),
            troubled: Notify::new(),
            checked: Notify::new(),
        })
    }

    /// The client of a replica of this suite on a cluster's node.
    pub fn replica(model: &str, base: &str, key: &str, request_timeout: Duration) -> Result<Self> {
        Ok(Self { ours: true, ..Self::new(model, base, Some(key), request_timeout)? })
    }

    /// What was found out last.
    pub fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// It can't be asked.
    pub fn failed(&self, why: Error, now_ms: i64) {
        let mut health = self.health.lock();
        if health.state != ExternalState::Failed {
            tracing::warn!(engine = %self.name, error = %why, "the external engine can't be asked");
        }
        health.state = ExternalState::Failed;
        health.why = Some(why);
        health.checked_at_ms = Some(now_ms);
        drop(health);
        self.checked.notify_waiters();
    }

    /// Sends a request; `model` is the name that the model has there.
    pub async fn send(
        self: &Arc<Self>,
        request: Request<Bytes>,
        model: &str,
    ) -> Result<Response<UpstreamBody>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().strip_prefix("/v1").unwrap_or(parts.uri.path());
        let mut headers = HeaderMap::new();
        for (name, value) in &parts.headers {
            // the suite's own say, for one, that a stream's usage is wanted for the ledger
            if PASSED.contains(name) || (self.ours && name.as_str().starts_with("x-rixin-")) {
                headers.insert(name, value.clone());
            }
        }
        let body = named(body, model);
        let sending = self
            .client
            .request(parts.method, self.url(path))
            .headers(self.with_key(headers))
            .body(body)
            .send();
        let response = sending.await.map_err(|error| self.broken(&error))?;
        if let Some(why) = refusal(response.status(), response.headers()) {
            return Err(Error::BadUpstream { name: self.name.clone(), why });
        }
        let response: Response<reqwest::Body> = response.into();
        Ok(response.map(|body| UpstreamBody::remote(body, self.clone())))
    }

    /// Asks for the list of models, and remembers what came of it.
    pub async fn check(&self, timeout: Duration) {
        let answer = tokio::time::timeout(timeout, self.list()).await.unwrap_or_else(|_| {
            let secs = timeout.as_secs_f32();
            Err(self.down(Message::new(format!("no answer within {secs} s"), format!("{secs} 秒内没有应答"))))
        });
        let now_ms = rixin_store::now_ms();
        match answer {
            Ok(listed) => {
                let mut health = self.health.lock();
                if health.state != ExternalState::Ok {
                    tracing::info!(engine = %self.name, models = listed.len(), "the external engine answers");
                }
                let listed = Arc::new(listed);
                *health = Health { state: ExternalState::Ok, why: None, checked_at_ms: Some(now_ms), listed };
                drop(health);
                self.checked.notify_waiters();
            }
            Err(error) => self.failed(error, now_ms),
        }
    }

    async fn list(&self) -> Result<Vec<Arc<str>>> {
        let sending = self.client.get(self.url("/models")).headers(self.with_key(HeaderMap::new())).send();
        let mut response = sending.await.map_err(|error| self.down(why(&error)))?;
        if let Some(why) = refusal(response.status(), response.headers()) {
            return Err(self.down(why));
        }
        if !response.status().is_success() {
            let status = response.status();
            return Err(self.down(Message::new(
                format!("its list of models answers with {status}"),
                format!("其模型列表返回 {status}"),
            )));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.down(why(&error)))? {
            if bytes.len() + chunk.len() > LIST_MOST {
                return Err(self.down(Message::new("its list of models is too long", "其模型列表过长")));
            }
            bytes.extend_from_slice(&chunk);
        }
        let list: List = serde_json::from_slice(&bytes).map_err(|_| {
            self.down(Message::new(
                "its list of models is not that of OpenAI's protocol",
                "其模型列表不符合 OpenAI 协议",
            ))
        })?;
        Ok(list
            .data
            .into_iter()
            .filter(|m| good_name(&m.id))
            .take(MODELS_MOST)
            .map(|m| m.id.into())
            .collect())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn with_key(&self, mut headers: HeaderMap) -> HeaderMap {
        if let Some(key) = &self.key {
            headers.insert(AUTHORIZATION, key.clone());
        }
        headers
    }

    fn down(&self, why: Message) -> Error {
        if self.ours {
            return Error::ReplicaLost { model: self.name.clone(), why };
        }
        Error::ExternalDown { name: self.name.clone(), why }
    }

    /// The error of a request or body that broke; the engine is checked at once.
    pub fn broken(&self, error: &reqwest::Error) -> Error {
        let why = why(error);
        if error.is_connect() {
            self.failed(self.down(why.clone()), rixin_store::now_ms());
        }
        self.troubled.notify_one();
        self.down(why)
    }
}

/// Answers that are no answers to the caller: the engine's key is not the caller's, and its address is the administrator's.
fn refusal(status: StatusCode, headers: &HeaderMap) -> Option<Message> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Message::new(
            format!("it refused the key that is stored for it ({status})"),
            format!("它拒绝了为其保存的密钥（{status}）"),
        )),
        _ if status.is_redirection() => {
            let to = headers.get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or("?");
            Some(Message::new(
                format!("it redirects to {to:?}: use that address"),
                format!("它重定向到 {to:?}：请改用该地址"),
            ))
        }
        _ => None,
    }
}

/// The body with this model's name in it. What is no JSON object goes as it is.
fn named(body: Bytes, model: &str) -> Bytes {
    let Ok(mut object) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body) else {
        return body;
    };
    match object.get_mut("model") {
        Some(serde_json::Value::String(name)) if name == model => return body,
        Some(value) => *value = model.into(),
        None => return body,
    }
    serde_json::to_vec(&object).map_or(body, Bytes::from)
}

/// Whether a name can be shown and asked for.
pub(crate) fn good_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MOST && !name.chars().any(char::is_control)
}

fn why(error: &reqwest::Error) -> Message {
    let text = chain(error);
    if error.is_connect() {
        Message::new(format!("it can't be reached ({text})"), format!("无法连接（{text}）"))
    } else if error.is_timeout() {
        Message::new(format!("it took too long ({text})"), format!("应答超时（{text}）"))
    } else {
        Message::new(format!("the connection to it broke ({text})"), format!("与它的连接中断（{text}）"))
    }
}

/// The innermost causes, which name the reason; the outer ones repeat the address.
fn chain(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    texts.pop().unwrap_or_else(|| error.to_string())
}

/// Reads the address of an engine: http or https, without query and key; where it has no path, OpenAI's `/v1` is meant.
pub(crate) fn parse_base(text: &str) -> Result<Url> {
    let bad = |en: &str, zh: &str| Error::BadUrl { url: cut(text), why: Message::new(en, zh) };
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|_| {
        bad("it has to be an address such as http://gpu1:8000/v1", "应为形如 http://gpu1:8000/v1 的地址")
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.cannot_be_a_base() {
        return Err(bad("only http and https are spoken", "仅支持 http 和 https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "give the key as api_key, not inside the address",
            "请用 api_key 提供密钥，不要写在地址里",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has to end with the path, without ? and #", "地址应以路径结尾，不含 ? 和 #"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.is_empty() { "/v1" } else { &path });
    Ok(url)
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Whether an address is one of this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_once() {
        let base = |text: &str| parse_base(text).map(String::from);
        assert_eq!(base(" http://gpu1:8000 ").expect("good"), "http://gpu1:8000/v1");
        assert_eq!(base("https://x.cn/api/paas/v4/").expect("good"), "https://x.cn/api/paas/v4");
        for bad in [
            "gpu1:8000",
            "ftp://x",
            "http://",
            "http://u:p@x/v1",
            "http://x/v1?k=1",
            "file:///etc/passwd",
            "模型",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_machine_and_others() {
        for (text, here) in [
            ("http://127.0.0.1:1", true),
            ("http://127.8.8.8", true),
            ("http://[::1]:1", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost:1", true),
            ("http://LOCALHOST.", true),
            ("http://localhost.evil.com", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(is_this_machine(&parse_base(text).expect("an address")), here, "{text}");
        }
    }

    #[test]
    fn the_name_there_is_put_in_and_all_else_is_kept() {
        let body = Bytes::from_static(br#"{"z":1,"model":"mine","a":[1.5,{"model":"x"}]}"#);
        assert_eq!(
            &named(body.clone(), "theirs")[..],
            br#"{"z":1,"model":"theirs","a":[1.5,{"model":"x"}]}"#
        );
        assert_eq!(named(body.clone(), "mine"), body);
        assert_eq!(&named(Bytes::from_static(b"no json"), "x")[..], b"no json");
    }
}
