//! The chain of what a file was made from, out of its credentials and those of its inputs.

use std::collections::HashSet;

use c2pa::{Manifest, Reader};

use super::{Edge, EdgeKind, Graph, Node, NodeKind};
use crate::{
    DatasetUse, Lineage, ModelRole, ModelUse, Relation,
    seal::claim::{LINEAGE_LABEL, LineageAssertion},
};

/// How far back the chain is followed.
const DEEPEST: usize = 16;
/// Nodes that a graph may have; a claim that names more is shown in part.
const MOST_NODES: usize = 2000;

/// The lineage that this suite signed into a manifest.
pub(super) fn lineage_of(manifest: &Manifest) -> Option<LineageAssertion> {
    manifest.find_assertion::<LineageAssertion>(LINEAGE_LABEL).ok()
}

/// The graph of a file whose credentials were read.
pub(super) fn build(reader: &Reader, file: Node) -> Graph {
    let mut build = Build { reader, graph: Graph::default(), seen: HashSet::new() };
    let root = file.id.clone();
    build.node(file);
    if let Some(manifest) = reader.active_manifest() {
        build.manifest(&root, manifest, 0);
    }
    build.graph
}

struct Build<'a> {
    reader: &'a Reader,
    graph: Graph,
    seen: HashSet<String>,
}

impl Build<'_> {
    /// Adds a node, once.
    fn node(&mut self, node: Node) -> bool {
        if self.graph.nodes.len() >= MOST_NODES || !self.seen.insert(node.id.clone()) {
            return false;
        }
        self.graph.nodes.push(node);
        true
    }

    fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        let edge = Edge { from: from.to_owned(), to: to.to_owned(), kind };
        if from != to && self.seen.contains(to) && !self.graph.edges.contains(&edge) {
            self.graph.edges.push(edge);
        }
    }

    fn manifest(&mut self, owner: &str, manifest: &Manifest, depth: usize) {
        let lineage = lineage_of(manifest).map(|a| a.lineage);
        if let Some(lineage) = &lineage {
            self.lineage(owner, lineage);
        }
        for ingredient in manifest.ingredients() {
            let title = ingredient.title().unwrap_or("?");
            if ingredient.label().is_some_and(|l| l.starts_with("model-"))
                || lineage.as_ref().is_some_and(|l| l.models.iter().any(|m| m.id == title))
            {
                continue; // the lineage says more of it
            }
            let parent = lineage.as_ref().and_then(|l| l.parents.iter().find(|p| p.id == title));
            let sha256 = parent.map(|p| p.sha256.clone());
            let id = format!("input:{}", sha256.as_deref().or(ingredient.active_manifest()).unwrap_or(title));
            let active = ingredient.active_manifest();
            let new = self.node(Node {
                credentials_hold: active.map(|_| {
                    let failed = |r: &c2pa::ValidationResults| {
                        // Whom to trust is the reader's own business.
                        let other = |s: &c2pa::validation_status::ValidationStatus| {
                            s.code() != "signingCredential.untrusted"
                        };
                        r.active_manifest().is_some_and(|codes| codes.failure().iter().any(other))
                    };
                    !ingredient.validation_results().is_some_and(failed)
                }),
                sha256,
                ..plain(id.clone(), NodeKind::Input, title)
            });
            let kind = match (parent.map(|p| p.relation), ingredient.relationship()) {
                (Some(Relation::Parent), _) | (None, c2pa::Relationship::ParentOf) => EdgeKind::EditedFrom,
                (Some(Relation::Component), _) | (None, c2pa::Relationship::ComponentOf) => {
                    EdgeKind::ComposedOf
                }
                _ => EdgeKind::DerivedFrom,
            };
            self.edge(owner, &id, kind);
            // What is used twice is followed once: else a chain of pairs would grow without end.
            if new
                && depth < DEEPEST
                && let Some(below) = active.and_then(|label| self.reader.get_manifest(label))
            {
                self.manifest(&id, below, depth + 1);
            }
        }
    }

    fn lineage(&mut self, owner: &str, lineage: &Lineage) {
        for model in &lineage.models {
            let kind = if model.role == ModelRole::Adapter { NodeKind::Adapter } else { NodeKind::Model };
            let id = model_id(model);
            self.node(Node {
                sha256: model.sha256.clone(),
                origin: Some(model.origin),
                source: model.source.clone(),
                licence: model.licence.clone(),
                ..plain(id, kind, &model.id)
            });
        }
        for model in &lineage.models {
            let id = model_id(model);
            self.edge(owner, &id, EdgeKind::MadeWith);
            if let Some(base) = model.base.as_ref().and_then(|b| lineage.models.iter().find(|m| &m.id == b)) {
                self.edge(&id, &model_id(base), EdgeKind::BasedOn);
            }
            for data in &model.datasets {
                self.data(&id, data);
            }
        }
        for data in &lineage.datasets {
            self.data(owner, data);
        }
    }

    fn data(&mut self, owner: &str, data: &DatasetUse) {
        let id = format!("data:{}", data.sha256.as_deref().unwrap_or(&data.id));
        self.node(Node {
            sha256: data.sha256.clone(),
            licence: data.licence.clone(),
            ..plain(id.clone(), NodeKind::Dataset, &data.id)
        });
        self.edge(owner, &id, EdgeKind::TrainedOn);
        for file in &data.files {
            let file_id = format!("datafile:{}", file.sha256);
            self.node(Node {
                sha256: Some(file.sha256.clone()),
                ..plain(file_id.clone(), NodeKind::DatasetFile, &file.name)
            });
            self.edge(&id, &file_id, EdgeKind::Contains);
        }
    }
}

fn model_id(model: &ModelUse) -> String {
    format!("model:{}", model.sha256.as_deref().unwrap_or(&model.id))
}

pub(super) fn plain(id: String, kind: NodeKind, name: &str) -> Node {
    Node {
        id,
        kind,
        name: name.to_owned(),
        sha256: None,
        origin: None,
        source: None,
        licence: None,
        credentials_hold: None,
    }
}
