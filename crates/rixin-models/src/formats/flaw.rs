//! What is wrong with a file's bytes, before anyone knows the file's name.

use std::path::Path;

use rixin_base::Message;

use crate::Error;

/// Why a header can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The bytes are wrong: the reason and, where there is one, the mend.
    #[error("{}", .0.en)]
    Bad(Message),
    /// They can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Flaw {
    pub(crate) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::Bad(Message::new(en, zh))
    }

    /// The file ends before something that has to be there.
    pub(crate) fn cut_short(needed: u64, len: u64) -> Self {
        Self::new(
            format!("it is cut short: it has {len} bytes and needs at least {needed}; fetch it again"),
            format!("文件不完整：现有 {len} 字节，至少需要 {needed} 字节；请重新下载"),
        )
    }

    /// The error of the file at `path`.
    pub(crate) fn of(self, path: &Path) -> Error {
        match self {
            Flaw::Bad(Message { en, zh }) => Error::bad_file(path, en, zh),
            Flaw::Io(source) => Error::io("read", path, source),
        }
    }
}
