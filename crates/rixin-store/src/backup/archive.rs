//! The archive: one tar, written from a snapshot, and read with limits by whoever does not know where it comes from.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use futures::StreamExt as _;
use sha2::{Digest as _, Sha256 as Hasher};

use super::{FORMAT, FileEntry, Manifest, TableEntry, schema_version, tables};
use crate::{Blobs, Error, Sha256, Store, now_ms};

const MANIFEST: &str = "manifest.json";
/// The last file: the manifest's own hash.
const SEAL: &str = "manifest.sha256";
/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 256 << 20;
/// The most files of an archive.
const MAX_FILES: usize = 20_000_000;
/// The longest name in one.
const MAX_NAME: usize = 200;
/// The largest file of the certificate authority.
const MAX_KEY: u64 = 1 << 20;

/// What goes into an archive.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// The bytes of files too, and not their hashes alone.
    pub with_blobs: bool,
    /// The folder of the instance's certificate authority, with its private keys.
    pub keys: Option<PathBuf>,
}

/// The name of a table's file.
pub(super) fn table_file(table: &str) -> String {
    format!("tables/{table}.jsonl")
}

/// What an archive is that can't be believed.
pub(super) fn damaged(name: &str) -> Error {
    Error::Backup {
        en: format!("the archive is damaged at {name:?}, or it is none: nothing was changed"),
        zh: format!("归档在 {name:?} 处损坏，或不是归档：未做任何更改"),
    }
}

fn hex(hasher: Hasher) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash_of(data: &[u8]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(data);
    hex(hasher)
}

/// Writes to a file and hashes what it writes.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.hasher.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A new file that nobody else may read: rows hold the hashes of keys, and the keys of external engines.
fn create(path: &Path) -> Result<File, Error> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| Error::from_io(path, &error))
}

fn append(tar: &mut tar::Builder<BufWriter<File>>, name: &str, size: u64, data: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(0);
    tar.append_data(&mut header, name, data)
}

impl Store {
    /// Writes everything into a new archive, out of one snapshot: consistent while others write.
    ///
    /// # Errors
    /// The file is there already or can't be written; the database failed.
    pub async fn backup(
        &self,
        path: &Path,
        blobs: &Blobs,
        options: &BackupOptions,
    ) -> Result<Manifest, Error> {
        let partial = path.with_extension("partial");
        if path.exists() {
            return Err(Error::Exists {
                what: "a file named",
                what_zh: "文件",
                name: path.display().to_string(),
            });
        }
        let written = self.write_archive(&partial, blobs, options).await;
        if written.is_err() {
            // Nothing that looks like a backup is left of one that failed.
            let _ = std::fs::remove_file(&partial);
        }
        let manifest = written?;
        std::fs::rename(&partial, path).map_err(|error| Error::from_io(path, &error))?;
        Ok(manifest)
    }

    async fn write_archive(
        &self,
        path: &Path,
        blobs: &Blobs,
        options: &BackupOptions,
    ) -> Result<Manifest, Error> {
        let failed = |error: io::Error| Error::from_io(path, &error);
        let mut tar = tar::Builder::new(BufWriter::new(create(path)?));
        let mut tx = self.db().snapshot().await?;
        let mut manifest = Manifest {
            format: FORMAT,
            version: rixin_base::VERSION.into(),
            schema: schema_version(&mut tx).await?,
            at: now_ms(),
            tables: Vec::new(),
            blobs: Vec::new(),
            blobs_by_reference: !options.with_blobs,
            missing: Vec::new(),
            keys: Vec::new(),
        };
        let mut named = BTreeSet::new();
        for table in tables::all(&mut tx, self.db().dialect()).await? {
            let spool_path = path.with_extension("table");
            let spool = create(&spool_path)?;
            std::fs::remove_file(&spool_path).map_err(failed)?;
            let mut out = Hashing { inner: BufWriter::new(spool), hasher: Hasher::new(), bytes: 0 };
            let (names, mut count) = (table.names(), 0);
            let hash_at = names.iter().position(|name| name == "sha256");
            {
                let mut rows = tx.stream(table.select());
                while let Some(row) = rows.next().await {
                    let values = table.read(&row?).map_err(|error| self.db().failed(error))?;
                    if let Some(hash) = hash_at.and_then(|at| values[at].as_str()) {
                        named.insert(hash.to_owned());
                    }
                    serde_json::to_writer(&mut out, &values).map_err(|error| failed(error.into()))?;
                    out.write_all(b"\n").map_err(failed)?;
                    count += 1;
                }
            }
            let mut spool = out.inner.into_inner().map_err(|error| failed(error.into_error()))?;
            spool.rewind().map_err(failed)?;
            let file = table_file(&table.name);
            append(&mut tar, &file, out.bytes, BufReader::new(spool)).map_err(failed)?;
            let sha256 = hex(out.hasher);
            manifest.tables.push(TableEntry {
                name: table.name,
                columns: names,
                rows: count,
                bytes: out.bytes,
                sha256,
            });
        }
        drop(tx);
        if options.with_blobs {
            for hash in named {
                self.add_blob(&mut tar, path, blobs, hash, &mut manifest).await?;
            }
        }
        if let Some(folder) = &options.keys {
            add_keys(&mut tar, folder, &mut manifest)?;
        }
        let text = serde_json::to_vec(&manifest).map_err(|error| failed(error.into()))?;
        append(&mut tar, MANIFEST, text.len() as u64, text.as_slice()).map_err(failed)?;
        let seal = hash_of(&text);
        append(&mut tar, SEAL, seal.len() as u64, seal.as_bytes()).map_err(failed)?;
        let out = tar.into_inner().map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        Ok(manifest)
    }

