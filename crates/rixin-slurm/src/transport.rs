//! Requests to slurmrestd over http, https or a unix socket. Each has a connection of its own: the daemon closes idle ones as it
//! likes, and a submission must not be lost in a connection that had already ended.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use http::{HeaderValue, Method, header::CONTENT_TYPE};
use reqwest::redirect;
use url::Url;

use crate::{Error, Result};

/// Where slurmrestd is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `http://` or `https://`, without path.
    Url(Url),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Url(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Server::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Server {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::BadServer { text: text.chars().take(200).collect() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') { Ok(Server::Unix(path.into())) } else { Err(bad()) };
        }
        let url = Url::parse(text).map_err(|_| bad())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https")
            || !url.has_host()
            || !plain
            || !matches!(url.path(), "" | "/")
        {
            return Err(bad());
        }
        Ok(Server::Url(url))
    }
}

/// How a request failed before its answer was whole.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody heard it.
    NotSent(String),
    /// It may have been heard.
    Broken(String),
    /// It may have been heard, and no answer came in time.
    TimedOut,
    /// The answer is over the limit.
    TooLarge,
}

/// A status and a body.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A request.
pub(crate) struct Call<'a> {
    pub method: Method,
    /// From the root, percent-encoded where need be.
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    pub limit_bytes: usize,
    pub timeout: Duration,
}

pub(crate) struct Transport {
    client: reqwest::Client,
    base: Url,
}

impl Transport {
    pub fn new(server: &Server, connect_timeout: Duration) -> Result<Self> {
        // an error means that another part of the process has chosen already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .user_agent(concat!("rixin/", env!("CARGO_PKG_VERSION")));
        let bad = || Error::BadServer { text: server.to_string() };
        let base = match server {
            Server::Url(url) => url.clone(),
            Server::Unix(path) => {
                builder = builder.unix_socket(path.clone());
                Url::parse("http://localhost/").map_err(|_| bad())?
            }
        };
        if base.scheme() == "http" {
            // a machine without certificates can still ask a server that needs none
            builder = builder.tls_certs_only([]);
        }
        let client = builder
            .build()
            .map_err(|error| Error::Unreachable { server: server.to_string(), why: chain(&error) })?;
        Ok(Self { client, base })
    }

    pub async fn send(
        &self,
        call: &Call<'_>,
        user: &HeaderValue,
        token: HeaderValue,
    ) -> std::result::Result<Answer, Failure> {
        let url = self.base.join(call.path).map_err(|error| Failure::NotSent(error.to_string()))?;
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .timeout(call.timeout)
            .header("X-SLURM-USER-NAME", user)
            .header("X-SLURM-USER-TOKEN", token);
        if !call.query.is_empty() {
            request = request.query(call.query);
        }
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        if response.content_length().is_some_and(|length| length > call.limit_bytes as u64) {
            return Err(Failure::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > call.limit_bytes {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure::NotSent(chain(error))
    } else if error.is_timeout() {
        Failure::TimedOut
    } else {
        Failure::Broken(chain(error))
    }
}

/// The innermost reason: the outer ones repeat the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in
            ["http://login:6820", "https://slurm.example/", "unix:/run/slurmrestd.sock", "unix:///run/s"]
        {
            assert!(good.parse::<Server>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "login:6820",
            "ftp://a",
            "http://u:p@a",
            "http://a/slurm",
            "http://a?b=c",
            "unix:run",
            "http://",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let server = Server::Unix(dir.path().join("none"));
        let transport = Transport::new(&server, Duration::from_secs(1)).expect("a client");
        let call = Call {
            method: Method::GET,
            path: "/openapi/v3",
            query: &[],
            body: None,
            limit_bytes: 9,
            timeout: Duration::from_secs(1),
        };
        let value = HeaderValue::from_static("a");
        assert!(matches!(transport.send(&call, &value, value.clone()).await, Err(Failure::NotSent(_))));
    }
}
