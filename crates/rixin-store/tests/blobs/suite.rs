//! What holds in a folder and in a bucket alike.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;
use rixin_base::{Code, Explain as _};
use rixin_store::{BlobError, BlobOptions, Blobs, Sha256, StoredBlob};

use super::server::Server;

const MIB: usize = 1 << 20;
/// Of streams: far over all of them, and small enough for the smallest parts.
pub const LIMIT: u64 = 1 << 30;

/// Blobs somewhere, and the folder where they lie as files.
pub struct Rig {
    pub blobs: Blobs,
    pub folder: PathBuf,
    server: Option<Server>,
    /// For files of the test.
    pub desk: tempfile::TempDir,
}

impl Rig {
    pub async fn folder() -> Self {
        let desk = tempfile::tempdir().expect("temp dir");
        let folder = desk.path().join("objects");
        let blobs = Blobs::open(&BlobOptions::Folder(folder.clone())).await.expect("opens");
        Self { blobs, folder, server: None, desk }
    }

    pub async fn bucket() -> Self {
        Self::on(Server::start().await).await
    }

    pub async fn on(server: Server) -> Self {
        let desk = tempfile::tempdir().expect("temp dir");
        Self { blobs: server.open().await, folder: server.folder(), server: Some(server), desk }
    }

    fn file_of(&self, sha256: &Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.folder.join("sha256").join(&name[..2]).join(name)
    }

    async fn listed(&self) -> Vec<StoredBlob> {
        self.blobs.list().try_collect().await.expect("lists")
    }

    /// No blob, nothing staged, no part of an upload.
    async fn assert_untouched(&self) {
        assert_eq!(self.listed().await, []);
        self.assert_nothing_staged();
    }

    fn assert_nothing_staged(&self) {
        if let Ok(entries) = std::fs::read_dir(self.folder.join("staging")) {
            let left: Vec<_> = entries.map(|entry| entry.expect("entry").file_name()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let parts = self.server.as_ref().map(Server::parts).unwrap_or_default();
        assert!(parts.is_empty(), "{parts:?}");
    }

    async fn assert_holds(&self, sha256: &Sha256, bytes: &[u8]) {
        let got = self.blobs.get_bytes(sha256, u64::MAX).await.expect("reads");
        assert!(got == bytes, "{} bytes came back as {} others", bytes.len(), got.len());
    }
}

/// Bytes that do not repeat.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 31)).to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

pub fn pieces(bytes: &[u8], piece: usize) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let pieces: Vec<_> = bytes.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces)
}

fn age(file: &Path, by: Duration) {
    let times = std::fs::FileTimes::new().set_modified(SystemTime::now() - by);
    std::fs::File::open(file).expect("the file").set_times(times).expect("own file");
}

fn overwrite(file: &Path, bytes: &[u8]) {
    // Stored files are read-only, which does not bind every user: replacing one always works.
    std::fs::remove_file(file).expect("there");
    std::fs::write(file, bytes).expect("written");
}

pub async fn what_is_put_can_be_got(rig: Rig) {
    for bytes in [vec![], vec![7], noise(3 * MIB + 5, 1)] {
        let blob = rig.blobs.put_bytes(bytes.clone()).await.expect("stored");
        assert_eq!((blob.sha256, blob.size), (Sha256::of(&bytes), bytes.len() as u64));
        assert_eq!(rig.blobs.size(&blob.sha256).await.expect("known"), blob.size);
        assert!(rig.blobs.exists(&blob.sha256).await.expect("asked"));
        rig.assert_holds(&blob.sha256, &bytes).await;
        assert_eq!(std::fs::read(rig.file_of(&blob.sha256)).expect("a file"), bytes);
    }
    let big = rig.blobs.get_bytes(&Sha256::of(&[7]), 0).await;
    assert_eq!(big.expect_err("over the limit").code(), Code::BodyTooLarge);
    rig.assert_nothing_staged();
}

