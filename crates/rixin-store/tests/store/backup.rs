//! Backup, restore and moving between databases, while others write.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rixin_store::{
    Acting, Actor, AuditOutcome, BackupOptions, BlobOptions, Blobs, Error, Measure, MessageRole, NewFile,
    NewJob, NewQuota, Period, Price, Role, Store, StoreOptions, Subject, TenantScope, restore_keys,
    verify_backup,
};
use sqlx::AssertSqlSafe;

use crate::{about, on_both, said, scope_of, search, support::Database, took};

on_both! {
    a_backup_taken_while_others_write_is_consistent_and_comes_back_whole
    a_restore_refuses_what_is_not_empty_and_replaces_it_when_told_to
    a_damaged_archive_changes_nothing
    everything_moves_to_the_other_database
}

async fn blobs_in(dir: &std::path::Path) -> Blobs {
    Blobs::open(&BlobOptions::Folder(dir.join("objects"))).await.expect("blobs")
}

async fn opened(database: &Database) -> (Store, TenantScope) {
    let store = database.open().await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    (store, scope)
}

/// Something in every room.
async fn fill(store: &Store, scope: &TenantScope, blobs: &Blobs) -> String {
    let talk = store.create_conversation(scope, about("糖")).await.expect("made");
    let first = store
        .add_message(scope, talk.id, said(None, MessageRole::User, "你好, \"x\"\\"))
        .await
        .expect("added");
    store
        .add_message(scope, talk.id, said(Some(first.id), MessageRole::Assistant, "b"))
        .await
        .expect("added");
    let blob = blobs.put_bytes(&b"the bytes of a file"[..]).await.expect("stored");
    let file = NewFile {
        purpose: "user_data".into(),
        name: "a".into(),
        bytes: blob.size,
        sha256: blob.sha256.to_string(),
        expires_at: None,
    };
    store.add_file(scope, &file).await.expect("added");
    store.record(took(scope, "m", 7, 3));
    store.flush().await.expect("written");
    let quota = NewQuota {
        subject: Subject::Tenant,
        subject_id: String::new(),
        measure: Measure::Tokens,
        accelerator: String::new(),
        period: Period::Month,
        amount: 1_000_000,
    };
    store.set_quota(scope, &quota).await.expect("set");
    let price = Price {
        model: "*".into(),
        valid_from: "2026-01-01".into(),
        currency: "CNY".into(),
        prompt: "1".into(),
        completion: "2".into(),
        image: "0".into(),
        job_second: "0".into(),
    };
    store.set_price(scope, &price).await.expect("set");
    store.set_setting("greeting", Some("你好")).await.expect("set");
    let actor = Actor { kind: "key".into(), id: "k".into(), name: "n".into(), address: "a".into() };
    let acting = Acting::new(scope, actor);
    acting
        .write(store, "key.create", "t", AuditOutcome::Done, serde_json::Map::new())
        .await
        .expect("written");
    blob.sha256.to_string()
}

/// One row of numbers, asked of the database itself.
async fn asked(options: &StoreOptions, url: Option<&str>, text: &str) -> Vec<i64> {
    let text = AssertSqlSafe(text.to_owned());
    match url {
        Some(url) => {
            let pool = sqlx::PgPool::connect(url).await.expect("raw");
            let rows = sqlx::query_scalar::<_, i64>(text).fetch_all(&pool).await.expect("rows");
            pool.close().await;
            rows
        }
        None => {
            let path = options.data_dir.join("rixin.db");
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.expect("raw");
            let rows = sqlx::query_scalar::<_, i64>(text).fetch_all(&pool).await.expect("rows");
            pool.close().await;
            rows
        }
    }
}

