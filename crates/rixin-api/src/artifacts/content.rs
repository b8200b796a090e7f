//! The bytes of artifacts, whole or in parts.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rixin_base::{Code, Fault};
use rixin_provenance::{AigcLabel, AigcMark, text_header};
use rixin_store::{ArtifactKind, ArtifactOrigin, ArtifactState, BlobStream, Sha256, StoredArtifact};

use super::routes::artifact_id;
use crate::{
    AppState,
    auth::by,
    error::{ApiError, ApiResult},
    files::disposition,
};

fn hash(text: &str) -> Result<Sha256, Fault> {
    text.parse().map_err(Fault::internal)
}

/// The row is there, so that the bytes are not is no mistake of the caller's.
fn lost(artifact: &StoredArtifact, error: rixin_store::BlobError) -> Fault {
    if error.is_not_found() { Fault::internal(format!("{}: {error}", artifact.id)) } else { error.into() }
}

/// Nothing is handed out before it is labelled and signed.
fn sealed(artifact: &StoredArtifact) -> Result<(Sha256, u64), Fault> {
    if let (ArtifactState::Ready, Some(sha256), Some(bytes)) =
        (artifact.state, &artifact.sha256, artifact.bytes)
    {
        return Ok((hash(sha256)?, bytes));
    }
    let id = artifact.id;
    Err(match artifact.state {
        ArtifactState::Failed => Fault::new(
            Code::Conflict,
            format!("{id} could not be signed, so it is not handed out: its 'fault' says why"),
            format!("{id} 未能完成签名，因此不能下载：原因见其 fault 字段"),
        ),
        _ => Fault::new(
            Code::Conflict,
            format!("{id} is being signed: ask again in a moment, or see its 'fault'"),
            format!("{id} 正在签名：请稍后再试，或查看其 fault 字段"),
        ),
    })
}

/// The bytes of an artifact, as they were signed; `Range: bytes=FROM-TO` gives a part.
#[utoipa::path(get, path = "/api/artifacts/{id}/content", tag = "artifacts", params(("id" = String, Path, description = "The artifact's id")),
    responses((status = 200, description = "The bytes", body = String, content_type = "application/octet-stream"),
        (status = 206, description = "A part", body = String, content_type = "application/octet-stream"),
        (status = 416, description = "There is no such part")))]
pub(crate) async fn content(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let artifact = state.store.artifact(&caller.jobs_scope(), artifact_id(&id)?).await?;
    let (sha256, size) = sealed(&artifact)?;
    let etag = format!("\"{sha256}\"");
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let same = headers.get(header::IF_RANGE).is_none_or(|given| given.as_bytes() == etag.as_bytes());
    let part = range.filter(|_| same).and_then(|text| wanted(text, size));
    let mut response = match part {
        None => body(state.blobs.get(&sha256).await.map_err(|error| lost(&artifact, error))?),
        Some(None) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
        Some(Some((from, to))) => {
            let stream = state.blobs.get_range(&sha256, from..to + 1).await;
            let mut response = body(stream.map_err(|error| lost(&artifact, error))?);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{size}"));
            response
        }
    };
    set(&mut response, header::ETAG, &etag);
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition(&artifact.name));
    if artifact.kind == ArtifactKind::Text && artifact.origin == ArtifactOrigin::Made {
        let producer = &state.settings.provenance_producer;
        let label = AigcLabel::first(AigcMark::Generated, producer, &artifact.id.to_string())?;
        let (name, value) = text_header(&label);
        set(&mut response, HeaderName::from_static(name), &value);
    }
    Ok(response)
}

/// The credentials beside an artifact, as a `.c2pa` file.
#[utoipa::path(get, path = "/api/artifacts/{id}/sidecar", tag = "artifacts", params(("id" = String, Path, description = "The artifact's id")),
    responses((status = 200, description = "The credentials", body = String, content_type = "application/octet-stream")))]
pub(crate) async fn sidecar(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let artifact = state.store.artifact(&caller.jobs_scope(), artifact_id(&id)?).await?;
    sealed(&artifact)?;
    let Some(sidecar) = &artifact.sidecar_sha256 else {
        return Err(ApiError(Fault::new(
            Code::NotFound,
            format!("the credentials of {id} are inside the file: get its content"),
            format!("{id} 的内容凭证在文件内：请下载文件本身"),
        )));
    };
    let stream = state.blobs.get(&hash(sidecar)?).await.map_err(|error| lost(&artifact, error))?;
    let mut response = body(stream);
    let name = format!("{}.c2pa", artifact.name);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition(&name));
    Ok(response)
}

fn body(stream: BlobStream) -> Response {
    let size = stream.size();
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    // Whatever a caller has brought is never shown as a page of this site.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The first and the last byte of one range; `Some(None)` for a part that is not there, `None` for what is no single range of bytes,
/// which RFC 9110 lets a server answer in whole.
fn wanted(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    Some(match (number(from), number(to)) {
        (Some(from), None) if to.is_empty() => (from < size).then(|| (from, size - 1)),
        (Some(from), Some(to)) if to >= from => (from < size).then(|| (from, to.min(size - 1))),
        (None, Some(last)) if from.is_empty() => {
            (last > 0 && size > 0).then(|| (size.saturating_sub(last), size - 1))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-0", Some(Some((0, 0)))),
            ("bytes=2-", Some(Some((2, 9)))),
            ("bytes=2-99999999999999999999999", Some(Some((2, 9)))),
            ("bytes=-3", Some(Some((7, 9)))),
            ("bytes=-30", Some(Some((0, 9)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(wanted(text, 10), expected, "{text}");
        }
        assert_eq!(wanted("bytes=0-", 0), Some(None));
    }
}
