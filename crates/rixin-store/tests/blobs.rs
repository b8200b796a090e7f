//! Blobs in a folder and on an S3 server: one suite for both, then what is special to each.

#[path = "blobs/server.rs"]
mod server;
#[path = "blobs/suite.rs"]
mod suite;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rixin_base::{Code, Explain as _};
use rixin_store::{BlobError, BlobOptions, Blobs, S3Options, Sha256};
use server::{KEY, SECRET, Server};
use suite::{LIMIT, Rig, noise, pieces};

macro_rules! in_both {
    ($($name:ident)*) => {
        mod folder {
            use super::suite::{self, Rig};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                suite::$name(Rig::folder().await).await;
            })*
        }
        mod bucket {
            use super::suite::{self, Rig};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                suite::$name(Rig::bucket().await).await;
            })*
        }
    };
}

in_both! {
    what_is_put_can_be_got
    what_is_not_there_is_not_found
    a_range_is_exact
    equal_content_is_stored_once
    writers_of_the_same_content_do_no_harm
    a_changed_byte_is_found
    content_of_another_length_is_written_over
    more_than_the_limit_is_refused
    an_interrupted_stream_leaves_nothing
    a_dropped_future_leaves_nothing
    large_content_goes_in_parts
    a_blob_is_fetched_to_a_file
    what_is_no_file_is_not_stored
    the_list_has_ages_and_delete_takes_away
    old_content_that_is_stored_again_is_young
    staging_is_cleaned
    everything_is_copied_once
    any_content_comes_back
}

async fn refused(options: S3Options) -> BlobError {
    Blobs::open(&BlobOptions::S3(options)).await.map(drop).expect_err("must not open")
}

