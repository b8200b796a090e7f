//! `rixin models pull` and `rixin models import`.

use std::{path::Path, sync::Arc};

use clap::Args;
use rixin_base::{Cancel, Code, Fault, ModelId, bytes_text};
use rixin_models::{Licence, Manifest, PullPreview, PullRequest, Puller, Registry, SourceUri};

use super::{cancel_on_interrupt, progress::Shown};
use crate::{
    context::{Context, model_id},
    machine,
    out::{Done, Exit, Out},
};

/// Flags of `rixin models pull`.
#[derive(Args, Debug)]
pub struct Pull {
    /// A name of the catalogue, or a source URI
    #[arg(value_name = "NAME|URI")]
    target: String,
    /// The name to install it under
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Accept the licence without being asked
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Flags of `rixin models import`.
#[derive(Args, Debug)]
pub struct Import {
    /// A file, a folder, or a source URI
    #[arg(value_name = "FILE|URI")]
    target: String,
    /// The name to install it under; made from the file's name if left out
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// The licence as an SPDX id, such as Apache-2.0; needed where the file does not name its own
    #[arg(long, value_name = "SPDX")]
    licence: Option<String>,
    /// Accept the licence without being asked
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Pull {
    /// Shows the licence, asks, fetches.
    pub async fn run(self, context: &Context, registry: Registry) -> Done {
        let asked = Asked { target: self.target, id: self.id, licence: None, yes: self.yes };
        asked.run(context, registry).await
    }
}

impl Import {
    /// Takes a model of this machine in.
    pub async fn run(self, context: &Context, registry: Registry) -> Done {
        let target = match SourceUri::looks_like(&self.target) {
            true => self.target,
            false => here(&self.target)?,
        };
        Asked { target, id: self.id, licence: self.licence, yes: self.yes }.run(context, registry).await
    }
}

/// The path of a file that is there, also where a model of the catalogue has the same name.
fn here(target: &str) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::new(
            Code::NotFound,
            format!("can't read {target}: {error}"),
            format!("无法读取 {target}：{error}"),
        )
    };
    std::fs::metadata(target).map_err(unreadable)?;
    let absolute = std::path::absolute(Path::new(target)).map_err(unreadable)?;
    Ok(absolute.to_string_lossy().into_owned())
}

struct Asked {
    target: String,
    id: Option<String>,
    licence: Option<String>,
    yes: bool,
}

impl Asked {
    async fn run(self, context: &Context, registry: Registry) -> Done {
        let out = context.out;
        let id = self.id.as_deref().map(model_id).transpose()?;
        let puller = Puller::new(Arc::new(context.settings().clone()), registry)?;
        let cancel = cancel_on_interrupt();
        if !out.json || !self.yes {
            let preview =
                puller.preview(&self.target, &cancel).await.map_err(|error| stopped(error.into(), false))?;
            let preview = preview.with_free_memory(machine::memory().available);
            let said = self.licence.as_deref().filter(|_| !preview.licence.is_known());
            let said = said.map(|tag| Licence::from_tag(tag, None));
            show(out, &preview, said.as_ref(), id.as_ref());
            if !self.yes && !out.ask("Accept the licence and go on?", "接受许可并继续？") {
                return Err(declined(&preview));
            }
        }
        let request =
            PullRequest { target: self.target, id, accept_licence: true, licence: self.licence, by: user() };
        let manifest = fetch(out, &puller, &request, &cancel).await?;
        if out.json {
            out.document(&manifest);
        } else {
            let (id, size) = (&manifest.id, bytes_text(manifest.size_bytes()));
            out.say(format!("installed {id} ({size})"), format!("已安装 {id}（{size}）"));
            if manifest.chat_template {
                out.note(format!("talk with it: rixin chat {id}"), format!("与它对话：rixin chat {id}"));
            }
        }
        Ok(Exit::Ok)
    }
}

async fn fetch(out: Out, puller: &Puller, request: &PullRequest, cancel: &Cancel) -> Result<Manifest, Fault> {
    let shown = Shown::new(out);
    let pulled = puller.pull(request, &shown.progress(), cancel).await;
    shown.finish();
    pulled.map_err(|error| stopped(error.into(), true))
}

/// Ctrl-C loses nothing that was fetched: says so.
fn stopped(fault: Fault, fetching: bool) -> Fault {
    match fault.code {
        Code::Cancelled if fetching => Fault::new(
            Code::Cancelled,
            "stopped; what was fetched is kept, and the same command goes on from there",
            "已停止；已下载的部分会保留，再次运行同一命令即可续传",
        ),
        Code::Cancelled => Fault::new(Code::Cancelled, "stopped", "已停止"),
        _ => fault,
    }
}

/// Who accepts: the user of this machine.
fn user() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "command line".to_owned())
}

fn show(out: Out, preview: &PullPreview, licence: Option<&Licence>, id: Option<&ModelId>) {
    let text = licence.map_or_else(|| preview.licence_text.clone(), Licence::text);
    let id = id.or(preview.id.as_ref()).map(ToString::to_string).unwrap_or_default();
    let note = |en: &str, zh: &str, value: &str| {
        if !value.is_empty() {
            out.note(format!("{en:<8}  {value}"), format!("{zh}  {value}"));
        }
    };
    let name = if id.is_empty() { preview.name.clone() } else { format!("{} ({id})", preview.name) };
    note("model", "模型", &name);
    note("source", "来源", &preview.source);
    if let Some(entry) = &preview.recognised {
        out.note(
            format!("          (the file is the catalogue's {entry}, by its sha256: name, source and licence are from there)"),
            format!("      （按 sha256 识别为目录中的 {entry}：名称、来源与许可取自目录）"),
        );
    }
    note("size", "大小", &preview.size_bytes.map(bytes_text).unwrap_or_default());
    let memory = preview.memory_bytes.map(bytes_text).unwrap_or_default();
    let memory = match preview.fits {
        Some(false) => out
            .lang
            .pick(format!("{memory} (more than is free now)"), format!("{memory}（超过当前空闲内存）")),
        _ => memory,
    };
    note("memory", "内存", &memory);
    note("licence", "许可", &text.text(out.lang).replace('\n', out.lang.pick("\n          ", "\n      ")));
    if let Some(conditions) = &preview.conditions {
        note("also", "另外", conditions.text(out.lang));
    }
}

fn declined(preview: &PullPreview) -> Fault {
    let name = &preview.licence.name;
    Fault::new(
        Code::LicenceNotAccepted,
        format!("nothing was fetched: accept the licence ({name}) with --yes"),
        format!("未下载任何内容：请用 --yes 接受许可（{name}）"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_pull_says_that_it_goes_on() {
        let cancelled = || Fault::new(Code::Cancelled, "x", "x");
        assert!(stopped(cancelled(), true).message.en.contains("goes on"));
        assert!(!stopped(cancelled(), false).message.en.contains("goes on"));
        assert!(!user().is_empty());
    }
}
