//! Why the store could not do it. [`crate::db`] sorts what the databases report into this.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

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
        /// The database's words.
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
    /// The server does not answer, or the connection broke.
    #[error(
        "the database {place} is unreachable: {why}; see that the server runs and that this machine may connect, or mend database_url"
    )]
    Unreachable {
        /// The database, without its password.
        place: String,
        /// The system's words.
        why: String,
    },
    /// The server says no.
    #[error("the database {place} refuses: {why}; mend user, password, database or rights, or database_url")]
    Refused {
        /// The database, without its password.
        place: String,
        /// The server's words.
        why: String,
    },
    /// It can't be had for the moment.
    #[error("the database {place} is busy: {why}; try again in a moment")]
    Contended {
        /// The database, without its password.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The server takes no writes.
    #[error("the database {place} takes no writes: {why}; name the primary server in database_url")]
    Standby {
        /// The database, without its password.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The address of the database is none.
    #[error(
        "database_url is wrong: {why}; write postgres://user:password@host:5432/database, or leave it empty for SQLite in the data folder"
    )]
    BadUrl {
        /// What is wrong, without the address itself.
        why: String,
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
    /// Something that is not over needs it.
    #[error("the {what} {id} is in use by a job that is not over: cancel that first, or wait for it")]
    InUse {
        /// The kind of thing, in English.
        what: &'static str,
        /// The kind of thing, in Chinese.
        what_zh: &'static str,
        /// Its id.
        id: String,
    },
    /// Another artifact was made from it.
    #[error("the artifact {id} can't be removed: {child} was made from it; remove that first")]
    HasChildren {
        /// Its id.
        id: String,
        /// The other one's.
        child: String,
    },
    /// It can't be done to a job in this state.
    #[error("the job {id} can't be {en}")]
    JobState {
        /// The job.
        id: String,
        /// What can't be done, why, and the mend, in English.
        en: String,
        /// The same in Chinese.
        zh: String,
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
    /// The last key of an owner can't be revoked.
    #[error("{prefix}... is the last owner key: create another one before revoking it")]
    LastOwner {
        /// The key's prefix.
        prefix: String,
    },
    /// Anything else that the database reports: a defect.
    #[error("the database {path} failed: {why}")]
    Database {
        /// The database.
        path: PathBuf,
        /// The database's words.
        why: String,
    },
}

impl Error {
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
            Error::ReadOnly { .. } | Error::Standby { .. } => Code::ReadOnly,
            Error::Unreachable { .. } | Error::Refused { .. } | Error::Contended { .. } => {
                Code::DatabaseUnavailable
            }
            Error::BadUrl { .. } => Code::BadSetting,
            Error::DiskFull { .. } => Code::DiskFull,
            Error::Corrupt { .. } | Error::Newer { .. } | Error::Busy { .. } | Error::Database { .. } => {
                Code::Internal
            }
            Error::NotFound { .. } => Code::NotFound,
            Error::Exists { .. }
            | Error::InUse { .. }
            | Error::HasChildren { .. }
            | Error::JobState { .. }
            | Error::LastOwner { .. } => Code::Conflict,
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
            Error::Unreachable { place, why } => {
                format!(
                    "无法连接数据库 {place}：{why}；请确认数据库服务正在运行且允许本机连接，或修改 database_url"
                )
            }
            Error::Refused { place, why } => {
                format!("数据库 {place} 拒绝访问：{why}；请检查用户、密码、库名和权限，或修改 database_url")
            }
            Error::Contended { place, why } => format!("数据库 {place} 正忙：{why}；请稍后重试"),
            Error::Standby { place, why } => {
                format!("数据库 {place} 不接受写入：{why}；请在 database_url 中填写主库地址")
            }
            Error::BadUrl { why } => format!(
                "database_url 有误：{why}；请写成 postgres://用户:密码@主机:5432/库名，或留空以使用数据文件夹中的 SQLite"
            ),
            Error::NotFound { what_zh, id, .. } => format!("{what_zh} {id:?} 不存在"),
            Error::Exists { what_zh, name, .. } => format!("{what_zh} {name:?} 已存在：请换一个名称"),
            Error::InUse { what_zh, id, .. } => {
                format!("{what_zh} {id} 正被未结束的任务使用：请先取消该任务，或等待其结束")
            }
            Error::HasChildren { id, child } => {
                format!("制品 {id} 不能删除：{child} 由它生成，请先删除后者")
            }
            Error::JobState { id, zh, .. } => format!("任务 {id} {zh}"),
            Error::Invalid { param, zh, .. } => format!("'{param}' 有误：{zh}"),
            Error::LastOwner { prefix } => format!("{prefix}… 是最后一个所有者密钥：请先新建一个再吊销它"),
            Error::Database { path, why } => format!("数据库 {} 出错：{why}", path.display()),
        };
        Message::new(self.to_string(), zh)
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Error::Contended { .. } | Error::Unreachable { .. }).then_some(Duration::from_secs(2))
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::Invalid { param, .. } => Some((*param).to_owned()),
            _ => None,
        }
    }
}