async fn a_backup_taken_while_others_write_is_consistent_and_comes_back_whole(database: Database) {
    let (store, scope) = opened(&database).await;
    let blobs = blobs_in(database.dir.path()).await;
    let blob = fill(&store, &scope, &blobs).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Acquire) {
                    store.record(took(&scope, "m", 5, 1));
                    store.flush().await.expect("written");
                    let job = NewJob { kind: "import".into(), title: "t".into(), ..NewJob::default() };
                    let job = store.submit_job(&scope, job).await.expect("submitted");
                    store.cancel_job(&scope, job.id).await.expect("cancelled");
                    store.retry_job(&scope, job.id).await.expect("queued");
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut archives: Vec<PathBuf> = Vec::new();
    for n in 0..5 {
        let path = database.dir.path().join(format!("backup-{n}.tar"));
        let options = BackupOptions { with_blobs: true, keys: None };
        let manifest = store.backup(&path, &blobs, &options).await.expect("written");
        assert!(manifest.missing.is_empty() && manifest.blobs.iter().any(|entry| entry.name == blob));
        archives.push(path);
    }
    stop.store(true, Ordering::Release);
    let mut written = 0;
    for writer in writers {
        written += writer.await.expect("no panic");
    }
    assert!(written > 0);
    for path in &archives {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
        let manifest = verify_backup(path).expect("sound");
        let fresh = Database { url: None, ..Database::sqlite() };
        let fresh =
            if database.url.is_some() { Database::postgres().await.expect("a server") } else { fresh };
        let target = fresh.open().await;
        let there = blobs_in(fresh.dir.path()).await;
        let (_, moved) = target.restore(path, &there, false).await.expect("restored");
        assert_eq!(moved.blobs, 1);
        let told: Vec<_> = manifest.tables.iter().map(|table| (table.name.clone(), table.rows)).collect();
        assert_eq!(moved.tables, told);
        let options = fresh.options();
        let ask = |text: &'static str| {
            let (options, url) = (options.clone(), fresh.url.clone());
            async move { asked(&options, url.as_deref(), text).await }
        };
        // What was used is what was summed up.
        assert_eq!(
            ask("SELECT CAST(SUM(prompt_tokens) AS BIGINT) FROM ledger").await,
            ask("SELECT CAST(SUM(prompt_tokens) AS BIGINT) FROM usage_days").await
        );
        assert_eq!(
            ask("SELECT COUNT(*) FROM ledger").await,
            ask("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_days").await
        );
        // Every job's events, without a gap, and up to the one that its row tells of.
        let gaps = "SELECT COUNT(*) FROM jobs j WHERE j.last_event <> (SELECT COUNT(*) FROM job_events e WHERE e.job_id = j.id) \
             OR j.last_event <> (SELECT COALESCE(MAX(e.seq), 0) FROM job_events e WHERE e.job_id = j.id)";
        assert_eq!(ask(gaps).await, [0]);
        let scope = target.operator().default_scope().await.expect("scope");
        assert!(target.verify_audit(&scope, None).await.expect("read").ok);
        assert_eq!(target.conversations(&scope, &search("糖")).await.expect("list").items.len(), 1);
        assert_eq!(
            target.conversations(&scope, &search("你好, \"x\"\\")).await.expect("list").items.len(),
            1
        );
        assert_eq!(target.quotas(&scope).await.expect("list").len(), 1);
        assert!(there.get(&blob.parse().expect("a hash")).await.is_ok());
        // It goes on from there.
        let talk = target.conversations(&scope, &search("糖")).await.expect("list").items[0].id;
        target.add_message(&scope, talk, said(None, MessageRole::User, "more")).await.expect("added");
        target.close().await;
    }
}

async fn a_restore_refuses_what_is_not_empty_and_replaces_it_when_told_to(database: Database) {
    let (store, scope) = opened(&database).await;
    let blobs = blobs_in(database.dir.path()).await;
    fill(&store, &scope, &blobs).await;
    let path = database.dir.path().join("b.tar");
    let manifest = store.backup(&path, &blobs, &BackupOptions::default()).await.expect("written");
    assert!(manifest.blobs_by_reference && manifest.blobs.is_empty());
    assert!(matches!(
        store.backup(&path, &blobs, &BackupOptions::default()).await,
        Err(Error::Exists { .. })
    ));
    let later = store.create_key(&scope, "later", Role::Member).await.expect("made");
    assert!(matches!(store.restore(&path, &blobs, false).await, Err(Error::NotEmpty { .. })));
    assert!(store.authenticate(&later.secret).await.expect("works").is_some(), "nothing was touched");
    store.restore(&path, &blobs, true).await.expect("replaced");
    assert_eq!(store.keys(&scope).await.expect("list").len(), 1);
    assert!(store.verify_audit(&scope, None).await.expect("read").ok);
    let started = std::time::Instant::now();
    while store.authenticate(&later.secret).await.expect("works").is_some() {
        assert!(started.elapsed().as_secs() < 3, "a key that is gone still works");
        tokio::task::yield_now().await;
    }
    // The log is append-only again.
    let text = "UPDATE audit SET action = 'x'";
    let refused = match &database.url {
        Some(url) => {
            let pool = sqlx::PgPool::connect(url).await.expect("raw");
            sqlx::query(text).execute(&pool).await.is_err()
        }
        None => {
            let path = database.dir.path().join("rixin.db");
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.expect("raw");
            sqlx::query(text).execute(&pool).await.is_err()
        }
    };
    assert!(refused);
    // Keys of the certificate authority come only where they were asked for, and never over others.
    let (authority, elsewhere) = (database.dir.path().join("ca"), database.dir.path().join("new"));
    std::fs::create_dir(&authority).expect("made");
    std::fs::write(authority.join("ca.key"), b"secret").expect("written");
    let with = database.dir.path().join("with.tar");
    let options = BackupOptions { with_blobs: false, keys: Some(authority.clone()) };
    store.backup(&with, &blobs, &options).await.expect("written");
    assert_eq!(restore_keys(&path, &elsewhere).expect("read"), 0);
    assert_eq!(restore_keys(&with, &elsewhere).expect("read"), 1);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(elsewhere.join("ca.key")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(restore_keys(&with, &authority), Err(Error::Exists { .. })));
}

