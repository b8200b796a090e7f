//! Why control could not do it: the thing, the reason and the mend.

use std::{path::PathBuf, time::Duration};

use rixin_base::{Code, Explain, Fault, Message, bytes_text};

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why control could not do it. Cheap to clone: many waiters may hear of one failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No such model, neither installed nor external.
    #[error("there is no model {name:?}{}", near_en(.near))]
    ModelNotFound {
        /// The name as asked for.
        name: String,
        /// Names that are alike, the nearest first.
        near: Vec<String>,
    },
    /// No model was named and the default one is not there.
    #[error(
        "no model was named, and the default model {name:?} is not installed: install it with `rixin models pull {name}`, name another one in `model`, or set RIXIN_DEFAULT_MODEL"
    )]
    NoDefault {
        /// The setting's value.
        name: String,
    },
    /// The catalogue has it, this machine has not.
    #[error("model {name:?} is not installed: install it with `rixin models pull {name}` or in the console")]
    NotInstalled {
        /// The name as asked for.
        name: String,
    },
    /// A model of a kind that answers no requests.
    #[error(
        "model {model:?} can't be asked: it is of the kind {kind}, and only chat and embedding models are served"
    )]
    NotServable {
        /// The model.
        model: String,
        /// Its kind.
        kind: String,
    },
    /// It does not fit.
    #[error("model {model:?} needs {}, {} are free: stop a replica or choose a smaller quantisation", bytes_text(*.need_bytes), bytes_text(*.free_bytes))]
    OutOfMemory {
        /// The model.
        model: String,
        /// What it needs.
        need_bytes: u64,
        /// What it could have, after every idle replica has made room.
        free_bytes: u64,
        /// When busy replicas may have made room; `None` where waiting does not help.
        retry_after: Option<Duration>,
    },
    /// Every replica has as many requests as it takes.
    #[error("the queue of model {model:?} is full ({bound} requests): try again in {} s", .retry_after.as_secs())]
    QueueFull {
        /// The model.
        model: String,
        /// Requests that are being answered or wait, over all of its replicas.
        bound: u32,
        /// When to come back.
        retry_after: Duration,
    },
    /// The replica did not come up, or keeps dying.
    #[error("model {model:?} could not be loaded: {}{}", .fault.message.en, again_en(*.retry_after))]
    LoadFailed {
        /// The model.
        model: String,
        /// The replica's own reason.
        fault: Box<Fault>,
        /// When it will be tried again, where that is later than at the next request.
        retry_after: Option<Duration>,
    },
    /// It was stopped while requests waited for it.
    #[error("model {model:?} was stopped by an administrator while it was loading: ask again to start it")]
    Stopped {
        /// The model.
        model: String,
    },
    /// The replica or engine went away or can't be reached.
    #[error("the replica of model {model:?} was lost: {}; send the request again", .why.en)]
    ReplicaLost {
        /// The model.
        model: String,
        /// What happened.
        why: Message,
    },
    /// The external engine does not answer its health checks.
    #[error("the external engine {name:?} can't be asked: {}; check its address and that it runs", .why.en)]
    ExternalDown {
        /// The engine's name.
        name: String,
        /// What the last check said.
        why: Message,
    },
    /// An external engine answered with something that can't be passed on.
    #[error("the external engine {name:?} can't be used: {}", .why.en)]
    BadUpstream {
        /// The engine's name.
        name: String,
        /// What it did.
        why: Message,
    },
    /// Outbound connections are off.
    #[error(
        "{url} is not on this machine and outbound connections are switched off: unset RIXIN_OFFLINE to allow them"
    )]
    Offline {
        /// The address.
        url: String,
    },
    /// An address that can't be one of an engine.
    #[error("{url:?} is not the address of an engine: {}", .why.en)]
    BadUrl {
        /// The address as given.
        url: String,
        /// What is wrong.
        why: Message,
    },
    /// A field of a request to this crate is wrong.
    #[error("'{param}' is wrong: {}", .why.en)]
    Invalid {
        /// The field.
        param: &'static str,
        /// What is wrong.
        why: Message,
    },
    /// No such replica, engine or pull.
    #[error("there is no {} {id:?}", .what.en)]
    NotFound {
        /// The kind of thing.
        what: Message,
        /// Its id.
        id: String,
    },
    /// A pull of the same target is running.
    #[error("{target:?} is being pulled already ({id}): watch or cancel that pull")]
    AlreadyPulling {
        /// The target.
        target: String,
        /// The pull.
        id: String,
    },
    /// The server is going down.
    #[error("the server is shutting down: try again in a moment")]
    ShuttingDown,
    /// A file or folder that control needs for itself.
    #[error("can't use {path}: {why}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        why: String,
        /// Whether rights are missing.
        denied: bool,
    },
    /// A process that could not be started.
    #[error("the program {program} could not be started: {why}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's words.
        why: String,
    },
    /// What a lower crate said.
    #[error("{}", .0.message.en)]
    Other(Box<Fault>),
}

fn near_en(near: &[String]) -> String {
    if near.is_empty() {
        "; `rixin models search` shows what can be installed".into()
    } else {
        format!("; did you mean {}?", near.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or "))
    }
}

fn near_zh(near: &[String]) -> String {
    if near.is_empty() {
        "；可用 `rixin models search` 查看可安装的模型".into()
    } else {
        format!("；您是否想用 {}？", near.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" 或 "))
    }
}

fn again_en(retry_after: Option<Duration>) -> String {
    retry_after.map(|after| format!(" (next try in {} s)", whole_secs(after))).unwrap_or_default()
}

fn again_zh(retry_after: Option<Duration>) -> String {
    retry_after.map(|after| format!("（{} 秒后可重试）", whole_secs(after))).unwrap_or_default()
}

