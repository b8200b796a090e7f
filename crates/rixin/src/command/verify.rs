//! `rixin verify`: who signed a file, what it was made from, and whether it was changed since. Works without a server.

use std::path::{Path, PathBuf};

use clap::Args;
use rixin_artifacts::Instance;
use rixin_base::{Code, Fault, Lang};
use rixin_provenance::{EdgeKind, Graph, Limits, Node, NodeKind, Origin, Report, Source, Verdict};

use crate::{
    context::Context,
    out::{Done, Exit, Out},
};

/// The largest `.c2pa` file.
const MAX_SIDECAR: u64 = 16 << 20;

/// Flags of `rixin verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The file to check
    file: PathBuf,
    /// Its credentials, where they lie beside it; otherwise FILE.c2pa, if that is there
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
}

impl Verify {
    /// Runs it. The exit code is 0 for a file that is valid alone.
    pub async fn run(self, context: Context) -> Done {
        let instance = Instance::of(context.settings())?;
        let report =
            tokio::task::spawn_blocking(move || self.report(&instance)).await.map_err(Fault::internal)??;
        let out = context.out;
        if out.json {
            out.document(&report);
        } else {
            told(out, &report);
        }
        Ok(if report.verdict == Verdict::Valid { Exit::Ok } else { Exit::Failed })
    }

    fn report(&self, instance: &Instance) -> Result<Report, Fault> {
        if self.file.is_dir() {
            let shown = self.file.display();
            return Err(Fault::new(
                Code::InvalidValue,
                format!("{shown} is a folder: name a file"),
                format!("{shown} 是文件夹：请指定文件"),
            ));
        }
        let verifier = instance.verifier(Limits::default())?;
        let sidecar = match &self.sidecar {
            Some(path) => Some(read_sidecar(path)?),
            None => {
                let mut beside = self.file.as_os_str().to_owned();
                beside.push(".c2pa");
                let beside = PathBuf::from(beside);
                if beside.is_file() { Some(read_sidecar(&beside)?) } else { None }
            }
        };
        Ok(verifier.verify(Source::Path(&self.file), sidecar.as_deref())?)
    }
}

fn read_sidecar(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let unreadable = |why: String| {
        Fault::new(
            Code::NotFound,
            format!("the credentials {shown} can't be read: {why}"),
            format!("无法读取内容凭证 {shown}：{why}"),
        )
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > MAX_SIDECAR {
        return Err(unreadable("over 16 MiB (超过 16 MiB)".into()));
    }
    std::fs::read(path).map_err(|error| unreadable(error.to_string()))
}

fn told(out: Out, report: &Report) {
    let verdict = match report.verdict {
        Verdict::Valid => ("valid", "有效"),
        Verdict::Changed => ("changed", "已被改动"),
        Verdict::UnknownSigner => ("unknown signer", "签名者未知"),
        Verdict::Revoked => ("revoked", "证书已吊销"),
        Verdict::Expired => ("expired", "证书已过期"),
        Verdict::NotSigned => ("not signed", "未签名"),
        Verdict::MetadataStripped => ("metadata stripped", "元数据已被去除"),
    };
    out.say(
        format!("{}: {}", verdict.0, report.explanation.en),
        format!("{}：{}", verdict.1, report.explanation.zh),
    );
    for change in &report.changes {
        out.line(&format!("  - {}", change.text.text(out.lang)));
    }
    if let Some(signer) = &report.signer {
        let stamped = report.stamped_at.as_deref();
        out.say(
            format!(
                "signed by {}{}",
                signer.name,
                stamped.map_or(String::new(), |at| format!(", stamped {at}"))
            ),
            format!(
                "签名者：{}{}",
                signer.name,
                stamped.map_or(String::new(), |at| format!("，时间戳 {at}"))
            ),
        );
    }
    out.line(&format!("sha256 {}", report.sha256));
    if !report.graph.edges.is_empty() {
        out.say("made from:", "来源：");
        let lines = chain(&report.graph, out.lang);
        for line in lines {
            out.line(&line);
        }
    }
}

/// The graph as an indented list. A node that stands in two places is written out once.
pub(crate) fn chain(graph: &Graph, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen = std::collections::HashSet::new();
    if let Some(first) = graph.nodes.first() {
        branch(graph, first, 1, lang, &mut seen, &mut lines);
    }
    lines
}

fn branch<'a>(
    graph: &'a Graph,
    node: &'a Node,
    depth: usize,
    lang: Lang,
    seen: &mut std::collections::HashSet<&'a str>,
    lines: &mut Vec<String>,
) {
    if !seen.insert(&node.id) || depth > 32 {
        return;
    }
    for edge in graph.edges.iter().filter(|edge| edge.from == node.id) {
        let Some(to) = graph.nodes.iter().find(|one| one.id == edge.to) else { continue };
        let word = edge_word(edge.kind, lang);
        lines.push(format!("{}{word} {}", "  ".repeat(depth), node_text(to, lang)));
        branch(graph, to, depth + 1, lang, seen, lines);
    }
}

