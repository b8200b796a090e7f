//! The routes of `/api/audit`.

use axum::{
    Json as Reply,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use rixin_store::{AuditHead, AuditQuery, AuditReport, AuditRow, audit_csv_head, audit_csv_row};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{AppState, auth::by, error::ApiResult, extract::Query, native::Paged};

/// Rows of one piece of an export.
const PIECE: u32 = 500;

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only of this actor, by id or name.
    actor: Option<String>,
    /// Only this action; `key.` with its point stands for everything about keys.
    action: Option<String>,
    /// Not before this time, in milliseconds since 1970.
    since: Option<i64>,
    /// Before this time, in milliseconds since 1970.
    until: Option<i64>,
    /// Rows on a page, at most 200; 50 if absent.
    #[serde(default)]
    #[param(required = false)]
    limit: u32,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of the tenant's audit log, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(ListQuery),
    responses((status = 200, description = "The rows", body = Paged<AuditRow>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Audit,
    Query(query): Query<ListQuery>,
) -> ApiResult<Reply<Paged<AuditRow>>> {
    let ListQuery { actor, action, since, until, limit, after } = query;
    let query = AuditQuery { actor, action, since, until, limit, after };
    let page = state.store.audit(&caller.scope, &query).await?;
    Ok(Reply(Paged { data: page.items, next: page.next }))
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditFormat {
    /// JSON lines: the log's head, then its rows. `rixin audit verify --file` checks it.
    #[default]
    Jsonl,
    /// For a spreadsheet.
    Csv,
}

/// What to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `jsonl` or `csv`.
    #[serde(default)]
    #[param(inline, required = false)]
    format: AuditFormat,
    /// Only of this actor, by id or name.
    actor: Option<String>,
    /// Only this action; `key.` with its point stands for everything about keys.
    action: Option<String>,
    /// Not before this time, in milliseconds since 1970.
    since: Option<i64>,
    /// Before this time, in milliseconds since 1970.
    until: Option<i64>,
}

/// The log as a file, oldest row first. JSON lines without filters can be verified, now and later.
#[utoipa::path(get, path = "/api/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The file", content((String = "application/x-ndjson"), (String = "text/csv")))))]
pub(crate) async fn export(
    State(state): State<AppState>,
    caller: by::Audit,
    Query(query): Query<ExportQuery>,
) -> ApiResult<Response> {
    let ExportQuery { format, actor, action, since, until } = query;
    let query = AuditQuery { actor, action, since, until, ..AuditQuery::default() };
    let scope = caller.scope;
    let head = state.store.audit_head(&scope).await?;
    let first = match format {
        AuditFormat::Jsonl => {
            let line = serde_json::to_string(&query.head_line(&scope, head.clone())).unwrap_or_default();
            format!("{line}\n")
        }
        AuditFormat::Csv => audit_csv_head(),
    };
    let last = head.seq;
    let stream = async_stream::stream! {
        yield Ok::<_, std::io::Error>(Bytes::from(first));
        let mut after = 0;
        while after < last {
            let rows = match state.store.audit_piece(&scope, &query, after, PIECE).await {
                Ok(rows) => rows,
                Err(error) => {
                    // The connection breaks: a file that ends early must not look like a whole one.
                    tracing::error!(%error, "an export of the audit log broke off");
                    yield Err(std::io::Error::other(error.to_string()));
                    break;
                }
            };
            let Some(end) = rows.last() else { break };
            after = end.seq;
            let mut text = String::new();
            for row in rows.iter().filter(|row| row.seq <= last) {
                text.push_str(&match format {
                    AuditFormat::Jsonl => format!("{}\n", serde_json::to_string(row).unwrap_or_default()),
                    AuditFormat::Csv => audit_csv_row(row),
                });
            }
            yield Ok(Bytes::from(text));
        }
    };
    let (kind, name) = match format {
        AuditFormat::Jsonl => ("application/x-ndjson", "attachment; filename=\"audit.jsonl\""),
        AuditFormat::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    let heads = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
    ];
    Ok((heads, Body::from_stream(stream)).into_response())
}

/// What to check.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyQuery {
    /// A head that somebody kept, as `NUMBER:HASH`: the log must still hold that row.
    head: Option<String>,
}

/// Reads the whole log and checks its chain.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit", params(VerifyQuery),
    responses((status = 200, description = "What was found", body = AuditReport)))]
pub(crate) async fn verify(
    State(state): State<AppState>,
    caller: by::Audit,
    Query(query): Query<VerifyQuery>,
) -> ApiResult<Reply<AuditReport>> {
    let head = query.head.as_deref().map(str::parse::<AuditHead>).transpose()?;
    Ok(Reply(state.store.verify_audit(&caller.scope, head).await?))
}
