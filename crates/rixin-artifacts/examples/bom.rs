//! Prints the bill of materials of models with everything that a manifest can say, for `tests/provenance/run` to hold against the
//! official schema.
//!
//!     cargo run -p rixin-artifacts --example bom

use rixin_models::Manifest;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let models = [
        json!({
            "version": 1, "id": "base", "name": "Base 基础", "kind": "chat", "origin": "imported",
            "architecture": "qwen3", "main": "base.gguf", "source": "hf:maker/base@main",
            "files": [{ "path": "base.gguf", "size": 12, "sha256": "ab".repeat(32) },
                      { "path": "more/notes.txt", "size": 3, "sha256": "cd".repeat(32) }],
            "licence": { "spdx": "Apache-2.0", "name": "Apache-2.0" }, "installed_at": 1,
            "base_model": "maker/older", "languages": ["zh", "en"], "context_length": 4096,
            "parameters": 135_000_000, "quantisation": "Q8_0",
            "description": { "en": "A small model", "zh": "小模型" },
        }),
        json!({
            "version": 1, "id": "style", "name": "Style", "kind": "lora", "origin": "trained",
            "main": "style.safetensors", "source": "file:style.safetensors",
            "files": [{ "path": "style.safetensors", "size": 5, "sha256": "ef".repeat(32) }],
            "licence": { "name": "Terms of the maker", "url": "https://example.org/terms" }, "installed_at": 2,
        }),
    ];
    let models: Result<Vec<Manifest>, _> = models.into_iter().map(serde_json::from_value).collect();
    println!("{}", serde_json::to_string_pretty(&rixin_artifacts::bill_of(&models?))?);
    Ok(())
}
