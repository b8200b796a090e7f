//! SQLite's files: damage, hostile disks.

use rixin_base::{Code, Explain};
use rixin_store::{Error, Store};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temp dir")
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_alone() {
    let dir = folder();
    let path = dir.path().join("rixin.db");
    let nonsense = vec![b'x'; 8192];
    std::fs::write(&path, &nonsense).expect("written");
    let error = Store::open(dir.path()).await.expect_err("damaged");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.message().zh.contains("已损坏") && error.message().en.contains("rixin.db"));
    assert_eq!(std::fs::read(&path).expect("readable"), nonsense);
}

#[tokio::test]
async fn a_folder_that_is_no_folder_is_named() {
    let dir = folder();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").expect("written");
    let error = Store::open(&file).await.expect_err("no folder");
    assert_eq!(error.code(), Code::ReadOnly);
    let error = Store::open(std::path::Path::new("/proc/rixin")).await.expect_err("can't be made");
    assert_eq!(error.code(), Code::ReadOnly);
    assert!(error.message().en.contains("RIXIN_DATA_DIR"), "{error}");
}
