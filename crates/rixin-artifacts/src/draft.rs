//! What the process of a job hands in.

use rixin_base::{ArtifactId, Fault, FileId, VERSION};
use rixin_provenance::{
    Act, EngineUse, LINEAGE_VERSION, Lineage, ModelRole, ModelUse, ParentUse, Relation, SourceType,
};
use rixin_store::{ArtifactKind, ArtifactParent, Blob, NewArtifact, ParentKind};

/// A lineage that says nothing yet but who did the work.
pub fn new_lineage(id: ArtifactId, engine: &str, source_type: SourceType) -> Lineage {
    Lineage {
        version: LINEAGE_VERSION,
        artifact: id.to_string(),
        title: None,
        act: Act::Created,
        source_type,
        engine: EngineUse { name: engine.to_owned(), version: VERSION.to_owned() },
        created_at: jiff::Timestamp::now(),
        models: Vec::new(),
        parents: Vec::new(),
        datasets: Vec::new(),
        parameters: std::collections::BTreeMap::new(),
        seed: None,
        tenant: None,
        prompt: None,
    }
}

/// An artifact that waits for its seal: its bytes are a blob, its lineage is checked.
///
/// # Errors
/// A lineage that can't be signed: the work is told so where the mistake is, and not later by the server.
pub fn draft(
    kind: ArtifactKind,
    name: &str,
    media_type: &str,
    blob: &Blob,
    lineage: &Lineage,
) -> Result<NewArtifact, Fault> {
    lineage.check()?;
    Ok(NewArtifact {
        kind,
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        source_sha256: blob.sha256.to_string(),
        source_bytes: blob.size,
        parents: parents(lineage),
        lineage: serde_json::to_value(lineage).map_err(Fault::internal)?,
    })
}

fn parents(lineage: &Lineage) -> Vec<ArtifactParent> {
    let inputs = lineage.parents.iter().map(|parent| ArtifactParent {
        kind: kind_of(parent),
        id: parent.id.clone(),
        sha256: Some(parent.sha256.clone()),
        relation: match parent.relation {
            Relation::Parent => "parent",
            Relation::Component => "component",
            Relation::Input => "input",
        }
        .into(),
    });
    let models = lineage.models.iter().map(|model| ArtifactParent {
        kind: ParentKind::Model,
        id: model.id.clone(),
        sha256: model.sha256.clone(),
        relation: relation_of(model).into(),
    });
    let data = lineage.datasets.iter().map(|data| ArtifactParent {
        kind: ParentKind::Dataset,
        id: data.id.clone(),
        sha256: data.sha256.clone(),
        relation: "trained_on".into(),
    });
    inputs.chain(models).chain(data).collect()
}

fn kind_of(parent: &ParentUse) -> ParentKind {
    if parent.id.parse::<ArtifactId>().is_ok() {
        return ParentKind::Artifact;
    }
    if parent.id.parse::<FileId>().is_ok() { ParentKind::File } else { ParentKind::Dataset }
}

fn relation_of(model: &ModelUse) -> &'static str {
    match model.role {
        ModelRole::Base => "made_with",
        ModelRole::Adapter => "adapted_by",
        ModelRole::Helper => "helped_by",
    }
}
