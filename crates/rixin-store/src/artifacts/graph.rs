//! Walks over what was made from what, in both directions, never out of a tenant.

use std::collections::{HashSet, VecDeque};

use rixin_base::ArtifactId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ParentKind, StoredArtifact, artifact_of};
use crate::{
    Error, Store, TenantScope,
    db::sql,
    row::{columns, word},
};

/// The most artifacts of a graph.
const MOST: usize = 200;

/// From what was made to what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub struct ArtifactEdge {
    /// The artifact that was made.
    #[schema(value_type = String)]
    pub from: ArtifactId,
    /// What the parent is.
    pub kind: ParentKind,
    /// The parent's id.
    pub to: String,
    /// Its hash, where it has one.
    pub sha256: Option<String>,
    /// How it took part.
    pub relation: String,
}

/// What an artifact was made from, and what was made from it.
#[derive(Clone, Debug)]
pub struct ArtifactGraph {
    /// The artifacts, the one that was asked about first.
    pub artifacts: Vec<StoredArtifact>,
    /// How they and their files, models and data hang together.
    pub edges: Vec<ArtifactEdge>,
    /// There is more than was read.
    pub cut: bool,
}

impl Store {
    /// Walks up and down from an artifact.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn artifact_graph(&self, scope: &TenantScope, id: ArtifactId) -> Result<ArtifactGraph, Error> {
        let first = self.artifact(scope, id).await?;
        let (mut up, up_cut) = self.walk(scope, &first, true).await?;
        let (down, down_cut) = self.walk(scope, &first, false).await?;
        up.artifacts.extend(down.artifacts);
        up.edges.extend(down.edges);
        let mut seen = HashSet::new();
        up.artifacts.retain(|one| seen.insert(one.id));
        let mut seen = HashSet::new();
        up.edges.retain(|edge| seen.insert(edge.clone()));
        up.artifacts.insert(0, first);
        up.cut = up_cut || down_cut;
        Ok(up)
    }

    async fn walk(
        &self,
        scope: &TenantScope,
        first: &StoredArtifact,
        up: bool,
    ) -> Result<(ArtifactGraph, bool), Error> {
        let (mut artifacts, mut edges) = (Vec::new(), Vec::new());
        let mut found = HashSet::from([first.id.to_string()]);
        let mut open = VecDeque::from([first.id.to_string()]);
        let mut cut = false;
        while let Some(at) = open.pop_front() {
            let near = self.edges_of(&at, up).await?;
            for edge in near {
                let next = if up {
                    (edge.kind == ParentKind::Artifact).then(|| edge.to.clone())
                } else {
                    Some(edge.from.to_string())
                };
                if let Some(next) = next.filter(|next| !found.contains(next)) {
                    if found.len() >= MOST {
                        cut = true;
                        continue;
                    }
                    // Not the scope's: neither its name nor that it exists is told.
                    let Some(artifact) = self.in_scope(scope, &next).await? else {
                        if up {
                            edges.push(edge);
                        }
                        continue;
                    };
                    artifacts.push(artifact);
                    found.insert(next.clone());
                    open.push_back(next);
                }
                edges.push(edge);
            }
        }
        Ok((ArtifactGraph { artifacts, edges, cut: false }, cut))
    }

    async fn in_scope(&self, scope: &TenantScope, id: &str) -> Result<Option<StoredArtifact>, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql(concat!(
                    "SELECT ",
                    columns!(artifacts),
                    " FROM artifacts WHERE id = $1 AND tenant_id = $2 AND ($3 IS NULL OR key_id = $3)"
                ))
                .bind(id)
                .bind(scope.tenant_text())
                .bind(scope.key_text()),
            )
            .await?;
        row.map(|row| artifact_of(&row)).transpose().map_err(|error| self.db().failed(error))
    }

    async fn edges_of(&self, id: &str, up: bool) -> Result<Vec<ArtifactEdge>, Error> {
        let statement = if up {
            sql("SELECT artifact_id, kind, parent_id, parent_sha256, relation FROM artifact_parents \
                 WHERE artifact_id = $1 ORDER BY position")
        } else {
            sql("SELECT artifact_id, kind, parent_id, parent_sha256, relation FROM artifact_parents \
                 WHERE kind = 'artifact' AND parent_id = $1 ORDER BY artifact_id LIMIT 200")
        };
        let rows = self.db().fetch_all(statement.bind(id)).await?;
        self.db().all(&rows, |row| {
            Ok(ArtifactEdge {
                from: crate::row::parsed(row, "artifact_id")?,
                kind: word(row, "kind", ParentKind::from_word)?,
                to: row.try_get("parent_id")?,
                sha256: row.try_get("parent_sha256")?,
                relation: row.try_get("relation")?,
            })
        })
    }
}
