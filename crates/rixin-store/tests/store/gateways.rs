//! Several gateways on one database, and what becomes of them when it goes away.

use std::future::Future;

use rixin_base::{Code, Explain as _};
use rixin_store::{DatabaseUrl, Error, MessageRole, Role, Store, StoreOptions};

use crate::{
    about, on_both, said, scope_of, search,
    support::{
        Database,
        postgres::{Server, execute, shared},
    },
    took,
};

on_both! {
    processes_that_start_at_once_make_one_schema_one_tenant_and_one_owner_key
    a_key_revoked_by_one_gateway_is_refused_by_the_other
    owners_who_revoke_each_other_leave_one
    messages_added_at_once_are_all_there_under_one_title
    changes_at_once_do_not_undo_each_other
    usage_metered_at_once_adds_up_exactly
    a_zero_character_never_reaches_the_database
}

async fn all<T: Send + 'static>(tasks: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("no panic"));
    }
    results
}

async fn start(options: StoreOptions) -> bool {
    let store = Store::open_with(&options).await.expect("opens");
    let first = store.first_key().await.expect("works");
    let scope = store.operator().default_scope().await.expect("scope");
    for i in 0..10 {
        store.create_key(&scope, &format!("key {i}"), Role::Member).await.expect("created");
    }
    store.close().await;
    first.is_some()
}

async fn processes_that_start_at_once_make_one_schema_one_tenant_and_one_owner_key(database: Database) {
    let again = || start(database.options());
    let made = tokio::join!(again(), again(), again(), again(), again());
    let made = [made.0, made.1, made.2, made.3, made.4];
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    let store = database.open().await;
    assert_eq!(store.operator().tenants().await.expect("list").len(), 1);
    let scope = store.operator().default_scope().await.expect("scope");
    let keys = store.keys(&scope).await.expect("list");
    assert_eq!((keys.len(), keys.iter().filter(|key| key.role == Role::Owner).count()), (51, 1));
}

async fn a_key_revoked_by_one_gateway_is_refused_by_the_other(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let scope = scope_of(&one, &one.first_key().await.expect("works").expect("first").secret).await;
    let key = one.create_key(&scope, "member", Role::Member).await.expect("created");
    for store in [&one, &other] {
        assert!(store.authenticate(&key.secret).await.expect("works").is_some());
    }
    one.revoke_key(&scope, key.key.id).await.expect("revoked");
    assert!(one.authenticate(&key.secret).await.expect("works").is_none(), "at once where it was revoked");
    let started = std::time::Instant::now();
    while other.authenticate(&key.secret).await.expect("works").is_some() {
        assert!(started.elapsed().as_millis() < 1500, "the other gateway still takes the key");
        tokio::task::yield_now().await;
    }
}

async fn owners_who_revoke_each_other_leave_one(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let mut left = one.first_key().await.expect("works").expect("first").key.id;
    let scope = one.operator().default_scope().await.expect("scope");
    for round in 0..10 {
        let rival =
            one.create_key(&scope, &format!("rival {round}"), Role::Owner).await.expect("created").key.id;
        let (first, second) = tokio::join!(one.revoke_key(&scope, rival), other.revoke_key(&scope, left));
        let refused = |result: &Result<_, Error>| matches!(result, Err(Error::LastOwner { .. }));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        assert!(refused(&first) || refused(&second), "{first:?} {second:?}");
        if second.is_ok() {
            left = rival;
        }
    }
}

async fn messages_added_at_once_are_all_there_under_one_title(database: Database) {
    let stores = [database.open().await, database.open().await];
    let scope =
        scope_of(&stores[0], &stores[0].first_key().await.expect("works").expect("first").secret).await;
    let id = stores[0].create_conversation(&scope, about("")).await.expect("made").id;
    let add = |store: Store, number: usize| async move {
        let mut parent = None;
        for step in 0..10 {
            let message = said(parent, MessageRole::User, &format!("{number}-{step}"));
            parent = Some(store.add_message(&scope, id, message).await.expect("added").id);
        }
    };
    all((0..6).map(|number| add(stores[number % 2].clone(), number)).collect()).await;
    let conversation = stores[1].conversation(&scope, id).await.expect("there");
    let messages = stores[1].messages(&scope, id).await.expect("list");
    assert_eq!(messages.len(), 60);
    assert_eq!(conversation.head_id, messages.last().map(|message| message.id));
    assert_eq!(conversation.title, messages[0].content, "the first message names it, and no later one");
}

