//! Files of the authority: secrets are the owner's alone, and everything is written whole or not at all.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::{Error, Result};

/// The most that a key or a chain of certificates has.
const LARGEST: u64 = 1 << 20;

pub(crate) fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

/// A private key that others can read is no longer private.
pub(crate) fn check_mode(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).map_err(Error::io("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::OpenKey { path: path.to_owned(), mode });
    }
    Ok(())
}

pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>> {
    check_mode(path)?;
    read_bounded(path)
}

pub(crate) fn read_secret_text(path: &Path) -> Result<String> {
    String::from_utf8(read_secret(path)?)
        .map_err(|_| Error::credential(path.display(), "it is not PEM text", "不是 PEM 文本"))
}

pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > LARGEST {
        return Err(Error::credential(
            path.display(),
            "it is far too large for a key or a certificate",
            "作为密钥或证书，文件过大",
        ));
    }
    fs::read(path).map_err(Error::io("read", path))
}

pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o600)
}

pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o644)
}

/// Beside the place, then renamed onto it; the disk has it before the name does.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(Error::io("create", &beside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &beside))?;
    fs::rename(&beside, path).map_err(Error::io("write", path))
}
