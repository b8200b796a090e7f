//! `rixin models remove`.

use clap::Args;
use rixin_base::{Code, Fault, bytes_text};
use rixin_models::Registry;
use serde_json::json;

use crate::{
    context::{Context, model_id},
    out::{Done, Exit},
};

/// Flags of `rixin models remove`.
#[derive(Args, Debug)]
pub struct Remove {
    /// The models
    #[arg(value_name = "ID", required = true)]
    id: Vec<String>,
    /// Don't ask
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Remove {
    /// Removes.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let out = context.out;
        let ids = self.id.iter().map(|id| model_id(id)).collect::<Result<Vec<_>, _>>()?;
        // Nothing is removed where one of the names is wrong.
        let mut bytes = 0;
        for id in &ids {
            bytes += registry.get(id).await?.size_bytes();
        }
        let names = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let size = bytes_text(bytes);
        if !self.yes && !out.ask(&format!("Remove {names} ({size})?"), &format!("删除 {names}（{size}）？"))
        {
            return Err(Fault::new(
                Code::Cancelled,
                "nothing was removed: confirm it, or give --yes",
                "未删除任何内容：请确认，或加上 --yes",
            ));
        }
        let mut removed = Vec::new();
        for id in ids {
            let freed = registry.remove(&id).await?.freed_bytes;
            if !out.json {
                let freed = bytes_text(freed);
                out.say(format!("removed {id}, {freed} freed"), format!("已删除 {id}，释放 {freed}"));
            }
            removed.push(json!({"id": id, "freed_bytes": freed}));
        }
        if out.json {
            out.document(&json!({"data": removed}));
        }
        Ok(Exit::Ok)
    }
}
