//! Who answers: a replica that this process starts, or a server somewhere.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::BodyExt;
use rixin_base::{Code, Fault, Lang, Settings};
use rixin_control::{AcquireRequest, Control, Lease, ReplicaState};
use rixin_models::Registry;
use rixin_protocol::{chat::ChatRequest, error::ErrorBody, model::ModelList};
use rixin_store::Store;
use serde_json::json;

use super::answer::from_body;

/// The bytes of a streamed answer. A replica counts as busy until this is dropped.
pub type Bytestream = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

/// Longest error body that is read.
const ERROR_BODY: usize = 64 << 10;

/// Who answers.
pub struct Backend {
    kind: Kind,
    lang: Lang,
}

enum Kind {
    Local { control: Arc<Control>, store: Store, data_dir: std::path::PathBuf },
    Remote { client: reqwest::Client, base: String, key: Option<String> },
}

impl Backend {
    /// Replicas under this process, for one talk: a single request at a time, unloaded at the end and not before.
    ///
    /// # Errors
    /// The data folder can't be opened.
    pub async fn local(settings: &Settings) -> Result<Self, Fault> {
        let mut settings = settings.clone();
        settings.keep_alive = Duration::ZERO;
        settings.slots = 1;
        let lang = language(&settings);
        let data_dir = settings.data_dir.clone();
        let store = Store::open(&data_dir).await?;
        let registry = Registry::open(&data_dir).await?;
        let control = Control::start(Arc::new(settings), registry, store.clone()).await?;
        Ok(Self { kind: Kind::Local { control, store, data_dir }, lang })
    }

    /// A server, by its address with or without `/v1`.
    ///
    /// # Errors
    /// An address that is not http(s), or one on another machine while the suite is offline.
    pub fn remote(settings: &Settings, url: &str, key: Option<&str>) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(
                Code::InvalidValue,
                format!("{url:?} is no server address ({why}): write it like http://127.0.0.1:8460"),
                format!("{url:?} 不是服务器地址（{why}）：请写成 http://127.0.0.1:8460 的形式"),
            )
        };
        let parsed = url::Url::parse(url).map_err(|error| bad(&error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("http / https"));
        }
        if settings.offline && !is_here(&parsed) {
            return Err(Fault::new(
                Code::Offline,
                format!("{url} is not on this machine, and the setting offline is on"),
                format!("{url} 不在本机，而设置 offline 已开启"),
            ));
        }
        let base = parsed.as_str().trim_end_matches('/').to_owned();
        let base = if base.ends_with("/v1") { base } else { format!("{base}/v1") };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(Fault::internal)?;
        let kind = Kind::Remote { client, base, key: key.map(str::to_owned) };
        Ok(Self { kind, lang: language(settings) })
    }

    /// The names that can be asked.
    ///
    /// # Errors
    /// The server can't be reached or refuses; the registry can't be read.
    pub async fn models(&self) -> Result<Vec<String>, Fault> {
        match &self.kind {
            Kind::Local { control, .. } => {
                Ok(control.models().await?.into_iter().map(|model| model.id).collect())
            }
            Kind::Remote { client, base, .. } => {
                let url = format!("{base}/models");
                let response = self.send(client.get(&url), base).await?;
                let list: ModelList =
                    response.json().await.map_err(|error| bad_upstream(base, &error.to_string()))?;
                Ok(list.data.into_iter().map(|model| model.id).collect())
            }
        }
    }

    /// Starts an answer. Locally this loads the model first; `loading` hears how far that is, 0 to 1.
    ///
    /// # Errors
    /// No such model, no memory, a file that can't be loaded; a server that can't be reached or refuses.
    pub async fn ask(&self, request: &ChatRequest, loading: impl Fn(f32)) -> Result<Bytestream, Fault> {
        match &self.kind {
            Kind::Local { control, .. } => {
                let asked = AcquireRequest { model: &request.model, affinity: None, lang: self.lang };
                let lease = acquire(control, &asked, loading).await?;
                self.ask_replica(lease, request).await
            }
            Kind::Remote { client, base, .. } => {
                let url = format!("{base}/chat/completions");
                let response = self.send(client.post(&url).json(request), base).await?;
                let base = base.clone();
                let stream = response.bytes_stream();
                Ok(Box::pin(stream.map(move |bytes| bytes.map_err(|error| unreachable(&base, &error)))))
            }
        }
    }

    async fn ask_replica(&self, lease: Lease, request: &ChatRequest) -> Result<Bytestream, Fault> {
        let body = serde_json::to_vec(request).map_err(Fault::internal)?;
        let request = http::Request::post("/v1/chat/completions")
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT_LANGUAGE, self.lang.tag())
            .body(Bytes::from(body))
            .map_err(Fault::internal)?;
        let response = lease.send(request).await?;
        let good = response.status().is_success();
        let mut stream = response.into_body().into_data_stream();
        if !good {
            let mut bytes = Vec::new();
            while let Some(piece) = stream.next().await {
                bytes.extend_from_slice(&piece?);
                if bytes.len() > ERROR_BODY {
                    break;
                }
            }
            return Err(refusal(&bytes, "replica"));
        }
        // The lease lives as long as the stream.
        Ok(Box::pin(stream.map(move |piece| {
            let _held = &lease;
            piece.map_err(Fault::from)
        })))
    }

    async fn send(&self, request: reqwest::RequestBuilder, base: &str) -> Result<reqwest::Response, Fault> {
        let Kind::Remote { key, .. } = &self.kind else {
            return Err(Fault::internal("a local backend sends nothing"));
        };
        let mut request = request.header(reqwest::header::ACCEPT_LANGUAGE, self.lang.tag());
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(|error| unreachable(base, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.bytes().await.unwrap_or_default();
        let mut fault = refusal(&bytes[..bytes.len().min(ERROR_BODY)], base);
        if status == reqwest::StatusCode::UNAUTHORIZED && key.is_none() {
            fault.message.en.push_str(" (give the server's key with --key or RIXIN_KEY)");
            fault.message.zh.push_str("（请用 --key 或 RIXIN_KEY 给出服务器的密钥）");
        }
        Err(fault)
    }

    /// How a model gets here, where it is not: the command, if the catalogue knows it.
    pub fn hint(&self, model: &str) -> Option<String> {
        match &self.kind {
            Kind::Local { .. } => {
                let known = rixin_models::Catalog::builtin().get(model).is_some();
                known.then(|| format!("rixin models pull {model}"))
            }
            Kind::Remote { .. } => None,
        }
    }

    /// What stands beside the model's name at the start of a talk.
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::Local { data_dir, .. } => data_dir.display().to_string(),
            Kind::Remote { base, .. } => base.clone(),
        }
    }

    /// Ends the replicas.
    pub async fn close(self) {
        if let Kind::Local { control, store, .. } = self.kind {
            control.shutdown(Duration::ZERO).await;
            store.close().await;
        }
    }
}

