//! What happens to a job, as it happens: read from the store, so that it does not matter which gateway or node runs the job.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, header};
use rixin_base::{Lang, Message};
use rixin_protocol::{parse::out_of_range, sse};
use rixin_store::JobEvent;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::routes::job_id;
use crate::{
    AppState,
    auth::by,
    error::{ApiError, ApiResult},
    extract::Query,
    request::Info,
    v1::sse_response,
};

/// How often the store is asked for more.
const EVERY: Duration = Duration::from_millis(300);
/// A stream on which nothing happens says so this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The header in which a client says which event it saw last (HTML standard, 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";
/// Lines of a log if the caller does not say, and at most.
const LINES: u32 = 1000;
const MAX_LINES: u32 = 10_000;

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only events after this number; the header `Last-Event-ID` goes before it.
    #[serde(default)]
    #[param(required = false)]
    after: u64,
}

/// A job as it goes on: an event stream whose ids count the job's events from 1. It goes on after `Last-Event-ID`, and ends when
/// the job is over and everything was told.
#[utoipa::path(get, path = "/api/jobs/{id}/events", tag = "jobs",
    params(("id" = String, Path, description = "The job's id"), EventsQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen")),
    responses((status = 200, description = "Event stream; an event's name is its kind, its data the event", body = JobEvent, content_type = "text/event-stream")))]
pub(crate) async fn events(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<EventsQuery>,
) -> ApiResult<Response> {
    let (id, scope) = (job_id(&id)?, caller.jobs_scope());
    let mut after = match headers.get(LAST_EVENT_ID) {
        None => query.after,
        Some(seen) => seen.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
            ApiError(out_of_range("Last-Event-ID", "it is the number of an event", "应为事件的编号"))
        })?,
    };
    // A job that is not there is said before the stream begins.
    let mut job = state.store.job(&scope, id).await?;
    Ok(sse_response(async_stream::stream! {
        let mut said = Instant::now();
        loop {
            let Ok(events) = state.store.job_events(&scope, id, after).await else { break };
            if events.is_empty() {
                // What was over before its events were read has no more of them.
                if job.state.is_over() {
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = state.stopping.cancelled() => break,
                }
                if said.elapsed() >= KEEP_ALIVE {
                    said = Instant::now();
                    yield Ok::<Bytes, Infallible>(sse::comment("keep-alive"));
                }
            }
            for event in events {
                after = event.seq;
                said = Instant::now();
                yield Ok(written(event, info.lang));
            }
            match state.store.job(&scope, id).await {
                Ok(now) => job = now,
                Err(_) => break,
            }
        }
    }))
}

fn written(mut event: JobEvent, lang: Lang) -> Bytes {
    // A reason is stored in both languages.
    if let Some(reason) = event.data.get_mut("reason")
        && let Ok(message) = serde_json::from_value::<Message>(reason.clone())
    {
        *reason = Value::String(message.text(lang).to_owned());
    }
    let json = serde_json::to_string(&event).unwrap_or_default();
    let written = sse::event(&event.kind, &json);
    [format!("id: {}\n", event.seq).as_bytes(), &written].concat().into()
}

/// How much.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// The last so many lines, at most 10000; 1000 if absent.
    #[serde(default = "lines")]
    #[param(required = false)]
    lines: u32,
}

fn lines() -> u32 {
    LINES
}

/// The last lines of a job's log. A line of its own tells where another attempt begins.
#[utoipa::path(get, path = "/api/jobs/{id}/log", tag = "jobs",
    params(("id" = String, Path, description = "The job's id"), LogQuery),
    responses((status = 200, description = "The lines", body = String, content_type = "text/plain")))]
pub(crate) async fn log(
    State(state): State<AppState>,
    caller: by::Jobs,
    info: Info,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> ApiResult<Response> {
    let most = query.lines.clamp(1, MAX_LINES);
    // Each event has at least one line.
    let events = state.store.job_events_of(&caller.jobs_scope(), job_id(&id)?, "log", most).await?;
    let text = text(&events, most as usize, info.lang);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

fn text(events: &[JobEvent], most: usize, lang: Lang) -> String {
    let (mut lines, mut attempt) = (VecDeque::new(), 0);
    for event in events {
        if event.attempt != attempt {
            attempt = event.attempt;
            lines.push_back(lang.pick(format!("--- attempt {attempt}"), format!("--- 第 {attempt} 次尝试")));
        }
        let told = event.data["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.extend(told.map(str::to_owned));
        if let Some(count @ 1..) = event.data["left_out"].as_u64() {
            lines.push_back(lang.pick(format!("... {count} lines left out"), format!("… 省略 {count} 行")));
        }
        while lines.len() > most {
            lines.pop_front();
        }
    }
    lines.into_iter().flat_map(|line| [line, "\n".into()]).collect()
}
