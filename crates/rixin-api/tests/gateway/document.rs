//! The OpenAPI document: committed, and what the code says.

/// `RIXIN_UPDATE_OPENAPI=1 cargo test --release -p rixin-api openapi` writes it anew; so does `rixin openapi > openapi.json`.
#[test]
fn the_committed_openapi_document_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let now = rixin_api::openapi_json();
    if std::env::var_os("RIXIN_UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &now).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "openapi.json differs from the routes: run RIXIN_UPDATE_OPENAPI=1 cargo test --release -p rixin-api openapi, and commit it"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let doc: serde_json::Value = serde_json::from_str(&rixin_api::openapi_json()).expect("JSON");
    let schemas = doc["components"]["schemas"].as_object().expect("schemas");
    fn walk(value: &serde_json::Value, schemas: &serde_json::Map<String, serde_json::Value>) {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(name) = map.get("$ref").and_then(|r| r.as_str()) {
                    let name = name.trim_start_matches("#/components/schemas/");
                    assert!(schemas.contains_key(name), "{name} is named and not described");
                }
                map.values().for_each(|value| walk(value, schemas));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| walk(value, schemas)),
            _ => {}
        }
    }
    walk(&doc, schemas);
}

#[test]
fn operations_have_names_of_their_own() {
    let doc: serde_json::Value = serde_json::from_str(&rixin_api::openapi_json()).expect("JSON");
    let mut seen = std::collections::HashSet::new();
    for item in doc["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            assert!(seen.insert(id.clone()), "{id} is there twice");
        }
    }
}

#[test]
fn the_gateway_never_acts_as_the_operator() {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    for path in found {
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(
            !text.contains(".operator()"),
            "{}: requests are served by scopes of keys only",
            path.display()
        );
    }
}
