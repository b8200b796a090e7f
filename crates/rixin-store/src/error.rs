//! Why the store could not do it, told by what SQLite reports.

use std::path::{Path, PathBuf};

use rixin_base::{Code, Explain, Message};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or a file in it can't be written.
    #[error(
        "can't write to {path}: {why}; give this user the right to write there, or choose another folder with RIXIN_DATA_DIR"
    )]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// No space is left.
    #[error(
        "the disk that holds {path} is full: free some space and try again; nothing that was stored is lost"
    )]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The file is damaged, or no database.
    #[error(
        "{path} is damaged ({why}): put a backup in its place, or move it away to start with an empty one"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// A later version of the suite wrote it.
    #[error(
        "{path} was written by a newer version of rixin (schema {found}, this one knows {known}): update rixin"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// Another process held it for too long.
    #[error(
        "the database {path} is held by another process for over 10 seconds: end that process and try again"
    )]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// It is not there, or another tenant's.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of thing, in English.
        what: &'static str,
        /// The kind of thing, in Chinese.
        what_zh: &'static str,
        /// Its id or name.
        id: String,
    },
    /// It is there already.
    #[error("there is already {what} {name:?}: choose another name")]
    Exists {
        /// The kind of thing, with an article, in English.
        what: &'static str,
        /// The kind of thing, in Chinese.
        what_zh: &'static str,
        /// Its name.
        name: String,
    },
    /// A value that the store does not take.
    #[error("'{param}' is wrong: {en}")]
    Invalid {
        /// The field.
        param: &'static str,
        /// What is wrong, in English.
        en: &'static str,
        /// What is wrong, in Chinese.
        zh: &'static str,
    },
    /// The last key that can administer can't be revoked.
    #[error("{prefix}... is the last admin key: create another one before revoking it")]
    LastAdmin {
        /// The key's prefix.
        prefix: String,
    },
    /// Anything else that SQLite reports: a defect.
    #[error("the database {path} failed: {why}")]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
}

impl Error {
    /// Sorts an error of sqlx by SQLite's primary result code (<https://sqlite.org/rescode.html>).
    pub(crate) fn from_sqlx(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_path_buf();
        match &error {
            sqlx::Error::Database(inner) => {
                let extended: i64 = inner.code().and_then(|code| code.parse().ok()).unwrap_or(0);
                let why = inner.message().to_owned();
                match extended & 0xff {
                    5 | 6 => Error::Busy { path },
                    8 | 14 => Error::ReadOnly { path, why },
                    // SQLITE_IOERR_WRITE on a full disk arrives as FULL; other I/O errors say which call failed.
                    13 => Error::DiskFull { path },
                    11 | 26 => Error::Corrupt { path, why },
                    _ => Error::Database { path, why },
                }
            }
            sqlx::Error::PoolTimedOut => Error::Busy { path },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Error::Corrupt { path, why: error.to_string() }
            }
            _ => Error::Database { path, why: error.to_string() },
        }
    }

    /// Sorts an error of the file system.
    pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
            _ => Error::ReadOnly { path, why: error.to_string() },
        }
    }

    pub(crate) fn not_found(what: &'static str, what_zh: &'static str, id: impl ToString) -> Self {
        Error::NotFound { what, what_zh, id: id.to_string() }
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::ReadOnly { .. } => Code::ReadOnly,
            Error::DiskFull { .. } => Code::DiskFull,
            Error::Corrupt { .. } | Error::Newer { .. } | Error::Busy { .. } | Error::Database { .. } => {
                Code::Internal
            }
            Error::NotFound { .. } => Code::NotFound,
            Error::Exists { .. } | Error::LastAdmin { .. } => Code::Conflict,
            Error::Invalid { .. } => Code::InvalidValue,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::ReadOnly { path, why } => {
                format!(
                    "无法写入 {}：{why}；请授予当前用户写权限，或用 RIXIN_DATA_DIR 指定其他文件夹",
                    path.display()
                )
            }
            Error::DiskFull { path } => {
                format!("{} 所在磁盘已满：请清理空间后重试；已保存的内容不会丢失", path.display())
            }
            Error::Corrupt { path, why } => {
                format!("{} 已损坏（{why}）：请用备份替换，或将其移走以重新开始", path.display())
            }
            Error::Newer { path, found, known } => format!(
                "{} 由更新版本的 rixin 写入（结构版本 {found}，当前程序支持到 {known}）：请升级 rixin",
                path.display()
            ),
            Error::Busy { path } => {
                format!("数据库 {} 被其他进程占用超过 10 秒：请结束该进程后重试", path.display())
            }
            Error::NotFound { what_zh, id, .. } => format!("{what_zh} {id:?} 不存在"),
            Error::Exists { what_zh, name, .. } => format!("{what_zh} {name:?} 已存在：请换一个名称"),
            Error::Invalid { param, zh, .. } => format!("'{param}' 有误：{zh}"),
            Error::LastAdmin { prefix } => format!("{prefix}… 是最后一个管理员密钥：请先新建一个再吊销它"),
            Error::Database { path, why } => format!("数据库 {} 出错：{why}", path.display()),
        };
        Message::new(self.to_string(), zh)
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::Invalid { param, .. } => Some((*param).to_owned()),
            _ => None,
        }
    }
}