async fn a_damaged_archive_changes_nothing(database: Database) {
    let (store, scope) = opened(&database).await;
    let blobs = blobs_in(database.dir.path()).await;
    fill(&store, &scope, &blobs).await;
    let path = database.dir.path().join("b.tar");
    store.backup(&path, &blobs, &BackupOptions { with_blobs: true, keys: None }).await.expect("written");
    let whole = std::fs::read(&path).expect("read");
    let broken = database.dir.path().join("broken.tar");
    let mut tried = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&broken, &bytes).expect("written");
        match verify_backup(&broken) {
            // The padding between files and some fields of a header carry nothing.
            Ok(read) => assert!(read == verify_backup(&path).expect("sound"), "byte {at} of {}", whole.len()),
            Err(_) => {
                tried += 1;
                assert!(store.restore(&broken, &blobs, true).await.is_err(), "byte {at}");
            }
        }
    }
    assert!(tried > 20, "{tried}");
    for cut in [0, 1, 511, 512, 5000, whole.len() / 2, whole.len() - 2000] {
        std::fs::write(&broken, &whole[..cut]).expect("written");
        assert!(verify_backup(&broken).is_err(), "cut at {cut}");
    }
    std::fs::write(&broken, vec![0x5a; 10_000]).expect("written");
    assert!(verify_backup(&broken).is_err());
    assert_eq!(store.conversations(&scope, &search("糖")).await.expect("list").items.len(), 1);
}

/// From SQLite to Postgres and from Postgres to SQLite.
async fn everything_moves_to_the_other_database(database: Database) {
    let Some(other) = (match &database.url {
        Some(_) => Some(Database::sqlite()),
        None => Database::postgres().await,
    }) else {
        return;
    };
    let (store, scope) = opened(&database).await;
    let blobs = blobs_in(database.dir.path()).await;
    fill(&store, &scope, &blobs).await;
    store.close().await;
    let moved = Store::migrate(&database.options(), &other.options()).await.expect("moved");
    assert!(moved.tables.iter().any(|(name, rows)| name == "messages" && *rows == 2), "{moved:?}");
    let target = other.open().await;
    let scope = target.operator().default_scope().await.expect("scope");
    assert_eq!(target.conversations(&scope, &search("你好")).await.expect("list").items.len(), 1);
    assert!(target.verify_audit(&scope, None).await.expect("read").ok);
    assert_eq!(target.usage(&scope, 2, true).await.expect("rows")[0].prompt_tokens, 7);
    let talk = target.conversations(&scope, &search("糖")).await.expect("list").items[0].id;
    target.add_message(&scope, talk, said(None, MessageRole::User, "more")).await.expect("added");
    // And an archive of one is taken by the other.
    let path = other.dir.path().join("b.tar");
    target.backup(&path, &blobs, &BackupOptions::default()).await.expect("written");
    target.close().await;
    let back = match &database.url {
        Some(_) => Database::postgres().await.expect("a server"),
        None => Database::sqlite(),
    };
    let again = back.open().await;
    again.restore(&path, &blobs, false).await.expect("restored");
    let scope = again.operator().default_scope().await.expect("scope");
    assert!(again.verify_audit(&scope, None).await.expect("read").ok);
    assert_eq!(again.messages(&scope, talk).await.expect("list").len(), 3);
    again.close().await;
    assert!(matches!(
        Store::migrate(&database.options(), &other.options()).await,
        Err(Error::NotEmpty { .. })
    ));
}
