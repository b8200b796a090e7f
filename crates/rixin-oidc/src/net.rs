//! The connections to the provider: no redirects, short answers, short waits.

use std::{pin::Pin, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);
/// The longest answer of a provider: key sets of large ones have some tens of kilobytes.
const LONGEST: usize = 1 << 20;

/// Why an answer could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// It could not be reached, or the connection broke.
    #[error("{0}")]
    Request(String),
    /// Its answer is over the limit.
    #[error("its answer is longer than a mebibyte")]
    TooLong,
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        // The innermost words say what it was; the address is in the message around it.
        let mut inner: &dyn std::error::Error = &error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        Failed::Request(inner.to_string())
    }
}

/// The client of one provider. A type and no closure: the futures of closures are not known to be [`Send`] for every lifetime.
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub fn new() -> Result<Self, Failed> {
        // Fails only where a provider of cryptography is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")))
            // A redirect could send the code or the secret to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE);
        Ok(Self(builder.build()?))
    }

    /// Sends one request.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failed> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut whole = http::Response::builder().status(answer.status());
        if let Some(headers) = whole.headers_mut() {
            *headers = answer.headers().clone();
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > LONGEST {
                return Err(Failed::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        whole.body(body).map_err(|error| Failed::Request(error.to_string()))
    }
}

impl<'c> AsyncHttpClient<'c> for Client {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failed>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
