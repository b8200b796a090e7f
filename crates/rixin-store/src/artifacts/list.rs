//! Lists of artifacts.

use rixin_base::JobId;

use super::{ArtifactKind, ArtifactOrigin, StoredArtifact, artifact_of};
use crate::{
    Error, Page, Store, TenantScope,
    db::sql,
    page::{Cursor, MAX_LIMIT},
    row::columns,
    search::like,
};

/// Which artifacts to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct ArtifactQuery {
    /// Of this kind.
    pub kind: Option<ArtifactKind>,
    /// Of this origin.
    pub origin: Option<ArtifactOrigin>,
    /// Made by this job.
    pub job: Option<JobId>,
    /// A part of its name, or one of its hashes.
    pub text: Option<String>,
    /// At most so many, 1 to 200; 0: 50.
    pub limit: u32,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl Store {
    /// A page of artifacts, newest first.
    ///
    /// # Errors
    /// `after` is not the `next` of a page.
    pub async fn artifacts(
        &self,
        scope: &TenantScope,
        query: &ArtifactQuery,
    ) -> Result<Page<StoredArtifact>, Error> {
        let limit = if query.limit == 0 { 50 } else { query.limit.min(MAX_LIMIT) };
        let mut list = sql(concat!("SELECT ", columns!(artifacts), " FROM artifacts WHERE tenant_id = "));
        list.push_bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            list.push(" AND key_id = ").push_bind(key);
        }
        if let Some(kind) = query.kind {
            list.push(" AND kind = ").push_bind(kind.as_str());
        }
        if let Some(origin) = query.origin {
            list.push(" AND origin = ").push_bind(origin.as_str());
        }
        if let Some(job) = query.job {
            list.push(" AND job_id = ").push_bind(job.to_string());
        }
        if let Some(text) = query.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            list.push(" AND (LOWER(name) LIKE ").push_bind(like(&text.to_lowercase())).push(" ESCAPE '\\'");
            let hash = text.to_ascii_lowercase();
            if hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                for column in ["sha256", "content_sha256", "source_sha256", "sidecar_sha256"] {
                    list.push(" OR ").push(column).push(" = ").push_bind(&hash);
                }
            }
            list.push(")");
        }
        if let Some(after) = &query.after {
            let after = Cursor::decode(after)?;
            list.push(" AND (created_at, id) < (").push_bind(after.time_ms);
            list.push(", ").push_bind(after.id).push(")");
        }
        list.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = self.db().fetch_all(list).await?;
        let mut items = self.db().all(&rows, artifact_of)?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor { time_ms: last.created_at, id: last.id.to_string() }.encode());
        Ok(Page { items, next })
    }
}