/// Seconds, rounded up, at least one.
fn whole_secs(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1) as u64
}

impl Error {
    /// A file or folder that the system refused.
    pub(crate) fn io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        let denied = matches!(
            error.kind(),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
        );
        Error::Io { path: path.into(), why: error.to_string(), denied }
    }

    /// A lower crate's error.
    pub(crate) fn other(error: impl Explain) -> Self {
        Error::Other(Box::new(Fault::from(error)))
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::ModelNotFound { .. } | Error::NoDefault { .. } | Error::NotInstalled { .. } => {
                Code::ModelNotFound
            }
            Error::NotServable { .. } => Code::Unsupported,
            Error::OutOfMemory { .. } => Code::OutOfMemory,
            Error::QueueFull { .. } => Code::QueueFull,
            Error::LoadFailed { .. } => Code::LoadFailed,
            Error::Stopped { .. } | Error::ReplicaLost { .. } | Error::ExternalDown { .. } => {
                Code::ReplicaLost
            }
            Error::BadUpstream { .. } => Code::BadUpstream,
            Error::Offline { .. } => Code::Offline,
            Error::BadUrl { .. } | Error::Invalid { .. } => Code::InvalidValue,
            Error::NotFound { .. } => Code::NotFound,
            Error::AlreadyPulling { .. } => Code::Conflict,
            Error::ShuttingDown => Code::ShuttingDown,
            Error::Io { denied: true, .. } => Code::ReadOnly,
            Error::Io { .. } | Error::Spawn { .. } => Code::Internal,
            Error::Other(fault) => fault.code,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::ModelNotFound { name, near } => format!("没有名为 {name:?} 的模型{}", near_zh(near)),
            Error::NoDefault { name } => format!(
                "请求未指定模型，而默认模型 {name:?} 尚未安装：请运行 `rixin models pull {name}` 安装，或在 `model` 中指定其他模型，或设置 RIXIN_DEFAULT_MODEL"
            ),
            Error::NotInstalled { name } => {
                format!("模型 {name:?} 尚未安装：请运行 `rixin models pull {name}`，或在控制台中安装")
            }
            Error::NotServable { model, kind } => {
                format!("模型 {model:?} 无法直接调用：它的类型是 {kind}，仅对话模型和向量模型可提供服务")
            }
            Error::OutOfMemory { model, need_bytes, free_bytes, .. } => format!(
                "模型 {model:?} 需要 {} 内存，当前可用 {}：请停止一个副本，或改用更小的量化版本",
                bytes_text(*need_bytes),
                bytes_text(*free_bytes)
            ),
            Error::QueueFull { model, bound, retry_after } => {
                format!(
                    "模型 {model:?} 的队列已满（{bound} 个请求）：请在 {} 秒后重试",
                    retry_after.as_secs()
                )
            }
            Error::LoadFailed { model, fault, retry_after } => {
                format!("模型 {model:?} 加载失败：{}{}", fault.message.zh, again_zh(*retry_after))
            }
            Error::Stopped { model } => {
                format!("模型 {model:?} 在加载过程中被管理员停止：再次请求即可重新启动")
            }
            Error::ReplicaLost { model, why } => {
                format!("模型 {model:?} 的副本已丢失：{}；请重新发送请求", why.zh)
            }
            Error::ExternalDown { name, why } => {
                format!("外部引擎 {name:?} 无法使用：{}；请检查其地址以及是否在运行", why.zh)
            }
            Error::BadUpstream { name, why } => format!("外部引擎 {name:?} 无法使用：{}", why.zh),
            Error::Offline { url } => {
                format!("{url} 不在本机，而对外连接已关闭：如需允许，请取消 RIXIN_OFFLINE 设置")
            }
            Error::BadUrl { url, why } => format!("{url:?} 不是有效的引擎地址：{}", why.zh),
            Error::Invalid { param, why } => format!("'{param}' 有误：{}", why.zh),
            Error::NotFound { what, id } => format!("{} {id:?} 不存在", what.zh),
            Error::AlreadyPulling { target, id } => {
                format!("{target:?} 正在拉取（{id}）：可查看其进度，或先取消它")
            }
            Error::ShuttingDown => "服务器正在关闭：请稍后重试".into(),
            Error::Io { path, why, .. } => format!("无法使用 {}：{why}", path.display()),
            Error::Spawn { program, why } => format!("无法启动程序 {}：{why}", program.display()),
            Error::Other(fault) => fault.message.zh.clone(),
        };
        Message::new(self.to_string(), zh)
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::ModelNotFound { .. }
            | Error::NoDefault { .. }
            | Error::NotInstalled { .. }
            | Error::NotServable { .. } => Some("model".into()),
            Error::BadUrl { .. } => Some("base_url".into()),
            Error::Invalid { param, .. } => Some((*param).to_owned()),
            Error::Other(fault) => fault.param.clone(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::OutOfMemory { retry_after, .. } | Error::LoadFailed { retry_after, .. } => *retry_after,
            Error::QueueFull { retry_after, .. } => Some(*retry_after),
            Error::ShuttingDown => Some(Duration::from_secs(2)),
            Error::Other(fault) => fault.retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_figures() {
        let error = Error::OutOfMemory {
            model: "x".into(),
            need_bytes: 6_549_825_126,
            free_bytes: 4_187_593_113,
            retry_after: None,
        };
        assert_eq!(
            error.to_string(),
            "model \"x\" needs 6.1 GiB, 3.9 GiB are free: stop a replica or choose a smaller quantisation"
        );
        assert_eq!(error.code(), Code::OutOfMemory);
        assert!(error.message().zh.contains("6.1 GiB"));
    }
}