fn edge_word(kind: EdgeKind, lang: Lang) -> &'static str {
    let (en, zh) = match kind {
        EdgeKind::MadeWith => ("made with", "所用"),
        EdgeKind::BasedOn => ("on top of", "基于"),
        EdgeKind::TrainedOn => ("trained on", "训练数据"),
        EdgeKind::Contains => ("contains", "包含"),
        EdgeKind::EditedFrom => ("edited from", "编辑自"),
        EdgeKind::ComposedOf => ("composed of", "组成部分"),
        EdgeKind::DerivedFrom => ("computed from", "计算自"),
    };
    lang.pick(en, zh)
}

fn node_text(node: &Node, lang: Lang) -> String {
    let kind = match node.kind {
        NodeKind::File => ("file", "文件"),
        NodeKind::Model => ("model", "模型"),
        NodeKind::Adapter => ("adapter", "适配器"),
        NodeKind::Dataset => ("dataset", "数据集"),
        NodeKind::DatasetFile => ("file", "文件"),
        NodeKind::Input => ("input", "输入"),
    };
    let mut text = format!("{} {}", lang.pick(kind.0, kind.1), node.name);
    let mut more = Vec::new();
    if let Some(origin) = node.origin {
        more.push(match origin {
            Origin::Own => lang.pick("own", "自有").to_owned(),
            Origin::Imported => lang.pick("imported", "导入").to_owned(),
            Origin::Trained => lang.pick("trained here", "本地训练").to_owned(),
        });
    }
    if let Some(licence) = &node.licence {
        more.push(licence.spdx.clone().unwrap_or_else(|| licence.name.clone()));
    }
    if let Some(sha256) = &node.sha256 {
        more.push(sha256.chars().take(12).collect());
    }
    if node.credentials_hold == Some(false) {
        more.push(lang.pick("its credentials do not hold", "其内容凭证无效").to_owned());
    }
    if !more.is_empty() {
        text.push_str(&format!(" ({})", more.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use rixin_provenance::Edge;

    use super::*;

    fn node(id: &str, kind: NodeKind) -> Node {
        Node {
            id: id.into(),
            kind,
            name: id.into(),
            sha256: None,
            origin: None,
            source: None,
            licence: None,
            credentials_hold: None,
        }
    }

    #[test]
    fn a_graph_with_a_ring_ends_and_says_how_each_came() {
        let edge = |from: &str, to: &str, kind| Edge { from: from.into(), to: to.into(), kind };
        let graph = Graph {
            nodes: vec![
                node("picture", NodeKind::File),
                Node { origin: Some(Origin::Trained), ..node("style", NodeKind::Adapter) },
                node("base", NodeKind::Model),
            ],
            edges: vec![
                edge("picture", "style", EdgeKind::MadeWith),
                edge("style", "base", EdgeKind::BasedOn),
                edge("base", "picture", EdgeKind::DerivedFrom),
            ],
        };
        assert_eq!(
            chain(&graph, Lang::En),
            [
                "  made with adapter style (trained here)",
                "    on top of model base",
                "      computed from file picture"
            ]
        );
        assert!(chain(&graph, Lang::Zh)[0].contains("适配器 style"));
    }
}
