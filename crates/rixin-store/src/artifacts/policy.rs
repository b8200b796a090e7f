//! Which visible or audible label a tenant's artifacts get. The label in the metadata is not theirs to choose.

use serde_json::json;

use crate::{Error, Store, TenantScope, audit, db::sql, now_ms};

/// A tenant's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLabelPolicy {
    /// Whether pictures, video and sound carry a label that people see or hear.
    pub explicit: bool,
    /// Its words, by name.
    pub words: String,
    /// Its place, by name.
    pub corner: String,
    /// Whether it stays to the end of a video.
    pub whole_video: bool,
}

impl Store {
    /// What the tenant has chosen; `None`: nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn label_policy(&self, scope: &TenantScope) -> Result<Option<StoredLabelPolicy>, Error> {
        self.label_policy_of(&scope.tenant_text()).await
    }

    pub(crate) async fn label_policy_of(&self, tenant: &str) -> Result<Option<StoredLabelPolicy>, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql("SELECT explicit, words, corner, whole_video FROM label_policies WHERE tenant_id = $1")
                    .bind(tenant),
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let read = || -> Result<_, sqlx::Error> {
            Ok(StoredLabelPolicy {
                explicit: row.try_get::<i64>("explicit")? != 0,
                words: row.try_get("words")?,
                corner: row.try_get("corner")?,
                whole_video: row.try_get::<i64>("whole_video")? != 0,
            })
        };
        read().map(Some).map_err(|error| self.db().failed(error))
    }

    /// Sets it. What was sealed before stays as it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_label_policy(
        &self,
        scope: &TenantScope,
        policy: &StoredLabelPolicy,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        tx.execute(
            sql("INSERT INTO label_policies (tenant_id, explicit, words, corner, whole_video, changed_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id) DO UPDATE SET explicit = excluded.explicit, \
                 words = excluded.words, corner = excluded.corner, whole_video = excluded.whole_video, \
                 changed_at = excluded.changed_at")
            .bind(scope.tenant_text())
            .bind(policy.explicit)
            .bind(&policy.words)
            .bind(&policy.corner)
            .bind(policy.whole_video)
            .bind(now_ms()),
        )
        .await?;
        let told = json!({ "explicit": policy.explicit, "words": policy.words, "corner": policy.corner,
                           "whole_video": policy.whole_video });
        audit::noted(&mut tx, "policy.set", "labels", told).await?.commit(tx).await
    }
}
