//! `rixin models bom`: the bill of materials, in CycloneDX 1.6.

use clap::Args;
use rixin_models::Registry;

use crate::{
    context::{Context, model_id},
    out::{Done, Exit},
};

/// Flags of `rixin models bom`.
#[derive(Args, Debug)]
pub struct Bom {
    /// The model; every installed one if left out
    #[arg(value_name = "ID")]
    id: Option<String>,
}

impl Bom {
    /// Writes it.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let id = self.id.as_deref().map(model_id).transpose()?;
        context.out.document(&rixin_artifacts::bom(registry, id.as_ref()).await?);
        Ok(Exit::Ok)
    }
}
