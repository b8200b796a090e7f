//! What an artifact was made from, and what was made from it, as a graph that can be drawn.

use std::collections::HashMap;

use axum::{
    Json as Reply,
    extract::{Path, State},
};
use rixin_store::{ArtifactEdge, ArtifactGraph, ParentKind, StoredArtifact};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{routes::artifact_id, shape::ArtifactView};
use crate::{AppState, auth::by, error::ApiResult};

/// A node.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LineageNode {
    /// Distinct in the graph: what it is and its id.
    pub id: String,
    /// What it is.
    pub kind: ParentKind,
    /// Its name, for a person.
    pub name: String,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// The artifact, where it is one that the caller may see.
    pub artifact: Option<ArtifactView>,
    /// What the lineage says of a model: origin, source, licence.
    #[schema(value_type = Option<Object>)]
    pub model: Option<Value>,
}

/// From what was made to what it was made from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LineageEdge {
    /// The node that was made.
    pub from: String,
    /// The node that it was made from.
    pub to: String,
    /// How it took part.
    pub relation: String,
}

/// The graph.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LineageGraph {
    /// The artifact that was asked about first.
    pub nodes: Vec<LineageNode>,
    /// The edges.
    pub edges: Vec<LineageEdge>,
    /// There is more than is shown.
    pub cut: bool,
}

/// What an artifact was made from and what was made from it.
#[utoipa::path(get, path = "/api/artifacts/{id}/graph", tag = "artifacts", params(("id" = String, Path, description = "The artifact's id")),
    responses((status = 200, description = "The graph", body = LineageGraph)))]
pub(crate) async fn graph(
    State(state): State<AppState>,
    caller: by::Artifacts,
    Path(id): Path<String>,
) -> ApiResult<Reply<LineageGraph>> {
    let found = state.store.artifact_graph(&caller.jobs_scope(), artifact_id(&id)?).await?;
    Ok(Reply(drawn(found)))
}

fn node_id(kind: ParentKind, id: &str) -> String {
    format!("{}:{id}", kind.as_str())
}

fn drawn(found: ArtifactGraph) -> LineageGraph {
    let models = models_of(&found.artifacts);
    let mut nodes: Vec<LineageNode> = Vec::new();
    for artifact in found.artifacts {
        nodes.push(LineageNode {
            id: node_id(ParentKind::Artifact, &artifact.id.to_string()),
            kind: ParentKind::Artifact,
            name: artifact.name.clone(),
            sha256: artifact.sha256.clone(),
            artifact: Some(artifact.into()),
            model: None,
        });
    }
    for edge in &found.edges {
        let id = node_id(edge.kind, &edge.to);
        if nodes.iter().all(|node| node.id != id) {
            nodes.push(other(id, edge, &models));
        }
    }
    let edges = found.edges.into_iter().map(|edge| LineageEdge {
        from: node_id(ParentKind::Artifact, &edge.from.to_string()),
        to: node_id(edge.kind, &edge.to),
        relation: edge.relation,
    });
    LineageGraph { edges: edges.collect(), nodes, cut: found.cut }
}

fn other(id: String, edge: &ArtifactEdge, models: &HashMap<String, Value>) -> LineageNode {
    LineageNode {
        id,
        kind: edge.kind,
        name: edge.to.clone(),
        sha256: edge.sha256.clone(),
        artifact: None,
        model: models.get(&edge.to).filter(|_| edge.kind == ParentKind::Model).cloned(),
    }
}

/// What the lineages say of the models that they name.
fn models_of(artifacts: &[StoredArtifact]) -> HashMap<String, Value> {
    let named = artifacts.iter().filter_map(|artifact| artifact.lineage["models"].as_array()).flatten();
    named.filter_map(|model| Some((model["id"].as_str()?.to_owned(), model.clone()))).collect()
}