pub async fn what_is_not_there_is_not_found(rig: Rig) {
    let sha256 = Sha256::of(b"nowhere");
    assert!(!rig.blobs.exists(&sha256).await.expect("asked"));
    let target = rig.desk.path().join("target");
    for error in [
        rig.blobs.get(&sha256).await.map(drop).expect_err("not there"),
        rig.blobs.get_range(&sha256, 0..1).await.map(drop).expect_err("not there"),
        rig.blobs.get_range(&sha256, 0..0).await.map(drop).expect_err("not there"),
        rig.blobs.size(&sha256).await.map(drop).expect_err("not there"),
        rig.blobs.fetch_to(&sha256, &target).await.expect_err("not there"),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert!(error.message().zh.contains(&sha256.to_string()));
    }
    assert!(!target.exists());
    rig.blobs.delete(&sha256).await.expect("it is gone already");
}

pub async fn a_range_is_exact(rig: Rig) {
    let bytes = noise(MIB, 2);
    let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
    for range in [0..1, 0..bytes.len(), 1000..700_000, MIB - 1..MIB, 5..5, MIB..MIB] {
        let wanted = range.start as u64..range.end as u64;
        let stream = rig.blobs.get_range(&sha256, wanted).await.expect("inside");
        assert_eq!(stream.size(), range.len() as u64);
        assert!(stream.bytes().await.expect("reads") == bytes[range]);
    }
    let size = MIB as u64;
    for (start, end) in [(size, size + 1), (size + 5, size + 9), (10, size + 1), (9, 3), (size + 1, size + 1)]
    {
        let error = rig.blobs.get_range(&sha256, start..end).await.map(drop).expect_err("outside");
        assert!(
            matches!(error, BlobError::Range { size, .. } if size == MIB as u64),
            "{start}..{end}: {error}"
        );
    }
}

pub async fn equal_content_is_stored_once(rig: Rig) {
    for bytes in [noise(5000, 3), noise(9 * MIB, 4)] {
        let before = rig.listed().await.len();
        let file = rig.desk.path().join("file");
        std::fs::write(&file, &bytes).expect("written");
        let first = rig.blobs.put_bytes(bytes.clone()).await.expect("stored");
        let times = std::fs::metadata(rig.file_of(&first.sha256)).expect("there").modified().expect("known");
        assert_eq!(rig.blobs.put_file(&file).await.expect("stored"), first);
        assert_eq!(rig.blobs.put_stream(pieces(&bytes, 70_000), LIMIT).await.expect("stored"), first);
        assert_eq!(rig.listed().await.len(), before + 1);
        let after = std::fs::metadata(rig.file_of(&first.sha256)).expect("there").modified().expect("known");
        assert_eq!(times, after, "it was written again");
    }
    rig.assert_nothing_staged();
}

pub async fn writers_of_the_same_content_do_no_harm(rig: Rig) {
    for bytes in [noise(20_000, 5), noise(9 * MIB, 6)] {
        let writers = (0..6).map(|_| {
            let (blobs, stream) = (rig.blobs.clone(), pieces(&bytes, 100_000));
            tokio::spawn(async move { blobs.put_stream(stream, LIMIT).await })
        });
        for writer in futures::future::join_all(writers).await {
            assert_eq!(writer.expect("ends").expect("stored").sha256, Sha256::of(&bytes));
        }
        rig.assert_holds(&Sha256::of(&bytes), &bytes).await;
    }
    assert_eq!(rig.listed().await.len(), 2);
    rig.assert_nothing_staged();
}

