//! Listing, bringing, reading and removing artifacts.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_artifacts::Upload;
use rixin_base::{ArtifactId, JobId};
use rixin_protocol::parse::out_of_range;
use rixin_store::{ArtifactKind, ArtifactOrigin, ArtifactQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shape::{ArtifactView, NewArtifactForm};
use crate::{
    AppState,
    auth::by,
    error::{ApiError, ApiResult, no_such},
    extract::Query,
    files::{form::Form, missing, twice},
    native::Paged,
};

/// The longest name of a file, in characters.
const MAX_NAME: usize = 255;

/// The id of a path.
pub(super) fn artifact_id(id: &str) -> ApiResult<ArtifactId> {
    id.parse().map_err(|error| no_such("artifact", "制品", &error))
}

/// Which artifacts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only this kind.
    #[param(inline)]
    kind: Option<ArtifactKind>,
    /// Only what was made, or what was uploaded.
    #[param(inline)]
    origin: Option<ArtifactOrigin>,
    /// Only what this job made.
    job: Option<String>,
    /// A part of the name, or one of the file's hashes.
    q: Option<String>,
    /// Artifacts on a page, at most 200; 50 if absent.
    #[serde(default)]
    #[param(required = false)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of artifacts, newest first.
#[utoipa::path(get, path = "/api/artifacts", tag = "artifacts", params(ListQuery),
    responses((status = 200, description = "The artifacts", body = Paged<ArtifactView>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<Paged<ArtifactView>>> {
    let ListQuery { kind, origin, job, q, limit, after } = query;
    let job =
        job.map(|id| id.parse::<JobId>()).transpose().map_err(|error| no_such("job", "任务", &error))?;
    let query = ArtifactQuery { kind, origin, job, text: q, limit, after };
    let page = state.store.artifacts(&caller.jobs_scope(), &query).await?;
    Ok(Reply(Paged { data: page.items.into_iter().map(Into::into).collect(), next: page.next }))
}

/// Brings a file. It is kept as it is, with the credentials that it carries, and not labelled as generated.
#[utoipa::path(post, path = "/api/artifacts", tag = "artifacts",
    request_body(content = NewArtifactForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The artifact", body = ArtifactView)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Artifacts,
    mut form: Form,
) -> ApiResult<(StatusCode, Reply<ArtifactView>)> {
    let (mut file, mut kind) = (None, None);
    while let Some(part) = form.part().await? {
        match part.name.as_str() {
            "file" if file.is_some() => return Err(ApiError(twice("file"))),
            "file" => {
                let name = part
                    .file_name
                    .filter(|name| !name.is_empty() && name.chars().count() <= MAX_NAME)
                    .ok_or_else(|| {
                        out_of_range("file", "its name has 1 to 255 characters", "文件名须为 1 至 255 个字符")
                    })?;
                file = Some((name, form.store(&state.blobs).await?));
            }
            "kind" if kind.is_some() => return Err(ApiError(twice("kind"))),
            "kind" => {
                let value = form.value("kind").await?;
                let all: Vec<&str> = ArtifactKind::ALL.iter().map(|kind| kind.as_str()).collect();
                let known = ArtifactKind::from_word(&value).ok_or_else(|| {
                    let all = all.join(", ");
                    out_of_range("kind", &format!("it has to be one of {all}"), &format!("应为 {all} 之一"))
                })?;
                kind = Some(known);
            }
            other => {
                let other: String = other.chars().take(80).collect();
                let (en, zh) = ("the form has the fields file and kind", "表单的字段为 file 与 kind");
                return Err(ApiError(out_of_range(&other, en, zh)));
            }
        }
    }
    let (name, blob) = file.ok_or_else(|| missing("file"))?;
    let found = state.artifacts.upload(&caller.scope, Upload { name, kind, blob }).await?;
    Ok((StatusCode::CREATED, Reply(ArtifactView::whole(found))))
}

/// One artifact with how it came to be.
#[utoipa::path(get, path = "/api/artifacts/{id}", tag = "artifacts", params(("id" = String, Path, description = "The artifact's id")),
    responses((status = 200, description = "The artifact", body = ArtifactView)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Path(id): Path<String>,
) -> ApiResult<Reply<ArtifactView>> {
    let found = state.store.artifact(&caller.jobs_scope(), artifact_id(&id)?).await?;
    Ok(Reply(ArtifactView::whole(found)))
}

/// Removes an artifact. One that another was made from, or that a job reads, stays.
#[utoipa::path(delete, path = "/api/artifacts/{id}", tag = "artifacts", params(("id" = String, Path, description = "The artifact's id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    state.store.remove_artifact(&caller.jobs_scope(), artifact_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