/// Waits for the lease; meanwhile tells how far the model is loaded.
async fn acquire(
    control: &Arc<Control>,
    asked: &AcquireRequest<'_>,
    loading: impl Fn(f32),
) -> Result<Lease, Fault> {
    let mut lease = std::pin::pin!(control.acquire(asked));
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            lease = &mut lease => return Ok(lease?),
            _ = tick.tick() => {
                let replicas = control.replicas();
                let replica = replicas.iter().find(|replica| replica.state == ReplicaState::Loading);
                if let Some(replica) = replica {
                    loading(replica.load_fraction.unwrap_or(0.0));
                }
            }
        }
    }
}

fn language(settings: &Settings) -> Lang {
    settings.fixed_lang().unwrap_or_default()
}

fn is_here(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// An error answer: OpenAI's shape, or whatever it was.
fn refusal(bytes: &[u8], who: &str) -> Fault {
    match serde_json::from_slice::<ErrorBody>(bytes) {
        Ok(body) => from_body(body),
        Err(_) => {
            let text = String::from_utf8_lossy(bytes);
            bad_upstream(who, &json!(text.trim().chars().take(200).collect::<String>()).to_string())
        }
    }
}

fn bad_upstream(who: &str, why: &str) -> Fault {
    Fault::new(
        Code::BadUpstream,
        format!("{who} gave an answer that is not OpenAI's protocol: {why}"),
        format!("{who} 的应答不符合 OpenAI 协议：{why}"),
    )
}

fn unreachable(base: &str, error: &reqwest::Error) -> Fault {
    // reqwest's own text ends where it gets interesting.
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    Fault::new(
        Code::BadUpstream,
        format!("{base} can't be reached: {why}; is the server running (rixin serve)?"),
        format!("无法连接 {base}：{why}；服务器在运行吗（rixin serve）？"),
    )
}
