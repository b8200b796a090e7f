//! `rixin version`.

use clap::Args;
use serde_json::json;

use crate::{
    context::Context,
    gate,
    out::{Done, Exit},
};

/// Flags of `rixin version`.
#[derive(Args, Debug)]
pub struct Version {}

/// The backends of llama.cpp that this build has.
pub fn backends() -> Vec<&'static str> {
    [
        ("cpu", true),
        ("cuda", cfg!(feature = "cuda")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("hip", cfg!(feature = "hip")),
        ("metal", cfg!(feature = "metal")),
    ]
    .into_iter()
    .filter(|(_, built)| *built)
    .map(|(name, _)| name)
    .collect()
}

impl Version {
    /// Prints the version.
    pub fn run(&self, context: &Context) -> Done {
        let out = context.out;
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        if out.json {
            out.document(&json!({
                "version": rixin_base::VERSION,
                "target": target,
                "cpu_level": gate::LEVEL,
                "cpu_features": gate::needed(),
                "backends": backends(),
            }));
            return Ok(Exit::Ok);
        }
        out.line(&format!("rixin {}", rixin_base::VERSION));
        if context.verbose > 0 {
            out.say(
                format!(
                    "target    {target}\ncpu       {} ({})\nbackends  {}",
                    gate::LEVEL,
                    gate::needed().join(", "),
                    backends().join(", ")
                ),
                format!(
                    "目标平台  {target}\n处理器    {}（{}）\n后端      {}",
                    gate::LEVEL,
                    gate::needed().join("、"),
                    backends().join("、")
                ),
            );
        }
        Ok(Exit::Ok)
    }
}