    async fn add_blob(
        &self,
        tar: &mut tar::Builder<BufWriter<File>>,
        path: &Path,
        blobs: &Blobs,
        hash: String,
        manifest: &mut Manifest,
    ) -> Result<(), Error> {
        let failed = |error: io::Error| Error::from_io(path, &error);
        let Ok(sha256) = hash.parse::<Sha256>() else { return Ok(()) };
        let broken = |error: &dyn std::fmt::Display| Error::Backup {
            en: format!("the blob {hash} could not be read: {error}"),
            zh: format!("无法读取数据块 {hash}：{error}"),
        };
        let mut stream = match blobs.get(&sha256).await {
            Ok(stream) => stream,
            Err(error) if error.is_not_found() => {
                manifest.missing.push(hash);
                return Ok(());
            }
            Err(error) => return Err(broken(&error)),
        };
        let spool_path = path.with_extension("blob");
        let mut spool = create(&spool_path)?;
        std::fs::remove_file(&spool_path).map_err(failed)?;
        let mut bytes = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| broken(&error))?;
            spool.write_all(&piece).map_err(failed)?;
            bytes += piece.len() as u64;
        }
        spool.rewind().map_err(failed)?;
        append(tar, &format!("blobs/{hash}"), bytes, BufReader::new(spool)).map_err(failed)?;
        manifest.blobs.push(FileEntry { name: hash.clone(), bytes, sha256: hash });
        Ok(())
    }
}

/// The plain files of the certificate authority's folder.
fn add_keys(
    tar: &mut tar::Builder<BufWriter<File>>,
    folder: &Path,
    manifest: &mut Manifest,
) -> Result<(), Error> {
    let failed = |error: io::Error| Error::from_io(folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if let (true, Some(name)) = (kind.is_file(), entry.file_name().to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    for name in names {
        let data = std::fs::read(folder.join(&name)).map_err(failed)?;
        append(tar, &format!("keys/{name}"), data.len() as u64, data.as_slice()).map_err(failed)?;
        let sha256 = hash_of(&data);
        manifest.keys.push(FileEntry { name, bytes: data.len() as u64, sha256 });
    }
    Ok(())
}

/// An archive that is read from its start.
pub(super) struct Reader {
    tar: tar::Archive<BufReader<File>>,
    path: PathBuf,
}

/// A file of it.
pub(super) struct Entry<'a> {
    pub name: String,
    pub size: u64,
    inner: tar::Entry<'a, BufReader<File>>,
}

impl Read for Entry<'_> {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        self.inner.read(data)
    }
}

/// Its files, one after the other.
pub(super) struct Entries<'a> {
    inner: tar::Entries<'a, BufReader<File>>,
    count: usize,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found("file", "文件", path.display()),
            _ => Error::from_io(path, &error),
        })?;
        Ok(Self { tar: tar::Archive::new(BufReader::new(file)), path: path.to_path_buf() })
    }

    pub fn entries(&mut self) -> Result<Entries<'_>, Error> {
        let path = self.path.display().to_string();
        Ok(Entries { inner: self.tar.entries().map_err(|_| damaged(&path))?, count: 0 })
    }
}

