//! Which label an organisation's artifacts carry.

use axum::{Json as Reply, extract::State};
use rixin_provenance::{Corner, LabelText};
use rixin_store::StoredLabelPolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AppState, auth::by, error::ApiResult, extract::Json};

/// The label policy of an organisation. The label in the metadata is always written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelPolicyBody {
    /// Whether pictures, video and sound carry a label that people see or hear.
    pub explicit: bool,
    /// Its words.
    #[serde(default)]
    pub words: LabelText,
    /// Its place.
    #[serde(default)]
    pub corner: Corner,
    /// Whether it stays to the end of a video; otherwise it stands for two seconds.
    #[serde(default)]
    pub whole_video: bool,
}

fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The label policy of the caller's organisation.
#[utoipa::path(get, path = "/api/policy", tag = "artifacts",
    responses((status = 200, description = "The policy", body = LabelPolicyBody)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: by::Artifacts,
) -> ApiResult<Reply<LabelPolicyBody>> {
    let stored = state.store.label_policy(&caller.scope).await?;
    let whole_video = stored.as_ref().is_some_and(|policy| policy.whole_video);
    let label = rixin_artifacts::label_policy(
        stored.as_ref().map(|policy| StoredLabelPolicy { explicit: true, ..policy.clone() }).as_ref(),
    )
    .explicit
    .unwrap_or_default();
    Ok(Reply(LabelPolicyBody {
        explicit: stored.is_some_and(|policy| policy.explicit),
        words: label.text,
        corner: label.corner,
        whole_video,
    }))
}

/// Sets it. What was signed before stays as it is.
#[utoipa::path(put, path = "/api/policy", tag = "artifacts", request_body = LabelPolicyBody,
    responses((status = 200, description = "The policy", body = LabelPolicyBody)))]
pub(crate) async fn set(
    State(state): State<AppState>,
    caller: by::Policy,
    Json(policy): Json<LabelPolicyBody>,
) -> ApiResult<Reply<LabelPolicyBody>> {
    let stored = StoredLabelPolicy {
        explicit: policy.explicit,
        words: word(policy.words),
        corner: word(policy.corner),
        whole_video: policy.whole_video,
    };
    state.store.set_label_policy(&caller.scope, &stored).await?;
    Ok(Reply(policy))
}
