//! The client of an S3 server.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, Checksum, S3ConditionalPut, S3CopyIfNotExists};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::options::Bucket;
use super::place::Place;
use super::{BlobError, S3Options};

/// How long a connection may take to come about, and how long it may be silent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The client, what it is called, and the bucket.
pub(super) fn client(options: &S3Options) -> Result<(Arc<dyn ObjectStore>, Place, Bucket), BlobError> {
    let bucket = options.parse()?;
    let place = Place::Bucket(match &bucket.endpoint {
        Some(endpoint) => format!("{} at {}", options.url, endpoint.url),
        None => options.url.clone(),
    });
    let plain = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.plain);
    let loopback = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.loopback);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_access_key_id(&options.access_key_id)
        .with_secret_access_key(&options.secret_access_key.0)
        .with_virtual_hosted_style_request(!bucket.path_style)
        .with_allow_http(plain)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        // One request an object is what every server has.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: options.retries,
            retry_timeout: Duration::from_secs(120),
        })
        .with_http_connector(Connector { plain, direct: loopback });
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(&endpoint.url);
    }
    let store = builder.build().map_err(|error| place.error(&error))?;
    Ok((Arc::new(store), place, bucket))
}

/// Makes the HTTP client here rather than from [`ClientOptions`], whose limit of 30 seconds for a whole request would end the
/// transfer of anything large.
#[derive(Debug)]
struct Connector {
    plain: bool,
    /// A server on this machine is never asked for through a proxy.
    direct: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")))
            .https_only(!self.plain)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .http1_only();
        if self.direct {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(HttpClient::new(client))
    }
}
