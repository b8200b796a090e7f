//! Why a blob could not be stored or read.

use std::path::PathBuf;

use rixin_base::{Code, Explain, Message, bytes_text};

use super::Sha256;

/// Why a blob could not be stored or read. `place` is the folder, or the bucket with its server.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob of that name.
    #[error("there is no blob {sha256} in {place}")]
    NotFound {
        /// Its name.
        sha256: Sha256,
        /// Where it was looked for.
        place: String,
    },
    /// The stored bytes are not those that were put there.
    #[error(
        "the bytes of blob {sha256} in {place} have changed ({why}): delete it and store the content again, or bring back a backup"
    )]
    Corrupt {
        /// Its name.
        sha256: Sha256,
        /// Where it lies.
        place: String,
        /// What was found.
        why: String,
    },
    /// More bytes than the caller allows.
    #[error("the content is over the limit of {}: send less, or raise the limit", bytes_text(*limit))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The sender of the bytes broke off.
    #[error("the bytes to be stored stopped coming ({why}): nothing was stored, send them again")]
    Interrupted {
        /// The sender's words.
        why: String,
    },
    /// A file to be stored can't be read.
    #[error("can't read {path}: {why}")]
    Source {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A file changed while it was stored.
    #[error("{what} changed while it was read: nothing was stored; try again when nothing writes to it")]
    Changed {
        /// The file.
        what: String,
    },
    /// The file that a blob is fetched to can't be written.
    #[error("can't write {path}: {why}")]
    Target {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A part that the blob does not have.
    #[error("blob {sha256} has {size} bytes: bytes {start} to {end} are not a part of it")]
    Range {
        /// Its name.
        sha256: Sha256,
        /// First byte asked for.
        start: u64,
        /// The byte after the last one.
        end: u64,
        /// Bytes of the blob.
        size: u64,
    },
    /// Not a hash.
    #[error("{text:?} is not a SHA-256: it has 64 hexadecimal digits")]
    BadHash {
        /// What was given.
        text: String,
    },
    /// A setting that can't be right, whatever the server says.
    #[error("{name}: {en}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong and what to do, in English.
        en: String,
        /// The same in Chinese.
        zh: String,
    },
    /// No space is left.
    #[error("{place} is full ({why}): free some space and try again; nothing that was stored is lost")]
    Full {
        /// The place.
        place: String,
        /// The words of the system or the server.
        why: String,
    },
    /// The folder can't be used.
    #[error(
        "can't use {place}: {why}; give this user the right to read and write there, or choose another folder"
    )]
    Folder {
        /// The folder.
        place: String,
        /// The system's words.
        why: String,
    },
    /// The bucket is not there.
    #[error("there is no bucket for {place}: create it, or correct blob_url")]
    NoBucket {
        /// The place.
        place: String,
    },
    /// The server does not know the key, or the secret is wrong.
    #[error(
        "{place} does not accept the access key ({why}): correct s3_access_key_id and s3_secret_access_key"
    )]
    WrongKey {
        /// The place.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The bucket is in another region, or behind another address.
    #[error(
        "{place} is in another region or behind another address ({why}): correct s3_region or s3_endpoint"
    )]
    WrongRegion {
        /// The place.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The key is known, and may not.
    #[error(
        "{place} refuses ({why}): allow the access key to list the bucket, and to read, write and delete objects in it"
    )]
    Denied {
        /// The place.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The server did not answer, or was too busy at each try.
    #[error("{place} can't be reached ({why}): check s3_endpoint and the network, or try again later")]
    Unreachable {
        /// The place.
        place: String,
        /// What happened last.
        why: String,
    },
    /// An answer that none of the other cases explains.
    #[error("{place} failed: {why}")]
    Storage {
        /// The place.
        place: String,
        /// The words of the system or the server.
        why: String,
    },
}

impl BlobError {
    /// Nothing of that name is stored.
    pub fn is_not_found(&self) -> bool {
        matches!(self, BlobError::NotFound { .. })
    }
}

impl Explain for BlobError {
    fn code(&self) -> Code {
        match self {
            BlobError::NotFound { .. } => Code::NotFound,
            BlobError::Corrupt { .. } => Code::HashMismatch,
            BlobError::TooLarge { .. } => Code::BodyTooLarge,
            BlobError::Interrupted { .. } => Code::Cancelled,
            BlobError::Source { .. } | BlobError::Range { .. } | BlobError::BadHash { .. } => {
                Code::InvalidValue
            }
            BlobError::Changed { .. } => Code::Conflict,
            BlobError::Target { .. } | BlobError::Folder { .. } | BlobError::Denied { .. } => Code::ReadOnly,
            BlobError::Setting { .. }
            | BlobError::NoBucket { .. }
            | BlobError::WrongKey { .. }
            | BlobError::WrongRegion { .. } => Code::BadSetting,
            BlobError::Full { .. } => Code::DiskFull,
            BlobError::Unreachable { .. } => Code::SourceFailed,
            BlobError::Storage { .. } => Code::Internal,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            BlobError::NotFound { sha256, place } => format!("{place} 中没有数据块 {sha256}"),
            BlobError::Corrupt { sha256, place, why } => {
                format!("{place} 中数据块 {sha256} 的内容已改变（{why}）：请删除后重新存入，或从备份恢复")
            }
            BlobError::TooLarge { limit } => {
                format!("内容超过上限 {}：请减小内容，或调高上限", bytes_text(*limit))
            }
            BlobError::Interrupted { why } => {
                format!("待保存的数据中断（{why}）：没有保存任何内容，请重新发送")
            }
            BlobError::Source { path, why } => format!("无法读取 {}：{why}", path.display()),
            BlobError::Changed { what } => {
                format!("{what} 在读取过程中被修改：没有保存任何内容；请等其停止写入后重试")
            }
            BlobError::Target { path, why } => format!("无法写入 {}：{why}", path.display()),
            BlobError::Range { sha256, start, end, size } => {
                format!("数据块 {sha256} 共 {size} 字节，不包含第 {start} 到 {end} 字节")
            }
            BlobError::BadHash { text } => format!("{text:?} 不是 SHA-256：应为 64 位十六进制数字"),
            BlobError::Setting { name, zh, .. } => format!("{name}：{zh}"),
            BlobError::Full { place, why } => {
                format!("{place} 空间已满（{why}）：请清理空间后重试；已保存的内容不会丢失")
            }
            BlobError::Folder { place, why } => {
                format!("无法使用 {place}：{why}；请授予当前用户读写权限，或改用其他文件夹")
            }
            BlobError::NoBucket { place } => {
                format!("{place} 对应的存储桶不存在：请先创建，或更正 blob_url")
            }
            BlobError::WrongKey { place, why } => {
                format!("{place} 不接受该访问密钥（{why}）：请更正 s3_access_key_id 和 s3_secret_access_key")
            }
            BlobError::WrongRegion { place, why } => {
                format!("{place} 位于其他区域或其他地址（{why}）：请更正 s3_region 或 s3_endpoint")
            }
            BlobError::Denied { place, why } => {
                format!("{place} 拒绝访问（{why}）：请允许该密钥列出存储桶，并读取、写入和删除其中的对象")
            }
            BlobError::Unreachable { place, why } => {
                format!("无法连接 {place}（{why}）：请检查 s3_endpoint 和网络，或稍后重试")
            }
            BlobError::Storage { place, why } => format!("{place} 出错：{why}"),
        };
        Message::new(self.to_string(), zh)
    }
}
