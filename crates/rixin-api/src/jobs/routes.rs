//! Looking at jobs, ending them, trying them again.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::JobId;
use rixin_protocol::parse::out_of_range;
use rixin_store::{JobQuery, JobState};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{AttemptView, Job, WholeJob};
use crate::{
    AppState,
    auth::by,
    error::{ApiError, ApiResult, no_such},
    extract::Query,
    native::Paged,
    request::Info,
};

/// The id of a path.
pub(super) fn job_id(id: &str) -> ApiResult<JobId> {
    id.parse().map_err(|error| no_such("job", "任务", &error))
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only jobs in one of these states, separated by commas.
    state: Option<String>,
    /// Only jobs of this kind.
    kind: Option<String>,
    /// Jobs on a page, at most 200; 50 if absent.
    #[serde(default)]
    #[param(required = false)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<String>,
}

fn states(text: &str) -> ApiResult<Vec<JobState>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::parse).collect::<Result<_, _>>().map_err(|_| {
        let all = JobState::ALL.map(JobState::as_str);
        let (en, zh) = (format!("states are {}", all.join(", ")), format!("状态有 {}", all.join("、")));
        ApiError(out_of_range("state", &en, &zh))
    })
}

/// A page of jobs, newest first: everybody's with the right `all_jobs`, else the own ones.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs", params(ListQuery),
    responses((status = 200, description = "The jobs", body = Paged<Job>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<Paged<Job>>> {
    let states = query.state.as_deref().map(states).transpose()?.unwrap_or_default();
    let query = JobQuery { states, kind: query.kind, limit: query.limit, after: query.after };
    let page = state.store.jobs(&caller.jobs_scope(), &query).await?;
    let data = page.items.into_iter().map(|job| Job::of(job, info.lang)).collect();
    Ok(Reply(Paged { data, next: page.next }))
}

/// A job with its attempts.
#[utoipa::path(get, path = "/api/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = WholeJob)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<WholeJob>> {
    let (id, scope) = (job_id(&id)?, caller.jobs_scope());
    let job = Job::of(state.store.job(&scope, id).await?, info.lang);
    let attempts = state.store.job_attempts(&scope, id).await?;
    let attempts = attempts.into_iter().map(|attempt| AttemptView::of(attempt, info.lang)).collect();
    let needs = state.store.job_needs(&scope, id).await?.iter().map(ToString::to_string).collect();
    Ok(Reply(WholeJob { job, attempts, needs }))
}

/// Asks for a job's end. One that waits is over at once; one that runs leaves a checkpoint first. A job that is over stays as it is.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = Job)))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<Job>> {
    let job = state.store.cancel_job(&caller.jobs_scope(), job_id(&id)?).await?;
    state.control.jobs().wake();
    Ok(Reply(Job::of(job, info.lang)))
}

/// Queues a failed or cancelled job again. It goes on from its checkpoint.
#[utoipa::path(post, path = "/api/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = Job)))]
pub(crate) async fn retry(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<Job>> {
    let job = state.store.retry_job(&caller.jobs_scope(), job_id(&id)?).await?;
    state.control.jobs().wake();
    Ok(Reply(Job::of(job, info.lang)))
}

/// Removes a job that is over, with its attempts and events. Files and models that it made stay.
#[utoipa::path(delete, path = "/api/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job's id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    caller: by::Jobs,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    state.store.remove_job(&caller.jobs_scope(), job_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
