//! What can go wrong with labels, keys and signatures, told to a person.

use std::path::{Path, PathBuf};

use rixin_base::{Code, Explain, Message, bytes_text};

use crate::Media;

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of labelling, signing and verifying.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("can't {action} {path}: {source}", path = path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Others than the owner can read a private key.
    #[error("{path} has the mode {mode:03o}: others can read this private key. Run `chmod 600` on it, and make a new key if somebody may have copied it", path = path.display())]
    OpenKey {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key or a certificate that can't be used.
    #[error("{what} can't be used: {why_en}")]
    BadCredential {
        /// A file, or what was given.
        what: String,
        /// The reason and the mend, in English.
        why_en: String,
        /// The same in Chinese.
        why_zh: String,
    },
    /// A file that is no picture, video or audio of its kind, or is cut short.
    #[error("this is no usable {kind} file: {why_en}", kind = media.extension())]
    BadMedia {
        /// What it was taken for.
        media: Media,
        /// The reason, in English.
        why_en: String,
        /// The same in Chinese.
        why_zh: String,
    },
    /// A file over a limit.
    #[error("{what} has {size}, the limit is {limit}", size = bytes_text(*size), limit = bytes_text(*limit))]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its bytes.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A lineage that can't be.
    #[error("the lineage can't be signed, `{field}`: {why_en}")]
    BadLineage {
        /// The field.
        field: &'static str,
        /// The rule, in English.
        why_en: String,
        /// The rule, in Chinese.
        why_zh: String,
    },
    /// A label whose value the standard does not allow.
    #[error("the label's {field} can't be {value:?}: {why_en}")]
    BadLabel {
        /// The element.
        field: &'static str,
        /// As given, cut to 80 characters.
        value: String,
        /// The rule, in English.
        why_en: String,
        /// The rule, in Chinese.
        why_zh: String,
    },
    /// This kind of file can't do what was asked for.
    #[error("{kind} files can't {what_en}", kind = media.extension())]
    Unsupported {
        /// The kind.
        media: Media,
        /// A verb, in English.
        what_en: &'static str,
        /// A verb, in Chinese.
        what_zh: &'static str,
    },
    /// Signing failed.
    #[error("signing failed: {why}")]
    Sign {
        /// The library's words.
        why: String,
    },
    /// The time stamping authority failed.
    #[error(
        "the time stamping authority {url} gave no stamp: {why}. Check the setting and the network, or switch time stamps off"
    )]
    TimeStamp {
        /// Its address.
        url: String,
        /// The reason.
        why: String,
    },
    /// The security module failed.
    #[error("the security module {module} failed: {why}", module = module.display())]
    Module {
        /// The PKCS#11 library.
        module: PathBuf,
        /// The reason.
        why: String,
    },
    /// ffmpeg failed or is missing.
    #[error(
        "ffmpeg can't draw the label on the video: {why}. Install it with `apt-get install ffmpeg`, or switch the video label off"
    )]
    Ffmpeg {
        /// The reason.
        why: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    pub(crate) fn credential(
        what: impl std::fmt::Display,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Error {
        Error::BadCredential { what: what.to_string(), why_en: en.into(), why_zh: zh.into() }
    }

    pub(crate) fn media(media: Media, en: impl Into<String>, zh: impl Into<String>) -> Error {
        Error::BadMedia { media, why_en: en.into(), why_zh: zh.into() }
    }

    pub(crate) fn sign(why: impl std::fmt::Display) -> Error {
        Error::Sign { why: why.to_string() }
    }
}

impl From<c2pa::Error> for Error {
    fn from(error: c2pa::Error) -> Self {
        Error::sign(error)
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        use std::io::ErrorKind as K;
        match self {
            Error::Io { source, .. } => match source.kind() {
                K::NotFound => Code::NotFound,
                K::StorageFull | K::QuotaExceeded => Code::DiskFull,
                K::PermissionDenied | K::ReadOnlyFilesystem => Code::ReadOnly,
                _ => Code::Internal,
            },
            Error::OpenKey { .. } | Error::BadCredential { .. } => Code::BadSetting,
            Error::BadMedia { .. } | Error::BadLineage { .. } | Error::BadLabel { .. } => Code::InvalidValue,
            Error::TooLarge { .. } => Code::BodyTooLarge,
            Error::Unsupported { .. } => Code::Unsupported,
            Error::Sign { .. } => Code::Internal,
            Error::TimeStamp { .. } => Code::BadUpstream,
            Error::Module { .. } | Error::Ffmpeg { .. } => Code::BadSetting,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::Io { action, path, source } => {
                let action = match *action {
                    "read" => "读取",
                    "write" => "写入",
                    "create" => "创建",
                    "lock" => "锁定",
                    "remove" => "删除",
                    other => other,
                };
                format!("无法{action} {}：{source}", path.display())
            }
            Error::OpenKey { path, mode } => format!(
                "{} 的权限为 {mode:03o}：其他用户可以读取这个私钥。请对它执行 `chmod 600`；如果可能已被复制，请更换密钥",
                path.display()
            ),
            Error::BadCredential { what, why_zh, .. } => format!("{what} 无法使用：{why_zh}"),
            Error::BadMedia { media, why_zh, .. } => {
                format!("这不是可用的 {} 文件：{why_zh}", media.extension())
            }
            Error::TooLarge { what, size, limit } => {
                let what = match *what {
                    "the file" => "文件",
                    "the credentials" => "凭证",
                    other => other,
                };
                format!("{what}大小为 {}，上限为 {}", bytes_text(*size), bytes_text(*limit))
            }
            Error::BadLineage { field, why_zh, .. } => format!("来源记录的 `{field}` 无法签名：{why_zh}"),
            Error::BadLabel { field, value, why_zh, .. } => {
                format!("标识要素 {field} 不能为 {value:?}：{why_zh}")
            }
            Error::Unsupported { media, what_zh, .. } => {
                format!("{} 文件无法{what_zh}", media.extension())
            }
            Error::Sign { why } => format!("签名失败：{why}"),
            Error::TimeStamp { url, why } => {
                format!("时间戳服务 {url} 未返回时间戳（{why}）：请检查设置和网络，或关闭时间戳")
            }
            Error::Module { module, why } => format!("安全模块 {} 出错：{why}", module.display()),
            Error::Ffmpeg { why } => format!(
                "ffmpeg 无法在视频上绘制标识（{why}）：请用 `apt-get install ffmpeg` 安装，或关闭视频标识"
            ),
        };
        Message::new(self.to_string(), zh)
    }
}
