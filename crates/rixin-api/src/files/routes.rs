//! The routes of `/v1/files`.

use axum::{
    Json as Reply,
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderValue, header};
use rixin_base::{Code, Fault, FileId};
use rixin_protocol::parse::out_of_range;
use rixin_store::{FileQuery, NewFile, Sha256, now_ms};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    form::Form,
    shape::{DeletedFile, FileList, FileObject, NewFileForm},
};
use crate::{
    AppState,
    auth::by,
    error::{ApiError, ApiResult, no_such},
    extract::Query,
};

/// What a caller may upload a file for.
const PURPOSES: [&str; 6] = ["batch", "user_data", "fine-tune", "evals", "vision", "assistants"];
/// The times after which a file may go by itself, in seconds.
const EXPIRY: std::ops::RangeInclusive<i64> = 3600..=2_592_000;

/// The id of a path or a body.
pub(crate) fn file_id(id: &str) -> ApiResult<FileId> {
    id.parse().map_err(|error| no_such("file", "文件", &error))
}

fn purpose(text: String) -> Result<String, Fault> {
    if PURPOSES.contains(&text.as_str()) {
        return Ok(text);
    }
    let all = PURPOSES.join(", ");
    let (en, zh) = (format!("it has to be one of {all}"), format!("应为 {all} 之一"));
    Err(out_of_range("purpose", &en, &zh))
}

pub(crate) fn missing(field: &str) -> ApiError {
    let fault = Fault::new(
        Code::MissingField,
        format!("the field '{field}' is missing from the form"),
        format!("表单缺少字段 '{field}'"),
    );
    ApiError(fault.with_param(field))
}

pub(crate) fn twice(field: &str) -> Fault {
    out_of_range(field, "it is there twice", "出现了两次")
}

/// Uploads a file, whose bytes are stored as they come.
#[utoipa::path(post, path = "/v1/files", tag = "openai",
    request_body(content = NewFileForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The file", body = FileObject)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Files,
    mut form: Form,
) -> ApiResult<Reply<FileObject>> {
    let (mut file, mut wanted, mut anchor, mut seconds) = (None, None, None, None);
    while let Some(part) = form.part().await? {
        let field = match part.name.as_str() {
            "file" if file.is_some() => return Err(ApiError(twice("file"))),
            "file" => {
                let name = part
                    .file_name
                    .ok_or_else(|| out_of_range("file", "it has no file name", "没有文件名"))?;
                file = Some((name, form.store(&state.blobs).await?));
                continue;
            }
            "purpose" => &mut wanted,
            "expires_after[anchor]" => &mut anchor,
            "expires_after[seconds]" => &mut seconds,
            other => {
                let other: String = other.chars().take(80).collect();
                let en =
                    "the form has the fields file, purpose, expires_after[anchor], expires_after[seconds]";
                let zh = "表单的字段为 file、purpose、expires_after[anchor]、expires_after[seconds]";
                return Err(ApiError(out_of_range(&other, en, zh)));
            }
        };
        let value = form.value(&part.name).await?;
        // A purpose that comes before a large file spares the sending of it.
        let value = if part.name == "purpose" { purpose(value)? } else { value };
        if field.replace(value).is_some() {
            return Err(ApiError(twice(&part.name)));
        }
    }
    let expires_at = expiry(anchor.as_deref(), seconds.as_deref())?;
    let purpose = wanted.ok_or_else(|| missing("purpose"))?;
    let (name, blob) = file.ok_or_else(|| missing("file"))?;
    let new = NewFile { purpose, name, bytes: blob.size, sha256: blob.sha256.to_string(), expires_at };
    Ok(Reply(state.store.add_file(&caller.scope, &new).await?.into()))
}

fn expiry(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<i64>, Fault> {
    if anchor.is_none() && seconds.is_none() {
        return Ok(None);
    }
    if anchor != Some("created_at") {
        return Err(out_of_range("expires_after[anchor]", "it has to be created_at", "应为 created_at"));
    }
    let seconds =
        seconds.and_then(|text| text.parse::<i64>().ok()).filter(|seconds| EXPIRY.contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        out_of_range(
            "expires_after[seconds]",
            "it has to be 3600 (an hour) to 2592000 (30 days)",
            "应为 3600（1 小时）到 2592000（30 天）",
        )
    })?;
    Ok(Some(now_ms() + seconds * 1000))
}

/// Which way a list goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// Which files.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only files for this.
    purpose: Option<String>,
    /// Files on a page; there may be fewer, at most 200.
    #[serde(default)]
    #[param(required = false)]
    limit: u32,
    /// The `last_id` of the page before.
    after: Option<String>,
    /// `desc` (newest first) or `asc`.
    #[serde(default)]
    #[param(inline, required = false)]
    order: Order,
}

/// A page of the caller's files.
#[utoipa::path(get, path = "/v1/files", tag = "openai", params(ListQuery),
    responses((status = 200, description = "The files", body = FileList)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Files,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<FileList>> {
    let ListQuery { purpose, limit, after, order } = query;
    let query = FileQuery { purpose, limit, after, ascending: order == Order::Asc };
    let page = state.store.files(&caller.scope, &query).await?;
    Ok(Reply(FileList::new(page.items.into_iter().map(Into::into).collect(), page.next.is_some())))
}

/// One file.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "openai", params(("id" = String, Path, description = "The file's id")),
    responses((status = 200, description = "The file", body = FileObject)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::Files,
    Path(id): Path<String>,
) -> ApiResult<Reply<FileObject>> {
    Ok(Reply(state.store.file(&caller.scope, file_id(&id)?).await?.into()))
}

/// Removes a file. One that a job reads stays until that is over.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "openai", params(("id" = String, Path, description = "The file's id")),
    responses((status = 200, description = "It is gone", body = DeletedFile)))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: by::Files,
    Path(id): Path<String>,
) -> ApiResult<Reply<DeletedFile>> {
    let id = file_id(&id)?;
    state.store.remove_file(&caller.scope, id).await?;
    Ok(Reply(DeletedFile { id: id.to_string(), object: "file".into(), deleted: true }))
}

/// The bytes of a file, checked on the way: an answer that ends early is damaged at its source.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "openai", params(("id" = String, Path, description = "The file's id")),
    responses((status = 200, description = "The bytes", body = String, content_type = "application/octet-stream")))]
pub(crate) async fn content(
    State(state): State<AppState>,
    caller: by::Files,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let file = state.store.file(&caller.scope, file_id(&id)?).await?;
    let sha256: Sha256 = file.sha256.parse().map_err(Fault::internal)?;
    let stream = state.blobs.get(&sha256).await.map_err(|error| {
        // The row is there, so that the bytes are not is no mistake of the caller's.
        if error.is_not_found() { Fault::internal(format!("{}: {error}", file.id)) } else { error.into() }
    })?;
    let size = stream.size();
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    // Whatever a caller has uploaded is never shown as a page of this site.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&file.name));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    Ok(response)
}

/// `attachment` with the name, for old clients without what is not ASCII (RFC 6266, 8187).
pub(crate) fn disposition(name: &str) -> HeaderValue {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(byte)),
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_told() {
        assert_eq!(disposition("a b.jsonl"), "attachment; filename=\"a b.jsonl\"");
        assert_eq!(
            disposition("问\"\r\n"),
            "attachment; filename=\"____\"; filename*=UTF-8''%E9%97%AE%22%0D%0A"
        );
    }
}
