//! Manifests: whatever is accepted is written and read back the same, and its paths stay inside the model's folder.
#![no_main]

mod bound;

use std::path::{Component, Path};

use rixin_models::Manifest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::from_json(data) {
        for file in &manifest.files {
            assert!(
                Path::new(file.path.as_str()).components().all(|part| matches!(part, Component::Normal(_)))
            );
        }
        let again = Manifest::from_json(&manifest.to_json()).expect("what was written is valid");
        assert_eq!(again, manifest);
        let _ = manifest.licence.text();
    }
});
