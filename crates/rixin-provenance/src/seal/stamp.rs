//! Time stamps by RFC 3161: the only thing here that opens a connection, and only to the address that a setting names.

use std::{sync::Arc, time::Duration};

use ureq::tls::{RootCerts, TlsConfig};

use crate::{Error, Result};

/// A time stamping authority.
pub trait Stamper: Send + Sync {
    /// Answers a DER `TimeStampReq` with a DER `TimeStampResp`.
    fn stamp(&self, query: &[u8]) -> Result<Vec<u8>>;
}

/// One that is asked over HTTP (RFC 3161, 3.4).
pub(super) struct HttpStamper {
    url: String,
    agent: ureq::Agent,
}

/// The largest answer: a token with a long chain has a few kibibytes.
const LARGEST: u64 = 64 << 10;

impl HttpStamper {
    pub fn new(url: &str) -> Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::TimeStamp {
                url: url.to_owned(),
                why: "the address has to begin with http:// or https://".to_owned(),
            });
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(Duration::from_secs(20)))
            .max_redirects(0)
            .build()
            .into();
        Ok(Self { url: url.to_owned(), agent })
    }
}

impl Stamper for HttpStamper {
    fn stamp(&self, query: &[u8]) -> Result<Vec<u8>> {
        let failed = |e: ureq::Error| Error::TimeStamp { url: self.url.clone(), why: e.to_string() };
        let mut answer = self
            .agent
            .post(&self.url)
            .header("content-type", "application/timestamp-query")
            .header("accept", "application/timestamp-reply")
            .send(query)
            .map_err(failed)?;
        answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(failed)
    }
}
