//! A gateway of its own for each test.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response};
use rixin_api::{AppState, Parts};
use rixin_base::{Cancel, Settings};
use rixin_control::Control;
use rixin_models::{Puller, Registry};
use rixin_protocol::sse::{Item, Parser};
use rixin_store::{Role, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engine::Engine;

/// A running gateway.
pub struct Suite {
    pub url: String,
    pub admin: String,
    pub store: Store,
    pub shutdown: Cancel,
    pub served: tokio::task::JoinHandle<std::io::Result<()>>,
    client: Client,
    _dir: TempDir,
}

impl Suite {
    /// Without models.
    pub async fn start(settings: &[(&'static str, &str)]) -> Suite {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("temp dir");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut flags = vec![
            ("data_dir", dir.path().display().to_string()),
            ("listen", address.to_string()),
            ("lang", "en".to_owned()),
            ("drain", "5s".to_owned()),
        ];
        flags.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let settings = Arc::new(Settings::load(&flags, None, &|_| None).expect("settings").settings);
        let store = Store::open(dir.path()).await.expect("store");
        let admin = store.first_key().await.expect("works").expect("first key").secret;
        let registry = Registry::open(dir.path()).await.expect("registry");
        let control =
            Control::start(Arc::clone(&settings), registry.clone(), store.clone()).await.expect("control");
        let puller = Puller::new(Arc::clone(&settings), registry.clone()).expect("puller");
        let parts = Parts { settings, store: store.clone(), registry, puller, control };
        let shutdown = Cancel::new();
        let served = tokio::spawn(rixin_api::serve(AppState::new(parts), listener, shutdown.clone()));
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("client");
        Suite { url: format!("http://{address}"), admin, store, shutdown, served, client, _dir: dir }
    }

    /// With the engine, whose models are `echo` and, as an alias of it, `alias`.
    pub async fn with_engine(settings: &[(&'static str, &str)]) -> (Suite, Engine) {
        let suite = Self::start(settings).await;
        let engine = Engine::start().await;
        let added = suite
            .post("/api/externals")
            .json(&json!({"name": "engine", "base_url": format!("http://{}/v1", engine.address),
                          "api_key": "sk-engine", "models": ["echo", "alias=echo"]}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(added.status(), 201, "{}", added.text().await.unwrap_or_default());
        (suite, engine)
    }

    /// A request without a key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub fn with_key(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(key)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.with_key(Method::GET, path, &self.admin)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.with_key(Method::POST, path, &self.admin)
    }

    /// A key of the admin's tenant.
    pub async fn key(&self, name: &str, role: Role) -> String {
        let scope = self.store.operator().default_scope().await.expect("scope");
        self.store.create_key(&scope, name, role).await.expect("key").secret
    }
}

/// A reply's status and JSON.
pub async fn json_of(request: RequestBuilder) -> (u16, Value) {
    let reply = request.send().await.expect("an answer");
    let status = reply.status().as_u16();
    let text = reply.text().await.expect("a body");
    let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: not JSON: {text}"));
    (status, value)
}

/// The events of a stream, by name and data.
pub async fn events_of(reply: Response) -> Vec<(String, String)> {
    let bytes = reply.bytes().await.expect("a whole stream");
    let mut parser = Parser::new();
    parser.push(&bytes);
    let mut events = Vec::new();
    while let Some(item) = parser.next().expect("an event stream") {
        if let Item::Event(event) = item {
            events.push((event.name, event.data));
        }
    }
    events
}

/// The same with JSON, ids and times made alike so that they can be compared.
pub async fn scrubbed_events(reply: Response) -> Vec<Value> {
    let events = events_of(reply).await;
    events
        .into_iter()
        .map(|(name, data)| {
            let mut value: Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(value["type"], name.as_str(), "the event's name is its type");
            scrub(&mut value);
            value
        })
        .collect()
}

/// Makes ids and times alike.
pub fn scrub(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "id" || key.ends_with("_id") => {
                        let prefix = text.split('_').next().unwrap_or_default();
                        if text.len() > 20 {
                            *text = format!("{prefix}_...");
                        }
                    }
                    Value::Number(_) if key == "created_at" => *value = json!(0),
                    other => scrub(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(scrub),
        _ => {}
    }
}
