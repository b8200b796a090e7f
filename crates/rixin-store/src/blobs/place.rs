//! The place where the blobs lie, and what its errors mean.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use object_store::client::HttpError;

use super::BlobError;

/// The folder or the bucket, as a person knows it.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    /// The bucket's URL, and the server where it is not AWS.
    Bucket(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Folder(path) => write!(f, "{}", path.display()),
            Place::Bucket(url) => f.write_str(url),
        }
    }
}

impl Place {
    /// Sorts an error of the file system under this folder.
    pub(super) fn io(&self, error: &io::Error) -> BlobError {
        let (place, why) = (self.to_string(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full { place, why },
            _ => BlobError::Folder { place, why },
        }
    }

    /// Sorts an error of the store; a missing object is the caller's to name.
    pub(super) fn error(&self, error: &object_store::Error) -> BlobError {
        match self {
            Place::Folder(_) => match cause::<io::Error>(error) {
                Some(cause) => self.io(cause),
                None => BlobError::Storage { place: self.to_string(), why: error.to_string() },
            },
            Place::Bucket(_) => self.answer(error),
        }
    }

    /// Sorts a server's answer by its code (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>), then its status.
    fn answer(&self, error: &object_store::Error) -> BlobError {
        let place = self.to_string();
        if let Some(cause) = cause::<HttpError>(error) {
            return BlobError::Unreachable { place, why: innermost(cause) };
        }
        let text = error.to_string();
        let code = between(&text, "<Code>", "</Code>");
        let status: Option<u16> =
            text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let why = match (code, between(&text, "<Message>", "</Message>"), status) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.to_owned(),
            (None, _, Some(status)) => format!("HTTP {status}"),
            (None, _, None) => text.clone(),
        };
        match code {
            Some("NoSuchBucket") => BlobError::NoBucket { place },
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "ExpiredToken"
                | "InvalidSecurity"
                | "NotSignedUp",
            ) => BlobError::WrongKey { place, why },
            Some(
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "TemporaryRedirect"
                | "IllegalLocationConstraintException",
            ) => BlobError::WrongRegion { place, why },
            Some("XMinioStorageFull" | "QuotaExceeded" | "InsufficientStorage") => {
                BlobError::Full { place, why }
            }
            _ => match status {
                Some(401 | 403) => BlobError::Denied { place, why },
                Some(507) => BlobError::Full { place, why },
                Some(301 | 302 | 307 | 308) => BlobError::WrongRegion { place, why },
                Some(408 | 429 | 500..) => BlobError::Unreachable { place, why },
                // A redirect without an address is how a bucket of another region answers.
                None if text.contains("redirect without LOCATION") => BlobError::WrongRegion { place, why },
                _ => BlobError::Storage { place, why },
            },
        }
    }
}

/// The server says that it does not have this operation, or this header.
pub(super) fn not_implemented(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => true,
        _ => {
            let text = error.to_string();
            text.contains("status code: 501") || between(&text, "<Code>", "</Code>") == Some("NotImplemented")
        }
    }
}

/// The request may or may not have arrived.
pub(super) fn lost(error: &object_store::Error) -> bool {
    cause::<HttpError>(error).is_some()
}

fn cause<T: std::error::Error + 'static>(error: &object_store::Error) -> Option<&T> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}

fn innermost(error: &HttpError) -> String {
    let last = std::iter::successors(error.source(), |&error| error.source()).last();
    last.map_or_else(|| error.to_string(), ToString::to_string)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use rixin_base::{Code, Explain as _};

    use super::*;

    fn answered(status: &str, body: &str) -> BlobError {
        let text = format!("Server returned non-2xx status code: {status}: {body}");
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        Place::Bucket("s3://b".into()).error(&error)
    }

    #[test]
    fn answers_of_servers_are_told_apart() {
        let body = |code: &str| format!("<Error><Code>{code}</Code><Message>words</Message></Error>");
        for (status, code, expected) in [
            ("404 Not Found", "NoSuchBucket", Code::BadSetting),
            ("403 Forbidden", "SignatureDoesNotMatch", Code::BadSetting),
            ("403 Forbidden", "AccessDenied", Code::ReadOnly),
            ("301 Moved Permanently", "PermanentRedirect", Code::BadSetting),
            ("400 Bad Request", "AuthorizationHeaderMalformed", Code::BadSetting),
            ("507 Insufficient Storage", "XMinioStorageFull", Code::DiskFull),
            ("503 Service Unavailable", "SlowDown", Code::SourceFailed),
            ("400 Bad Request", "BadDigest", Code::Internal),
        ] {
            let error = answered(status, &body(code));
            assert_eq!(error.code(), expected, "{error:?}");
        }
        assert!(matches!(answered("403 Forbidden", ""), BlobError::Denied { why, .. } if why == "HTTP 403"));
    }

    #[test]
    fn a_full_disk_is_told_from_a_folder_without_rights() {
        let place = Place::Folder("/data/objects".into());
        let full = place.io(&io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.code(), Code::DiskFull);
        assert!(full.message().en.contains("/data/objects") && full.message().zh.contains("/data/objects"));
        assert_eq!(place.io(&io::Error::from(io::ErrorKind::PermissionDenied)).code(), Code::ReadOnly);
    }
}
