//! What can go wrong between a URI and a checked file, each with its mend.

use std::{path::PathBuf, time::Duration};

use rixin_base::{Code, Explain, Message, bytes_text};

use crate::Sha256;

/// Why a source could not be resolved or fetched.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A text that is no source.
    #[error("{text:?} is not a source: {}; write {form}", why.en)]
    BadUri {
        /// The text, cut to 200 characters.
        text: String,
        /// The rule that it breaks.
        why: Message,
        /// The right form.
        form: String,
    },
    /// Outbound connections are switched off.
    #[error(
        "{uri} needs an outbound connection and `offline` is set: unset it, or import the file with file:/path"
    )]
    Offline {
        /// The source.
        uri: String,
    },
    /// A hub refused: a gated repository, a missing token, a token without rights.
    #[error("{hub} refuses {what}: {}", why.en)]
    Denied {
        /// The hub.
        hub: &'static str,
        /// The repository or file.
        what: String,
        /// The reason and the mend.
        why: Message,
    },
    /// A hub does not know the repository, revision, version or file.
    #[error("{hub} has no {what}: check the spelling; a private one needs a token")]
    NotThere {
        /// The hub.
        hub: &'static str,
        /// What was asked for.
        what: String,
    },
    /// Several files could be meant.
    #[error(
        "{what} has several model files and none is the rule's choice: name one with {what}:FILE; there are {choices}"
    )]
    Ambiguous {
        /// The source without a file.
        what: String,
        /// The files, with sizes.
        choices: String,
    },
    /// Nothing in it is a model that can be used.
    #[error("{what} has no file that can be used: {}", why.en)]
    Nothing {
        /// The source.
        what: String,
        /// What was looked for.
        why: Message,
    },
    /// A pickle, known by its name or by the hub's word.
    #[error(
        "{file} is a pickle, which can run any code when it is read: ask its maker for safetensors, or convert it \
         on a machine that you can lose"
    )]
    Unsafe {
        /// The file.
        file: String,
    },
    /// A hub asks to come back later, and later is too late.
    #[error("{hub} allows no more requests for now: again in {} s, or set a token to raise the limit", wait.as_secs())]
    Busy {
        /// The hub or host.
        hub: String,
        /// When to come back.
        wait: Duration,
    },
    /// An answer that is not what the protocol says.
    #[error("{host} answered {what} with {}", why.en)]
    BadAnswer {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// The answer.
        why: Message,
    },
    /// No connection, or a broken one, after all retries.
    #[error("can't reach {host}: {why}; check the network, the proxy, or set another endpoint or mirror")]
    Unreachable {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// No bytes for too long, after all retries.
    #[error("{host} sent nothing for {} s while fetching {file}: pull again, it goes on where it stopped", after.as_secs_f32())]
    Stalled {
        /// The host.
        host: String,
        /// The file.
        file: String,
        /// The time without a byte.
        after: Duration,
    },
    /// The bytes are not the ones expected.
    #[error(
        "{file} has sha256 {actual}, {expected} was expected: it is damaged or was replaced; nothing was installed"
    )]
    HashMismatch {
        /// The file.
        file: String,
        /// What it should be.
        expected: Sha256,
        /// What it is.
        actual: Sha256,
    },
    /// The file is longer or shorter than it should be.
    #[error(
        "{file} has {actual} bytes, {expected} were expected: it is damaged or was replaced; nothing was installed"
    )]
    SizeMismatch {
        /// The file.
        file: String,
        /// What it should be.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// The disk is full, or would be.
    #[error(
        "{} has {} free and the download needs {}: free some space or set another data_dir", path.display(),
        bytes_text(*free), bytes_text(*need)
    )]
    DiskFull {
        /// A folder on the disk.
        path: PathBuf,
        /// Bytes that are needed.
        need: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The command of a package client is not installed.
    #[error(
        "{command:?} is needed for {scheme}: sources and can't be run: {why}; install it with `{mend}`, or set {setting}"
    )]
    ClientMissing {
        /// The command.
        command: String,
        /// `pypi` or `npm`.
        scheme: &'static str,
        /// The reason.
        why: String,
        /// A command that mends it.
        mend: &'static str,
        /// The setting that names another command.
        setting: &'static str,
    },
    /// The package client failed.
    #[error("{command} could not fetch {package}: {}", why.en)]
    ClientFailed {
        /// The command.
        command: String,
        /// The package and version.
        package: String,
        /// Its last words, or what they mean.
        why: Message,
    },
    /// A wheel or tarball that can't be used.
    #[error("{package} can't be used: {}", why.en)]
    BadArchive {
        /// The package.
        package: String,
        /// The reason.
        why: Message,
    },
    /// A path of this machine that can't be read or written.
    #[error("can't {doing} {}: {source}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Who asked, changed their mind.
    #[error("cancelled; what was downloaded is kept, and the next pull goes on from there")]
    Cancelled,
}

