//! `rixin models search`.

use std::collections::HashSet;

use clap::{Args, ValueEnum};
use rixin_base::bytes_text;
use rixin_models::{Catalog, CatalogEntry, ModelKind, Registry, Tier};
use serde_json::json;

use super::{KindFlag, terminal_width};
use crate::{
    context::Context,
    machine,
    out::{Done, Exit},
    table::{Side, Table},
};

/// Flags of `rixin models search`.
#[derive(Args, Debug)]
pub struct Search {
    /// Words that have to occur, Chinese or English
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Only what fits the memory that is free on this machine now
    #[arg(long)]
    fits: bool,
    /// Only this kind
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<KindFlag>,
    /// Only models that speak this language, such as zh
    #[arg(long, value_name = "LANG")]
    lang_of_model: Option<String>,
    /// Only models meant for such a machine
    #[arg(long, value_enum, value_name = "TIER")]
    tier: Option<TierFlag>,
}

/// A class of machines on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TierFlag {
    /// 8 to 16 GiB of memory
    Laptop,
    /// 32 to 64 GiB, or a graphics card
    Workstation,
    /// More than that
    Server,
}

impl From<TierFlag> for Tier {
    fn from(tier: TierFlag) -> Self {
        match tier {
            TierFlag::Laptop => Tier::Laptop,
            TierFlag::Workstation => Tier::Workstation,
            TierFlag::Server => Tier::Server,
        }
    }
}

impl Search {
    /// Searches.
    pub async fn run(self, context: &Context, registry: &Registry) -> Done {
        let free = free_memory(context);
        let kind: Option<ModelKind> = self.kind.map(Into::into);
        let tier: Option<Tier> = self.tier.map(Into::into);
        let lang = self.lang_of_model.as_deref().map(str::to_lowercase);
        let mut found: Vec<&CatalogEntry> =
            Catalog::builtin().search(&self.text.join(" "), self.fits.then_some(free));
        found.retain(|entry| {
            kind.is_none_or(|kind| entry.kind == kind)
                && tier.is_none_or(|tier| entry.tier == tier)
                && lang.as_deref().is_none_or(|lang| entry.languages.iter().any(|tag| speaks(tag, lang)))
        });
        let mut installed = HashSet::new();
        for entry in &found {
            if registry.find(&entry.id).await?.is_some() {
                installed.insert(&entry.id);
            }
        }
        let out = context.out;
        if out.json {
            let data: Vec<_> =
                found.iter().map(|entry| entry.item(installed.contains(&entry.id), Some(free))).collect();
            out.document(&json!({"data": data, "free_bytes": free}));
            return Ok(Exit::Ok);
        }
        if found.is_empty() {
            out.note(
                "nothing in the catalogue fits; any GGUF file can be pulled by its source, see `rixin models pull --help`",
                "目录中没有符合条件的模型；任何 GGUF 文件都可按来源拉取，见 `rixin models pull --help`",
            );
            return Ok(Exit::Ok);
        }
        let heads = out.lang.pick(
            ["ID", "KIND", "MEMORY", "FITS", "FOR", "LANGUAGES", "LICENCE", "WHAT"],
            ["编号", "类别", "内存", "放得下", "适合", "语言", "许可", "说明"],
        );
        let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
        for entry in &found {
            let state = if installed.contains(&entry.id) {
                out.lang.pick("installed", "已安装")
            } else if entry.fits(free) {
                out.lang.pick("yes", "是")
            } else {
                out.lang.pick("no", "否")
            };
            let tier = match entry.tier {
                Tier::Laptop => out.lang.pick("laptop", "笔记本"),
                Tier::Workstation => out.lang.pick("workstation", "工作站"),
                Tier::Server => out.lang.pick("server", "服务器"),
            };
            let mut languages = entry.languages.iter().take(3).cloned().collect::<Vec<_>>().join(",");
            if entry.languages.len() > 3 {
                languages.push('…');
            }
            table.row([
                entry.id.to_string(),
                entry.kind.as_str().into(),
                bytes_text(entry.memory_bytes()),
                state.into(),
                tier.into(),
                languages,
                entry.licence.name.clone(),
                entry.description.text(out.lang).to_owned(),
            ]);
        }
        out.raw(&table.render(terminal_width()));
        out.note(
            format!("{} of memory are free now. Fetch one: rixin models pull ID", bytes_text(free)),
            format!("当前空闲内存 {}。拉取模型：rixin models pull 编号", bytes_text(free)),
        );
        Ok(Exit::Ok)
    }
}

/// `zh` asks for `zh` and `zh-Hans`.
fn speaks(tag: &str, wanted: &str) -> bool {
    let tag = tag.to_lowercase();
    tag == wanted || tag.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('-'))
}

/// What a replica could have now: free memory, at most the limit that is set.
fn free_memory(context: &Context) -> u64 {
    let free = machine::memory().available;
    match context.settings().memory_limit.0 {
        0 => free,
        limit => free.min(limit),
    }
}
