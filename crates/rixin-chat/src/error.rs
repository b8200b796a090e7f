//! What can go wrong in the engine, told to a person.

use std::{path::PathBuf, time::Duration};

use rixin_base::{Code, Explain, Message};

/// Why the engine could not do what was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The file is no model, is cut short, or lies in its header.
    #[error("{}: not a usable model file: {why}", .path.display())]
    BadModelFile {
        /// The file.
        path: PathBuf,
        /// What llama.cpp or our own check found.
        why: String,
    },
    /// The file is there and sound, and it still could not be loaded.
    #[error("{}: could not be loaded: {why}", .path.display())]
    LoadFailed {
        /// The file.
        path: PathBuf,
        /// What llama.cpp said.
        why: String,
    },
    /// The progress callback said no.
    #[error("loading was cancelled")]
    LoadCancelled,
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {prompt} tokens, the context holds {context} with the answer")]
    ContextLength {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the context.
        context: u32,
    },
    /// A field of the request is out of range.
    #[error("{field}: {}", .why.en)]
    BadRequest {
        /// The request's field.
        field: &'static str,
        /// The rule that it breaks.
        why: Message,
    },
    /// A grammar that llama.cpp can't read.
    #[error("the grammar can't be used: {why}")]
    BadGrammar {
        /// The reason.
        why: String,
    },
    /// Too many wait already.
    #[error("{waiting} requests wait already, as many as the queue takes")]
    QueueFull {
        /// Requests that wait.
        waiting: u32,
        /// When a place is likely.
        retry_after: Duration,
    },
    /// The deadline passed before the answer was done.
    #[error("the deadline passed before the answer was done")]
    DeadlineExceeded,
    /// The engine is going down.
    #[error("the engine has stopped")]
    Stopped,
    /// This model can't do it.
    #[error("{what} is not supported by this model")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// llama.cpp failed in a step.
    #[error("llama.cpp failed while it computed (status {status})")]
    Compute {
        /// Its status.
        status: i32,
    },
}

impl Error {
    /// A field that breaks a rule; the texts go on after the field's name.
    pub(crate) fn field(field: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Error::BadRequest { field, why: Message::new(en, zh) }
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::BadModelFile { .. } => Code::BadModelFile,
            Error::LoadFailed { .. } => Code::LoadFailed,
            Error::LoadCancelled => Code::Cancelled,
            Error::ContextLength { .. } => Code::ContextLength,
            Error::BadRequest { .. } => Code::InvalidValue,
            Error::BadGrammar { .. } => Code::InvalidGrammar,
            Error::QueueFull { .. } => Code::QueueFull,
            Error::DeadlineExceeded => Code::DeadlineExceeded,
            Error::Stopped => Code::ShuttingDown,
            Error::Unsupported { .. } => Code::Unsupported,
            Error::Compute { .. } => Code::Internal,
        }
    }

    fn message(&self) -> Message {
        match self {
            Error::BadModelFile { path, why } => Message::new(
                format!("model file {} can't be used: {why}: pull or import the model again", path.display()),
                format!("模型文件 {} 无法使用：{why}。请重新拉取或导入该模型", path.display()),
            ),
            Error::LoadFailed { path, why } => Message::new(
                format!(
                    "model file {} could not be loaded: {why}: lower context_length or cache_tokens, or choose a smaller quantisation",
                    path.display()
                ),
                format!(
                    "模型文件 {} 加载失败：{why}。请调小 context_length 或 cache_tokens，或选用更小的量化版本",
                    path.display()
                ),
            ),
            Error::LoadCancelled => Message::new("loading the model was cancelled", "模型加载已取消"),
            Error::ContextLength { prompt, context } => Message::new(
                format!(
                    "the prompt has {prompt} tokens, and prompt and answer together may have {context}: shorten the prompt, ask for truncation, or raise context_length"
                ),
                format!(
                    "提示词共 {prompt} 个 token，而提示词与回答合计不得超过 {context} 个：请缩短提示词、启用截断，或调大 context_length"
                ),
            ),
            Error::BadRequest { field, why } => {
                Message::new(format!("{field} {}", why.en), format!("字段 {field} {}", why.zh))
            }
            Error::BadGrammar { why } => {
                Message::new(format!("the grammar can't be used: {why}"), format!("语法无法使用：{why}"))
            }
            Error::QueueFull { waiting, retry_after } => Message::new(
                format!(
                    "{waiting} requests wait for this model already, as many as its queue takes: try again in {} s",
                    retry_after.as_secs().max(1)
                ),
                format!(
                    "该模型已有 {waiting} 个请求在排队，队列已满：请在 {} 秒后重试",
                    retry_after.as_secs().max(1)
                ),
            ),
            Error::DeadlineExceeded => Message::new(
                "the deadline passed before the answer was done: ask for fewer tokens or a later deadline",
                "在截止时间前未能完成回答：请减少生成的 token 数或延后截止时间",
            ),
            Error::Stopped => Message::new(
                "the model is being unloaded: send the request again",
                "模型正在卸载：请重新发送请求",
            ),
            Error::Unsupported { what } => Message::new(
                format!("this model does not support {what}: choose another model"),
                format!(
                    "该模型不支持{}：请换用其他模型",
                    if *what == "embeddings" { "向量嵌入" } else { "文本生成" }
                ),
            ),
            Error::Compute { status } => Message::new(
                format!(
                    "the model failed while it computed (status {status}): send the request again; the log has the rest"
                ),
                format!("模型计算出错（状态码 {status}）：请重新发送请求，详情见日志"),
            ),
        }
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::BadRequest { field, .. } => Some((*field).to_owned()),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::QueueFull { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
