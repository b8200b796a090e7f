//! The store as its users see it: scopes, keys across processes, the message tree, search, paging, usage, hostile disks.

use rixin_base::{Code, Explain, Lang};
use rixin_store::{
    ConversationPatch, ConversationQuery, Error, MessageRole, MessageUsage, NewConversation, NewExternal,
    NewMessage, NewResponse, Role, Store, TenantScope, UsageRecord,
};

async fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path()).await.expect("opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temp dir")
}

async fn scope_of(store: &Store, secret: &str) -> TenantScope {
    store.authenticate(secret).await.expect("works").expect("known key").scope
}

fn said(parent_id: Option<rixin_base::MessageId>, role: MessageRole, content: &str) -> NewMessage {
    NewMessage { parent_id, role, content: content.into(), model: None, usage: None, finish_reason: None }
}

fn about(title: &str) -> NewConversation {
    NewConversation { title: Some(title.into()), model: "m".into(), ..NewConversation::default() }
}

fn search(text: &str) -> ConversationQuery {
    ConversationQuery { text: Some(text.into()), ..ConversationQuery::default() }
}

#[tokio::test]
async fn the_first_key_is_given_once_and_no_secret_is_in_the_files() {
    let dir = folder();
    let store = open(&dir).await;
    let first = store.first_key().await.expect("works").expect("no key yet");
    assert!(first.secret.starts_with("rx-") && first.secret.len() >= 43, "{}", first.secret.len());
    assert!(store.first_key().await.expect("works").is_none());
    let identity = store.authenticate(&first.secret).await.expect("works").expect("known");
    assert_eq!((identity.role, identity.key_id), (Role::Admin, first.key.id));
    store.close().await;
    for entry in std::fs::read_dir(dir.path()).expect("folder") {
        let path = entry.expect("entry").path();
        let bytes = std::fs::read(&path).expect("readable");
        assert!(!bytes.windows(20).any(|w| w == &first.secret.as_bytes()[..20]), "{path:?} holds the secret");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(dir.path().join("rixin.db")).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = open(&dir).await;
    assert!(again.authenticate(&first.secret).await.expect("works").is_some());
    assert!(!format!("{first:?}").contains(&first.secret));
}

#[tokio::test]
async fn wrong_keys_are_unknown() {
    let dir = folder();
    let store = open(&dir).await;
    let key = store.first_key().await.expect("works").expect("first").secret;
    let near = format!("{}{}", &key[..key.len() - 1], if key.ends_with('a') { 'b' } else { 'a' });
    for wrong in ["", "rx-", near.as_str(), &key[3..], &format!("{key}x"), "rx-' OR 1=1 --"] {
        assert!(store.authenticate(wrong).await.expect("works").is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn a_revocation_by_another_process_takes_effect() {
    let dir = folder();
    let (server, command) = (open(&dir).await, open(&dir).await);
    server.first_key().await.expect("works");
    let scope = command.operator().default_scope().await.expect("scope");
    let key = command.create_key(&scope, "小李", Role::Member).await.expect("created");
    assert!(server.authenticate(&key.secret).await.expect("works").is_some());
    command.revoke_key(&scope, key.key.id).await.expect("revoked");
    assert!(
        command.authenticate(&key.secret).await.expect("works").is_none(),
        "at once where it was revoked"
    );
    let started = std::time::Instant::now();
    while server.authenticate(&key.secret).await.expect("works").is_some() {
        assert!(started.elapsed().as_millis() < 1500, "the server still takes the key");
        tokio::task::yield_now().await;
    }
    let listed = server.keys(&scope).await.expect("list");
    assert!(listed.iter().any(|k| k.id == key.key.id && k.revoked_at.is_some()));
}

#[tokio::test]
async fn the_last_admin_key_stays() {
    let dir = folder();
    let store = open(&dir).await;
    let first = store.first_key().await.expect("works").expect("first");
    let scope = scope_of(&store, &first.secret).await;
    let error = store.revoke_key(&scope, first.key.id).await.expect_err("last one");
    assert_eq!(error.code(), Code::Conflict);
    store.create_key(&scope, "second", Role::Admin).await.expect("created");
    store.revoke_key(&scope, first.key.id).await.expect("another is there");
}

#[tokio::test]
async fn nothing_of_another_tenant_or_key_can_be_named() {
    let dir = folder();
    let store = open(&dir).await;
    let ours = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let colleague = store.create_key(&ours, "colleague", Role::Member).await.expect("created");
    let colleague = scope_of(&store, &colleague.secret).await;
    store.operator().create_tenant("other").await.expect("tenant");
    let other_tenant = store.operator().scope("other").await.expect("scope");
    let other = store.create_key(&other_tenant, "theirs", Role::Admin).await.expect("created");
    let other_key = other.key.id;
    let other = scope_of(&store, &other.secret).await;

    let conversation = store.create_conversation(&ours, about("secret plan")).await.expect("made");
    store
        .add_message(&ours, conversation.id, said(None, MessageRole::User, "the secret"))
        .await
        .expect("added");
    store
        .put_response(
            &ours,
            NewResponse { id: "resp_1".into(), previous_id: None, input: "[]".into(), response: "{}".into() },
        )
        .await
        .expect("stored");
    for stranger in [other, colleague] {
        assert!(matches!(store.conversation(&stranger, conversation.id).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.messages(&stranger, conversation.id).await, Err(Error::NotFound { .. })));
        assert!(matches!(
            store.delete_conversation(&stranger, conversation.id).await,
            Err(Error::NotFound { .. })
        ));
        let patched =
            store.update_conversation(&stranger, conversation.id, ConversationPatch::default()).await;
        assert!(matches!(patched, Err(Error::NotFound { .. })));
        let added = store.add_message(&stranger, conversation.id, said(None, MessageRole::User, "x")).await;
        assert!(matches!(added, Err(Error::NotFound { .. })));
        assert!(store.conversations(&stranger, &search("secret")).await.expect("list").items.is_empty());
        assert!(matches!(store.response(&stranger, "resp_1").await, Err(Error::NotFound { .. })));
        assert!(matches!(store.response_chain(&stranger, "resp_1").await, Err(Error::NotFound { .. })));
        assert!(matches!(store.delete_response(&stranger, "resp_1").await, Err(Error::NotFound { .. })));
    }
    assert!(matches!(store.revoke_key(&ours, other_key).await, Err(Error::NotFound { .. })));
    assert!(store.keys(&ours).await.expect("list").iter().all(|key| key.id != other_key));
}

#[tokio::test]
async fn messages_make_a_tree_and_the_branch_is_exported() {
    let dir = folder();
    let store = open(&dir).await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let new =
        NewConversation {
            model: "m".into(), system: Some("简短回答".into()), ..NewConversation::default()
        };
    let id = store.create_conversation(&scope, new).await.expect("made").id;
    let question = store.add_message(&scope, id, said(None, MessageRole::User, "你好")).await.expect("added");
    let answer = NewMessage {
        usage: Some(MessageUsage { prompt_tokens: 3, completion_tokens: 5 }),
        ..said(Some(question.id), MessageRole::Assistant, "您好！")
    };
    let first = store.add_message(&scope, id, answer).await.expect("added");
    let second = store
        .add_message(&scope, id, said(Some(question.id), MessageRole::Assistant, "Hello"))
        .await
        .expect("added");
    let conversation = store.conversation(&scope, id).await.expect("there");
    assert_eq!((conversation.title.as_str(), conversation.head_id), ("你好", Some(second.id)));
    let messages = store.messages(&scope, id).await.expect("list");
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[1].usage, Some(MessageUsage { prompt_tokens: 3, completion_tokens: 5 }));
    let text = rixin_store::markdown(&conversation, &messages, Lang::Zh);
    assert!(text.contains("简短回答") && text.contains("Hello") && !text.contains("您好！"), "{text}");
    let patch = ConversationPatch {
        head_id: Some(Some(first.id)),
        system: Some(None),
        ..ConversationPatch::default()
    };
    let conversation = store.update_conversation(&scope, id, patch).await.expect("patched");
    let text = rixin_store::markdown(&conversation, &messages, Lang::En);
    assert!(text.contains("您好！") && !text.contains("Hello") && !text.contains("简短回答"), "{text}");

    let elsewhere = store.create_conversation(&scope, about("b")).await.expect("made").id;
    let bad = store.add_message(&scope, elsewhere, said(Some(first.id), MessageRole::User, "x")).await;
    assert!(matches!(bad, Err(Error::NotFound { .. })), "a parent of another conversation");
}

#[tokio::test]
async fn a_long_chain_is_deleted_with_its_index() {
    let dir = folder();
    let store = open(&dir).await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    let id = store.create_conversation(&scope, about("chain")).await.expect("made").id;
    let mut parent = None;
    for _ in 0..1200 {
        parent = Some(
            store.add_message(&scope, id, said(parent, MessageRole::User, "needle")).await.expect("added").id,
        );
    }
    store.delete_conversation(&scope, id).await.expect("deleted");
    assert!(store.conversations(&scope, &search("needle")).await.expect("list").items.is_empty());
    store.check().await.expect("sound");
}

#[tokio::test]
async fn search_finds_chinese_of_any_length_and_nothing_is_syntax() {
    let dir = folder();
    let store = open(&dir).await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    for (title, content) in [
        ("一", "糖尿病患者的饮食建议，100% 可信_吗"),
        ("二", "Rust 的所有权和 \"lifetime\" 是什么"),
        ("糖果", "今天天气很好"),
    ] {
        let id = store.create_conversation(&scope, about(title)).await.expect("made").id;
        store.add_message(&scope, id, said(None, MessageRole::User, content)).await.expect("added");
    }
    for (query, expected) in [
        ("糖", vec!["一", "糖果"]),
        ("饮食", vec!["一"]),
        ("糖尿病", vec!["一"]),
        ("患者的饮食建议", vec!["一"]),
        ("rust 所有权", vec!["二"]),
        ("\"lifetime\"", vec!["二"]),
        ("0%", vec!["一"]),
        ("_", vec!["一"]),
        ("NEAR( AND * OR", vec![]),
        ("糖 天气", vec!["糖果"]),
        ("", vec!["一", "二", "糖果"]),
    ] {
        let page = store.conversations(&scope, &search(query)).await.expect("search works");
        let mut titles: Vec<_> = page.items.iter().map(|c| c.title.as_str()).collect();
        titles.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(titles, expected, "{query}");
    }
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let dir = folder();
    let store = open(&dir).await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    for i in 0..7 {
        store.create_conversation(&scope, about(&i.to_string())).await.expect("made");
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = ConversationQuery { text: None, limit: 3, after };
        let page = store.conversations(&scope, &query).await.expect("page");
        seen.extend(page.items.into_iter().map(|c| c.title));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
    let bad = ConversationQuery { after: Some("x".into()), ..ConversationQuery::default() };
    assert_eq!(
        store.conversations(&scope, &bad).await.expect_err("no cursor").param().as_deref(),
        Some("after")
    );
}

#[tokio::test]
async fn usage_adds_up_by_key_and_day() {
    let dir = folder();
    let store = open(&dir).await;
    let first = store.first_key().await.expect("works").expect("first");
    let admin = scope_of(&store, &first.secret).await;
    let member = store.create_key(&admin, "m", Role::Member).await.expect("created");
    let member = scope_of(&store, &member.secret).await;
    for scope in [&admin, &member, &member] {
        store.record(scope, UsageRecord { model: "q".into(), prompt_tokens: 10, completion_tokens: 2 });
    }
    store.flush().await.expect("written");
    store.record(&member, UsageRecord { model: "q".into(), prompt_tokens: 1, completion_tokens: 1 });
    store.flush().await.expect("written");
    let own = store.usage(&member, 30, false).await.expect("rows");
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].requests, own[0].prompt_tokens, own[0].completion_tokens), (3, 21, 5));
    assert_eq!(store.usage(&admin, 1, true).await.expect("rows").len(), 2);
    assert!(store.keys(&admin).await.expect("list").iter().all(|key| key.last_used.is_some()));
}

#[tokio::test]
async fn external_engines_and_settings_persist() {
    let dir = folder();
    let store = open(&dir).await;
    let new = NewExternal {
        name: "vllm".into(),
        base_url: "http://gpu:8000/v1".into(),
        api_key: Some("sk-x".into()),
        models: vec!["qwen3".into()],
    };
    let added = store.add_external(new.clone()).await.expect("added");
    assert!(matches!(store.add_external(new).await, Err(Error::Exists { .. })));
    assert!(!format!("{added:?}").contains("sk-x"));
    store.set_setting("a", Some("1")).await.expect("set");
    store.close().await;
    let store = open(&dir).await;
    assert_eq!(store.externals().await.expect("list"), std::slice::from_ref(&added));
    assert_eq!(store.setting("a").await.expect("read").as_deref(), Some("1"));
    store.remove_external(added.id).await.expect("removed");
    assert!(matches!(store.remove_external(added.id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn responses_chain_oldest_first_and_a_gap_is_named() {
    let dir = folder();
    let store = open(&dir).await;
    let scope = scope_of(&store, &store.first_key().await.expect("works").expect("first").secret).await;
    for (id, previous) in [("resp_a", None), ("resp_b", Some("resp_a")), ("resp_c", Some("resp_b"))] {
        let new = NewResponse {
            id: id.into(),
            previous_id: previous.map(str::to_owned),
            input: format!("[\"{id}\"]"),
            response: "{}".into(),
        };
        store.put_response(&scope, new).await.expect("stored");
    }
    let ids = |chain: Vec<rixin_store::StoredResponse>| chain.into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.response_chain(&scope, "resp_c").await.expect("chain")),
        ["resp_a", "resp_b", "resp_c"]
    );
    store.delete_response(&scope, "resp_a").await.expect("deleted");
    let error = store.response_chain(&scope, "resp_c").await.expect_err("gap");
    assert!(error.to_string().contains("resp_a"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_open_and_write_at_once() {
    let dir = folder();
    let path = dir.path().to_path_buf();
    let tasks: Vec<_> = (0..4)
        .map(|i| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = Store::open(&path).await.expect("opens");
                let scope = store.operator().default_scope().await.expect("scope");
                for j in 0..20 {
                    store.create_key(&scope, &format!("{i}-{j}"), Role::Member).await.expect("created");
                }
                store.close().await;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let store = open(&dir).await;
    let scope = store.operator().default_scope().await.expect("scope");
    assert_eq!(store.keys(&scope).await.expect("list").len(), 80);
    assert_eq!(store.operator().tenants().await.expect("list").len(), 1);
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
async fn a_file_of_a_newer_version_is_refused() {
    let dir = folder();
    let store = open(&dir).await;
    store.close().await;
    let url = format!("sqlite://{}", dir.path().join("rixin.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("raw");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .expect("row");
    pool.close().await;
    let error = Store::open(dir.path()).await.expect_err("newer");
    assert!(matches!(error, Error::Newer { found: 9999, .. }), "{error}");
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
