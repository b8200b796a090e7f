//! Artifacts: made once by an attempt, sealed once by a server, walked, found by hash, and kept while something needs them.

use rixin_base::{ArtifactId, Code, Explain as _, Fault};
use rixin_store::{
    Also, ArtifactKind, ArtifactParent, ArtifactQuery, ArtifactState, AttemptScope, Claim, Error, Fenced,
    JobInput, NewArtifact, NewJob, ParentKind, Role, SealedBlob, Store, StoredLabelPolicy, TenantScope,
    Verdict, now_ms,
};
use serde_json::{Value, json};

use crate::{on_both, support::Database};

on_both! {
    an_attempts_artifact_waits_for_its_seal_and_is_made_once
    an_attempt_that_was_given_up_leaves_no_artifact
    walks_go_up_and_down_and_never_out_of_the_tenant
    what_is_needed_stays
    lists_filter_page_and_find_hashes
    a_policy_is_the_tenants_own
    what_can_not_be_sealed_is_tried_again_and_then_given_up
}

async fn tenant(store: &Store, name: &str) -> TenantScope {
    store.operator().create_tenant(name).await.expect("a new tenant");
    let scope = store.operator().scope(name).await.expect("there");
    let key = store.create_key(&scope, "someone", Role::Member).await.expect("a key");
    crate::scope_of(store, &key.secret).await
}

