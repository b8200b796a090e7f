//! The journal beside a partial file: which bytes of which version are on the disk for sure.
//!
//! It is written after the data that it speaks of was synced, to a new file that takes the old one's place, so that a crash at any
//! moment leaves a journal that claims too little, never too much.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::ranges::Ranges;
use crate::{Sha256, source::SourceError};

const VERSION: u32 = 1;
/// A journal of more bytes is not ours.
const MAX_BYTES: u64 = 16 << 20;

/// What is known of a partial file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// The server's validator of the version that the bytes are of: a strong etag, else a date.
    pub validator: Option<String>,
    /// The length of the whole file.
    pub size: u64,
    /// Its hash, where it was known beforehand.
    pub sha256: Option<Sha256>,
    /// What is there.
    pub done: Ranges,
}

impl Journal {
    /// Nothing there yet.
    pub fn new(size: u64, sha256: Option<Sha256>, validator: Option<String>) -> Self {
        Self { version: VERSION, validator, size, sha256, done: Ranges::default() }
    }

    /// The file's name.
    pub fn path(partial: &Path) -> PathBuf {
        let mut name = partial.as_os_str().to_owned();
        name.push(".journal");
        PathBuf::from(name)
    }

    /// Reads the journal of a partial file; `None` where there is none that fits the file and what is expected of it.
    pub fn load(partial: &Path, size: Option<u64>, sha256: Option<Sha256>) -> Option<Self> {
        let path = Self::path(partial);
        if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let journal: Journal = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let length = std::fs::metadata(partial).ok()?.len();
        let same_file = size.is_none_or(|size| size == journal.size)
            && sha256.is_none_or(|sha| journal.sha256 == Some(sha));
        // Without a hash to check the whole and a validator to tell versions apart, bytes of two versions could be mixed.
        let checkable = journal.validator.is_some() || journal.sha256.is_some();
        let sound = journal.version == VERSION && journal.done.is_sound(journal.size.min(length));
        (same_file && checkable && sound).then_some(journal)
    }

    /// Writes it durably. The data must be synced already.
    pub fn save(&self, partial: &Path) -> Result<(), SourceError> {
        let path = Self::path(partial);
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let text = serde_json::to_vec(self).map_err(|e| SourceError::io("write", &path, e.into()))?;
        let mut file = File::create(&fresh).map_err(|e| SourceError::io("create", &fresh, e))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(|e| SourceError::io("write", &fresh, e))?;
        std::fs::rename(&fresh, &path).map_err(|e| SourceError::io("rename", &path, e))
    }

    /// Removes it.
    pub fn remove(partial: &Path) {
        let _ = std::fs::remove_file(Self::path(partial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_does_not_fit_is_no_journal() {
        let dir = tempfile::tempdir().expect("temp dir");
        let partial = dir.path().join("x.part");
        std::fs::write(&partial, [0; 100]).expect("write");
        let sha = Sha256::of(b"x");
        let mut journal = Journal::new(100, Some(sha), Some("\"v1\"".into()));
        journal.done.add(10, 20);
        journal.save(&partial).expect("save");
        assert_eq!(Journal::load(&partial, Some(100), Some(sha)).expect("fits").done.total(), 10);
        assert!(Journal::load(&partial, Some(101), Some(sha)).is_none(), "another size");
        assert!(Journal::load(&partial, Some(100), Some(Sha256::of(b"y"))).is_none(), "another hash");
        std::fs::write(&partial, [0; 15]).expect("write");
        assert!(Journal::load(&partial, Some(100), Some(sha)).is_none(), "claims more than there is");
        std::fs::write(&partial, [0; 100]).expect("write");
        for lie in ["{", "{}", r#"{"version":1,"validator":"a","size":100,"sha256":null,"done":[[50,40]]}"#] {
            std::fs::write(Journal::path(&partial), lie).expect("write");
            assert!(Journal::load(&partial, Some(100), None).is_none(), "{lie}");
        }
        Journal::new(100, None, None).save(&partial).expect("save");
        assert!(Journal::load(&partial, Some(100), None).is_none(), "nothing to tell versions apart");
    }
}
