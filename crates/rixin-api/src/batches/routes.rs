//! The routes of `/v1/batches`.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use rixin_base::{BatchId, Code, Fault};
use rixin_jobs::ENDPOINTS;
use rixin_protocol::parse::out_of_range;
use rixin_store::{Job, StoredBatch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::shape::{BatchList, BatchObject, cancelled_at, shown};
use crate::{
    AppState,
    auth::{Caller, by},
    error::{ApiError, ApiResult, no_such},
    extract::{Json, Query},
    files::file_id,
    request::Info,
};

/// The one window that there is, in hours.
const WINDOW_HOURS: u32 = 24;
/// Events of a job's state that are looked at for when it was cancelled.
const STATES: u32 = 100;

/// What to answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewBatch {
    /// A file of purpose `batch`: JSON lines with `custom_id`, `method`, `url` and `body`.
    pub input_file_id: String,
    /// The route that the lines ask: `/v1/chat/completions`, `/v1/embeddings` or `/v1/completions`.
    pub endpoint: String,
    /// `24h`.
    pub completion_window: String,
    /// Notes of the caller's: at most 16 texts of at most 512 characters, under names of at most 64.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

impl NewBatch {
    fn check(&self) -> Result<(), Fault> {
        if !ENDPOINTS.contains(&self.endpoint.as_str()) {
            let all = ENDPOINTS.join(", ");
            let (en, zh) = (format!("a batch can ask {all}"), format!("批处理支持 {all}"));
            return Err(out_of_range("endpoint", &en, &zh));
        }
        if self.completion_window != format!("{WINDOW_HOURS}h") {
            return Err(out_of_range("completion_window", "it has to be 24h", "应为 24h"));
        }
        let notes = self.metadata.iter().flatten();
        let long = |text: &str, most: usize| text.chars().count() > most;
        let wrong = |(name, note): (&String, &Value)| {
            long(name, 64) || note.as_str().is_none_or(|note| long(note, 512))
        };
        if self.metadata.as_ref().is_some_and(|notes| notes.len() > 16) || notes.into_iter().any(wrong) {
            return Err(out_of_range(
                "metadata",
                "it has at most 16 texts of at most 512 characters, under names of at most 64",
                "最多 16 项，名称不超过 64 个字符，值为不超过 512 个字符的文本",
            ));
        }
        Ok(())
    }
}

fn batch_id(id: &str) -> ApiResult<BatchId> {
    id.parse().map_err(|error| no_such("batch", "批处理", &error))
}

async fn told(
    state: &AppState,
    caller: &Caller,
    info: &Info,
    (batch, job): &(StoredBatch, Job),
) -> ApiResult<BatchObject> {
    let mut at = None;
    if job.cancel {
        at = cancelled_at(job, &state.store.job_events_of(&caller.scope, job.id, "state", STATES).await?);
    }
    Ok(shown(batch, job, at, info.lang))
}

/// Begins a batch: each line of a file is asked as a request of its own, at the price of batches.
#[utoipa::path(post, path = "/v1/batches", tag = "openai", request_body = NewBatch,
    responses((status = 200, description = "The batch", body = BatchObject)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Json(new): Json<NewBatch>,
) -> ApiResult<Reply<BatchObject>> {
    new.check()?;
    let input = file_id(&new.input_file_id)?;
    let file = state.store.file(&caller.scope, input).await?;
    if file.purpose != "batch" {
        let purpose = &file.purpose;
        return Err(ApiError(out_of_range(
            "input_file_id",
            &format!("the file's purpose is {purpose}: upload it with the purpose batch"),
            &format!("该文件的用途为 {purpose}：请以用途 batch 上传"),
        )));
    }
    let params = json!({
        "endpoint": new.endpoint, "input_file_id": input, "price_percent": state.settings.batch_price_percent,
    });
    let params = params.as_object().cloned().unwrap_or_default();
    let mut job = rixin_jobs::prepare("batch", &params, None)?;
    job.title = format!("{} {}", new.endpoint, file.name);
    let batch = rixin_store::NewBatch {
        endpoint: new.endpoint,
        input,
        metadata: new.metadata.unwrap_or_default(),
        window_hours: WINDOW_HOURS,
        job,
    };
    let created = state.store.create_batch(&caller.scope, batch).await?;
    state.control.jobs().wake();
    Ok(Reply(told(&state, &caller, &info, &created).await?))
}

/// Which batches.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Batches on a page, at most 100; 20 if absent.
    #[serde(default)]
    #[param(required = false)]
    limit: u32,
    /// The `last_id` of the page before.
    after: Option<String>,
}

/// A page of the caller's batches, newest first.
#[utoipa::path(get, path = "/v1/batches", tag = "openai", params(ListQuery),
    responses((status = 200, description = "The batches", body = BatchList)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<BatchList>> {
    let after = query.after.as_deref().map(batch_id).transpose()?;
    let page = state.store.batches(&caller.scope, query.limit.min(100), after).await?;
    let mut data = Vec::with_capacity(page.items.len());
    for batch in &page.items {
        data.push(told(&state, &caller, &info, batch).await?);
    }
    Ok(Reply(BatchList::new(data, page.next.is_some())))
}

/// One batch.
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "openai", params(("id" = String, Path, description = "The batch's id")),
    responses((status = 200, description = "The batch", body = BatchObject)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<BatchObject>> {
    let found = state.store.batch(&caller.scope, batch_id(&id)?).await?;
    Ok(Reply(told(&state, &caller, &info, &found).await?))
}

/// Asks for the end of a batch. Lines that are being answered are let go.
#[utoipa::path(post, path = "/v1/batches/{id}/cancel", tag = "openai", params(("id" = String, Path, description = "The batch's id")),
    responses((status = 200, description = "The batch", body = BatchObject)))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
) -> ApiResult<Reply<BatchObject>> {
    let id = batch_id(&id)?;
    let (batch, job) = state.store.batch(&caller.scope, id).await?;
    if job.state.is_over() {
        let shown = shown(&batch, &job, None, info.lang);
        let status = serde_json::to_value(shown.status).unwrap_or_default();
        let status = status.as_str().unwrap_or_default();
        return Err(ApiError(Fault::new(
            Code::Conflict,
            format!("the batch {id} is {status}: there is nothing left to cancel"),
            format!("批处理 {id} 的状态为 {status}：已无可取消的内容"),
        )));
    }
    state.store.cancel_job(&caller.scope, job.id).await?;
    state.control.jobs().wake();
    let found = state.store.batch(&caller.scope, id).await?;
    Ok(Reply(told(&state, &caller, &info, &found).await?))
}
