//! The audit log: one chain however many write, and whatever was done to it is found.

use rixin_store::{
    Acting, Actor, AuditFinding, AuditHead, AuditOutcome, AuditQuery, AuditReport, AuditVerifier, Error,
    Role, Store, TenantScope, acting,
};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::{on_both, support::Database};

on_both! {
    a_change_takes_its_row_along_and_a_refused_one_leaves_none
    rows_are_found_by_actor_action_and_time
    gateways_that_write_at_once_make_one_chain
    the_log_takes_no_changes_through_the_database_either
    what_was_done_to_the_log_is_found_and_named
    an_export_tells_what_was_done_to_it
}

fn by(scope: &TenantScope, name: &str) -> Acting {
    let actor = Actor {
        kind: "key".into(),
        id: format!("id of {name}"),
        name: name.into(),
        address: "10.0.0.9".into(),
    };
    Acting::new(scope, actor)
}

async fn write(store: &Store, scope: &TenantScope, name: &str, action: &str, target: &str) {
    let details = json!({ "b": 1, "a": { "z": "字", "y": [2] } }).as_object().cloned().unwrap_or_default();
    by(scope, name).write(store, action, target, AuditOutcome::Done, details).await.expect("written");
}

async fn opened(database: &Database) -> (Store, TenantScope) {
    let store = database.open().await;
    let scope = store.operator().default_scope().await.expect("scope");
    (store, scope)
}

async fn a_change_takes_its_row_along_and_a_refused_one_leaves_none(database: Database) {
    let (store, scope) = opened(&database).await;
    let who = by(&scope, "chief");
    let made = acting(who.clone(), store.create_key(&scope, "new", Role::Owner)).await.expect("made");
    assert!(!who.is_open(), "the row is there");
    let rows = store.audit(&scope, &AuditQuery::default()).await.expect("list").items;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (row.seq, row.action.as_str(), row.target.as_str()),
        (1, "key.create", &*made.key.id.to_string())
    );
    assert_eq!((row.actor.name.as_str(), row.actor.address.as_str()), ("chief", "10.0.0.9"));
    assert_eq!(
        row.details,
        json!({ "name": "new", "role": "admin" }).as_object().cloned().unwrap_or_default()
    );
    assert!(!json!(row).to_string().contains(&made.secret), "no secret");

    let who = by(&scope, "chief");
    let refused = acting(who.clone(), store.revoke_key(&scope, made.key.id)).await.expect_err("the last one");
    assert!(matches!(refused, Error::LastOwner { .. }));
    assert!(who.is_open(), "whoever serves the request writes that it was refused");
    assert_eq!(store.audit_head(&scope).await.expect("head").seq, 1);
    // Nobody acts: the store itself keeps no log of what its own machinery does.
    store.create_key(&scope, "quiet", Role::Member).await.expect("made");
    assert_eq!(store.audit_head(&scope).await.expect("head").seq, 1);
}

