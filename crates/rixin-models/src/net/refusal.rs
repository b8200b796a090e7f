//! What a hub's refusal means: the statuses and headers by which Hugging Face, ModelScope and Civitai say no.

use reqwest::StatusCode;
use rixin_base::Message;

use super::{Answer, Hub, host};
use crate::source::SourceError;

/// Turns an answer without success into an error about `what`, a repository or file. `page` is where a person can accept terms.
pub(crate) async fn refusal(hub: &Hub, answer: Answer, what: &str, page: &str) -> SourceError {
    let denied = |en: String, zh: String| SourceError::Denied {
        hub: hub.name,
        what: what.to_owned(),
        why: Message::new(en, zh),
    };
    let env = format!("RIXIN_{}", hub.token_setting.to_ascii_uppercase());
    let code = answer.hub_header("x-error-code").unwrap_or_default().to_owned();
    match (answer.status, code.as_str()) {
        (_, "GatedRepo") if hub.has_token() => denied(
            format!("it is gated and this token's account has no access: ask for it on {page}"),
            format!("该仓库需要授权，当前令牌的账号尚无权限：请在 {page} 申请"),
        ),
        (_, "GatedRepo") => denied(
            format!("it is gated: accept its terms on {page}, then set {env} to a token of that account"),
            format!("该仓库需要授权：请先在 {page} 接受条款，再用 {env} 设置该账号的令牌"),
        ),
        (_, "RepoNotFound" | "RevisionNotFound" | "EntryNotFound") => {
            SourceError::NotThere { hub: hub.name, what: what.to_owned() }
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) if !on_hub(hub, &answer) => {
            let storage = host(&answer.url);
            denied(
                format!("its storage {storage} refused the signed address: pull again"),
                format!("存储 {storage} 拒绝了签名地址：请重新拉取"),
            )
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) if hub.has_token() => denied(
            format!("the token in {env} has no right to it: check the token and the terms on {page}"),
            format!("{env} 中的令牌没有权限：请检查令牌，并查看 {page} 上的条款"),
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => denied(
            format!("it asks for a login: set {env} to a token of an account that may see {page}"),
            format!("需要登录：请用 {env} 设置一个可访问 {page} 的账号令牌"),
        ),
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
            SourceError::NotThere { hub: hub.name, what: what.to_owned() }
        }
        _ => answer.into_status_error().await,
    }
}

fn on_hub(hub: &Hub, answer: &Answer) -> bool {
    answer.url.origin() == hub.endpoint.origin()
}