async fn changes_at_once_do_not_undo_each_other(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let scope = scope_of(&one, &one.first_key().await.expect("works").expect("first").secret).await;
    let id = one.create_conversation(&scope, about("t")).await.expect("made").id;
    for round in 0..20 {
        let title = rixin_store::ConversationPatch { title: Some(round.to_string()), ..Default::default() };
        let model = rixin_store::ConversationPatch { model: Some(round.to_string()), ..Default::default() };
        let (first, second) = tokio::join!(
            one.update_conversation(&scope, id, title),
            other.update_conversation(&scope, id, model)
        );
        assert_ne!(first.expect("changed").updated_at, second.expect("changed").updated_at);
        let now = one.conversation(&scope, id).await.expect("there");
        assert_eq!((now.title, now.model), (round.to_string(), round.to_string()));
    }
}

async fn usage_metered_at_once_adds_up_exactly(database: Database) {
    let stores = [database.open().await, database.open().await, database.open().await];
    let first =
        scope_of(&stores[0], &stores[0].first_key().await.expect("works").expect("first").secret).await;
    let second = stores[0].create_key(&first, "second", Role::Member).await.expect("created");
    let second = scope_of(&stores[0], &second.secret).await;
    let count = |store: Store| async move {
        for round in 0..40 {
            for scope in [&first, &second] {
                for model in ["a", "b", "c"] {
                    store.record(took(scope, model, 3, 2));
                }
            }
            if round % 4 == 0 {
                store.flush().await.expect("written");
            }
        }
        store.flush().await.expect("written");
    };
    all(stores.iter().cloned().map(count).collect()).await;
    let rows = stores[2].usage(&first, 2, true).await.expect("rows");
    let sum = |read: fn(&rixin_store::UsageRow) -> u64| rows.iter().map(read).sum::<u64>();
    assert_eq!((sum(|row| row.requests), sum(|row| row.prompt_tokens)), (720, 2160));
    assert_eq!(sum(|row| row.completion_tokens), 1440);
}

async fn a_zero_character_never_reaches_the_database(database: Database) {
    let store = database.open().await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let id = store.create_conversation(&scope, about("t")).await.expect("made").id;
    let said = store.add_message(&scope, id, said(None, MessageRole::Assistant, "a\0b")).await.expect("kept");
    assert_eq!(said.content, "a\u{FFFD}b");
    assert_eq!(store.messages(&scope, id).await.expect("list")[0].content, "a\u{FFFD}b");
    let refused = store.create_conversation(&scope, about("a\0b")).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidValue);
    assert!(store.conversations(&scope, &search("a\0b")).await.expect("list").items.is_empty());
    store.record(took(&scope, "a\0b", 1, 1));
    store.flush().await.expect("written");
}

fn options(url: &str) -> StoreOptions {
    StoreOptions {
        data_dir: "/nonexistent".into(),
        database_url: Some(url.parse::<DatabaseUrl>().expect("an address")),
        connections: 3,
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_used_again_and_no_count_is_lost() {
    let Some(server) = Server::start() else { return };
    let store = Store::open_with(&options(&server.create_database().await)).await.expect("opens");
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    server.down();
    server.up();
    let id =
        store.create_conversation(&scope, about("after a restart")).await.expect("the next call works").id;
    server.down();
    store.record(took(&scope, "m", 5, 1));
    for error in [
        store.flush().await.expect_err("away"),
        store.conversation(&scope, id).await.expect_err("away"),
        store.create_conversation(&scope, about("x")).await.expect_err("away"),
    ] {
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.code(), Code::DatabaseUnavailable);
        assert!(error.message().zh.contains("无法连接数据库"), "{error}");
    }
    server.up();
    assert_eq!(store.conversation(&scope, id).await.expect("there again").title, "after a restart");
    store.flush().await.expect("written");
    assert_eq!(store.usage(&scope, 1, false).await.expect("rows")[0].prompt_tokens, 5);
    store.close().await;
}

#[tokio::test]
async fn an_address_where_nothing_is_says_so_without_its_password() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let url = format!("postgres://rixin:hunter2@127.0.0.1:{port}/suite?sslmode=disable");
    let error = Store::open_with(&options(&url)).await.expect_err("nothing there");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let words = format!("{error} {error:?} {} {:?}", error.message().zh, options(&url));
    assert!(
        words.contains(&format!("rixin@127.0.0.1:{port}/suite")) && !words.contains("hunter2"),
        "{words}"
    );
}