async fn rows_are_found_by_actor_action_and_time(database: Database) {
    let (store, scope) = opened(&database).await;
    store.operator().create_tenant("other").await.expect("made");
    let theirs = store.operator().scope("other").await.expect("scope");
    for n in 0..7 {
        write(
            &store,
            &scope,
            if n % 2 == 0 { "even" } else { "odd" },
            if n < 4 { "key.create" } else { "keyring.x" },
            "t",
        )
        .await;
    }
    write(&store, &theirs, "even", "key.create", "theirs").await;
    let found = async |query: AuditQuery| {
        let page = store.audit(&scope, &query).await.expect("list");
        page.items.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    let some = AuditQuery::default;
    assert_eq!(found(some()).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(found(AuditQuery { actor: Some("odd".into()), ..some() }).await, [6, 4, 2]);
    assert_eq!(found(AuditQuery { actor: Some("id of even".into()), ..some() }).await, [7, 5, 3, 1]);
    assert_eq!(found(AuditQuery { action: Some("key.".into()), ..some() }).await, [4, 3, 2, 1]);
    assert_eq!(found(AuditQuery { action: Some("keyring.x".into()), ..some() }).await, [7, 6, 5]);
    assert_eq!(found(AuditQuery { since: Some(i64::MAX), ..some() }).await, [0_u64; 0]);
    assert_eq!(found(AuditQuery { until: Some(0), ..some() }).await, [0_u64; 0]);
    let first = store.audit(&scope, &AuditQuery { limit: 3, ..some() }).await.expect("list");
    let next = AuditQuery { limit: 3, after: first.next, ..some() };
    assert_eq!(found(next).await, [4, 3, 2]);
    assert!(store.audit(&scope, &AuditQuery { after: Some("x".into()), ..some() }).await.is_err());
}

async fn gateways_that_write_at_once_make_one_chain(database: Database) {
    let (one, scope) = opened(&database).await;
    let other = database.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                for step in 0..10 {
                    write(&store, &scope, &format!("actor {n}"), "job.submit", &format!("{n}-{step}")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let report = one.verify_audit(&scope, None).await.expect("read");
    assert_eq!((report.ok, report.rows), (true, 80), "{report:?}");
}

/// Runs statements without the store; gives whether they worked.
async fn raw(database: &Database, text: &str) -> bool {
    let text = AssertSqlSafe(text.to_owned());
    match &database.url {
        Some(url) => {
            let pool = sqlx::PgPool::connect(url).await.expect("raw");
            let done = sqlx::raw_sql(text).execute(&pool).await.is_ok();
            pool.close().await;
            done
        }
        None => {
            let path = database.dir.path().join("rixin.db");
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.expect("raw");
            let done = sqlx::raw_sql(text).execute(&pool).await.is_ok();
            pool.close().await;
            done
        }
    }
}

async fn the_log_takes_no_changes_through_the_database_either(database: Database) {
    let (store, scope) = opened(&database).await;
    write(&store, &scope, "a", "key.create", "t").await;
    assert!(!raw(&database, "UPDATE audit SET actor_name = 'b'").await);
    assert!(!raw(&database, "DELETE FROM audit").await);
    assert!(store.verify_audit(&scope, None).await.expect("read").ok);
}

/// Ten rows; then, past the triggers, whatever a person with the database in hand does.
async fn tampered(database: &Database, statements: &str) -> (AuditReport, AuditReport) {
    let (store, scope) = opened(database).await;
    let off = match &database.url {
        Some(_) => "DROP TRIGGER IF EXISTS audit_stays ON audit;",
        None => "DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_is_kept;",
    };
    assert!(raw(database, &format!("{off} DELETE FROM audit; DELETE FROM audit_heads")).await);
    for n in 0..10 {
        write(&store, &scope, "a", "key.create", &n.to_string()).await;
    }
    let kept = store.audit_head(&scope).await.expect("head");
    assert!(store.verify_audit(&scope, Some(kept.clone())).await.expect("read").ok);
    assert!(raw(database, statements).await, "{statements}");
    let without = store.verify_audit(&scope, None).await.expect("read");
    let with = store.verify_audit(&scope, Some(kept)).await.expect("read");
    (without, with)
}

async fn what_was_done_to_the_log_is_found_and_named(database: Database) {
    let copy = "seq + 1, at, actor_kind, actor_id, actor_name, address, action, target, project_id, outcome, details, hash";
    let columns = "tenant_id, seq, at, actor_kind, actor_id, actor_name, address, action, target, project_id, outcome, details, hash";
    for (statements, found) in [
        ("UPDATE audit SET actor_name = 'b' WHERE seq = 4".to_owned(), AuditFinding::Changed { seq: 4 }),
        ("UPDATE audit SET details = '{}' WHERE seq = 1".to_owned(), AuditFinding::Changed { seq: 1 }),
        ("UPDATE audit SET at = at - 1 WHERE seq = 10".to_owned(), AuditFinding::Changed { seq: 10 }),
        ("DELETE FROM audit WHERE seq = 5".to_owned(), AuditFinding::Removed { from: 5, to: 5 }),
        ("DELETE FROM audit WHERE seq < 4".to_owned(), AuditFinding::Removed { from: 1, to: 3 }),
        ("DELETE FROM audit WHERE seq > 8".to_owned(), AuditFinding::Removed { from: 9, to: 10 }),
        (
            format!("INSERT INTO audit ({columns}) SELECT tenant_id, {copy} FROM audit WHERE seq = 10"),
            AuditFinding::Inserted { seq: 11 },
        ),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 7; UPDATE audit SET seq = 7 WHERE seq = 99"
                .to_owned(),
            AuditFinding::Changed { seq: 3 },
        ),
    ] {
        let (report, _) = tampered(&database, &statements).await;
        assert!(!report.ok && report.findings.contains(&found), "{statements}: {report:?}");
    }
    // Whoever cuts the end off and mends the head is found by a head that somebody kept.
    let cut = "DELETE FROM audit WHERE seq > 6; UPDATE audit_heads SET seq = 6, hash = (SELECT hash FROM audit WHERE seq = 6)";
    let (without, with) = tampered(&database, cut).await;
    assert!(without.ok);
    assert_eq!(with.findings, [AuditFinding::Removed { from: 7, to: 10 }]);
}

async fn an_export_tells_what_was_done_to_it(database: Database) {
    let (store, scope) = opened(&database).await;
    for n in 0..6 {
        write(&store, &scope, "a", "key.create", &n.to_string()).await;
    }
    let query = AuditQuery::default();
    let head = query.head_line(&scope, store.audit_head(&scope).await.expect("head"));
    let mut lines = vec![serde_json::to_string(&head).expect("JSON")];
    for row in store.audit_piece(&scope, &query, 0, 100).await.expect("rows") {
        lines.push(serde_json::to_string(&row).expect("JSON"));
    }
    let verify = |lines: &[String]| {
        let (mut verifier, _) = AuditVerifier::of_export(&lines[0], Vec::new()).expect("an export");
        lines[1..].iter().for_each(|line| verifier.line(line).expect("a row"));
        verifier.finish()
    };
    assert!(verify(&lines).ok);
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        verify(&lines).findings
    };
    assert_eq!(
        with(&|lines| lines[3] = lines[3].replace("\"a\"", "\"b\"")),
        [AuditFinding::Changed { seq: 3 }]
    );
    assert_eq!(with(&|lines| drop(lines.remove(2))), [AuditFinding::Removed { from: 2, to: 2 }]);
    assert_eq!(with(&|lines| lines.truncate(4)), [AuditFinding::Removed { from: 4, to: 6 }]);
    assert_eq!(with(&|lines| lines.insert(4, lines[3].clone())), [AuditFinding::Inserted { seq: 3 }]);
    let moved = with(&|lines| lines.swap(2, 4));
    assert!(moved.contains(&AuditFinding::Moved { seq: 2 }), "{moved:?}");
    let excerpt = AuditQuery { actor: Some("a".into()), ..AuditQuery::default() };
    let excerpt = serde_json::to_string(&excerpt.head_line(&scope, AuditHead::default())).expect("JSON");
    assert!(AuditVerifier::of_export(&excerpt, Vec::new()).is_err(), "an excerpt proves nothing");
    assert!(AuditVerifier::of_export("{}", Vec::new()).is_err());
}
