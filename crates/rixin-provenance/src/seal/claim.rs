//! The claim: actions, ingredients, lineage, mining, as C2PA has them. Source: C2PA 2.3, 18 (assertions); CAWG training and data mining 1.1.

use std::sync::Arc;

use c2pa::{Builder, Context};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Mining, MiningUse, Parent};
use crate::{Act, AigcLabel, Error, Lineage, Media, ModelRole, ParentUse, Relation, Result};

/// The assertion that carries the lineage.
pub(crate) const LINEAGE_LABEL: &str = "ai.rixin.lineage";
const MINING_LABEL: &str = "cawg.training-mining";

/// What the lineage's assertion holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LineageAssertion {
    pub lineage: Lineage,
    /// The implicit label of GB 45438-2025, as it stands in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aigc: Option<AigcLabel>,
    /// The version of the seal over the whole file, which must then be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<u32>,
}

/// Settings of the library: trust these certificates, reach for nothing, hold on to bounds.
pub(crate) fn context(anchors_pem: &str, most_manifest_mib: usize) -> Result<Context> {
    let mut settings = json!({
        "trust": { "verify_trust_list": true },
        "core": {
            "decode_identity_assertions": false,
            "allowed_network_hosts": [],
            "max_decompressed_manifest_size_in_mb": most_manifest_mib,
        },
        "verify": {
            "verify_after_reading": true,
            "verify_after_sign": false,
            "verify_trust": true,
            "verify_timestamp_trust": true,
            "ocsp_fetch": false,
            "remote_manifest_fetch": false,
        },
        "builder": {
            "thumbnail": { "enabled": false },
            "created_assertion_labels": [
                "c2pa.actions", "c2pa.actions.v2", LINEAGE_LABEL, MINING_LABEL,
            ],
        },
    });
    if !anchors_pem.is_empty() {
        settings["trust"]["user_anchors"] = Value::String(anchors_pem.to_owned());
    }
    Ok(Context::new().with_settings(settings)?)
}

/// Everything but the hash of the file.
pub(super) fn builder(
    context: &Arc<Context>,
    media: Media,
    assertion: &LineageAssertion,
    mining: Mining,
    parents: &[Parent<'_>],
) -> Result<Builder> {
    let lineage = &assertion.lineage;
    let definition = json!({
        "claim_version": 2,
        "title": lineage.title.as_deref().unwrap_or(&lineage.artifact),
        "format": media.mime(),
        "instance_id": format!("urn:rixin:artifact:{}", lineage.artifact),
        "claim_generator_info": [{ "name": "Rixin", "version": rixin_base::VERSION }],
    });
    let mut builder = Builder::from_shared_context(context).with_definition(definition)?;
    let mut inputs = Vec::new();
    let mut opened = None;
    let mut placed = Vec::new();
    for parent in &lineage.parents {
        let label = add_parent(&mut builder, context, parent, opened.is_some(), parents)?;
        match parent.relation {
            Relation::Parent if opened.is_none() => opened = Some(label),
            Relation::Component => placed.push(label),
            _ => inputs.push(label),
        }
    }
    for (index, model) in lineage.models.iter().enumerate() {
        let label = format!("model-{index}");
        let role = match model.role {
            ModelRole::Base => "model",
            ModelRole::Adapter => "adapter",
            ModelRole::Helper => "helper model",
        };
        let mut description = role.to_owned();
        if let Some(hash) = &model.sha256 {
            description.push_str(&format!(", sha256 {hash}"));
        }
        let ingredient = json!({
            "title": model.id,
            "format": "application/octet-stream",
            "relationship": "inputTo",
            "label": label,
            "description": description,
            "data_types": [{ "type": "c2pa.types.model" }],
        });
        builder.add_ingredient(c2pa::Ingredient::from_json(&ingredient.to_string())?);
        inputs.push(label);
    }
    builder.add_assertion("c2pa.actions", &actions(lineage, opened, &placed, &inputs))?;
    builder.add_assertion(LINEAGE_LABEL, assertion)?;
    builder.add_assertion(MINING_LABEL, &mining_assertion(mining))?;
    Ok(builder)
}

fn actions(lineage: &Lineage, opened: Option<String>, placed: &[String], inputs: &[String]) -> Value {
    let agent =
        json!({ "name": format!("Rixin {}", lineage.engine.name), "version": lineage.engine.version });
    let when = lineage.created_at.to_string();
    let mut list = Vec::new();
    let mut made = json!({
        "action": if lineage.act == Act::Created { "c2pa.created" } else { "c2pa.edited" },
        "when": when,
        "softwareAgent": agent,
        "digitalSourceType": lineage.source_type.uri(),
    });
    if !inputs.is_empty() {
        made["parameters"] = json!({ "ingredientIds": inputs });
    }
    if let Some(label) = opened {
        list.push(json!({
            "action": "c2pa.opened",
            "when": when,
            "softwareAgent": agent,
            "parameters": { "ingredientIds": [label] },
        }));
    }
    list.push(made);
    for label in placed {
        list.push(json!({
            "action": "c2pa.placed",
            "when": when,
            "softwareAgent": agent,
            "parameters": { "ingredientIds": [label] },
        }));
    }
    json!({ "actions": list })
}

/// An input as an ingredient: with its own credentials where the caller has its bytes, else by name and hash.
fn add_parent(
    builder: &mut Builder,
    context: &Arc<Context>,
    parent: &ParentUse,
    have_parent: bool,
    files: &[Parent<'_>],
) -> Result<String> {
    let index = builder.definition.ingredients.len();
    let label = format!("input-{index}");
    let relationship = match parent.relation {
        Relation::Parent if !have_parent => "parentOf",
        Relation::Component => "componentOf",
        _ => "inputTo",
    };
    let media = parent.media_type.as_deref().unwrap_or("application/octet-stream");
    let about = json!({
        "title": parent.id,
        "format": media,
        "relationship": relationship,
        "label": label,
        "description": format!("sha256 {}", parent.sha256),
    });
    let Some(file) = files.iter().find(|f| f.id == parent.id) else {
        builder.add_ingredient(c2pa::Ingredient::from_json(&about.to_string())?);
        return Ok(label);
    };
    let mut bytes = file.source.open()?;
    match file.sidecar {
        None if file.media.embeds() => {
            builder.add_ingredient_from_stream(about.to_string(), file.media.mime(), &mut bytes)?;
        }
        None => {
            builder.add_ingredient(c2pa::Ingredient::from_json(&about.to_string())?);
        }
        Some(sidecar) => {
            let reader = c2pa::Reader::from_shared_context(context).with_manifest_data_and_stream(
                sidecar,
                file.media.mime(),
                &mut bytes,
            )?;
            let mut about = about;
            about["active_manifest"] = json!(reader.active_label());
            about["validation_results"] = serde_json::to_value(reader.validation_results())?;
            let mut ingredient = c2pa::Ingredient::from_json(&about.to_string())?;
            ingredient.set_manifest_data(sidecar.to_vec())?;
            builder.add_ingredient(ingredient);
        }
    }
    Ok(label)
}

fn mining_assertion(mining: Mining) -> Value {
    let entry = |what: MiningUse| {
        json!({ "use": match what {
            MiningUse::Allowed => "allowed",
            MiningUse::NotAllowed => "notAllowed",
        }})
    };
    json!({ "entries": {
        "cawg.ai_inference": entry(mining.inference),
        "cawg.ai_generative_training": entry(mining.generative_training),
        "cawg.ai_training": entry(mining.training),
        "cawg.data_mining": entry(mining.data_mining),
    }})
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::sign(error)
    }
}
