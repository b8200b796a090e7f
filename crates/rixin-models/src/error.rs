//! What can go wrong with models, told to a person.

use std::path::{Path, PathBuf};

use rixin_base::{Code, Explain, Message, ModelId, bytes_text};

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of the registry, the catalogue, file formats, sources and downloads.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such model is installed.
    #[error("model {0:?} is not installed: `rixin models list` shows what is, `rixin models pull` fetches more", id.as_str())]
    NotInstalled {
        /// The name asked for.
        id: ModelId,
    },
    /// The name is taken.
    #[error("a model named {0:?} is installed already: remove it first or choose another name", id.as_str())]
    Exists {
        /// The name.
        id: ModelId,
    },
    /// A manifest says something that can't be.
    #[error("the manifest{} can't be used: {why}", place(path))]
    BadManifest {
        /// The file, where it is one.
        path: Option<PathBuf>,
        /// The field and the rule.
        why: String,
    },
    /// A model file that is cut short, lies, or is something else.
    #[error("{path} is no usable model file: {why_en}", path = path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The reason and the mend, in English.
        why_en: String,
        /// The same in Chinese.
        why_zh: String,
    },
    /// A format that can run code when it is read.
    #[error("{path} is refused: {what} can run code when it is read. Convert it to safetensors or GGUF where you trust it, then import that", path = path.display())]
    UnsafeFormat {
        /// The file.
        path: PathBuf,
        /// What it is, for a person.
        what: &'static str,
    },
    /// A file differs from its hash.
    #[error(
        "{item} has SHA-256 {found}, expected {expected}: it was damaged or replaced on its way; fetch it again"
    )]
    HashMismatch {
        /// The file.
        item: String,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
    },
    /// The disk is full, or would be.
    #[error("the disk of {path} is full{}: free some space or set RIXIN_DATA_DIR to another disk", figures_en(*needed, *free), path = path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is needed, in bytes, where it is known.
        needed: Option<u64>,
        /// What is free, in bytes, where it is known.
        free: Option<u64>,
    },
    /// A folder can't be written.
    #[error("{path} can't be written ({why}): give this user the right to write, or set RIXIN_DATA_DIR to another folder", path = path.display())]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Some other failure of the file system.
    #[error("can't {action} {path}: {source}", path = path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The index failed in a way that rebuilding does not mend.
    #[error("the model index {path} can't be used: {source}", path = path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The database's words.
        source: sqlx::Error,
    },
    /// A cursor that no page gave.
    #[error("{cursor:?} is not a cursor of this list: pass the `next` of the page before")]
    BadCursor {
        /// As given, cut to 80 characters.
        cursor: String,
    },
    /// The staged download is in use by another process.
    #[error("{what} is being fetched by another process: wait for it or cancel it there")]
    Busy {
        /// What is staged.
        what: String,
    },
    /// The user or the client cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A failure that a source or a download explains itself.
    #[error("{}", fault.message.en)]
    Fault {
        /// The code and both texts.
        fault: rixin_base::Fault,
    },
}

impl Error {
    /// A failure of the file system, told apart: full disk, no right to write, the rest.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let path = path.to_path_buf();
        match source.kind() {
            K::StorageFull | K::QuotaExceeded => Self::DiskFull { path, needed: None, free: None },
            K::ReadOnlyFilesystem => Self::ReadOnly { path, why: source.to_string() },
            K::PermissionDenied if action != "read" => Self::ReadOnly { path, why: source.to_string() },
            _ => Self::Io { action, path, source },
        }
    }

    /// A manifest that can't be used, wherever it came from.
    pub fn bad_manifest(why: impl Into<String>) -> Self {
        Self::BadManifest { path: None, why: why.into() }
    }

    /// A model file that can't be used.
    pub fn bad_file(path: &Path, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::BadFile { path: path.to_path_buf(), why_en: en.into(), why_zh: zh.into() }
    }

    /// Names the file that a manifest was read from.
    pub(crate) fn at(self, file: &Path) -> Self {
        match self {
            Self::BadManifest { why, .. } => Self::BadManifest { path: Some(file.to_path_buf()), why },
            other => other,
        }
    }
}

