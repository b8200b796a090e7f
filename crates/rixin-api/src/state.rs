//! What every handler shares.

use std::{net::IpAddr, ops::Deref, sync::Arc, time::Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use rixin_base::{Cancel, KeyId, Lang, Settings};
use rixin_control::Control;
use rixin_models::{Puller, Registry};
use rixin_store::Store;

use crate::metrics::Metrics;

/// What the gateway stands on.
pub struct Parts {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Keys, conversations, usage.
    pub store: Store,
    /// The installed models.
    pub registry: Registry,
    /// What looks at a model before it is pulled.
    pub puller: Puller,
    /// Replicas and pulls.
    pub control: Arc<Control>,
}

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

/// The fields of [`AppState`].
pub struct Inner {
    /// What the gateway stands on.
    pub parts: Parts,
    /// Counters of this gateway.
    pub(crate) metrics: Metrics,
    /// Requests a minute by key, where that is limited.
    pub(crate) rate: Option<DefaultKeyedRateLimiter<KeyId>>,
    /// The language where a caller asks for none.
    pub(crate) lang: Lang,
    /// Whether only this machine can reach the gateway, so that every caller must name it by a local name.
    pub(crate) local_only: bool,
    /// Fires when no more requests are taken.
    pub(crate) stopping: Cancel,
    /// Fires when the time that running streams got is over.
    pub(crate) ending: Cancel,
    pub(crate) started: Instant,
}

impl AppState {
    /// The state of a gateway that listens on `settings.listen`.
    pub fn new(parts: Parts) -> Self {
        let rate = std::num::NonZeroU32::new(parts.settings.requests_per_minute)
            .map(|limit| RateLimiter::keyed(Quota::per_minute(limit)));
        let lang = parts.settings.fixed_lang().unwrap_or_default();
        let local_only = is_loopback(parts.settings.listen.ip());
        Self(Arc::new(Inner {
            parts,
            metrics: Metrics::new(),
            rate,
            lang,
            local_only,
            stopping: Cancel::new(),
            ending: Cancel::new(),
            started: Instant::now(),
        }))
    }
}

impl Deref for AppState {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Deref for Inner {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// `::ffff:127.0.0.1` too.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
