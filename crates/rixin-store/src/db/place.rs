//! What errors name: a file, or a server without its password.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file of SQLite.
    File(Arc<Path>),
    /// `postgres://user@host:port/database`.
    Server(Arc<str>),
}

impl Place {
    pub fn file(path: &Path) -> Self {
        Place::File(path.into())
    }

    /// As a path, for the errors that both have.
    pub fn path(&self) -> PathBuf {
        match self {
            Place::File(path) => path.to_path_buf(),
            Place::Server(name) => PathBuf::from(&**name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(name) => f.write_str(name),
        }
    }
}