impl From<rixin_base::Fault> for Error {
    fn from(fault: rixin_base::Fault) -> Self {
        Self::Fault { fault }
    }
}

fn place(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|p| format!(" {}", p.display())).unwrap_or_default()
}

fn figures_en(needed: Option<u64>, free: Option<u64>) -> String {
    match (needed, free) {
        (Some(needed), Some(free)) => format!(" ({} needed, {} free)", bytes_text(needed), bytes_text(free)),
        _ => String::new(),
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::NotInstalled { .. } => Code::ModelNotFound,
            Error::Exists { .. } | Error::Busy { .. } => Code::Conflict,
            Error::BadManifest { .. } | Error::BadFile { .. } => Code::BadModelFile,
            Error::UnsafeFormat { .. } => Code::UnsafeFormat,
            Error::HashMismatch { .. } => Code::HashMismatch,
            Error::DiskFull { .. } => Code::DiskFull,
            Error::ReadOnly { .. } => Code::ReadOnly,
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Code::NotFound,
            Error::Io { .. } | Error::Index { .. } => Code::Internal,
            Error::BadCursor { .. } => Code::InvalidValue,
            Error::Cancelled => Code::Cancelled,
            Error::Fault { fault } => fault.code,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::NotInstalled { id } => {
                format!(
                    "模型 {:?} 未安装：用 `rixin models list` 查看已安装的模型，用 `rixin models pull` 拉取",
                    id.as_str()
                )
            }
            Error::Exists { id } => format!("名为 {:?} 的模型已安装：请先删除它，或换一个名字", id.as_str()),
            Error::BadManifest { path, why } => format!("模型清单{}无法使用：{why}", place(path)),
            Error::BadFile { path, why_zh, .. } => format!("{} 不是可用的模型文件：{why_zh}", path.display()),
            Error::UnsafeFormat { path, what } => format!(
                "拒绝 {}：{what} 在读取时可能执行任意代码。请在可信环境中转换为 safetensors 或 GGUF 后再导入",
                path.display()
            ),
            Error::HashMismatch { item, expected, found } => {
                format!("{item} 的 SHA-256 为 {found}，应为 {expected}：文件在传输中损坏或被替换，请重新拉取")
            }
            Error::DiskFull { path, needed, free } => {
                let figures = match (needed, free) {
                    (Some(needed), Some(free)) => {
                        format!("（需要 {}，剩余 {}）", bytes_text(*needed), bytes_text(*free))
                    }
                    _ => String::new(),
                };
                format!(
                    "{} 所在磁盘已满{figures}：请清理空间，或用 RIXIN_DATA_DIR 换一个磁盘",
                    path.display()
                )
            }
            Error::ReadOnly { path, why } => {
                format!(
                    "{} 无法写入（{why}）：请授予当前用户写权限，或用 RIXIN_DATA_DIR 换一个文件夹",
                    path.display()
                )
            }
            Error::Io { action, path, source } => {
                let action = match *action {
                    "read" => "读取",
                    "create" => "创建",
                    "write" => "写入",
                    "remove" => "删除",
                    "rename" => "重命名",
                    "link" => "链接",
                    "lock" => "锁定",
                    other => other,
                };
                format!("无法{action} {}：{source}", path.display())
            }
            Error::Index { path, source } => format!("模型索引 {} 无法使用：{source}", path.display()),
            Error::BadCursor { cursor } => format!("{cursor:?} 不是此列表的游标：请使用上一页返回的 `next`"),
            Error::Busy { what } => format!("{what} 正由另一个进程拉取：请等待其完成，或在那边取消"),
            Error::Cancelled => "已取消".into(),
            Error::Fault { fault } => return fault.message.clone(),
        };
        Message::new(self.to_string(), zh)
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::BadCursor { .. } => Some("after".into()),
            Error::Fault { fault } => fault.param.clone(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Error::Fault { fault } => fault.retry_after,
            _ => None,
        }
    }
}
