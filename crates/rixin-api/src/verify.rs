//! `/api/verify`: anyone may have a file checked, without an account.
//!
//! What strangers bring is bounded (its size, how often, how many at once), lies in a file of no name while it is looked at, and is
//! forgotten afterwards.

use std::{path::Path, time::Duration};

use axum::{Json as Reply, extract::State};
use rixin_base::{Code, Fault, Settings};
use rixin_protocol::parse::out_of_range;
use rixin_provenance::{Authority, AuthorityOptions, Limits, Report, Source, Trust, Verifier};
use tempfile::TempDir;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AppState,
    error::{ApiError, ApiResult},
    form::Form,
    request::Peer,
};

/// The largest credentials beside a file, in bytes.
const MAX_CREDENTIALS: usize = 16 << 20;
/// The longest wait for those that are checked before.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest name of a file, in bytes; file systems take 255.
const MAX_NAME: usize = 180;

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// What to check.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only names the form's shape for the OpenAPI document")]
pub(crate) struct VerifyForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Its credentials, where they lie beside it.
    #[schema(value_type = Option<String>, format = Binary, required = false)]
    credentials: Option<Vec<u8>>,
}

/// Who signed a file, what it was made from, and whether it was changed since. No account is needed; the file is not kept.
#[utoipa::path(post, path = "/api/verify", tag = "provenance",
    request_body(content = VerifyForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "What was found", body = Report)))]
pub(crate) async fn verify(
    State(state): State<AppState>,
    peer: Option<axum::Extension<Peer>>,
    mut form: Form,
) -> ApiResult<Reply<Report>> {
    if let Some(axum::Extension(Peer(address))) = peer
        && state.checks.check_key(&address.ip().to_canonical()).is_err()
    {
        let fault = Fault::new(
            Code::RateLimited,
            "this address has had many files checked in the last minute: wait a little",
            "该地址一分钟内验证的文件过多：请稍候",
        );
        return Err(ApiError(fault.with_retry_after(Duration::from_secs(2))));
    }
    let dir = TempDir::new().map_err(Fault::internal)?;
    let (mut found, mut credentials) = (None, None);
    while let Some(part) = form.part().await? {
        match part.name.as_str() {
            "file" if found.is_none() => {
                let path = dir.path().join(plain(part.file_name.as_deref().unwrap_or_default()));
                let mut file = tokio::fs::File::create(&path).await.map_err(Fault::internal)?;
                form.save(&mut file, state.settings.verify_limit.0).await?;
                found = Some(path);
            }
            "credentials" if credentials.is_none() => {
                credentials = Some(form.bytes("credentials", MAX_CREDENTIALS).await?);
            }
            other => {
                let other: String = other.chars().take(80).collect();
                let en = "the form has the fields file and credentials, each once";
                return Err(ApiError(out_of_range(
                    &other,
                    en,
                    "表单的字段为 file 和 credentials，各出现一次",
                )));
            }
        }
    }
    let path = found.ok_or_else(|| {
        let fault = Fault::new(
            Code::MissingField,
            "the field 'file' is missing from the form",
            "表单缺少字段 'file'",
        );
        ApiError(fault.with_param("file"))
    })?;
    let turn = tokio::time::timeout(PATIENCE, state.checking.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let fault = Fault::new(
            Code::QueueFull,
            "many files are being checked at the moment: try again in a little while",
            "正在验证的文件较多：请稍后再试",
        );
        return Err(ApiError(fault.with_retry_after(Duration::from_secs(5))));
    };
    let settings = std::sync::Arc::clone(&state.settings);
    let report = tokio::task::spawn_blocking(move || {
        let report = check(&settings, &path, credentials.as_deref());
        drop(dir);
        report
    });
    Ok(Reply(report.await.map_err(Fault::internal)??))
}

/// The certificates are read each time: they can be rotated and declared void while the gateway runs.
fn check(settings: &Settings, path: &Path, credentials: Option<&[u8]>) -> Result<Report, Fault> {
    let authority = Authority::open(&settings.data_dir.join("provenance"), AuthorityOptions::default())?;
    let anchors = &settings.trust_anchors;
    let more = if anchors.is_empty() {
        String::new()
    } else {
        std::fs::read_to_string(anchors).map_err(|error| {
            Fault::new(
                Code::BadSetting,
                format!("trust_anchors: can't read {anchors}: {error}"),
                format!("trust_anchors：无法读取 {anchors}：{error}"),
            )
        })?
    };
    let limits = Limits { file: settings.verify_limit.0, ..Limits::default() };
    let verifier = Verifier::new(Trust::of(&authority, &settings.provenance_producer, &more)?, limits)?;
    Ok(verifier.verify(Source::Path(path), credentials)?)
}

/// The last part of a name, of plain characters: it is shown again, and its ending helps to tell what the file is.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut kept: String = last.chars().filter(|c| !c.is_control()).collect();
    kept.truncate(kept.floor_char_boundary(MAX_NAME));
    let kept = kept.trim_matches(['.', ' ']);
    let ending = last.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.len() <= 12);
    match (kept.is_empty(), ending) {
        (true, _) => "file".to_owned(),
        (false, Some(ending))
            if !kept.ends_with(ending) && ending.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            format!("{kept}.{ending}")
        }
        (false, _) => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_stay_in_their_folder() {
        for (name, kept) in [
            ("", "file"),
            ("..", "file"),
            ("a.png", "a.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\猫.jpg", "猫.jpg"),
            ("a\u{0}b.mp4", "ab.mp4"),
        ] {
            assert_eq!(plain(name), kept);
        }
        let long = format!("{}.png", "x".repeat(400));
        assert!(plain(&long).ends_with(".png") && plain(&long).len() < 200);
        assert!(plain(&"猫".repeat(400)).len() <= 180);
    }
}
