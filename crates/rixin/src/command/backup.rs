//! `rixin backup` and `rixin restore`: everything of an instance in one file, written while a server runs.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rixin_base::{Code, Fault, bytes_text};
use rixin_store::{BackupOptions, Blobs, Manifest, Store, restore_keys, verify_backup};
use serde_json::json;

use crate::{
    context::Context,
    out::{Done, Exit, Out},
    time::minute,
};

/// The folder of the certificate authority in the data folder.
const KEYS: &str = "provenance";

/// Back up everything into one file, also while a server runs.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backup {
    /// The archive to write; it must not be there yet
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Leave out the bytes of files, and keep their hashes: where they are backed up by other means
    #[arg(long)]
    without_files: bool,
    /// The private keys of the certificate authority too: whoever has the archive can then sign as this instance
    #[arg(long)]
    with_keys: bool,
    #[command(subcommand)]
    verify: Option<Verify>,
}

// What else there is to do with archives; a doc comment would take the place of the text of `backup`.
#[derive(Debug, Subcommand)]
pub enum Verify {
    /// Read a whole archive and check every hash in it
    Verify {
        /// The archive
        #[arg(value_name = "FILE")]
        archive: PathBuf,
    },
}

impl Backup {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let out = context.out;
        if let Some(Verify::Verify { archive }) = self.verify {
            let manifest = checked(archive).await?;
            told(out, &manifest);
            return Ok(Exit::Ok);
        }
        let file = self.file.ok_or_else(|| Fault::internal("clap asks for the file"))?;
        let settings = context.settings();
        let keys = self.with_keys.then(|| settings.data_dir.join(KEYS));
        let store = Store::open_settings(settings).await?;
        let blobs = Blobs::open_settings(settings).await?;
        let options = BackupOptions { with_blobs: !self.without_files, keys };
        let written = store.backup(&file, &blobs, &options).await;
        store.close().await;
        told(out, &written?);
        Ok(Exit::Ok)
    }
}

async fn checked(archive: PathBuf) -> Result<Manifest, Fault> {
    tokio::task::spawn_blocking(move || verify_backup(&archive))
        .await
        .map_err(Fault::internal)?
        .map_err(Fault::from)
}

fn told(out: Out, manifest: &Manifest) {
    if out.json {
        out.document(manifest);
        return;
    }
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let bytes = bytes_text(manifest.blobs.iter().map(|blob| blob.bytes).sum());
    let (tables, files) = (manifest.tables.len(), manifest.blobs.len());
    out.say(
        format!(
            "{} UTC, rixin {}, schema {}: {rows} rows of {tables} tables, {files} files ({bytes}), {} files of keys",
            minute(manifest.at),
            manifest.version,
            manifest.schema,
            manifest.keys.len()
        ),
        format!(
            "{} UTC，rixin {}，结构版本 {}：{tables} 个表共 {rows} 行，{files} 个文件（{bytes}），{} 个密钥文件",
            minute(manifest.at),
            manifest.version,
            manifest.schema,
            manifest.keys.len()
        ),
    );
    if manifest.blobs_by_reference {
        out.note(
            "the bytes of files are not in it: back up the folder objects/ or the bucket as well",
            "其中不含文件内容：请另行备份 objects/ 文件夹或存储桶",
        );
    }
    for hash in &manifest.missing {
        out.note(
            format!("the file {hash} was not there to be backed up"),
            format!("文件 {hash} 缺失，未能备份"),
        );
    }
}

/// Take everything out of an archive.
#[derive(Args, Debug)]
pub struct Restore {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace everything that is in the database
    #[arg(long)]
    force: bool,
    /// The private keys of the certificate authority too, if the archive has them
    #[arg(long)]
    with_keys: bool,
}

impl Restore {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let out = context.out;
        let settings = context.settings();
        if self.with_keys {
            refuse_if_there(&settings.data_dir.join(KEYS), &checked(self.file.clone()).await?)?;
        }
        let store = Store::open_settings(settings).await?;
        let blobs = Blobs::open_settings(settings).await?;
        let restored = store.restore(&self.file, &blobs, self.force).await;
        store.close().await;
        let (manifest, moved) = restored?;
        let keys = if self.with_keys { restore_keys(&self.file, &settings.data_dir.join(KEYS))? } else { 0 };
        if out.json {
            let tables: serde_json::Map<_, _> =
                moved.tables.into_iter().map(|(name, rows)| (name, json!(rows))).collect();
            out.document(&json!({ "tables": tables, "files": moved.blobs, "keys": keys }));
        } else {
            told(out, &manifest);
            out.say("everything of it is in place", "已全部恢复");
        }
        Ok(Exit::Ok)
    }
}

/// Before the database is touched: keys are never written over others.
fn refuse_if_there(folder: &Path, manifest: &Manifest) -> Result<(), Fault> {
    let there = manifest.keys.iter().map(|entry| folder.join(&entry.name)).find(|path| path.exists());
    let Some(there) = there else { return Ok(()) };
    let there = there.display();
    Err(Fault::new(
        Code::Conflict,
        format!("{there} is there already: move it away, or restore without --with-keys"),
        format!("{there} 已存在：请将其移走，或不带 --with-keys 恢复"),
    ))
}