#[tokio::test]
async fn what_the_server_refuses_is_named() {
    let Some(server) = shared() else { return };
    let error = Store::open_with(&options(&server.url("absent"))).await.expect_err("no such database");
    assert!(matches!(&error, Error::Refused { why, .. } if why.contains("absent")), "{error}");

    server.ask("postgres", "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0").await;
    let error = Store::open_with(&options(&server.url("bytes"))).await.expect_err("not UTF-8");
    assert!(matches!(&error, Error::Refused { why, .. } if why.contains("SQL_ASCII")), "{error}");

    let url = server.create_database().await;
    Store::open_with(&options(&url)).await.expect("opens").close().await;
    let store = Store::open_with(&options(&url)).await.expect("opens");
    let readable = url.replace("?host", "?options=-c%20default_transaction_read_only%3Don&host");
    let error = Store::open_with(&options(&readable)).await.expect_err("takes no writes");
    assert!(matches!(error, Error::Standby { .. }), "{error}");
    assert_eq!(error.code(), Code::ReadOnly);
    store.close().await;
}

#[tokio::test]
async fn connections_that_are_all_in_use_are_told_from_a_server_that_is_away() {
    let Some(server) = shared() else { return };
    let url = server.create_database().await;
    let store = Store::open_with(&StoreOptions { connections: 2, ..options(&url) }).await.expect("opens");
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let id = store.create_conversation(&scope, about("t")).await.expect("made").id;
    // A stranger holds the row, and two calls that want it hold both connections.
    let mut stranger = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("connects");
    let mut tx = sqlx::Connection::begin(&mut stranger).await.expect("begins");
    sqlx::query("SELECT id FROM conversations FOR UPDATE").execute(&mut *tx).await.expect("locked");
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.update_conversation(&scope, id, Default::default()).await })
        })
        .collect();
    let error = loop {
        if let Err(error) = store.setting("x").await {
            break error;
        }
    };
    assert!(
        matches!(&error, Error::Contended { why, .. } if why.contains("database_connections")),
        "{error}"
    );
    assert!(error.retry_after().is_some());
    tx.rollback().await.expect("given back");
    for task in waiting {
        task.await.expect("no panic").expect("changed after all");
    }
}

#[tokio::test]
async fn search_works_without_the_trigram_extension() {
    let Some(server) = shared() else { return };
    server.ask("postgres", "CREATE DATABASE plain; ").await;
    server.ask("postgres", "CREATE ROLE plain LOGIN").await;
    execute(&server.url("plain"), "GRANT USAGE, CREATE ON SCHEMA public TO plain").await;
    let url = server.url("plain").replace("rixin@", "plain@");
    let store = Store::open_with(&options(&url)).await.expect("opens");
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let id = store.create_conversation(&scope, about("t")).await.expect("made").id;
    store.add_message(&scope, id, said(None, MessageRole::User, "糖尿病患者的饮食")).await.expect("added");
    assert_eq!(store.conversations(&scope, &search("尿病患")).await.expect("list").items.len(), 1);
    let indexes = "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_indexes WHERE indexname = 'messages_by_trigram') = 0; END $$";
    execute(&url, indexes).await;
    store.close().await;
}