impl<'a> Entries<'a> {
    /// The next one. Only plain files with plain names are taken: an archive is never unpacked into folders.
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, Error> {
        let Some(entry) = self.inner.next() else { return Ok(None) };
        let entry = entry.map_err(|_| damaged("a header"))?;
        self.count += 1;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| damaged("a name"))?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
        let fits = name.len() <= MAX_NAME
            && name.bytes().all(plain)
            && !name.contains("..")
            && !name.starts_with('/');
        if self.count > MAX_FILES || !fits || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(damaged(&name.chars().take(80).collect::<String>()));
        }
        Ok(Some(Entry { name, size: entry.size(), inner: entry }))
    }
}

/// Reads a whole archive and compares every file with the manifest.
///
/// # Errors
/// It is damaged, cut short, or no archive.
pub fn verify_backup(path: &Path) -> Result<Manifest, Error> {
    let mut open = Reader::open(path)?;
    let mut entries = open.entries()?;
    let mut found = Vec::new();
    let mut manifest: Option<(Manifest, String)> = None;
    let mut sealed = false;
    while let Some(mut entry) = entries.next()? {
        if let Some((_, hash)) = &manifest {
            // After the manifest comes its hash, and nothing after that.
            let mut text = String::new();
            let read = entry.by_ref().take(65).read_to_string(&mut text);
            if sealed || entry.name != SEAL || read.is_err() || text != *hash {
                return Err(damaged(&entry.name));
            }
            sealed = true;
            continue;
        }
        if entry.name == MANIFEST {
            if entry.size > MAX_MANIFEST {
                return Err(damaged(MANIFEST));
            }
            let mut text = Vec::new();
            entry.by_ref().take(MAX_MANIFEST).read_to_end(&mut text).map_err(|_| damaged(MANIFEST))?;
            let read: Manifest = serde_json::from_slice(&text).map_err(|_| damaged(MANIFEST))?;
            if read.format != FORMAT {
                return Err(damaged(MANIFEST));
            }
            manifest = Some((read, hash_of(&text)));
            continue;
        }
        if entry.name.starts_with("keys/") && entry.size > MAX_KEY {
            return Err(damaged(&entry.name));
        }
        let mut out = Hashing { inner: io::sink(), hasher: Hasher::new(), bytes: 0 };
        io::copy(&mut entry, &mut out).map_err(|_| damaged(&entry.name))?;
        if out.bytes != entry.size {
            return Err(damaged(&entry.name));
        }
        found.push((entry.name, out.bytes, hex(out.hasher)));
    }
    let (manifest, _) = manifest.filter(|_| sealed).ok_or_else(|| damaged(MANIFEST))?;
    let file = |folder: &str, entry: &FileEntry| {
        (format!("{folder}/{}", entry.name), entry.bytes, entry.sha256.clone())
    };
    let told =
        manifest.tables.iter().map(|table| (table_file(&table.name), table.bytes, table.sha256.clone()));
    let told = told.chain(manifest.blobs.iter().map(|entry| file("blobs", entry)));
    let mut told: Vec<_> = told.chain(manifest.keys.iter().map(|entry| file("keys", entry))).collect();
    told.sort();
    found.sort();
    match told.iter().zip(&found).find(|(told, found)| told != found) {
        Some((told, _)) => Err(damaged(&told.0)),
        None if told.len() != found.len() => Err(damaged(MANIFEST)),
        None => Ok(manifest),
    }
}

/// Puts the files of the certificate authority into a folder that does not have them, each readable by this user alone.
///
/// # Errors
/// One of them is there already; nothing was written then.
pub fn restore_keys(path: &Path, folder: &Path) -> Result<usize, Error> {
    let manifest = verify_backup(path)?;
    if let Some(there) = manifest.keys.iter().find(|entry| folder.join(&entry.name).exists()) {
        let name = folder.join(&there.name).display().to_string();
        return Err(Error::Exists { what: "a file named", what_zh: "文件", name });
    }
    let failed = |error: io::Error| Error::from_io(folder, &error);
    if !manifest.keys.is_empty() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut open = Reader::open(path)?;
    let mut entries = open.entries()?;
    let mut written = 0;
    while let Some(mut entry) = entries.next()? {
        let Some(name) =
            entry.name.strip_prefix("keys/").filter(|name| !name.contains('/')).map(str::to_owned)
        else {
            continue;
        };
        let mut out = create(&folder.join(name))?;
        io::copy(&mut entry, &mut out).map_err(failed)?;
        written += 1;
    }
    Ok(written)
}
