//! Models that could be installed.

use std::collections::HashSet;

use axum::{Json, extract::State};
use rixin_models::{Catalog, CatalogItem, ModelKind};
use serde::Deserialize;
use utoipa::IntoParams;

use super::List;
use crate::{AppState, auth::Caller, error::ApiResult, extract::Query};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CatalogQuery {
    /// Words that all occur.
    #[serde(default)]
    q: String,
    /// Only this kind.
    kind: Option<ModelKind>,
    /// Only those that fit into the memory that is free.
    #[serde(default)]
    fits: bool,
}

/// The catalogue, with what fits this machine and what is installed.
#[utoipa::path(get, path = "/api/catalog", tag = "models", params(CatalogQuery),
    responses((status = 200, description = "The entries, best matches first", body = List<CatalogItem>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<CatalogQuery>,
) -> ApiResult<Json<List<CatalogItem>>> {
    let free = state.control.memory().free_bytes;
    let served: HashSet<String> = state.control.models().await?.into_iter().map(|model| model.id).collect();
    let found = Catalog::builtin().search(&query.q, query.fits.then_some(free));
    let mut data = Vec::new();
    for entry in found {
        if query.kind.is_some_and(|kind| kind != entry.kind) {
            continue;
        }
        // Only chat and embedding models are served; the others are looked up one by one.
        let installed = served.contains(entry.id.as_str()) || state.registry.find(&entry.id).await?.is_some();
        data.push(entry.item(installed, Some(free)));
    }
    Ok(Json(List { data }))
}
