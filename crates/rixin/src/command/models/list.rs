//! `rixin models list`.

use clap::Args;
use rixin_base::bytes_text;
use rixin_models::{Manifest, ModelQuery, Registry};
use serde_json::json;

use super::{KindFlag, OriginFlag, terminal_width};
use crate::{
    context::Context,
    out::{Done, Exit},
    table::{Side, Table},
};

/// Flags of `rixin models list`.
#[derive(Args, Debug)]
pub struct List {
    /// Only models with these words
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Only this kind
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<KindFlag>,
    /// Only this origin
    #[arg(long, value_enum, value_name = "ORIGIN")]
    origin: Option<OriginFlag>,
    /// Most models to list
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
}

impl List {
    /// Lists.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let text = self.text.join(" ");
        let mut query = ModelQuery {
            text: (!text.trim().is_empty()).then_some(text),
            kind: self.kind.map(Into::into),
            origin: self.origin.map(Into::into),
            limit: ModelQuery::MAX_LIMIT,
            after: None,
        };
        let mut found: Vec<Manifest> = Vec::new();
        let total = loop {
            let page = registry.list(&query).await?;
            found.extend(page.data);
            match page.next {
                Some(next) if found.len() < self.limit => query.after = Some(next),
                _ => break page.total,
            }
        };
        found.truncate(self.limit);
        rixin_artifacts::Upstream::correct(registry, &mut found).await?;
        let out = context.out;
        if out.json {
            out.document(&json!({"data": found, "total": total}));
            return Ok(Exit::Ok);
        }
        if found.is_empty() {
            if query.text.is_none() && query.kind.is_none() && query.origin.is_none() {
                out.note(
                    format!(
                        "no models are installed yet: rixin models pull {}",
                        context.settings().default_model
                    ),
                    format!("还没有安装模型：rixin models pull {}", context.settings().default_model),
                );
            } else {
                out.note("no installed model fits", "没有符合条件的已安装模型");
            }
            return Ok(Exit::Ok);
        }
        let heads = out.lang.pick(
            ["ID", "KIND", "SIZE", "MEMORY", "CONTEXT", "WEIGHTS", "LICENCE", "ORIGIN"],
            ["编号", "类别", "大小", "内存", "上下文", "权重", "许可", "来历"],
        );
        let sides = [
            Side::Left,
            Side::Left,
            Side::Right,
            Side::Right,
            Side::Right,
            Side::Left,
            Side::Left,
            Side::Left,
        ];
        let columns: Vec<(&str, Side)> = heads.into_iter().zip(sides).collect();
        let mut table = Table::new(&columns);
        for manifest in &found {
            table.row([
                manifest.id.to_string(),
                manifest.kind.as_str().into(),
                bytes_text(manifest.size_bytes()),
                manifest.memory.as_ref().map_or_else(|| "-".into(), |need| bytes_text(need.total(8192, 1))),
                manifest.context_length.map_or_else(|| "-".into(), |tokens| tokens.to_string()),
                manifest.quantisation.clone().unwrap_or_else(|| "-".into()),
                manifest.licence.name.clone(),
                manifest.origin.as_str().into(),
            ]);
        }
        out.raw(&table.render(terminal_width()));
        if (found.len() as u64) < total {
            out.note(
                format!("{} of {total} shown; --limit shows more", found.len()),
                format!("共 {total} 个，显示 {} 个；用 --limit 显示更多", found.len()),
            );
        }
        Ok(Exit::Ok)
    }
}
