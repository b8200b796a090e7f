//! Paths inside a model's folder: parsed once, then they can't lead out of it.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

/// A relative path with `/` between its parts: no empty part, no `.` or `..`, no drive, no backslash, no control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FilePath(String);

impl FilePath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = 512;
    /// The longest part, in bytes: what file systems take.
    pub const MAX_PART: usize = 240;

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a path inside a model's folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} can't be the path of a model's file: {why}")]
pub struct FilePathError {
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl FromStr for FilePath {
    type Err = FilePathError;
    fn from_str(text: &str) -> Result<Self, FilePathError> {
        let bad = |why| Err(FilePathError { text: text.chars().take(80).collect(), why });
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return bad("it has 1 to 512 bytes");
        }
        if text.starts_with('/') {
            return bad("it is relative to the model's folder");
        }
        if text.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
            return bad("it has no backslash, colon or control character");
        }
        for part in text.split('/') {
            if part.is_empty() || part == "." || part == ".." || part.len() > Self::MAX_PART {
                return bad("its parts have 1 to 240 bytes and are not '.' or '..'");
            }
        }
        if text.eq_ignore_ascii_case(crate::registry::MANIFEST_FILE) {
            return bad("this name belongs to the manifest");
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["a.gguf", "vae/model.safetensors", "模型.gguf", "...", "a..b"] {
            assert!(good.parse::<FilePath>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "C:a",
            "a\0b",
            "Manifest.json",
            &"a".repeat(241),
        ] {
            assert!(bad.parse::<FilePath>().is_err(), "{bad}");
        }
    }
}
