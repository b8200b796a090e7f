//! `rixin models show`.

use clap::Args;
use rixin_base::bytes_text;
use rixin_models::{Manifest, Registry};
use unicode_width::UnicodeWidthStr;

use crate::{
    context::{Context, model_id},
    out::{Done, Exit, Out},
    time::minute,
};

/// Flags of `rixin models show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The model
    #[arg(value_name = "ID")]
    id: String,
}

impl Show {
    /// Shows.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let id = model_id(&self.id)?;
        let mut one = [registry.get(&id).await?];
        rixin_artifacts::Upstream::correct(registry, &mut one).await?;
        let [manifest] = one;
        if context.out.json {
            context.out.document(&manifest);
        } else {
            print(context.out, registry, &manifest);
        }
        Ok(Exit::Ok)
    }
}

fn print(out: Out, registry: &Registry, manifest: &Manifest) {
    let dash = || "-".to_owned();
    let seconds = |at: u64| format!("{} UTC", minute(i64::try_from(at).unwrap_or(0).saturating_mul(1000)));
    let accepted = manifest.licence_accepted.as_ref().map_or_else(dash, |accepted| {
        let by = if accepted.by.is_empty() { String::new() } else { format!(" ({})", accepted.by) };
        format!("{}{by}", seconds(accepted.at))
    });
    let licence = match &manifest.licence.url {
        Some(url) => format!("{} <{url}>", manifest.licence.name),
        None => manifest.licence.name.clone(),
    };
    let memory = manifest.memory.as_ref().map_or_else(dash, |need| {
        let total = bytes_text(need.total(8192, 1));
        out.lang.pick(format!("{total} with a cache of 8192 tokens"), format!("{total}（缓存 8192 词元时）"))
    });
    let yes = |answer: bool| if answer { out.lang.pick("yes", "有") } else { out.lang.pick("no", "无") };
    let pick = |en, zh| out.lang.pick(en, zh);
    let lines = [
        (pick("id", "编号"), manifest.id.to_string()),
        (pick("name", "名称"), manifest.name.clone()),
        (pick("what", "说明"), manifest.description.text(out.lang).to_owned()),
        (pick("kind", "类别"), manifest.kind.as_str().to_owned()),
        (pick("architecture", "架构"), manifest.architecture.clone().unwrap_or_else(dash)),
        (pick("parameters", "参数量"), manifest.parameters.map_or_else(dash, |count| count.to_string())),
        (pick("weights", "权重"), manifest.quantisation.clone().unwrap_or_else(dash)),
        (pick("context", "上下文"), manifest.context_length.map_or_else(dash, |tokens| tokens.to_string())),
        (pick("memory", "内存"), memory),
        (pick("chat template", "对话模板"), yes(manifest.chat_template).to_owned()),
        (
            pick("languages", "语言"),
            if manifest.languages.is_empty() { dash() } else { manifest.languages.join(", ") },
        ),
        (pick("origin", "来历"), manifest.origin.as_str().to_owned()),
        (pick("made from", "基于"), manifest.base_model.clone().unwrap_or_else(dash)),
        (pick("source", "来源"), manifest.source.clone()),
        (pick("licence", "许可"), licence),
        (pick("accepted", "接受时间"), accepted),
        (pick("installed", "安装时间"), seconds(manifest.installed_at)),
        (pick("folder", "文件夹"), registry.folder(&manifest.id).display().to_string()),
    ];
    let width = lines.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, value) in lines {
        if !value.is_empty() {
            out.line(&format!("{name}{}  {value}", " ".repeat(width - name.width())));
        }
    }
    out.line("");
    for file in &manifest.files {
        out.line(&format!("{}  {:>10}  {}", file.sha256, bytes_text(file.size), file.path));
    }
}
