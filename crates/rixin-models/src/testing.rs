//! What several tests of this crate need.

use std::path::PathBuf;

/// The SmolLM2 file, where this machine has it: `make test` fetches it into the cache of test models.
pub(crate) fn smollm2() -> Option<PathBuf> {
    const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let cache = std::env::var_os("RIXIN_TEST_CACHE").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/rixin/test-models"))
    })?;
    let path = cache.join(FILE);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}
