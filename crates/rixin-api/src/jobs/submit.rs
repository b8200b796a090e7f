//! What kinds of jobs there are, and submitting one.

use axum::{Json as Reply, extract::State};
use http::StatusCode;
use rixin_base::{Fault, JobId};
use rixin_jobs::{KINDS, Kind};
use rixin_protocol::parse::out_of_range;
use rixin_store::{JobInput, Resources, Right};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{routes::job_id, view::Job};
use crate::{
    AppState,
    auth::{Caller, by},
    error::{ApiError, ApiResult},
    extract::Json,
    files::file_id,
    native::List,
    request::Info,
};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The most jobs that one may need.
const MAX_NEEDS: usize = 100;
/// Priorities that there are.
const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;

/// A kind of job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct JobKind {
    /// The word.
    pub name: String,
    /// What it does, in the caller's language.
    pub about: String,
    /// Whether `POST /api/jobs` takes it; other kinds have a route of their own.
    pub open: bool,
    /// Whether it needs the right `models`.
    pub admin: bool,
}

/// The kinds of jobs.
#[utoipa::path(get, path = "/api/job-kinds", tag = "jobs", responses((status = 200, description = "The kinds", body = List<JobKind>)))]
pub(crate) async fn kinds(_: by::Browse, info: Info) -> Reply<List<JobKind>> {
    let shown = |kind: &Kind| JobKind {
        name: kind.name.to_owned(),
        about: info.lang.pick(kind.about.0, kind.about.1).to_owned(),
        open: kind.open,
        admin: kind.admin,
    };
    Reply(List { data: KINDS.iter().map(shown).collect() })
}

/// What to do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewJob {
    /// What kind of work it is: `GET /api/job-kinds` lists them.
    pub kind: String,
    /// The kind's parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// What an attempt may take; what is absent is as the kind thinks.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// Higher goes first: -100 to 100, above 0 with the right `all_jobs`.
    #[serde(default)]
    pub priority: i64,
    /// Jobs that have to succeed first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What people call it; chosen where absent.
    #[serde(default)]
    pub title: Option<String>,
}

/// The route of a kind that has its own.
fn own_route(kind: &Kind) -> Fault {
    let route = match kind.name {
        "batch" => "POST /v1/batches",
        _ => "/openapi.json",
    };
    let name = kind.name;
    out_of_range(
        "kind",
        &format!("jobs of the kind {name} are submitted at a route of their own: {route}"),
        &format!("{name} 类任务有专用接口：{route}"),
    )
}

/// Submits a job.
#[utoipa::path(post, path = "/api/jobs", tag = "jobs", request_body = NewJob,
    responses((status = 202, description = "The job", body = Job)))]
pub(crate) async fn submit(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Json(new): Json<NewJob>,
) -> ApiResult<(StatusCode, Reply<Job>)> {
    let NewJob { kind, mut params, resources, priority, needs, title } = new;
    if let Some(known) = KINDS.iter().find(|known| known.name == kind) {
        if !known.open {
            return Err(ApiError(own_route(known)));
        }
        if known.admin {
            caller.must(Right::Models)?;
        }
    }
    if kind == "import" {
        // Who accepts a licence is not for the caller to say.
        params.insert("by".into(), Value::String(caller.name.clone()));
    }
    let mut job = rixin_jobs::prepare(&kind, &params, resources)?;
    if !PRIORITIES.contains(&priority) {
        return Err(ApiError(out_of_range("priority", "-100 to 100", "应为 -100 到 100")));
    }
    if priority > 0 {
        caller.must(Right::AllJobs)?;
    }
    job.priority = priority;
    if let Some(title) = title {
        job.title = checked_title(&title)?;
    }
    job.needs = checked_needs(&state, &caller, &needs).await?;
    for input in &job.inputs {
        if let JobInput::File(id) = input {
            state.store.file(&caller.scope, file_id(id)?).await?;
        }
    }
    let job = state.store.submit_job(&caller.scope, job).await?;
    state.control.jobs().wake();
    Ok((StatusCode::ACCEPTED, Reply(Job::of(job, info.lang))))
}

fn checked_title(title: &str) -> Result<String, Fault> {
    let title = title.trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
        return Err(out_of_range("title", "a title has 1 to 200 characters", "标题为 1 到 200 个字符"));
    }
    Ok(title.to_owned())
}

/// Only jobs that the caller sees: the store looks in the whole tenant.
async fn checked_needs(state: &AppState, caller: &Caller, needs: &[String]) -> ApiResult<Vec<JobId>> {
    if needs.len() > MAX_NEEDS {
        return Err(ApiError(out_of_range("needs", "at most 100 jobs", "最多 100 个任务")));
    }
    let mut ids = Vec::with_capacity(needs.len());
    for id in needs {
        let id = job_id(id)?;
        state.store.job(&caller.jobs_scope(), id).await?;
        ids.push(id);
    }
    Ok(ids)
}
