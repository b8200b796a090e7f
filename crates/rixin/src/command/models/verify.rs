//! `rixin models verify`.

use clap::Args;
use rixin_base::{Cancel, ModelId};
use rixin_models::{ModelQuery, Registry};
use serde_json::json;

use super::{cancel_on_interrupt, progress::Shown};
use crate::{
    context::{Context, model_id},
    out::{Done, Exit},
};

/// Flags of `rixin models verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The models; all of them if left out
    #[arg(value_name = "ID")]
    id: Vec<String>,
}

impl Verify {
    /// Verifies.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let ids = match self.id.is_empty() {
            true => all(registry).await?,
            false => self.id.iter().map(|id| model_id(id)).collect::<Result<_, _>>()?,
        };
        let cancel: Cancel = cancel_on_interrupt();
        let out = context.out;
        let mut reports = Vec::new();
        let mut whole = true;
        for id in ids {
            let shown = Shown::new(out);
            let report = registry.verify(&id, &shown.progress(), &cancel).await;
            shown.finish();
            let report = report?;
            whole &= report.ok;
            if !out.json {
                for file in &report.files {
                    match &file.reason {
                        None => out.line(&format!("✓ {id}  {}", file.path)),
                        Some(reason) => {
                            out.line(&format!("✗ {id}  {}: {}", file.path, reason.text(out.lang)))
                        }
                    }
                }
            }
            reports.push(json!({"id": id, "ok": report.ok, "files": report.files}));
        }
        if out.json {
            out.document(&json!({"ok": whole, "data": reports}));
        } else if !whole {
            out.note(
                "a damaged model is mended so: rixin models remove ID --yes, then pull it again",
                "修复受损的模型：先 rixin models remove 编号 --yes，再重新拉取",
            );
        }
        Ok(if whole { Exit::Ok } else { Exit::Failed })
    }
}

async fn all(registry: &Registry) -> Result<Vec<ModelId>, rixin_base::Fault> {
    let mut query = ModelQuery { limit: ModelQuery::MAX_LIMIT, ..ModelQuery::default() };
    let mut ids = Vec::new();
    loop {
        let page = registry.list(&query).await?;
        ids.extend(page.data.into_iter().map(|manifest| manifest.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(ids),
        }
    }
}
