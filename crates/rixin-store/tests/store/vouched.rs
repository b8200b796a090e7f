//! Members whom an identity provider vouches for, on both databases.

use std::time::Duration;

use rixin_store::{
    Error, MemberPatch, NewMember, NewSession, OidcFlow, Role, SignedIn, Store, TenantScope, Vouched,
};

use crate::{on_both, support::Database};

on_both! {
    a_flow_is_taken_once_and_in_time
    who_comes_again_is_the_same_member_with_the_role_of_now
    nobody_comes_in_who_is_kept_out_or_belongs_elsewhere
}

const HOUR: Duration = Duration::from_secs(3600);

fn here() -> NewSession {
    NewSession { agent: "a browser".into(), address: "192.0.2.1".into(), lifetime: HOUR }
}

fn vouched(subject: &str, name: &str, role: Role) -> Vouched {
    Vouched {
        issuer: "https://id.example.org".into(),
        subject: subject.into(),
        name: name.into(),
        title: "Somebody".into(),
        organisation: "default".into(),
        role,
    }
}

async fn host(store: &Store) -> TenantScope {
    store.first_key().await.expect("works").expect("first");
    store.operator().default_scope().await.expect("scope")
}

async fn role_of(store: &Store, signed: &SignedIn) -> Option<Role> {
    let found = store.authenticate_session(&signed.secret, HOUR).await.expect("works");
    found.map(|(identity, _)| identity.role)
}

async fn a_flow_is_taken_once_and_in_time(database: Database) {
    let store = database.open().await;
    let flow = OidcFlow { nonce: "n".into(), verifier: "v".into() };
    store.begin_oidc("one", &flow, HOUR).await.expect("kept");
    let other = database.open().await;
    assert_eq!(other.take_oidc("two").await.expect("works"), None);
    assert_eq!(other.take_oidc("one").await.expect("works"), Some(flow.clone()), "on any gateway");
    assert_eq!(store.take_oidc("one").await.expect("works"), None, "once");
    store.begin_oidc("late", &flow, Duration::ZERO).await.expect("kept");
    assert_eq!(store.take_oidc("late").await.expect("works"), None, "in time");
}

async fn who_comes_again_is_the_same_member_with_the_role_of_now(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let taken = NewMember { name: "li@example.org".into(), title: String::new(), role: Role::Owner };
    let (local, _) = store.add_member(&scope, taken).await.expect("added");

    let first = store.sign_in_vouched(&vouched("s1", "Li@Example.org", Role::Member), &here()).await;
    let first = first.expect("in");
    assert_ne!(first.session.member_id, local.id, "the same name is not the same person");
    assert_eq!(first.session.method, "oidc");
    let member = store.member(&scope, first.session.member_id).await.expect("there");
    assert_eq!((member.name.as_str(), member.role), ("li@example.org-2", Role::Member));
    assert_eq!(role_of(&store, &first).await, Some(Role::Member));

    let again = vouched("s1", "another name", Role::Operator);
    let again = store.sign_in_vouched(&again, &here()).await.expect("in");
    assert_eq!(again.session.member_id, first.session.member_id);
    assert_eq!(role_of(&store, &first).await, Some(Role::Operator), "the older session too");
    assert_eq!(store.members(&scope).await.expect("list").len(), 2);
    let no_password = store.sign_in(None, "li@example.org-2", "correct horse battery", &here()).await;
    assert!(matches!(no_password, Err(Error::WrongCredentials)), "there is no password to guess");
}

async fn nobody_comes_in_who_is_kept_out_or_belongs_elsewhere(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let signed = store.sign_in_vouched(&vouched("s1", "li", Role::Member), &here()).await.expect("in");
    store.operator().create_tenant("clinic").await.expect("made");
    let moved = Vouched { organisation: "clinic".into(), ..vouched("s1", "li", Role::Owner) };
    assert!(matches!(store.sign_in_vouched(&moved, &here()).await, Err(Error::WrongCredentials)));
    let nowhere = Vouched { organisation: "nowhere".into(), ..vouched("s2", "wang", Role::Owner) };
    assert!(matches!(store.sign_in_vouched(&nowhere, &here()).await, Err(Error::NotFound { .. })));

    let id = signed.session.member_id;
    let out = MemberPatch { disabled: Some(true), ..MemberPatch::default() };
    store.change_member(&scope, id, out).await.expect("changed");
    assert_eq!(role_of(&store, &signed).await, None);
    let kept_out = store.sign_in_vouched(&vouched("s1", "li", Role::Member), &here()).await;
    assert!(matches!(kept_out, Err(Error::WrongCredentials)));
    store.remove_member(&scope, id).await.expect("removed");
    let anew = store.sign_in_vouched(&vouched("s1", "li", Role::Member), &here()).await.expect("in");
    assert_ne!(anew.session.member_id, id, "a new member");
}
