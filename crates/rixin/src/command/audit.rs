//! `rixin audit`: straight on the store, with or without a running server.

use std::{
    io::{BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueEnum};
use rixin_base::{Code, Fault};
use rixin_store::{
    AuditHead, AuditOutcome, AuditQuery, AuditReport, AuditVerifier, Store, audit_csv_head, audit_csv_row,
};
use serde_json::json;

use crate::{
    context::Context,
    out::{Done, Exit},
    table::{Side, Table},
    time::minute,
};

/// Rows that an export reads at a time.
const PIECE: u32 = 500;
/// The longest line of an exported file.
const MAX_LINE: u64 = 1 << 20;

/// The commands under `rixin audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List who did what to what, newest first
    List {
        /// Only this actor, by id or name
        #[arg(long)]
        actor: Option<String>,
        /// Only this action; with a point at its end a family, such as key.
        #[arg(long)]
        action: Option<String>,
        /// Most rows to list
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Write the log out, oldest first; JSON lines without filters can be verified
    Export {
        /// jsonl, or csv for a spreadsheet
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// Only this actor, by id or name
        #[arg(long)]
        actor: Option<String>,
        /// Only this action; with a point at its end a family, such as key.
        #[arg(long)]
        action: Option<String>,
    },
    /// Check the log's chain: which rows were removed, changed, inserted or moved
    Verify {
        /// Check this exported file, and not the database
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A head that was kept earlier (NUMBER:HASH): the log must still hold it
        #[arg(long, value_name = "HEAD")]
        head: Option<String>,
    },
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON lines
    Jsonl,
    /// For a spreadsheet
    Csv,
}

impl Audit {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        if let Audit::Verify { file: Some(file), head } = &self {
            let head = head.as_deref().map(str::parse::<AuditHead>).transpose()?;
            return told(&context, &verify_file(file, head)?);
        }
        let store = Store::open_settings(context.settings()).await?;
        let done = match self {
            Audit::List { actor, action, limit } => {
                let query = AuditQuery { actor, action, limit, ..AuditQuery::default() };
                list(&context, &store, query).await
            }
            Audit::Export { format, actor, action } => {
                let query = AuditQuery { actor, action, ..AuditQuery::default() };
                export(&context, &store, format, &query).await
            }
            Audit::Verify { head, .. } => verify(&context, &store, head.as_deref()).await,
        };
        store.close().await;
        done
    }
}

async fn list(context: &Context, store: &Store, query: AuditQuery) -> Done {
    let scope = store.operator().default_scope().await?;
    let page = store.audit(&scope, &query).await?;
    let out = context.out;
    if out.json {
        out.document(&json!({ "data": page.items, "next": page.next }));
        return Ok(Exit::Ok);
    }
    if page.items.is_empty() {
        out.note("nothing was noted", "没有记录");
        return Ok(Exit::Ok);
    }
    let heads = out.lang.pick(
        ["ROW", "TIME (UTC)", "WHO", "FROM", "ACTION", "OUTCOME", "TARGET"],
        ["行", "时间（UTC）", "操作者", "来自", "操作", "结果", "对象"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for row in &page.items {
        let outcome = match row.outcome {
            AuditOutcome::Done => out.lang.pick("done", "完成"),
            AuditOutcome::Refused => out.lang.pick("refused", "被拒绝"),
            AuditOutcome::Failed => out.lang.pick("failed", "失败"),
        };
        table.row([
            row.seq.to_string(),
            minute(row.at),
            format!("{} ({})", row.actor.name, row.actor.kind),
            row.actor.address.clone(),
            row.action.clone(),
            outcome.into(),
            row.target.clone(),
        ]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}

async fn export(context: &Context, store: &Store, format: Format, query: &AuditQuery) -> Done {
    let scope = store.operator().default_scope().await?;
    let head = store.audit_head(&scope).await?;
    let (out, last) = (context.out, head.seq);
    match format {
        Format::Csv => out.raw(&audit_csv_head()),
        Format::Jsonl => {
            out.line(&serde_json::to_string(&query.head_line(&scope, head)).map_err(Fault::internal)?);
        }
    }
    let mut after = 0;
    while after < last {
        let rows = store.audit_piece(&scope, query, after, PIECE).await?;
        let Some(end) = rows.last() else { break };
        after = end.seq;
        for row in rows.iter().filter(|row| row.seq <= last) {
            match format {
                Format::Csv => out.raw(&audit_csv_row(row)),
                Format::Jsonl => out.line(&serde_json::to_string(row).map_err(Fault::internal)?),
            }
        }
    }
    Ok(Exit::Ok)
}

async fn verify(context: &Context, store: &Store, head: Option<&str>) -> Done {
    let head = head.map(str::parse::<AuditHead>).transpose()?;
    let scope = store.operator().default_scope().await?;
    told(context, &store.verify_audit(&scope, head).await?)
}

/// Reads an exported file line by line; a line that is too long is none of ours.
fn verify_file(path: &Path, head: Option<AuditHead>) -> Result<AuditReport, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::new(
            Code::NotFound,
            format!("can't read {}: {error}", path.display()),
            format!("无法读取 {}：{error}", path.display()),
        )
    };
    let mut reader = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let mut verifier: Option<AuditVerifier> = None;
    let mut line = String::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_line(&mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        match &mut verifier {
            None => {
                verifier =
                    Some(AuditVerifier::of_export(line.trim_end(), head.clone().into_iter().collect())?.0)
            }
            Some(verifier) => verifier.line(line.trim_end())?,
        }
    }
    match verifier {
        Some(verifier) => Ok(verifier.finish()),
        None => Ok(AuditVerifier::of_export("", Vec::new())?.0.finish()),
    }
}

fn told(context: &Context, report: &AuditReport) -> Done {
    let out = context.out;
    if out.json {
        out.document(report);
    } else if report.ok {
        out.say(
            format!("{} rows, every one as it was written. Keep this head: {}", report.rows, report.head),
            format!("共 {} 行，全部与写入时一致。请记下链头：{}", report.rows, report.head),
        );
    } else {
        for finding in &report.findings {
            out.line(finding.message().text(out.lang));
        }
        if report.more > 0 {
            out.say(format!("... and {} more", report.more), format!("……以及另外 {} 处", report.more));
        }
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Failed })
}
