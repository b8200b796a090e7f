//! npm through `npm pack`, which fetches a tarball, checks its integrity and runs nothing.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rixin_base::{Cancel, Message};

use super::{
    PackagePart, SourceError,
    client::{Client, gist, no_network},
    package::{Index, Kind},
};
use crate::download::Meter;

/// npm, as the setting `npm` names it.
pub(super) struct Npm(pub Client);

#[async_trait]
impl Index for Npm {
    fn client(&self) -> &Client {
        &self.0
    }

    fn kind(&self) -> Kind {
        Kind::Tarball
    }

    fn page(&self, part: &PackagePart) -> String {
        format!("https://www.npmjs.com/package/{}/v/{}", part.package, part.version)
    }

    async fn download(
        &self,
        part: &PackagePart,
        folder: &Path,
        meter: &Meter,
        before: u64,
        cancel: &Cancel,
    ) -> Result<PathBuf, SourceError> {
        let spec = format!("{}@{}", part.package, part.version);
        let args = [
            "pack",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
            "--pack-destination=.",
            // Its cache here as well: it shows the progress, and nothing stays in the user's.
            "--cache=cache",
            "--",
            &spec,
        ];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let env = [("LC_ALL", OsStr::new("C.UTF-8"))];
        let ended = self.0.run(&args, &env, folder, meter, before, cancel).await?;
        if !ended.status.success() {
            return Err(failure(&self.0, &spec, folder, &ended.stderr));
        }
        super::package::only_file(folder, "tgz", &spec)
    }
}

/// What npm's last words mean.
fn failure(client: &Client, spec: &str, folder: &Path, stderr: &str) -> SourceError {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&["ENOSPC"]) {
        let free = crate::download::space::free(folder).unwrap_or(0);
        return SourceError::DiskFull { path: folder.to_path_buf(), need: free + 1, free };
    }
    if says(&["ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET", "ENETUNREACH"]) {
        return SourceError::Unreachable { host: "the npm registry".into(), why: no_network(stderr) };
    }
    if says(&["E404", "ETARGET", "ENOVERSIONS"]) {
        return SourceError::NotThere { hub: "The npm registry", what: spec.to_owned() };
    }
    let words = gist(stderr);
    let why = Message::new(words.clone(), words);
    SourceError::ClientFailed { command: client.command.clone(), package: spec.to_owned(), why }
}
