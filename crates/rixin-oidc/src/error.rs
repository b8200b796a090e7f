//! Why somebody could not be signed in at the provider.

use rixin_base::{Code, Explain, Message};

/// Why somebody could not be signed in at the provider.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that can't be used.
    #[error("the setting {setting} is wrong: {en}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong, in English.
        en: String,
        /// What is wrong, in Chinese.
        zh: String,
    },
    /// The provider did not answer, or not as one.
    #[error(
        "the identity provider {issuer} could not be asked: {why}; see that it runs and that this server reaches it, or mend oidc_issuer"
    )]
    Provider {
        /// The provider.
        issuer: String,
        /// What happened.
        why: String,
    },
    /// The provider gave no token for the code.
    #[error("the identity provider {issuer} refused the sign-in: {why}; begin it again")]
    Refused {
        /// The provider.
        issuer: String,
        /// Its words.
        why: String,
    },
    /// The token is not what it should be.
    #[error("the identity token of {issuer} can't be trusted: {why}; begin the sign-in again")]
    Token {
        /// The provider.
        issuer: String,
        /// What is wrong.
        why: String,
    },
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::Setting { .. } => Code::BadSetting,
            Error::Provider { .. } => Code::ProviderFailed,
            Error::Refused { .. } | Error::Token { .. } => Code::WrongCredentials,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::Setting { setting, zh, .. } => format!("设置 {setting} 有误：{zh}"),
            Error::Provider { issuer, why } => format!(
                "无法访问身份提供方 {issuer}：{why}；请确认其正在运行且本服务器可以访问，或修改 oidc_issuer"
            ),
            Error::Refused { issuer, why } => {
                format!("身份提供方 {issuer} 拒绝了此次登录：{why}；请重新登录")
            }
            Error::Token { issuer, why } => {
                format!("身份提供方 {issuer} 的身份令牌不可信：{why}；请重新登录")
            }
        };
        Message::new(self.to_string(), zh)
    }
}
