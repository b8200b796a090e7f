//! Faults as the outside sees them: a stable code, a message in both languages, and what they mean to HTTP and the shell.
//!
//! Libraries have their own error enums; each implements [`Explain`], and the handlers and commands turn it into a [`Fault`] once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Lang, Message};

/// OpenAI's `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong; sending it again does not help.
    Invalid,
    /// Who are you?
    Authentication,
    /// You may not.
    Permission,
    /// It is not there.
    NotFound,
    /// Too much at once; again later.
    RateLimit,
    /// The suite lacks something at the moment: memory, a replica, disk.
    Unavailable,
    /// The suite is at fault.
    Server,
}

impl Kind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid_request_error",
            Kind::Authentication => "authentication_error",
            Kind::Permission => "permission_error",
            Kind::NotFound => "not_found_error",
            Kind::RateLimit => "rate_limit_error",
            Kind::Unavailable => "unavailable_error",
            Kind::Server => "server_error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $kind:ident;)*) => {
        /// Every code that an error of the suite can carry: the one table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them, in the table's order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// OpenAI's type.
            pub fn kind(self) -> Kind {
                match self { $(Code::$name => Kind::$kind,)* }
            }

            /// The code of a word, where there is one.
            pub fn from_word(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not UTF-8.
    InvalidJson = "invalid_json", 400, Invalid;
    /// A field has a wrong type or a value out of range; `param` names it.
    InvalidValue = "invalid_value", 400, Invalid;
    /// A field is missing; `param` names it.
    MissingField = "missing_field", 400, Invalid;
    /// What was asked for is valid, but this model or build can't do it.
    Unsupported = "unsupported", 400, Invalid;
    /// Prompt and answer do not fit the model's context.
    ContextLength = "context_length_exceeded", 400, Invalid;
    /// A grammar or JSON schema that can't be used.
    InvalidGrammar = "invalid_grammar", 400, Invalid;
    /// The body is over the limit.
    BodyTooLarge = "body_too_large", 413, Invalid;
    /// The content type is not one that the route takes.
    UnsupportedMediaType = "unsupported_media_type", 415, Invalid;
    /// The header block is over the limit.
    HeadersTooLarge = "headers_too_large", 431, Invalid;
    /// No key came with the request.
    MissingKey = "missing_api_key", 401, Authentication;
    /// The key is unknown or revoked.
    InvalidKey = "invalid_api_key", 401, Authentication;
    /// The key's role does not reach that far.
    Forbidden = "forbidden", 403, Permission;
    /// No such route.
    RouteNotFound = "route_not_found", 404, NotFound;
    /// The route exists, with other methods.
    MethodNotAllowed = "method_not_allowed", 405, Invalid;
    /// No such model, neither installed nor external.
    ModelNotFound = "model_not_found", 404, NotFound;
    /// Some other thing that is not there.
    NotFound = "not_found", 404, NotFound;
    /// It exists already, or its state forbids this.
    Conflict = "conflict", 409, Invalid;
    /// The licence was not accepted.
    LicenceNotAccepted = "licence_not_accepted", 409, Invalid;
    /// The queue is full; `Retry-After` says when to come back.
    QueueFull = "queue_full", 429, RateLimit;
    /// The key's rate limit is spent.
    RateLimited = "rate_limited", 429, RateLimit;
    /// The deadline passed before the answer was done.
    DeadlineExceeded = "deadline_exceeded", 504, Unavailable;
    /// It does not fit the memory that is free.
    OutOfMemory = "insufficient_memory", 503, Unavailable;
    /// The model could not be loaded; the message says why.
    LoadFailed = "model_load_failed", 503, Unavailable;
    /// The replica died or was unreachable while it answered.
    ReplicaLost = "replica_lost", 502, Unavailable;
    /// An external engine answered with something that is not the protocol.
    BadUpstream = "bad_upstream", 502, Unavailable;
    /// The server is going down, or not ready yet.
    ShuttingDown = "shutting_down", 503, Unavailable;
    /// A file that is no model, is cut short, or lies in its header.
    BadModelFile = "bad_model_file", 422, Invalid;
    /// A format that could run code when read.
    UnsafeFormat = "unsafe_format", 422, Invalid;
    /// A checksum that differs from the one expected.
    HashMismatch = "hash_mismatch", 422, Invalid;
    /// Outbound connections are switched off.
    Offline = "offline", 409, Invalid;
    /// A hub or registry refused, was unreachable, or spoke nonsense.
    SourceFailed = "source_failed", 502, Unavailable;
    /// A hub asks for a token, or the token lacks rights.
    SourceDenied = "source_denied", 403, Permission;
    /// A hub said: too many requests.
    SourceBusy = "source_rate_limited", 503, Unavailable;
    /// The disk is full, or would be.
    DiskFull = "disk_full", 507, Unavailable;
    /// A folder can't be written.
    ReadOnly = "read_only", 503, Unavailable;
    /// The address is taken.
    PortInUse = "port_in_use", 503, Unavailable;
    /// A setting is wrong.
    BadSetting = "bad_setting", 400, Invalid;
    /// The user or the client cancelled.
    Cancelled = "cancelled", 499, Invalid;
    /// A defect of the suite; the log has the rest.
    Internal = "internal_error", 500, Server;
}

/// A library's error, told to a person.
pub trait Explain {
    /// The stable code.
    fn code(&self) -> Code;
    /// The thing, the reason and the mend, in both languages.
    fn message(&self) -> Message;
    /// The request's field at fault.
    fn param(&self) -> Option<String> {
        None
    }
    /// When to come back.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// What went wrong, ready for a person: the only error that leaves a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable code.
    pub code: Code,
    /// The thing, the reason and the mend.
    pub message: Message,
    /// The request's field at fault.
    pub param: Option<String>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

/// The serialised form, for pipes between our own processes (a replica's last words).
#[derive(Serialize, Deserialize)]
struct Wire {
    code: String,
    message: Message,
    #[serde(default)]
    param: Option<String>,
}

impl Fault {
    /// A fault with both texts.
    pub fn new(code: Code, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { code, message: Message::new(en, zh), param: None, retry_after: None }
    }

    /// Names the request's field at fault.
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to come back.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// A defect of ours: the detail goes to the log, not to the caller.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(
            Code::Internal,
            "the server made a mistake: its log has the details under this request's id",
            "服务器内部出错：详情见日志中该请求编号",
        )
    }

    /// The message in one language.
    pub fn text(&self, lang: Lang) -> &str {
        self.message.text(lang)
    }

    /// One line of JSON, for a pipe between our own processes.
    pub fn to_line(&self) -> String {
        let wire = Wire {
            code: self.code.as_str().into(),
            message: self.message.clone(),
            param: self.param.clone(),
        };
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads [`Fault::to_line`]; `None` for anything else.
    pub fn from_line(line: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(line).ok()?;
        let code = Code::from_word(&wire.code)?;
        Some(Self { code, message: wire.message, param: wire.param, retry_after: None })
    }
}

impl<E: Explain> From<E> for Fault {
    fn from(error: E) -> Self {
        Self {
            code: error.code(),
            message: error.message(),
            param: error.param(),
            retry_after: error.retry_after(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message.en, self.code.as_str())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_round_trip() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} stands twice", code.as_str());
            assert_eq!(Code::from_word(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn a_fault_crosses_a_pipe() {
        let fault = Fault::new(Code::LoadFailed, "no", "不行").with_param("model");
        assert_eq!(Fault::from_line(&fault.to_line()), Some(fault));
        assert_eq!(Fault::from_line("{}"), None);
    }
}