async fn attempt(store: &Store, scope: &TenantScope) -> AttemptScope {
    let new = NewJob { kind: "batch".into(), title: "work".into(), ..NewJob::default() };
    store.submit_job(scope, new).await.expect("submitted");
    let claim = Claim { executor: "local", owner: "here", lease_ms: 60_000 };
    let claimed = store.supervisor().claim(&claim, |_| Verdict::Take).await.expect("works").expect("one");
    store
        .enter_attempt(claimed.job.id, claimed.number, &claimed.token, false, 60_000)
        .await
        .expect("the latest")
        .0
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn made(name: &str, digit: char) -> NewArtifact {
    NewArtifact {
        kind: ArtifactKind::Image,
        name: name.into(),
        media_type: "image/png".into(),
        source_sha256: hash(digit),
        source_bytes: 5,
        lineage: json!({ "version": 1 }),
        parents: Vec::new(),
    }
}

fn sealed(digit: char) -> SealedBlob {
    SealedBlob { sha256: hash(digit), bytes: 7, content_sha256: hash('c'), sidecar_sha256: Some(hash('d')) }
}

async fn uploaded(
    store: &Store,
    scope: &TenantScope,
    name: &str,
    parents: Vec<ArtifactParent>,
) -> ArtifactId {
    let new = NewArtifact { parents, ..made(name, '1') };
    let id = ArtifactId::new();
    store
        .add_upload(scope, id, &new, &SealedBlob { sidecar_sha256: None, ..sealed('1') })
        .await
        .expect("kept");
    id
}

fn from(id: ArtifactId) -> Vec<ArtifactParent> {
    vec![ArtifactParent {
        kind: ParentKind::Artifact,
        id: id.to_string(),
        sha256: Some(hash('1')),
        relation: "parent".into(),
    }]
}

async fn an_attempts_artifact_waits_for_its_seal_and_is_made_once(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let attempt = attempt(&store, &scope).await;
    let (id, again) = (ArtifactId::new(), ArtifactId::new());
    let also = [
        Also::Artifact(Box::new(made("out.png", 'a')), id),
        Also::Artifact(Box::new(made("out.png", 'b')), again),
    ];
    attempt.finish(&Value::Null, &also).await.expect("taken");
    let found = store.artifact(&scope, id).await.expect("there");
    assert_eq!((found.state, found.job, found.sha256), (ArtifactState::Waiting, Some(attempt.job()), None));
    assert!(matches!(store.artifact(&scope, again).await, Err(Error::NotFound { .. })));
    let supervisor = store.supervisor();
    assert!(supervisor.blob_is_named(&hash('a')).await.expect("works"), "its source is needed");
    assert!(supervisor.artifact_by_hash(&hash('a'), "").await.expect("works").is_none(), "not yet");
    let waiting = supervisor.unsealed_artifacts(now_ms(), 10).await.expect("works");
    assert_eq!(waiting.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    assert!(supervisor.seal_artifact(id, &sealed('e')).await.expect("works"));
    assert!(!supervisor.seal_artifact(id, &sealed('f')).await.expect("works"), "the first seal counts");
    let found = store.artifact(&scope, id).await.expect("there");
    assert_eq!((found.state, found.sha256.as_deref()), (ArtifactState::Ready, Some(hash('e').as_str())));
    assert!(supervisor.unsealed_artifacts(now_ms(), 10).await.expect("works").is_empty());
    for (digit, named) in [('a', false), ('e', true), ('d', true), ('f', false)] {
        assert_eq!(supervisor.blob_is_named(&hash(digit)).await.expect("works"), named, "{digit}");
    }
    // by the bytes as they were made, as they were sealed, and by the content alone
    for (file, content) in [('a', '0'), ('e', '0'), ('0', 'c')] {
        let known = supervisor.artifact_by_hash(&hash(file), &hash(content)).await.expect("works");
        assert_eq!(known.map(|known| known.id), Some(id), "{file} {content}");
    }
    assert_eq!(supervisor.stored_bytes(scope.tenant()).await.expect("works"), 7);
}

async fn an_attempt_that_was_given_up_leaves_no_artifact(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let attempt = attempt(&store, &scope).await;
    attempt.finish(&Value::Null, &[]).await.expect("taken");
    let id = ArtifactId::new();
    let late = attempt.finish(&Value::Null, &[Also::Artifact(Box::new(made("late.png", 'a')), id)]).await;
    assert!(matches!(late, Err(Fenced::GivenUp)), "{late:?}");
    assert!(store.artifact(&scope, id).await.is_err());
}

async fn walks_go_up_and_down_and_never_out_of_the_tenant(database: Database) {
    let store = database.open().await;
    let (one, two) = (tenant(&store, "one").await, tenant(&store, "two").await);
    let root = uploaded(&store, &one, "root.png", Vec::new()).await;
    let middle = uploaded(&store, &one, "middle.png", from(root)).await;
    let leaf = uploaded(&store, &one, "leaf.png", from(middle)).await;
    let stranger = uploaded(&store, &two, "stranger.png", from(root)).await;
    let graph = store.artifact_graph(&one, middle).await.expect("works");
    let ids: Vec<ArtifactId> = graph.artifacts.iter().map(|one| one.id).collect();
    assert_eq!(ids[0], middle);
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&root) && ids.contains(&leaf) && !ids.contains(&stranger));
    assert_eq!(graph.edges.len(), 2);
    // from the root down to both, and nothing of the other tenant
    let graph = store.artifact_graph(&one, root).await.expect("works");
    assert_eq!((graph.artifacts.len(), graph.edges.len(), graph.cut), (3, 2, false));
    assert!(store.artifact_graph(&two, root).await.is_err());
    let graph = store.artifact_graph(&two, stranger).await.expect("works");
    assert_eq!((graph.artifacts.len(), graph.edges.len()), (1, 1), "a parent by its id alone");
}

async fn what_is_needed_stays(database: Database) {
    let store = database.open().await;
    let (one, two) = (tenant(&store, "one").await, tenant(&store, "two").await);
    let root = uploaded(&store, &one, "root.png", Vec::new()).await;
    let leaf = uploaded(&store, &one, "leaf.png", from(root)).await;
    assert!(matches!(store.remove_artifact(&two, root).await, Err(Error::NotFound { .. })));
    let refused = store.remove_artifact(&one, root).await.expect_err("leaf was made from it");
    assert!(refused.code() == Code::Conflict && refused.to_string().contains(&leaf.to_string()), "{refused}");
    let reading = NewJob {
        kind: "batch".into(),
        inputs: vec![JobInput::Artifact(leaf.to_string())],
        ..NewJob::default()
    };
    let job = store.submit_job(&one, reading).await.expect("submitted");
    assert!(matches!(store.remove_artifact(&one, leaf).await, Err(Error::InUse { .. })));
    store.cancel_job(&one, job.id).await.expect("there");
    store.remove_artifact(&one, leaf).await.expect("nothing needs it");
    store.remove_artifact(&one, root).await.expect("nothing needs it");
    assert!(!store.supervisor().blob_is_named(&hash('1')).await.expect("works"));
}

