//! Where the blobs lie: a folder, or a bucket of an S3 server.

use std::path::PathBuf;

use object_store::path::Path;
use url::{Host, Url};

use super::BlobError;

/// Where the blobs lie.
#[derive(Clone, Debug)]
pub enum BlobOptions {
    /// In a folder of this machine; it is made where it does not exist.
    Folder(PathBuf),
    /// In a bucket.
    S3(S3Options),
}

/// A bucket of an S3 server, and the key to it.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// The server's address, such as `https://minio.example:9000`; `None` is AWS in [`region`](Self::region).
    pub endpoint: Option<String>,
    /// The region that requests are signed for; `None` is `us-east-1`, which most servers besides AWS take.
    pub region: Option<String>,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: SecretKey,
    /// The bucket is in the path (`https://host/bucket`), not in the host; `None` is yes with an endpoint and no on AWS.
    pub path_style: Option<bool>,
    /// Plain HTTP is accepted for an endpoint on another machine too.
    pub allow_http: bool,
    /// How often a failed request is tried again.
    pub retries: usize,
    /// The largest object that the server copies in one request, in bytes; AWS has 5 GiB. A larger one that came as a stream of
    /// unknown hash passes through this machine a second time.
    pub copy_limit_bytes: u64,
}

impl S3Options {
    /// A bucket with its key; everything else as it is on AWS.
    pub fn new(
        url: impl Into<String>,
        access_key_id: impl Into<String>,
        secret: impl Into<SecretKey>,
    ) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            access_key_id: access_key_id.into(),
            secret_access_key: secret.into(),
            path_style: None,
            allow_http: false,
            retries: 6,
            copy_limit_bytes: 5 << 30,
        }
    }

    /// Checks everything that can be checked without the server.
    pub(super) fn parse(&self) -> Result<Bucket, BlobError> {
        let (name, prefix) = split(&self.url)?;
        let region = self.region.clone().unwrap_or_else(|| "us-east-1".into());
        if self.access_key_id.is_empty() || self.secret_access_key.0.is_empty() {
            return Err(BlobError::Setting {
                name: "s3_access_key_id, s3_secret_access_key",
                en: "a bucket needs an access key: give its id and its secret".into(),
                zh: "访问存储桶需要密钥：请填写 Access Key ID 和 Secret".into(),
            });
        }
        let endpoint = self.endpoint.as_deref().map(|text| self.parse_endpoint(text, &name)).transpose()?;
        let path_style = self.path_style.unwrap_or(endpoint.is_some());
        Ok(Bucket { name, prefix, region, endpoint, path_style })
    }

    fn parse_endpoint(&self, text: &str, bucket: &str) -> Result<Endpoint, BlobError> {
        let wrong = |en: String, zh: String| BlobError::Setting { name: "s3_endpoint", en, zh };
        let not_an_address = || {
            wrong(
                format!("{text:?} is not an address such as https://minio.example:9000"),
                format!("{text:?} 不是有效的地址，应类似 https://minio.example:9000"),
            )
        };
        let mut url = Url::parse(text).map_err(|_| not_an_address())?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(not_an_address()),
        };
        let loopback = match url.host().ok_or_else(not_an_address)? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };
        if plain && !loopback && !self.allow_http {
            return Err(wrong(
                format!("{text} is on another machine and not encrypted: give an https address"),
                format!("{text} 不在本机且未加密：请填写 https 地址"),
            ));
        }
        if self.path_style == Some(false) {
            let host = match url.host() {
                Some(Host::Domain(name)) => format!("{bucket}.{name}"),
                _ => {
                    return Err(wrong(
                        format!(
                            "{text} is an IP address, and a bucket can't be put before it: use path style"
                        ),
                        format!("{text} 是 IP 地址，无法把存储桶放进主机名：请使用路径风格（path style）"),
                    ));
                }
            };
            url.set_host(Some(&host)).map_err(|_| not_an_address())?;
        }
        Ok(Endpoint { url: url.as_str().trim_end_matches('/').to_owned(), plain, loopback })
    }
}

/// [`S3Options`] after the checks.
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) prefix: Path,
    pub(super) region: String,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) path_style: bool,
}

pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) plain: bool,
    pub(super) loopback: bool,
}

fn split(url: &str) -> Result<(String, Path), BlobError> {
    let wrong = || BlobError::Setting {
        name: "blob_url",
        en: format!("{url:?} does not name a bucket: write s3://bucket or s3://bucket/prefix"),
        zh: format!("{url:?} 不是存储桶地址：请写成 s3://bucket 或 s3://bucket/prefix"),
    };
    let rest = url.strip_prefix("s3://").ok_or_else(wrong)?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if !(3..=63).contains(&name.len()) || !name.chars().all(fits) {
        return Err(wrong());
    }
    Ok((name.to_owned(), Path::parse(prefix.trim_matches('/')).map_err(|_| wrong())?))
}

/// The secret half of an access key; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub(super) String);

impl<T: Into<String>> From<T> for SecretKey {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