pub async fn a_changed_byte_is_found(rig: Rig) {
    let bytes = noise(2 * MIB, 7);
    let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
    let target = rig.desk.path().join("target");
    std::fs::write(&target, "as it was").expect("written");
    let mut flipped = bytes.clone();
    flipped[MIB] ^= 1;
    let longer = [bytes.as_slice(), b"x"].concat();
    for damaged in [flipped.as_slice(), &bytes[..MIB], &longer, b""] {
        overwrite(&rig.file_of(&sha256), damaged);
        let mut stream = rig.blobs.get(&sha256).await.expect("opens");
        let mut seen = 0;
        let error = loop {
            match stream.next().await.expect("it ends with an error") {
                Ok(piece) => seen += piece.len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, BlobError::Corrupt { sha256: named, .. } if named == sha256), "{error}");
        assert!(seen == 0 || seen < damaged.len(), "all of the damaged bytes were given out");
        assert!(stream.next().await.is_none());
        let error = rig.blobs.fetch_to(&sha256, &target).await.expect_err("damaged");
        assert_eq!(error.code(), Code::HashMismatch, "{error}");
        assert_eq!(std::fs::read(&target).expect("there"), b"as it was");
    }
    rig.blobs.delete(&sha256).await.expect("deleted");
    rig.blobs.put_bytes(bytes.clone()).await.expect("stored");
    rig.assert_holds(&sha256, &bytes).await;
    assert_eq!(std::fs::read_dir(rig.desk.path()).expect("desk").filter(part_file).count(), 0);
}

fn part_file(entry: &io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
}

pub async fn content_of_another_length_is_written_over(rig: Rig) {
    let bytes = noise(5000, 8);
    let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
    overwrite(&rig.file_of(&sha256), &bytes[..4000]);
    rig.blobs.put_bytes(bytes.clone()).await.expect("stored");
    rig.assert_holds(&sha256, &bytes).await;
}

pub async fn more_than_the_limit_is_refused(rig: Rig) {
    let exact = rig.blobs.put_stream(pieces(&noise(1000, 9), 300), 1000).await.expect("fits");
    rig.blobs.delete(&exact.sha256).await.expect("deleted");
    for (count, limit) in [(1001, 1000), (20 * MIB, 17 * MIB as u64)] {
        let error = rig.blobs.put_stream(pieces(&noise(count, 10), 65_536), limit).await.expect_err("over");
        assert!(matches!(error, BlobError::TooLarge { limit: named } if named == limit), "{error}");
        rig.assert_untouched().await;
    }
}

pub async fn an_interrupted_stream_leaves_nothing(rig: Rig) {
    for count in [1000, 20 * MIB] {
        let broken = pieces(&noise(count, 11), 65_536)
            .chain(futures::stream::iter([Err(io::Error::other("the line went dead"))]));
        let error = rig.blobs.put_stream(broken, LIMIT).await.expect_err("broken");
        assert!(matches!(&error, BlobError::Interrupted { why } if why.contains("went dead")), "{error}");
        rig.assert_untouched().await;
    }
}

pub async fn a_dropped_future_leaves_nothing(rig: Rig) {
    let (taken, all_taken) = tokio::sync::oneshot::channel();
    let stream = pieces(&noise(20 * MIB, 12), 65_536).chain(futures::stream::once(async move {
        taken.send(()).expect("the test waits");
        std::future::pending().await
    }));
    {
        let mut put = std::pin::pin!(rig.blobs.put_stream(stream, LIMIT));
        tokio::select! {
            _ = &mut put => panic!("the stream has no end"),
            taken = all_taken => taken.expect("all pieces were taken"),
        }
    }
    assert_eq!(rig.listed().await, []);
    rig.blobs.settled().await;
    rig.assert_untouched().await;
}

