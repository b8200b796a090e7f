//! The audit log: which routes leave a row, and reading, exporting and verifying it.

mod routes;
mod table;

use http::Method;
use rixin_base::Code;
use rixin_store::{Acting, AuditOutcome};
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use table::{MUTATING, Noted};

use crate::AppState;

/// The routes.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(routes::list))
        .routes(routes!(routes::export))
        .routes(routes!(routes::verify))
}

/// Says what is being done, for a row that is written after it.
pub(crate) fn about(target: impl ToString, details: &Value) {
    if let Some(acting) = Acting::current() {
        acting.about(target, details);
    }
}

/// Writes the row of a request that has been answered, where its route leaves one and the change did not take it along.
pub(crate) async fn settle(
    state: &AppState,
    acting: &Acting,
    (method, route, path): (&Method, &str, &str),
    (status, code): (u16, Option<Code>),
) {
    if !acting.is_open() {
        return;
    }
    let found = MUTATING.iter().find(|(m, r, _)| *m == method.as_str() && *r == route);
    let Some((_, _, Noted::As(action))) = found else { return };
    let outcome = match status {
        ..=399 => AuditOutcome::Done,
        400..=499 => AuditOutcome::Refused,
        _ => AuditOutcome::Failed,
    };
    let (mut target, mut details) = acting.told();
    if target.is_empty() {
        target = named(route, path).to_owned();
    }
    if outcome != AuditOutcome::Done {
        details =
            code.map(|code| ("code".to_owned(), json!(code.as_str()))).into_iter().collect::<Map<_, _>>();
    }
    if let Err(error) = acting.write(&state.store, action, &target, outcome, details).await {
        tracing::error!(%error, action, target, "the audit log could not be written");
    }
}

/// What stands in a path where its route has a `{name}`.
fn named<'a>(route: &str, path: &'a str) -> &'a str {
    let pairs = route.split('/').zip(path.split('/'));
    pairs.filter(|(part, _)| part.starts_with('{')).map(|(_, given)| given).last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_named_part_of_a_path() {
        assert_eq!(named("/api/keys/{id}", "/api/keys/key_1"), "key_1");
        assert_eq!(named("/api/jobs/{id}/cancel", "/api/jobs/job_1/cancel"), "job_1");
        assert_eq!(named("/api/keys", "/api/keys"), "");
    }
}
