//! SHA-256 values: parsed once, then always 32 bytes.

use std::{fmt, io::Read, path::Path, str::FromStr};

use rixin_base::{Cancel, Progress};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{Error, Result};

/// A SHA-256 value; as text 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// A text that is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 hexadecimal digits")]
pub struct Sha256Error;

impl Sha256 {
    /// The value of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = Sha256Error;
    fn from_str(text: &str) -> std::result::Result<Self, Sha256Error> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(Sha256Error);
        }
        let mut out = [0u8; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(Sha256Error);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(out))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes bytes as they come.
#[derive(Clone, Debug, Default)]
pub struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The value of all that was added.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

/// Hashes a file, reporting bytes under `stage`. Blocking: call it on a thread that may wait.
///
/// # Errors
/// [`Error::Io`] where it can't be read, [`Error::Cancelled`].
pub fn hash_file(path: &Path, stage: &str, progress: &Progress, cancel: &Cancel) -> Result<(u64, Sha256)> {
    const REPORT_EVERY: u64 = 16 << 20;
    let mut file = std::fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let total = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
    let item = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0u8; 1 << 20];
    let (mut done, mut reported) = (0u64, 0u64);
    progress.bytes(stage, &item, 0, Some(total));
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let read = file.read(&mut buffer).map_err(|e| Error::io("read", path, e))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        done += read as u64;
        if done - reported >= REPORT_EVERY {
            reported = done;
            progress.bytes(stage, &item, done, Some(total.max(done)));
        }
    }
    progress.bytes(stage, &item, done, Some(done));
    Ok((done, hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let empty = Sha256::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(empty));
        assert_eq!("e3b0".parse::<Sha256>(), Err(Sha256Error));
        assert_eq!("+3".repeat(32).parse::<Sha256>(), Err(Sha256Error));
        assert_eq!("é".repeat(32).parse::<Sha256>(), Err(Sha256Error));
    }
}
