//! Bills of materials: CycloneDX 1.6, one `machine-learning-model` a model. Source: the specification of CycloneDX 1.6 (ECMA-424).

use rixin_base::{Fault, ModelId, VERSION};
use rixin_models::{Manifest, ModelKind, Origin, Registry};
use serde_json::{Value, json};

use crate::origins::{Upstream, all_models};

/// The bill of one model, or of every installed one.
///
/// # Errors
/// There is no such model; the registry can't be read.
pub async fn bom(registry: &Registry, id: Option<&ModelId>) -> Result<Value, Fault> {
    let mut models = match id {
        Some(id) => vec![registry.get(id).await?],
        None => all_models(registry, None).await?,
    };
    Upstream::correct(registry, &mut models).await?;
    Ok(bill_of(&models))
}

/// The bill of these models, whose origins are right already.
pub fn bill_of(models: &[Manifest]) -> Value {
    let refs: Vec<String> = models.iter().map(model_ref).collect();
    let mut dependencies = vec![json!({ "ref": "rixin", "dependsOn": refs })];
    dependencies.extend(refs.iter().map(|one| json!({ "ref": one })));
    let suite = json!({ "type": "application", "bom-ref": "rixin", "name": "rixin", "version": VERSION });
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid::Uuid::now_v7()),
        "version": 1,
        "metadata": {
            "timestamp": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "tools": { "components": [{ "type": "application", "name": "rixin", "version": VERSION }] },
            "component": suite,
        },
        "components": models.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn model_ref(model: &Manifest) -> String {
    format!("model:{}", model.id)
}

fn component(model: &Manifest) -> Value {
    let main = model.files.iter().find(|file| file.path == model.main);
    let mut parameters = serde_json::Map::new();
    parameters.insert("task".into(), task(model.kind).into());
    if let Some(architecture) = &model.architecture {
        parameters.insert("modelArchitecture".into(), architecture.as_str().into());
    }
    let mut properties =
        vec![property("rixin:origin", model.origin.as_str()), property("rixin:source", &model.source)];
    let more = [
        ("rixin:quantisation", model.quantisation.clone()),
        ("rixin:parameters", model.parameters.map(|count| count.to_string())),
        ("rixin:context_length", model.context_length.map(|count| count.to_string())),
    ];
    properties.extend(more.iter().filter_map(|(name, value)| Some(property(name, value.as_ref()?))));
    let mut out = json!({
        "type": "machine-learning-model",
        "bom-ref": model_ref(model),
        "name": model.name,
        "licenses": [{ "license": licence(model) }],
        "modelCard": { "modelParameters": parameters },
        "properties": properties,
        "components": model.files.iter().map(|file| json!({
            "type": "file",
            "bom-ref": format!("{}/{}", model_ref(model), file.path.as_str()),
            "name": file.path.as_str(),
            "hashes": [{ "alg": "SHA-256", "content": file.sha256.to_string() }],
            "properties": [property("rixin:size", &file.size.to_string())],
        })).collect::<Vec<_>>(),
    });
    if let Some(main) = main {
        out["hashes"] = json!([{ "alg": "SHA-256", "content": main.sha256.to_string() }]);
    }
    if !model.description.en.is_empty() {
        out["description"] = model.description.en.as_str().into();
    }
    if let Some(base) = &model.base_model {
        let ancestor = json!({ "type": "machine-learning-model", "name": base });
        out["pedigree"] = json!({ "ancestors": [ancestor] });
    }
    if model.origin != Origin::Imported {
        out["supplier"] = json!({ "name": "this instance" });
    }
    out
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn licence(model: &Manifest) -> Value {
    let licence = &model.licence;
    let mut out = match &licence.spdx {
        Some(id) => json!({ "id": id }),
        None => json!({ "name": licence.name }),
    };
    if let Some(url) = &licence.url {
        out["url"] = url.as_str().into();
    }
    out
}

fn task(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Chat => "text-generation",
        ModelKind::Embedding => "feature-extraction",
        ModelKind::Image => "text-to-image",
        ModelKind::Lora => "adapter",
        ModelKind::Speech => "speech",
        ModelKind::Other => "other",
    }
}
