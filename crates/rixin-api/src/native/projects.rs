//! Projects of the caller's organisation.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::ProjectId;
use rixin_store::Project;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::by,
    error::{ApiResult, no_such},
    extract::Json,
};

/// A project's name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectName {
    /// 1 to 100 characters.
    pub name: String,
}

fn project_id(id: &str) -> ApiResult<ProjectId> {
    id.parse().map_err(|error| no_such("project", "项目", &error))
}

/// The projects, the closed ones too.
#[utoipa::path(get, path = "/api/projects", tag = "members", responses((status = 200, description = "The projects", body = List<Project>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::People,
) -> ApiResult<Reply<List<Project>>> {
    Ok(Reply(List { data: state.store.projects(&caller.scope).await? }))
}

/// Begins a project.
#[utoipa::path(post, path = "/api/projects", tag = "members", request_body = ProjectName,
    responses((status = 201, description = "The project", body = Project)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Keys,
    Json(new): Json<ProjectName>,
) -> ApiResult<(StatusCode, Reply<Project>)> {
    Ok((StatusCode::CREATED, Reply(state.store.create_project(&caller.scope, &new.name).await?)))
}

/// Gives a project another name.
#[utoipa::path(patch, path = "/api/projects/{id}", tag = "members", params(("id" = String, Path, description = "The project's id")),
    request_body = ProjectName, responses((status = 200, description = "The project", body = Project)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    caller: by::Keys,
    Path(id): Path<String>,
    Json(new): Json<ProjectName>,
) -> ApiResult<Reply<Project>> {
    Ok(Reply(state.store.rename_project(&caller.scope, project_id(&id)?, &new.name).await?))
}

/// Closes a project: its keys end, and their jobs are cancelled. What was used under it stays.
#[utoipa::path(delete, path = "/api/projects/{id}", tag = "members", params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "The project, closed", body = Project)))]
pub(crate) async fn close(
    State(state): State<AppState>,
    caller: by::Keys,
    Path(id): Path<String>,
) -> ApiResult<Reply<Project>> {
    let project = state.store.close_project(&caller.scope, project_id(&id)?).await?;
    state.control.jobs().wake();
    Ok(Reply(project))
}
