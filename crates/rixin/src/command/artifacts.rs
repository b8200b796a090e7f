//! `rixin artifacts`: straight on the store, with or without a running server.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use rixin_base::{ArtifactId, Code, Fault, IdError, JobId, bytes_text};
use rixin_store::{
    ArtifactGraph, ArtifactKind, ArtifactQuery, ArtifactState, Blobs, ParentKind, Store, StoredArtifact,
    TenantScope,
};
use serde_json::{Value, json};

use crate::{
    context::{Context, by_operator},
    out::{Done, Exit, Out},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin artifacts`.
#[derive(Debug, Subcommand)]
pub enum Artifacts {
    /// List what was made and what was brought, newest first
    List {
        /// Only names with this text, or the artifact with this hash
        #[arg(value_name = "TEXT")]
        text: Option<String>,
        /// Only this kind
        #[arg(long, value_enum)]
        kind: Option<KindFlag>,
        /// Only what this job made
        #[arg(long, value_name = "ID")]
        job: Option<String>,
        /// Most artifacts to list
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show everything about an artifact: hashes, lineage, state
    Show {
        /// The artifact
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Write an artifact's file, and its credentials beside it where they are not inside
    Get {
        /// The artifact
        #[arg(value_name = "ID")]
        id: String,
        /// The file to write; its own name if left out
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Show what an artifact was made from, and what was made from it
    Graph {
        /// The artifact
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Remove an artifact; one that another was made from, or that a job reads, stays
    Remove {
        /// The artifact
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A kind of artifact on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindFlag {
    /// A picture
    Image,
    /// A video
    Video,
    /// Sound
    Audio,
    /// Text
    Text,
    /// Weights
    Model,
    /// A captured place
    Scene,
    /// A thing
    Object,
    /// Figures and findings
    Report,
    /// Anything else
    Other,
}

impl From<KindFlag> for ArtifactKind {
    fn from(kind: KindFlag) -> Self {
        match kind {
            KindFlag::Image => ArtifactKind::Image,
            KindFlag::Video => ArtifactKind::Video,
            KindFlag::Audio => ArtifactKind::Audio,
            KindFlag::Text => ArtifactKind::Text,
            KindFlag::Model => ArtifactKind::Model,
            KindFlag::Scene => ArtifactKind::Scene,
            KindFlag::Object => ArtifactKind::Object,
            KindFlag::Report => ArtifactKind::Report,
            KindFlag::Other => ArtifactKind::Other,
        }
    }
}

impl Artifacts {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context, &store).await;
        store.close().await;
        done
    }

    async fn on(self, context: &Context, store: &Store) -> Done {
        let scope = store.operator().default_scope().await?;
        let out = context.out;
        match self {
            Artifacts::List { text, kind, job, limit } => {
                let job = job.map(|id| id.parse::<JobId>()).transpose().map_err(|error| no_id(&error))?;
                let kind = kind.map(Into::into);
                let query = ArtifactQuery { kind, job, text, limit, ..ArtifactQuery::default() };
                let page = store.artifacts(&scope, &query).await?;
                list(out, &page.items, page.next.as_deref());
            }
            Artifacts::Show { id } => {
                let found = store.artifact(&scope, artifact_id(&id)?).await?;
                out.document(&told(&found));
            }
            Artifacts::Get { id, output, force } => {
                return get(context, store, &scope, &id, (output, force)).await;
            }
            Artifacts::Graph { id } => {
                let found = store.artifact_graph(&scope, artifact_id(&id)?).await?;
                graph(out, &found);
            }
            Artifacts::Remove { id } => {
                let id = artifact_id(&id)?;
                by_operator(&scope, store.remove_artifact(&scope, id)).await?;
                if out.json {
                    out.document(&json!({ "removed": id }));
                } else {
                    out.say(format!("removed {id}"), format!("已删除 {id}"));
                }
            }
        }
        Ok(Exit::Ok)
    }
}

fn artifact_id(text: &str) -> Result<ArtifactId, Fault> {
    text.parse().map_err(|error| no_id(&error))
}

fn no_id(error: &IdError) -> Fault {
    Fault::new(
        Code::InvalidValue,
        format!("{error}; `rixin artifacts list` shows the ids"),
        format!("{:?} 不是有效的编号：`rixin artifacts list` 可列出编号", error.text),
    )
}

fn told(found: &StoredArtifact) -> Value {
    json!({
        "id": found.id, "kind": found.kind, "name": found.name, "media_type": found.media_type,
        "origin": found.origin, "state": found.state, "job": found.job, "bytes": found.bytes,
        "sha256": found.sha256, "content_sha256": found.content_sha256, "source_sha256": found.source_sha256,
        "sidecar_sha256": found.sidecar_sha256, "created_at": found.created_at, "sealed_at": found.sealed_at,
        "fault": found.fault, "lineage": found.lineage,
    })
}

fn list(out: Out, found: &[StoredArtifact], next: Option<&str>) {
    if out.json {
        out.document(&json!({ "data": found.iter().map(told).collect::<Vec<_>>(), "next": next }));
        return;
    }
    if found.is_empty() {
        out.note("there are no artifacts", "没有制品");
        return;
    }
    let heads = out.lang.pick(
        ["ID", "TIME (UTC)", "KIND", "STATE", "SIZE", "NAME"],
        ["编号", "时间（UTC）", "类型", "状态", "大小", "名称"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for one in found {
        let state = match one.state {
            ArtifactState::Waiting => out.lang.pick("being signed", "签名中"),
            ArtifactState::Ready => out.lang.pick("ready", "可用"),
            ArtifactState::Failed => out.lang.pick("failed", "失败"),
        };
        table.row([
            one.id.to_string(),
            minute(one.created_at),
            one.kind.as_str().into(),
            state.into(),
            bytes_text(one.bytes.unwrap_or(one.source_bytes)),
            one.name.clone(),
        ]);
    }
    out.raw(&table.render(None));
}

async fn get(
    context: &Context,
    store: &Store,
    scope: &TenantScope,
    id: &str,
    (output, force): (Option<PathBuf>, bool),
) -> Done {
    let found = store.artifact(scope, artifact_id(id)?).await?;
    let Some(sha256) = found.sha256.as_ref().filter(|_| found.state == ArtifactState::Ready) else {
        return Err(Fault::new(
            Code::Conflict,
            format!(
                "{id} is not signed yet: a running server does that; `rixin artifacts show {id}` says more"
            ),
            format!("{id} 尚未签名：由运行中的服务器完成；详情见 `rixin artifacts show {id}`"),
        ));
    };
    let to = output.unwrap_or_else(|| PathBuf::from(&found.name));
    let mut beside = to.as_os_str().to_owned();
    beside.push(".c2pa");
    let beside = PathBuf::from(beside);
    free(&to, force)?;
    let blobs = Blobs::open_settings(context.settings()).await?;
    copy(&blobs, sha256, &to).await?;
    if let Some(sidecar) = &found.sidecar_sha256 {
        free(&beside, force)?;
        copy(&blobs, sidecar, &beside).await?;
    }
    blobs.settled().await;
    let out = context.out;
    if out.json {
        let sidecar = found.sidecar_sha256.as_ref().map(|_| &beside);
        out.document(&json!({ "id": found.id, "file": to, "sidecar": sidecar, "sha256": sha256 }));
    } else {
        out.line(&to.display().to_string());
        if found.sidecar_sha256.is_some() {
            out.line(&beside.display().to_string());
        }
    }
    Ok(Exit::Ok)
}

fn free(path: &Path, force: bool) -> Result<(), Fault> {
    if force || !path.exists() {
        return Ok(());
    }
    let shown = path.display();
    Err(Fault::new(
        Code::Conflict,
        format!("{shown} is there already: choose another with --output, or replace it with --force"),
        format!("{shown} 已存在：请用 --output 换一个，或用 --force 覆盖"),
    ))
}

/// A copy that may be written to, checked on the way: a link would be the stored blob itself.
async fn copy(blobs: &Blobs, sha256: &str, to: &Path) -> Result<(), Fault> {
    use futures::StreamExt as _;
    use tokio::io::AsyncWriteExt as _;
    let unwritable = |error: std::io::Error| {
        let shown = to.display();
        let code =
            if error.kind() == std::io::ErrorKind::StorageFull { Code::DiskFull } else { Code::ReadOnly };
        Fault::new(code, format!("can't write {shown}: {error}"), format!("无法写入 {shown}：{error}"))
    };
    let mut stream = blobs.get(&sha256.parse()?).await?;
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file = tokio::fs::File::create(&part).await.map_err(unwritable)?;
    while let Some(piece) = stream.next().await {
        file.write_all(&piece.map_err(unwritable)?).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    tokio::fs::rename(&part, to).await.map_err(unwritable)
}

fn graph(out: Out, found: &ArtifactGraph) {
    if out.json {
        let artifacts: Vec<Value> = found.artifacts.iter().map(told).collect();
        out.document(&json!({ "artifacts": artifacts, "edges": found.edges, "cut": found.cut }));
        return;
    }
    let name = |kind: ParentKind, id: &str| {
        let artifact = found.artifacts.iter().find(|one| one.id.to_string() == id);
        match artifact {
            Some(artifact) => format!("{} ({id})", artifact.name),
            None => format!("{} {id}", kind_word(out, kind)),
        }
    };
    if found.edges.is_empty() {
        out.note("nothing is known of what it was made from", "没有来源记录");
    }
    for edge in &found.edges {
        let from = name(ParentKind::Artifact, &edge.from.to_string());
        out.line(&format!("{from} <- {} [{}]", name(edge.kind, &edge.to), edge.relation));
    }
    if found.cut {
        out.note("there is more: ask for one of those artifacts", "还有更多：请查看其中的某个制品");
    }
}

fn kind_word(out: Out, kind: ParentKind) -> &'static str {
    match kind {
        ParentKind::Artifact => out.lang.pick("artifact", "制品"),
        ParentKind::File => out.lang.pick("file", "文件"),
        ParentKind::Model => out.lang.pick("model", "模型"),
        ParentKind::Dataset => out.lang.pick("dataset", "数据集"),
    }
}
