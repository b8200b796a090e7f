//! Where models came from. A model counts as this instance's own only if no file of it is that of a known upstream, whatever its
//! manifest says: what was imported stays imported.

use std::collections::HashSet;

use rixin_base::{Fault, ModelId};
use rixin_models::{Catalog, Licence, Manifest, ModelQuery, Origin, Registry, Sha256};
use rixin_provenance::{LicenceUse, ModelRole, ModelUse};

/// The hashes of files that others made: those of the catalogue and of everything that was imported.
#[derive(Clone, Debug, Default)]
pub struct Upstream(HashSet<Sha256>);

impl Upstream {
    /// Reads the catalogue and the registry.
    ///
    /// # Errors
    /// The registry can't be read.
    pub async fn read(registry: &Registry) -> Result<Self, Fault> {
        let catalogue = Catalog::builtin().entries().iter().filter_map(|entry| entry.file.as_ref());
        let mut hashes: HashSet<Sha256> = catalogue.map(|file| file.sha256).collect();
        for manifest in all_models(registry, Some(Origin::Imported)).await? {
            hashes.extend(manifest.files.iter().map(|file| file.sha256));
        }
        Ok(Self(hashes))
    }

    /// Where a model came to be.
    pub fn origin_of(&self, manifest: &Manifest) -> Origin {
        if manifest.files.iter().any(|file| self.0.contains(&file.sha256)) {
            return Origin::Imported;
        }
        manifest.origin
    }

    /// Corrects what manifests claim. The registry is asked only where one claims to be somebody's own.
    ///
    /// # Errors
    /// The registry can't be read.
    pub async fn correct(registry: &Registry, manifests: &mut [Manifest]) -> Result<(), Fault> {
        if manifests.iter().all(|manifest| manifest.origin == Origin::Imported) {
            return Ok(());
        }
        let upstream = Self::read(registry).await?;
        for manifest in manifests {
            manifest.origin = upstream.origin_of(manifest);
        }
        Ok(())
    }
}

/// Every installed model, of one origin or of all.
pub(crate) async fn all_models(registry: &Registry, origin: Option<Origin>) -> Result<Vec<Manifest>, Fault> {
    let mut found = Vec::new();
    let mut query = ModelQuery { origin, limit: ModelQuery::MAX_LIMIT, ..ModelQuery::default() };
    loop {
        let page = registry.list(&query).await?;
        found.extend(page.data);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}

/// What a lineage says of a model: the registry's words for an installed one; of any other (an external engine's) the name alone, as
/// something that was brought in.
///
/// # Errors
/// The registry can't be read.
pub async fn model_use(registry: &Registry, name: &str, role: ModelRole) -> Result<ModelUse, Fault> {
    let manifest = match name.parse::<ModelId>() {
        Ok(id) => registry.find(&id).await?,
        Err(_) => None,
    };
    let Some(manifest) = manifest else {
        return Ok(ModelUse {
            id: name.chars().take(200).collect(),
            sha256: None,
            role,
            origin: rixin_provenance::Origin::Imported,
            source: None,
            licence: None,
            base: None,
            datasets: Vec::new(),
            strength: None,
        });
    };
    let mut one = [manifest];
    Upstream::correct(registry, &mut one).await?;
    let [manifest] = one;
    let main = manifest.files.iter().find(|file| file.path == manifest.main);
    Ok(ModelUse {
        id: manifest.id.to_string(),
        sha256: main.map(|file| file.sha256.to_string()),
        role,
        origin: match manifest.origin {
            Origin::Own => rixin_provenance::Origin::Own,
            Origin::Imported => rixin_provenance::Origin::Imported,
            Origin::Trained => rixin_provenance::Origin::Trained,
        },
        source: Some(manifest.source.clone()),
        licence: Some(licence_use(&manifest.licence)),
        base: None,
        datasets: Vec::new(),
        strength: None,
    })
}

fn licence_use(licence: &Licence) -> LicenceUse {
    LicenceUse { spdx: licence.spdx.clone(), name: licence.name.clone(), url: licence.url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(origin: &str, digit: char) -> Manifest {
        let hash = digit.to_string().repeat(64);
        serde_json::from_value(serde_json::json!({
            "version": 1, "id": "m", "name": "m", "kind": "chat", "origin": origin, "main": "m.gguf",
            "files": [{ "path": "m.gguf", "size": 3, "sha256": hash }],
            "source": "file:m.gguf", "licence": { "spdx": "MIT", "name": "MIT" }, "installed_at": 0
        }))
        .expect("a manifest")
    }

    #[test]
    fn what_others_made_is_never_own() {
        let upstream = Upstream(manifest("imported", 'a').files.iter().map(|file| file.sha256).collect());
        for (origin, digit, expected) in [
            ("own", 'a', Origin::Imported),
            ("trained", 'a', Origin::Imported),
            ("own", 'b', Origin::Own),
            ("trained", 'b', Origin::Trained),
            ("imported", 'b', Origin::Imported),
        ] {
            assert_eq!(upstream.origin_of(&manifest(origin, digit)), expected, "{origin} {digit}");
        }
        let first =
            Catalog::builtin().entries().iter().find_map(|entry| entry.file.as_ref()).expect("pinned");
        let mut named = manifest("own", 'b');
        named.files[0].sha256 = first.sha256;
        let catalogue = Upstream(std::iter::once(first.sha256).collect());
        assert_eq!(catalogue.origin_of(&named), Origin::Imported);
    }
}