async fn lists_filter_page_and_find_hashes(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    for number in 0..5 {
        uploaded(&store, &scope, &format!("图 {number}_100%.PNG"), Vec::new()).await;
    }
    let mut query = ArtifactQuery { limit: 2, text: Some("_100%.png".into()), ..ArtifactQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.artifacts(&scope, &query).await.expect("works");
        seen.extend(page.items.into_iter().map(|one| one.name));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..5).rev().map(|number| format!("图 {number}_100%.PNG")).collect::<Vec<_>>());
    let count = |query: ArtifactQuery| {
        let (store, scope) = (store.clone(), scope);
        async move { store.artifacts(&scope, &query).await.expect("works").items.len() }
    };
    let text = |text: &str| ArtifactQuery { text: Some(text.into()), ..ArtifactQuery::default() };
    assert_eq!(count(text("x100")).await, 0, "what is typed is literal");
    assert_eq!(count(text(&hash('1').to_uppercase())).await, 5);
    assert_eq!(count(text(&hash('c'))).await, 5);
    assert_eq!(count(ArtifactQuery { kind: Some(ArtifactKind::Audio), ..ArtifactQuery::default() }).await, 0);
    let bad = ArtifactQuery { after: Some("nonsense".into()), ..ArtifactQuery::default() };
    assert_eq!(store.artifacts(&scope, &bad).await.expect_err("no cursor").code(), Code::InvalidValue);
}

async fn a_policy_is_the_tenants_own(database: Database) {
    let store = database.open().await;
    let (one, two) = (tenant(&store, "one").await, tenant(&store, "two").await);
    assert_eq!(store.label_policy(&one).await.expect("works"), None);
    let mut policy = StoredLabelPolicy {
        explicit: true,
        words: "both".into(),
        corner: "top_left".into(),
        whole_video: false,
    };
    store.set_label_policy(&one, &policy).await.expect("set");
    policy.whole_video = true;
    store.set_label_policy(&one, &policy).await.expect("set again");
    assert_eq!(store.label_policy(&one).await.expect("works"), Some(policy));
    assert_eq!(store.label_policy(&two).await.expect("works"), None);
}

async fn what_can_not_be_sealed_is_tried_again_and_then_given_up(database: Database) {
    let store = database.open().await;
    let scope = tenant(&store, "one").await;
    let attempt = attempt(&store, &scope).await;
    let id = ArtifactId::new();
    attempt.finish(&Value::Null, &[Also::Artifact(Box::new(made("x.png", 'a')), id)]).await.expect("taken");
    let supervisor = store.supervisor();
    let fault = Fault::new(Code::Internal, "no", "不行");
    let later = now_ms() + 60_000;
    supervisor.seal_failed(id, &fault, Some(later)).await.expect("noted");
    assert!(supervisor.unsealed_artifacts(now_ms(), 9).await.expect("works").is_empty(), "not due");
    assert_eq!(supervisor.unsealed_artifacts(later, 9).await.expect("works").len(), 1);
    supervisor.seal_failed(id, &fault, None).await.expect("noted");
    let found = store.artifact(&scope, id).await.expect("there");
    assert_eq!((found.state, found.tries), (ArtifactState::Failed, 2));
    assert_eq!(found.fault.expect("a reason")["zh"], "不行");
    assert!(!supervisor.seal_artifact(id, &sealed('e')).await.expect("works"));
    assert!(supervisor.blob_is_named(&hash('a')).await.expect("works"), "nobody took its bytes away");
}