#[tokio::test]
async fn a_file_in_a_folder_is_sealed_and_has_a_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::folder().await;
    assert!(rig.blobs.has_conditional_put());
    for bytes in [noise(10, 40), noise(9 << 20, 41)] {
        let sha256 = rig.blobs.put_bytes(bytes.clone()).await.expect("stored").sha256;
        let path = rig.blobs.local_path(&sha256).expect("a folder has paths");
        assert!(std::fs::read(&path).expect("there") == bytes);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o444);
    }
    assert_eq!(std::fs::metadata(&rig.folder).expect("there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let desk = tempfile::tempdir().expect("temp dir");
    let file = desk.path().join("file");
    std::fs::write(&file, "").expect("written");
    for path in [file.clone(), file.join("objects"), "/proc/objects".into()] {
        let error = Blobs::open(&BlobOptions::Folder(path.clone())).await.map(drop).expect_err("no folder");
        assert_eq!(error.code(), Code::ReadOnly, "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = Server::start().await;
    let mut options = server.options();
    options.url = "s3://absent/kept".into();
    let error = refused(options).await;
    assert!(matches!(&error, BlobError::NoBucket { place } if place.contains("s3://absent/kept")), "{error}");
    assert_eq!(error.code(), Code::BadSetting);
}

#[tokio::test]
async fn a_wrong_key_is_told_and_its_secret_is_not() {
    let server = Server::start().await;
    for (id, secret) in [(KEY, "another-secret"), ("AKIDOTHER", SECRET)] {
        let mut options = server.options();
        (options.access_key_id, options.secret_access_key) = (id.into(), secret.into());
        assert!(!format!("{options:?}").contains(secret));
        let error = refused(options).await;
        assert!(matches!(error, BlobError::WrongKey { .. }), "{error:?}");
        assert!(!format!("{error:?}{error}{}", error.message().zh).contains(secret));
        assert!(error.message().zh.contains("s3_access_key_id"));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused_without_a_request() {
    let good = || S3Options::new("s3://bucket/prefix", "id", "secret");
    let with = |change: fn(&mut S3Options)| {
        let mut options = good();
        change(&mut options);
        options
    };
    for (options, setting) in [
        (with(|o| o.url = "bucket".into()), "blob_url"),
        (with(|o| o.url = "s3://".into()), "blob_url"),
        (with(|o| o.url = "s3://Bucket".into()), "blob_url"),
        (with(|o| o.url = "s3://bucket/a//b".into()), "blob_url"),
        (with(|o| o.access_key_id = String::new()), "s3_access_key_id, s3_secret_access_key"),
        (with(|o| o.endpoint = Some("minio:9000".into())), "s3_endpoint"),
        (with(|o| o.endpoint = Some("http://minio.example:9000".into())), "s3_endpoint"),
        (
            with(|o| (o.endpoint, o.path_style) = (Some("https://127.0.0.1:9000".into()), Some(false))),
            "s3_endpoint",
        ),
    ] {
        let error = refused(options).await;
        assert!(matches!(&error, BlobError::Setting { name, .. } if *name == setting), "{error}");
        assert_eq!(error.code(), Code::BadSetting);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let mut options = S3Options::new("s3://bucket", KEY, SECRET);
    (options.endpoint, options.retries) = (Some(format!("http://{address}")), 1);
    let error = refused(options).await;
    assert!(matches!(&error, BlobError::Unreachable { place, .. } if place.contains(&address.to_string())));
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_not_for_ever() {
    let left = AtomicUsize::new(2);
    let server = Server::refusing(Box::new(move |_| {
        let busy = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        busy.is_ok().then_some((503, "SlowDown"))
    }))
    .await;
    let blobs = server.open().await;
    assert!(server.requests().len() > 2);
    let sha256 = blobs.put_bytes("after the rush").await.expect("stored").sha256;
    assert_eq!(blobs.get_bytes(&sha256, 100).await.expect("reads"), "after the rush");

    let server = Server::refusing(Box::new(|_| Some((503, "SlowDown")))).await;
    let mut options = server.options();
    options.retries = 2;
    let error = refused(options).await;
    assert!(matches!(&error, BlobError::Unreachable { why, .. } if why.contains("SlowDown")), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn refusals_of_a_known_key_are_told_apart() {
    for (answer, code) in [
        ((403, "AccessDenied"), Code::ReadOnly),
        ((507, "XMinioStorageFull"), Code::DiskFull),
        ((301, "PermanentRedirect"), Code::BadSetting),
    ] {
        let refuse = move |request: &http::Request<_>| (request.method() == "PUT").then_some(answer);
        let server = Server::refusing(Box::new(refuse)).await;
        let mut options = server.options();
        options.retries = 0;
        let error = refused(options).await;
        assert_eq!(error.code(), code, "{error:?}");
    }
}

#[tokio::test]
async fn an_empty_place_is_taken_by_a_conditional_request() {
    let server = Server::start().await;
    let blobs = server.open().await;
    assert!(blobs.has_conditional_put());
    server.requests();
    blobs.put_bytes("small").await.expect("stored");
    let requests = server.requests();
    let put = requests.iter().find(|line| line.starts_with("PUT ")).expect("one put");
    assert!(put.contains("/rixin/kept/here/sha256/") && put.ends_with(" if-none-match"), "{requests:#?}");

    let bytes = noise(17 << 20, 42);
    blobs.put_stream(pieces(&bytes, 1 << 20), LIMIT).await.expect("stored");
    let requests = server.requests();
    let completed: Vec<_> = requests.iter().filter(|line| line.contains("?uploadId=")).collect();
    assert!(completed[0].contains("/staging/") && !completed[0].ends_with("if-none-match"), "{requests:#?}");
    assert!(completed[1].contains("/sha256/") && completed[1].ends_with("if-none-match"), "{requests:#?}");
}

#[tokio::test]
async fn a_file_that_is_stored_already_is_not_sent_and_a_new_one_needs_no_copy() {
    let rig = Rig::folder().await;
    let file = rig.desk.path().join("file");
    let server = Server::start().await;
    let blobs = server.open().await;
    for count in [1000, 17 << 20] {
        std::fs::write(&file, noise(count, 43)).expect("written");
        server.requests();
        blobs.put_file(&file).await.expect("stored");
        let requests = server.requests();
        assert!(!requests.iter().any(|line| line.contains("/staging/")), "{requests:#?}");
        blobs.put_file(&file).await.expect("stored");
        let requests = server.requests();
        assert!(matches!(&requests[..], [line] if line.starts_with("HEAD ")), "{requests:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_conditions_keeps_all_promises() {
    let no_conditions = || {
        Server::refusing(Box::new(|request| {
            request.headers().contains_key("if-none-match").then_some((501, "NotImplemented"))
        }))
    };
    for server in [no_conditions().await, Server::forgetful().await] {
        let rig = Rig::on(server).await;
        assert!(!rig.blobs.has_conditional_put());
        suite::writers_of_the_same_content_do_no_harm(rig).await;
    }
    suite::equal_content_is_stored_once(Rig::on(no_conditions().await).await).await;
    suite::old_content_that_is_stored_again_is_young(Rig::on(Server::forgetful().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_cannot_copy_passes_through_this_machine() {
    let server = Server::start().await;
    let mut options = server.options();
    options.copy_limit_bytes = 10 << 20;
    let blobs = Blobs::open(&BlobOptions::S3(options)).await.expect("opens");
    let bytes = noise(20 << 20, 44);
    server.requests();
    let blob = blobs.put_stream(pieces(&bytes, 1 << 20), LIMIT).await.expect("stored");
    let requests = server.requests();
    assert!(requests.iter().any(|line| line.starts_with("GET ") && line.contains("/staging/")));
    assert!(blobs.get_bytes(&blob.sha256, u64::MAX).await.expect("reads") == bytes);
    assert_eq!(blobs.clean_staging(Duration::ZERO).await.expect("cleaned"), 0);
    assert!(server.parts().is_empty());
}

#[test]
fn a_hash_is_64_digits() {
    let text = Sha256::of(b"").to_string();
    assert_eq!(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(text.to_uppercase().parse::<Sha256>().expect("upper case too").to_string(), text);
    let long = "a".repeat(65);
    for wrong in ["", "abc", &text[1..], &long, &"ü".repeat(32), &"g".repeat(64)] {
        assert_eq!(wrong.parse::<Sha256>().expect_err("no hash").code(), Code::InvalidValue);
    }
}
