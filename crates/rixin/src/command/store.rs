//! `rixin store`: moving an instance's data from one database, or one place of files, to another.

use std::path::PathBuf;

use clap::Subcommand;
use rixin_base::{Code, Fault};
use rixin_store::{BlobOptions, Blobs, DatabaseUrl, Store, StoreOptions};
use serde_json::json;

use crate::{
    context::Context,
    out::{Done, Exit},
};

/// Connections to a server that moving needs.
const CONNECTIONS: u32 = 2;

/// The commands under `rixin store`.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Move every table into another, empty database; no server may run on either
    Migrate {
        /// Where the data is: sqlite:FOLDER or postgres://...
        #[arg(long, value_name = "PLACE")]
        from: String,
        /// Where it goes: sqlite:FOLDER or postgres://...
        #[arg(long, value_name = "PLACE")]
        to: String,
    },
    /// Copy the bytes of files from a data folder to where blob_url says; again: only what is missing
    CopyFiles {
        /// The data folder whose files are copied
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
    },
}

impl Data {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let out = context.out;
        match self {
            Data::Migrate { from, to } => {
                let (from, to) = (place(&from)?, place(&to)?);
                let moved = Store::migrate(&from, &to).await?;
                let rows: u64 = moved.tables.iter().map(|(_, rows)| rows).sum();
                if out.json {
                    let tables: serde_json::Map<_, _> =
                        moved.tables.into_iter().map(|(name, rows)| (name, json!(rows))).collect();
                    out.document(&json!({ "tables": tables, "rows": rows }));
                } else {
                    let tables = moved.tables.len();
                    out.say(
                        format!("{rows} rows of {tables} tables arrived as they left"),
                        format!("{tables} 个表共 {rows} 行已迁移，内容一致"),
                    );
                }
            }
            Data::CopyFiles { from } => {
                let folder = from.join("objects");
                if !folder.is_dir() {
                    let shown = folder.display();
                    return Err(Fault::new(
                        Code::NotFound,
                        format!("there is no folder {shown}: name the data folder that holds it"),
                        format!("没有文件夹 {shown}：请指定包含它的数据文件夹"),
                    ));
                }
                let source = Blobs::open(&BlobOptions::Folder(folder)).await?;
                let target = Blobs::open_settings(context.settings()).await?;
                let copied = source.copy_to(&target).await?;
                target.settled().await;
                if out.json {
                    out.document(&json!({ "copied": copied }));
                } else {
                    out.say(
                        format!("{copied} files copied to {target:?}"),
                        format!("已复制 {copied} 个文件到 {target:?}"),
                    );
                }
            }
        }
        Ok(Exit::Ok)
    }
}

/// A database by its address.
fn place(text: &str) -> Result<StoreOptions, Fault> {
    if let Some(folder) = text.strip_prefix("sqlite:") {
        return Ok(StoreOptions::sqlite(&PathBuf::from(folder.trim_start_matches("//"))));
    }
    let url = text.parse::<DatabaseUrl>().map_err(|_| {
        // The text may hold a password, so that it is not shown.
        Fault::new(
            Code::InvalidValue,
            "a place is sqlite:FOLDER or postgres://user:password@host:5432/database",
            "位置应为 sqlite:文件夹 或 postgres://用户:密码@主机:5432/库名",
        )
    })?;
    Ok(StoreOptions { data_dir: PathBuf::new(), database_url: Some(url), connections: CONNECTIONS })
}