pub async fn large_content_goes_in_parts(rig: Rig) {
    let bytes = noise(25 * MIB + 77, 13);
    let streamed = rig.blobs.put_stream(pieces(&bytes, 1_000_003), LIMIT).await.expect("stored");
    assert_eq!(streamed.sha256, Sha256::of(&bytes));
    rig.assert_holds(&streamed.sha256, &bytes).await;
    let part = rig.blobs.get_range(&streamed.sha256, 8_388_600..16_777_300).await.expect("inside");
    assert!(part.bytes().await.expect("reads") == bytes[8_388_600..16_777_300]);
    rig.blobs.delete(&streamed.sha256).await.expect("deleted");

    let file = rig.desk.path().join("large");
    std::fs::write(&file, &bytes).expect("written");
    assert_eq!(rig.blobs.put_file(&file).await.expect("stored"), streamed);
    rig.assert_holds(&streamed.sha256, &bytes).await;
    assert_eq!(rig.listed().await.len(), 1);

    // Exactly one part is no multipart, one byte more is.
    for count in [8 * MIB, 8 * MIB + 1] {
        let bytes = noise(count, 14);
        let blob = rig.blobs.put_stream(pieces(&bytes, 65_536), LIMIT).await.expect("stored");
        rig.assert_holds(&blob.sha256, &bytes).await;
    }
    rig.assert_nothing_staged();
}

pub async fn a_blob_is_fetched_to_a_file(rig: Rig) {
    let bytes = noise(MIB + 3, 15);
    let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
    let target = rig.desk.path().join("model.gguf");
    std::fs::write(&target, "older").expect("written");
    for _ in 0..2 {
        rig.blobs.fetch_to(&sha256, &target).await.expect("fetched");
        assert!(std::fs::read(&target).expect("there") == bytes);
    }
    assert_eq!(std::fs::read_dir(rig.desk.path()).expect("desk").filter(part_file).count(), 0);
    // Its own file: deleting the blob does not take it away.
    rig.blobs.delete(&sha256).await.expect("deleted");
    assert!(std::fs::read(&target).expect("there") == bytes);
    rig.blobs.put_file(&target).await.expect("stored");
    rig.assert_holds(&sha256, &bytes).await;

    let nowhere = rig.desk.path().join("no/such/folder/file");
    let error = rig.blobs.fetch_to(&sha256, &nowhere).await.expect_err("no folder");
    assert!(matches!(&error, BlobError::Target { path, .. } if *path == nowhere), "{error}");
    assert!(matches!(rig.blobs.fetch_to(&sha256, Path::new("/")).await, Err(BlobError::Target { .. })));
}

pub async fn what_is_no_file_is_not_stored(rig: Rig) {
    for path in [rig.desk.path().join("absent"), rig.desk.path().to_path_buf()] {
        let error = rig.blobs.put_file(&path).await.expect_err("no file");
        assert!(matches!(&error, BlobError::Source { path: named, .. } if *named == path), "{error}");
    }
    rig.assert_untouched().await;
}

pub async fn the_list_has_ages_and_delete_takes_away(rig: Rig) {
    let mut stored = Vec::new();
    for seed in 20..25 {
        stored.push(rig.blobs.put_bytes(noise(100 + seed as usize, seed)).await.expect("stored"));
    }
    age(&rig.file_of(&stored[0].sha256), Duration::from_secs(1_000_000));
    std::fs::write(rig.folder.join("sha256/README"), "not a blob").expect("written");
    let listed = rig.listed().await;
    let mut found: Vec<_> = listed.iter().map(|entry| entry.blob).collect();
    found.sort_by_key(|blob| blob.size);
    assert_eq!(found, stored);
    let now = rixin_store::now_ms();
    for entry in listed {
        let old = now - entry.stored_at > 999_000_000;
        assert_eq!(old, entry.blob == stored[0], "{entry:?}");
    }
    for blob in &stored {
        rig.blobs.delete(&blob.sha256).await.expect("deleted");
        assert!(!rig.blobs.exists(&blob.sha256).await.expect("asked"));
    }
    assert_eq!(rig.listed().await, []);
}