impl SourceError {
    /// An error of the file system.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        SourceError::Io { doing, path: path.into(), source }
    }

    /// An answer that is not what the protocol says.
    pub(crate) fn answer(host: &str, what: &str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        SourceError::BadAnswer { host: host.into(), what: what.into(), why: Message::new(en, zh) }
    }

    fn zh(&self) -> String {
        match self {
            SourceError::BadUri { text, why, form } => {
                format!("{text:?} 不是有效的模型来源：{}；正确写法：{form}", why.zh)
            }
            SourceError::Offline { uri } => {
                format!("{uri} 需要对外连接，但已设置 offline：请取消该设置，或用 file:/路径 导入本地文件")
            }
            SourceError::Denied { hub, what, why } => format!("{hub} 拒绝访问 {what}：{}", why.zh),
            SourceError::NotThere { hub, what } => {
                format!("{hub} 上没有 {what}：请检查拼写；私有仓库需要设置令牌")
            }
            SourceError::Ambiguous { what, choices } => {
                format!("{what} 中有多个模型文件，无法自动选择：请用 {what}:文件名 指定其一；可选：{choices}")
            }
            SourceError::Nothing { what, why } => format!("{what} 中没有可用的文件：{}", why.zh),
            SourceError::Unsafe { file } => format!(
                "{file} 是 pickle 文件，读取时可能执行任意代码：请向作者索取 safetensors 格式，或在隔离的机器上自行转换"
            ),
            SourceError::Busy { hub, wait } => {
                format!("{hub} 暂时限制了请求次数：请在 {} 秒后重试，或设置令牌以提高限额", wait.as_secs())
            }
            SourceError::BadAnswer { host, what, why } => format!("{host} 对 {what} 的应答有误：{}", why.zh),
            SourceError::Unreachable { host, why } => {
                format!("无法连接 {host}：{why}；请检查网络和代理，或改用其他端点或镜像")
            }
            SourceError::Stalled { host, file, after } => format!(
                "下载 {file} 时 {host} 已有 {} 秒没有发送数据：请重新拉取，会从断点继续",
                after.as_secs_f32()
            ),
            SourceError::HashMismatch { file, expected, actual } => {
                format!("{file} 的 sha256 为 {actual}，应为 {expected}：文件已损坏或被替换；没有安装任何内容")
            }
            SourceError::SizeMismatch { file, expected, actual } => {
                format!("{file} 有 {actual} 字节，应为 {expected} 字节：文件已损坏或被替换；没有安装任何内容")
            }
            SourceError::DiskFull { path, need, free } => format!(
                "{} 可用空间为 {}，下载需要 {}：请清理磁盘，或用 data_dir 指定其他位置",
                path.display(),
                bytes_text(*free),
                bytes_text(*need)
            ),
            SourceError::ClientMissing { command, scheme, why, mend, setting } => {
                format!(
                    "{scheme}: 来源需要 {command:?}，但无法运行：{why}；请运行 `{mend}` 安装，或设置 {setting}"
                )
            }
            SourceError::ClientFailed { command, package, why } => {
                format!("{command} 未能取得 {package}：{}", why.zh)
            }
            SourceError::BadArchive { package, why } => format!("{package} 无法使用：{}", why.zh),
            SourceError::Io { doing, path, source } => {
                let doing = match *doing {
                    "write" => "写入",
                    "create" => "创建",
                    "rename" => "重命名",
                    "lock" => "锁定",
                    "find" => "找到",
                    "copy" => "复制",
                    "remove" => "删除",
                    _ => "读取",
                };
                format!("无法{doing} {}：{source}", path.display())
            }
            SourceError::Cancelled => "已取消；已下载的部分会保留，下次拉取从断点继续".to_owned(),
        }
    }
}

impl Explain for SourceError {
    fn code(&self) -> Code {
        use std::io::ErrorKind;
        match self {
            SourceError::BadUri { .. } | SourceError::Ambiguous { .. } => Code::InvalidValue,
            SourceError::Offline { .. } => Code::Offline,
            SourceError::Denied { .. } => Code::SourceDenied,
            SourceError::NotThere { .. } | SourceError::Nothing { .. } => Code::NotFound,
            SourceError::Unsafe { .. } => Code::UnsafeFormat,
            SourceError::Busy { .. } => Code::SourceBusy,
            SourceError::BadAnswer { .. }
            | SourceError::Unreachable { .. }
            | SourceError::Stalled { .. }
            | SourceError::ClientMissing { .. }
            | SourceError::ClientFailed { .. }
            | SourceError::BadArchive { .. } => Code::SourceFailed,
            SourceError::HashMismatch { .. } | SourceError::SizeMismatch { .. } => Code::HashMismatch,
            SourceError::DiskFull { .. } => Code::DiskFull,
            SourceError::Io { source, .. } => match source.kind() {
                ErrorKind::NotFound => Code::NotFound,
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::ReadOnly,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
                _ => Code::Internal,
            },
            SourceError::Cancelled => Code::Cancelled,
        }
    }

    fn message(&self) -> Message {
        Message::new(self.to_string(), self.zh())
    }

    fn param(&self) -> Option<String> {
        matches!(self.code(), Code::InvalidValue).then(|| "target".to_owned())
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            SourceError::Busy { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}
