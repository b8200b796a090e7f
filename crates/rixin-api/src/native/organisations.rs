//! All organisations, for the owners of the host.

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use http::StatusCode;
use rixin_base::TenantId;
use rixin_store::{HostScope, Invitation, NewOrganisation, Organisation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{
    AppState,
    auth::{Caller, by},
    error::{ApiError, ApiResult, no_such},
    extract::Json,
};

/// An organisation and the one-time link of its first owner.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MadeOrganisation {
    /// The organisation.
    pub organisation: Organisation,
    /// The link's text: it is shown this once.
    pub invitation: Invitation,
}

/// What to change of an organisation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganisationPatch {
    /// Whether nobody of it gets in.
    pub disabled: bool,
}

fn host(caller: &Caller) -> ApiResult<HostScope> {
    caller.host_scope().ok_or_else(|| ApiError(rixin_base::Fault::internal("a right without its scope")))
}

/// The organisations, oldest first.
#[utoipa::path(get, path = "/api/organisations", tag = "members",
    responses((status = 200, description = "The organisations", body = List<Organisation>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: by::Organisations,
) -> ApiResult<Reply<List<Organisation>>> {
    Ok(Reply(List { data: state.store.organisations(&host(&caller)?).await? }))
}

/// Makes an organisation with its first owner, who sets a password by the link in the answer.
#[utoipa::path(post, path = "/api/organisations", tag = "members", request_body = NewOrganisation,
    responses((status = 201, description = "The organisation and the link", body = MadeOrganisation)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: by::Organisations,
    Json(new): Json<NewOrganisation>,
) -> ApiResult<(StatusCode, Reply<MadeOrganisation>)> {
    let (organisation, invitation) = state.store.create_organisation(&host(&caller)?, &new).await?;
    tracing::info!(id = %organisation.id, "an organisation was made");
    Ok((StatusCode::CREATED, Reply(MadeOrganisation { organisation, invitation })))
}

/// Disables an organisation or lets it work again. While it is disabled its keys, sessions and jobs stop.
#[utoipa::path(patch, path = "/api/organisations/{id}", tag = "members", params(("id" = String, Path, description = "The organisation's id")),
    request_body = OrganisationPatch, responses((status = 200, description = "The organisation", body = Organisation)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    caller: by::Organisations,
    Path(id): Path<String>,
    Json(patch): Json<OrganisationPatch>,
) -> ApiResult<Reply<Organisation>> {
    let id: TenantId = id.parse().map_err(|error| no_such("organisation", "组织", &error))?;
    let organisation = state.store.disable_organisation(&host(&caller)?, id, patch.disabled).await?;
    state.control.jobs().wake();
    tracing::info!(%id, disabled = patch.disabled, "an organisation was changed");
    Ok(Reply(organisation))
}