pub async fn old_content_that_is_stored_again_is_young(rig: Rig) {
    for bytes in [noise(5000, 30), noise(9 * MIB, 31)] {
        for way in ["bytes", "file", "stream"] {
            let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
            age(&rig.file_of(&sha256), Duration::from_secs(3 * 24 * 3600));
            let file = rig.desk.path().join("again");
            std::fs::write(&file, &bytes).expect("written");
            let stored = match way {
                "bytes" => rig.blobs.put_bytes(bytes.clone()).await,
                "file" => rig.blobs.put_file(&file).await,
                _ => rig.blobs.put_stream(pieces(&bytes, 65_536), LIMIT).await,
            };
            assert_eq!(stored.expect("stored").sha256, sha256);
            let entry = rig.listed().await.into_iter().find(|entry| entry.blob.sha256 == sha256);
            let age_ms = rixin_store::now_ms() - entry.expect("listed").stored_at;
            assert!(age_ms < 3_600_000, "{way}: {age_ms} ms");
            rig.assert_holds(&sha256, &bytes).await;
        }
    }
    rig.assert_nothing_staged();
}

pub async fn staging_is_cleaned(rig: Rig) {
    let staging = rig.folder.join("staging");
    std::fs::create_dir_all(&staging).expect("made");
    let (old, young) = (staging.join("left-by-a-crash"), staging.join("in-use"));
    std::fs::write(&old, "part").expect("written");
    std::fs::write(&young, "part").expect("written");
    age(&old, Duration::from_secs(7200));
    let hour = Duration::from_secs(3600);
    assert_eq!(rig.blobs.clean_staging(hour).await.expect("cleaned"), 1);
    assert!(!old.exists() && young.exists());
    assert_eq!(rig.blobs.clean_staging(hour).await.expect("cleaned"), 0);
}

/// From a folder to here, and back to another folder.
pub async fn everything_is_copied_once(rig: Rig) {
    let folder = |name: &str| BlobOptions::Folder(rig.desk.path().join(name));
    let (from, back) = (Blobs::open(&folder("from")).await, Blobs::open(&folder("back")).await);
    let (from, back) = (from.expect("opens"), back.expect("opens"));
    let (small, large) = (b"small".to_vec(), noise(MIB, 3));
    let mut names = Vec::new();
    for bytes in [&small, &large] {
        names.push(from.put_bytes(bytes.clone()).await.expect("stored").sha256);
    }
    rig.blobs.put_bytes(small.clone()).await.expect("stored");
    assert_eq!(from.copy_to(&rig.blobs).await.expect("copied"), 1, "one was there");
    assert_eq!(from.copy_to(&rig.blobs).await.expect("copied"), 0);
    assert_eq!(rig.blobs.copy_to(&back).await.expect("copied"), 2);
    for (name, bytes) in names.iter().zip([small, large]) {
        assert_eq!(&back.get_bytes(name, LIMIT).await.expect("reads")[..], &bytes[..]);
    }
}

/// Any content, in pieces of any size, as a stream and as bytes.
pub async fn any_content_comes_back(rig: Rig) {
    let strategy = (prop::collection::vec(any::<u8>(), 0..40_000), 1_usize..5000, any::<[u16; 2]>());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    });
    let runtime = tokio::runtime::Handle::current();
    let checked = tokio::task::block_in_place(|| {
        runner.run(&strategy, |(bytes, piece, ends)| {
            runtime.block_on(async {
                let blob = rig.blobs.put_stream(pieces(&bytes, piece), LIMIT).await.expect("stored");
                prop_assert_eq!(blob.sha256, Sha256::of(&bytes));
                prop_assert_eq!(rig.blobs.put_bytes(bytes.clone()).await.expect("stored"), blob);
                let got = rig.blobs.get_bytes(&blob.sha256, blob.size).await.expect("reads");
                prop_assert_eq!(&got[..], &bytes[..]);
                let mut ends = ends.map(|end| usize::from(end) % (bytes.len() + 1));
                ends.sort_unstable();
                let range = ends[0] as u64..ends[1] as u64;
                let part = rig.blobs.get_range(&blob.sha256, range).await.expect("inside");
                prop_assert_eq!(&part.bytes().await.expect("reads")[..], &bytes[ends[0]..ends[1]]);
                prop_assert_eq!(blob.sha256.to_string().parse::<Sha256>().expect("a hash"), blob.sha256);
                Ok(())
            })
        })
    });
    checked.expect("holds for all");
}
