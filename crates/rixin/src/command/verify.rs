//! `rixin verify`: who signed a file, what it was made from, and whether it was changed since. Needs neither a server nor an account.

use std::path::{Path, PathBuf};

use clap::Args;
use rixin_base::{Code, Fault, Lang, bytes_text};
use rixin_provenance::{
    Authority, AuthorityOptions, EdgeKind, Graph, Limits, NodeKind, Origin, Report, Source, Trust, Verdict,
    Verifier,
};

use crate::{
    context::Context,
    out::{Done, Exit, Out},
};

/// The largest file of credentials beside a file, in bytes.
const MAX_CREDENTIALS: u64 = 16 << 20;
/// Levels of a chain that are drawn.
const MAX_DEPTH: usize = 16;

/// Flags of `rixin verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The file
    file: PathBuf,
    /// Credentials that lie beside it (otherwise FILE.c2pa, where there is one)
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl Verify {
    /// Runs it: 0 where it is signed by somebody who is trusted and not changed since, otherwise 1.
    pub fn run(self, context: &Context) -> Done {
        let trust = trust(context)?;
        let sidecar = self.sidecar()?;
        let verifier = Verifier::new(trust, Limits::default())?;
        let report = verifier.verify(Source::Path(&self.file), sidecar.as_deref())?;
        if context.out.json {
            context.out.document(&report);
        } else {
            tell(context.out, &report);
        }
        Ok(if report.verdict == Verdict::Valid { Exit::Ok } else { Exit::Failed })
    }

    fn sidecar(&self) -> Result<Option<Vec<u8>>, Fault> {
        if let Some(path) = &self.credentials {
            return read(path).map(Some);
        }
        let mut beside = self.file.clone().into_os_string();
        beside.push(".c2pa");
        let beside = PathBuf::from(beside);
        if beside.is_file() { read(&beside).map(Some) } else { Ok(None) }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Internal };
        Fault::new(code, format!("can't read {shown}: {error}"), format!("无法读取 {shown}：{error}"))
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_CREDENTIALS {
        let limit = bytes_text(MAX_CREDENTIALS);
        return Err(Fault::new(
            Code::BodyTooLarge,
            format!("{shown} is over {limit}: these are no credentials"),
            format!("{shown} 超过 {limit}：不是凭证文件"),
        ));
    }
    std::fs::read(path).map_err(failed)
}

/// Whom to believe: this instance's own certificates, where it has some (looking must not make them), and those of the setting.
fn trust(context: &Context) -> Result<Trust, Fault> {
    let settings = context.settings();
    let more = match settings.trust_anchors.is_empty() {
        true => String::new(),
        false => String::from_utf8(read(Path::new(&settings.trust_anchors))?).map_err(|_| {
            let path = &settings.trust_anchors;
            Fault::new(
                Code::BadSetting,
                format!("trust_anchors: {path} holds no PEM certificates"),
                format!("trust_anchors：{path} 中没有 PEM 证书"),
            )
        })?,
    };
    let dir = settings.data_dir.join("provenance");
    if !dir.is_dir() {
        return Ok(Trust { anchors_pem: more, ..Trust::default() });
    }
    let authority = Authority::open(&dir, AuthorityOptions::default())?;
    Ok(Trust::of(&authority, &settings.provenance_producer, &more)?)
}

fn tell(out: Out, report: &Report) {
    out.line(report.explanation.text(out.lang));
    let row = |en: &str, zh: &str, value: &str| {
        if !value.is_empty() {
            out.line(&format!("  {} {value}", out.lang.pick(format!("{en}:"), format!("{zh}："))));
        }
    };
    row("file", "文件", &format!("{}, {}", report.media.mime(), bytes_text(report.size)));
    row("sha256", "sha256", &report.sha256);
    if let Some(signer) = &report.signer {
        row("signer", "签名者", signer.organisation.as_deref().unwrap_or(&signer.name));
        row("serial", "证书序列号", signer.serial.as_deref().unwrap_or_default());
    }
    row("time stamp", "时间戳", report.stamped_at.as_deref().unwrap_or_default());
    row("made by", "生成工具", report.generator.as_deref().unwrap_or_default());
    row("actions", "操作", &report.actions.join(", "));
    row("how it came to be", "来源类型", report.digital_source_type.as_deref().unwrap_or_default());
    for change in &report.changes {
        row("changed", "改动", change.text.text(out.lang));
    }
    if let Some(label) = &report.label {
        let text = format!("{} {}", label.content_producer, label.produce_id);
        row("label (GB 45438-2025)", "标识（GB 45438-2025）", text.trim());
    }
    if report.graph.nodes.len() > 1 {
        out.say("Where it came from:", "来源：");
        branch(out, &report.graph, "file", 1);
    }
}

/// What a node was made from, one step in for each step back.
fn branch(out: Out, graph: &Graph, from: &str, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for edge in graph.edges.iter().filter(|edge| edge.from == from) {
        let Some(node) = graph.nodes.iter().find(|node| node.id == edge.to) else { continue };
        let mut facts = vec![kind(node.kind, out.lang)];
        if let Some(origin) = node.origin {
            facts.push(origin_word(origin, out.lang));
        }
        let licence = node.licence.as_ref().map(|licence| licence.name.clone());
        if let Some(licence) = &licence {
            facts.push(licence);
        }
        if node.credentials_hold == Some(false) {
            facts.push(out.lang.pick("its credentials do not hold", "其凭证无法通过验证"));
        }
        let how = edge_word(edge.kind, out.lang);
        out.line(&format!("{}{how} {} ({})", "  ".repeat(depth), node.name, facts.join(", ")));
        branch(out, graph, &edge.to, depth + 1);
    }
}

fn kind(kind: NodeKind, lang: Lang) -> &'static str {
    match kind {
        NodeKind::File => lang.pick("file", "文件"),
        NodeKind::Model => lang.pick("model", "模型"),
        NodeKind::Adapter => lang.pick("adapter", "适配器"),
        NodeKind::Dataset => lang.pick("data set", "数据集"),
        NodeKind::DatasetFile => lang.pick("file of the data set", "数据集文件"),
        NodeKind::Input => lang.pick("input", "素材"),
    }
}

fn origin_word(origin: Origin, lang: Lang) -> &'static str {
    match origin {
        Origin::Own => lang.pick("the suite's own", "自有"),
        Origin::Imported => lang.pick("imported", "导入"),
        Origin::Trained => lang.pick("trained here", "本机训练"),
    }
}

fn edge_word(kind: EdgeKind, lang: Lang) -> &'static str {
    match kind {
        EdgeKind::MadeWith => lang.pick("made with", "使用"),
        EdgeKind::BasedOn => lang.pick("based on", "基于"),
        EdgeKind::TrainedOn => lang.pick("trained on", "训练数据"),
        EdgeKind::Contains => lang.pick("contains", "包含"),
        EdgeKind::EditedFrom => lang.pick("edited from", "编辑自"),
        EdgeKind::ComposedOf => lang.pick("composed of", "组成部分"),
        EdgeKind::DerivedFrom => lang.pick("derived from", "派生自"),
    }
}
