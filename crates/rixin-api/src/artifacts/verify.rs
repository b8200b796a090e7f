//! Checking a file for anybody, without an account: bounded in size, in number, and at the same time.

use std::net::IpAddr;

use axum::{Extension, Json as Reply, extract::State};
use rixin_artifacts::Checked;
use rixin_base::{Code, Fault};
use rixin_protocol::parse::out_of_range;
use rixin_provenance::Limits;
use utoipa::ToSchema;

use crate::{
    AppState,
    error::{ApiError, ApiResult},
    files::{form::Form, missing, twice},
    request::Peer,
};

/// The largest credentials, in bytes.
const MAX_CREDENTIALS: u64 = 16 << 20;

/// The form of a file to check.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only names the fields for the OpenAPI document")]
pub(crate) struct VerifyForm {
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// Its `.c2pa` file, where the credentials lie beside it.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    sidecar: Option<String>,
}

/// Says who signed a file, what it was made from, and what was changed since; finds what this instance made by its hash. The file is
/// not kept.
#[utoipa::path(post, path = "/api/verify", tag = "artifacts",
    request_body(content = VerifyForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "What was found", body = Checked)))]
pub(crate) async fn verify(
    State(state): State<AppState>,
    Extension(Peer(peer)): Extension<Peer>,
    form: Form,
) -> ApiResult<Reply<Checked>> {
    let limit = state.settings.verify_limit.0;
    if limit == 0 {
        return Err(ApiError(Fault::new(
            Code::Forbidden,
            "this instance checks no files of others (RIXIN_VERIFY_LIMIT is 0): use `rixin verify FILE`",
            "本机未开放校验（RIXIN_VERIFY_LIMIT 为 0）：请使用 `rixin verify 文件`",
        )));
    }
    within_rate(&state, peer.ip().to_canonical())?;
    let _turn = state.verifying.try_acquire().map_err(|_| busy())?;
    let room = tempfile::tempdir_in(state.settings.data_dir.join("sealing")).map_err(Fault::internal)?;
    let mut form = form.limited(limit, "RIXIN_VERIFY_LIMIT");
    let (mut file, mut sidecar) = (None, None);
    while let Some(part) = form.part().await? {
        let path = match part.name.as_str() {
            "file" if file.is_some() => return Err(ApiError(twice("file"))),
            "sidecar" if sidecar.is_some() => return Err(ApiError(twice("sidecar"))),
            "file" => room.path().join(safe_name(part.file_name.as_deref().unwrap_or_default())),
            "sidecar" => room.path().join("sidecar.c2pa"),
            other => {
                let other: String = other.chars().take(80).collect();
                let (en, zh) = ("the form has the fields file and sidecar", "表单的字段为 file 与 sidecar");
                return Err(ApiError(out_of_range(&other, en, zh)));
            }
        };
        let mut to = tokio::fs::File::create(&path).await.map_err(Fault::internal)?;
        let size = form.save(&mut to).await?;
        if part.name == "file" {
            file = Some(path);
        } else if size > MAX_CREDENTIALS {
            let (en, zh) = ("credentials have at most 16 MiB", "内容凭证不得超过 16 MiB");
            return Err(ApiError(out_of_range("sidecar", en, zh)));
        } else {
            sidecar = Some(tokio::fs::read(&path).await.map_err(Fault::internal)?);
        }
    }
    let file = file.ok_or_else(|| missing("file"))?;
    let limits = Limits { file: limit, credentials: MAX_CREDENTIALS };
    Ok(Reply(state.artifacts.check(&file, sidecar, limits).await?))
}

fn within_rate(state: &AppState, address: IpAddr) -> Result<(), Fault> {
    let Some(verifies) = &state.verifies else { return Ok(()) };
    verifies.check_key(&address).map_err(|_| {
        let most = state.settings.verifies_per_minute;
        Fault::new(
            Code::RateLimited,
            format!("an address may have {most} files a minute checked: wait a little"),
            format!("每个地址每分钟最多校验 {most} 个文件：请稍后再试"),
        )
        .with_retry_after(std::time::Duration::from_secs(60 / u64::from(most.max(1)) + 1))
    })
}

fn busy() -> Fault {
    Fault::new(
        Code::QueueFull,
        "other files are being checked: try again in a moment",
        "正在校验其他文件：请稍后再试",
    )
    .with_retry_after(std::time::Duration::from_secs(2))
}

/// The ending says of some files what they are; nothing else of a stranger's name is used.
fn safe_name(name: &str) -> String {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    if !end.is_empty() && end.len() <= 12 && end.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("file.{end}")
    } else {
        "file".to_owned()
    }
}
