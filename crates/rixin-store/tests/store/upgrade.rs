//! A database of the first released schema opens with everything in it (`tests/fixtures/make.py` wrote them).

use rixin_store::{Error, MessageRole};
use sqlx::AssertSqlSafe;

use crate::{on_both, said, scope_of, search, support::Database};

const SQLITE: &str = include_str!("../fixtures/schema_0001.sqlite.sql");
const POSTGRES: &str = include_str!("../fixtures/schema_0001.postgres.sql");
const SECRET: &str = "rx-FixtureSecretOfTheFirstSchemaNothingOpens01";

on_both! {
    a_database_of_the_first_schema_opens_with_everything_in_it
    a_database_of_a_newer_version_is_refused
}

/// Runs statements without the store.
async fn fill(database: &Database, text: &str) {
    match &database.url {
        Some(url) => crate::support::postgres::execute(url, text).await,
        None => {
            let url = format!("sqlite://{}?mode=rwc", database.dir.path().join("rixin.db").display());
            let pool = sqlx::SqlitePool::connect(&url).await.expect("raw");
            sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&pool).await.expect("valid SQL");
            pool.close().await;
        }
    }
}

async fn a_database_of_the_first_schema_opens_with_everything_in_it(database: Database) {
    fill(&database, if database.url.is_some() { POSTGRES } else { SQLITE }).await;
    let store = database.open().await;
    assert!(store.first_key().await.expect("works").is_none());
    let scope = scope_of(&store, SECRET).await;
    let keys = store.keys(&scope).await.expect("list");
    assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["admin", "小李"]);
    assert_eq!((keys[0].last_used, keys[1].revoked_at), (Some(1_750_000_100_000), Some(1_750_000_200_000)));

    let list = store.conversations(&scope, &search("")).await.expect("list").items;
    assert_eq!(list.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["糖尿病的饮食", ""]);
    let talk = &list[0];
    assert_eq!((talk.system.as_deref(), talk.params["temperature"].as_f64()), (Some("简短回答"), Some(0.5)));
    let messages = store.messages(&scope, talk.id).await.expect("list");
    assert_eq!(messages.len(), 4);
    assert_eq!(
        (talk.head_id, messages[2].content.as_str()),
        (Some(messages[3].id), "It's \"less\" sugar\\salt.")
    );
    assert_eq!(messages[2].usage.map(|usage| usage.completion_tokens), Some(9));
    for word in ["蔬菜", "糖尿病患者", "sugar\\salt", "danke"] {
        assert_eq!(store.conversations(&scope, &search(word)).await.expect("list").items.len(), 1, "{word}");
    }
    assert_eq!(store.usage(&scope, 3660, true).await.expect("rows")[0].completion_tokens, 16);
    assert_eq!(store.response_chain(&scope, "resp_b").await.expect("chain").len(), 2);
    assert_eq!(store.externals().await.expect("list")[0].models, ["qwen3"]);
    assert_eq!(store.setting("greeting").await.expect("read").as_deref(), Some("你好"));

    let added = store.add_message(&scope, talk.id, said(talk.head_id, MessageRole::Assistant, "Bitte")).await;
    let added = added.expect("added");
    let messages = store.messages(&scope, talk.id).await.expect("list");
    assert_eq!(messages.last().map(|message| message.id), Some(added.id));
    store.check().await.expect("sound");
}

async fn a_database_of_a_newer_version_is_refused(database: Database) {
    database.open().await.close().await;
    let checksum = if database.url.is_some() { "'\\x00'" } else { "x'00'" };
    let later = format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, {checksum}, 0)"
    );
    fill(&database, &later).await;
    let error = rixin_store::Store::open_with(&database.options()).await.expect_err("newer");
    assert!(matches!(error, Error::Newer { found: 9999, .. }), "{error}");
}
