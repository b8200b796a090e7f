//! Organisations, projects, members, sessions, and what narrows a key: the same on both databases.

use std::time::Duration;

use rixin_base::{Code, Explain as _};
use rixin_store::{
    Claim, Error, HostScope, JobState, Limits, MemberPatch, NewJob, NewKey, NewMember, NewOrganisation,
    NewSession, Right, Role, Store, TenantScope, Verdict, now_ms,
};

use crate::{on_both, scope_of, support::Database};

on_both! {
    a_member_is_invited_signs_in_and_is_removed
    a_wrong_password_and_a_name_that_nobody_has_are_alike
    an_invitation_is_good_once_and_the_last_one_alone
    a_session_ends_by_its_owner_by_time_and_by_a_new_password
    a_key_keeps_what_narrows_it
    a_members_keys_reach_no_further_than_the_member
    what_an_ended_key_asked_for_is_cancelled_with_the_reason
    the_last_owner_stays_among_members_and_keys
    a_closed_project_ends_its_keys
    a_disabled_organisation_is_closed_and_the_host_stays
    nothing_of_another_organisation_can_be_named
}

const PASSWORD: &str = "correct horse battery";
const IDLE: Duration = Duration::from_secs(3600);

fn here() -> NewSession {
    NewSession { agent: "a browser".into(), address: "192.0.2.1".into(), lifetime: IDLE }
}

fn named(name: &str, role: Role) -> NewMember {
    NewMember { name: name.into(), title: String::new(), role }
}

async fn host(store: &Store) -> TenantScope {
    let first = store.first_key().await.expect("works").expect("first");
    scope_of(store, &first.secret).await.of_tenant()
}

async fn host_scope(store: &Store, secret: &str) -> HostScope {
    store.authenticate(secret).await.expect("works").expect("known").host_scope().expect("the host's owner")
}

async fn joined(store: &Store, scope: &TenantScope, name: &str, role: Role) -> rixin_store::Member {
    let (member, invitation) = store.add_member(scope, named(name, role)).await.expect("added");
    store.accept_invitation(&invitation.token, PASSWORD, &here()).await.expect("accepted");
    member
}

async fn a_member_is_invited_signs_in_and_is_removed(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let (member, invitation) = store.add_member(&scope, named(" Li ", Role::Member)).await.expect("added");
    assert_eq!((member.name.as_str(), member.has_password), ("li", false));
    let twice = store.add_member(&scope, named("LI", Role::Owner)).await.expect_err("taken");
    assert_eq!(twice.code(), Code::Conflict);
    let early = store.sign_in(None, "li", PASSWORD, &here()).await.expect_err("no password yet");
    assert_eq!(early.code(), Code::WrongCredentials);
    store.accept_invitation(&invitation.token, PASSWORD, &here()).await.expect("accepted");

    let signed = store.sign_in(None, "LI", PASSWORD, &here()).await.expect("signed in");
    let (identity, id) =
        store.authenticate_session(&signed.secret, IDLE).await.expect("works").expect("known");
    assert_eq!(
        (identity.role, identity.key_id, identity.member),
        (Role::Member, member.key_id, Some(member.id))
    );
    assert_eq!(id, signed.session.id);
    assert!(store.member(&scope, member.id).await.expect("there").last_seen.is_some());
    let named = store.sign_in(Some("default"), "li", PASSWORD, &here()).await;
    assert!(named.is_ok(), "the organisation by its name");

    let key = NewKey { member: Some(member.id), ..NewKey::new("li's", Role::Member) };
    let key = store.create_key_with(&scope, key).await.expect("made").secret;
    assert!(store.authenticate(&key).await.expect("works").is_some());
    store.remove_member(&scope, member.id).await.expect("removed");
    assert!(store.authenticate(&key).await.expect("works").is_none(), "at once");
    assert!(store.authenticate_session(&signed.secret, IDLE).await.expect("works").is_none(), "at once");
    assert!(store.sign_in(None, "li", PASSWORD, &here()).await.is_err());
    assert!(matches!(store.member(&scope, member.id).await, Err(Error::NotFound { .. })));
    store.add_member(&scope, self::named("li", Role::Member)).await.expect("the name is free again");
}

async fn a_wrong_password_and_a_name_that_nobody_has_are_alike(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let member = joined(&store, &scope, "wang", Role::Member).await;
    let mut told = Vec::new();
    for (organisation, name, password) in [
        (None, "wang", "wrong horse battery"),
        (None, "nobody", PASSWORD),
        (Some("elsewhere"), "wang", PASSWORD),
        (None, "wang'; --", PASSWORD),
        (None, "", ""),
    ] {
        let error = store.sign_in(organisation, name, password, &here()).await.expect_err("refused");
        told.push(error.to_string());
    }
    let patch = MemberPatch { disabled: Some(true), ..MemberPatch::default() };
    store.change_member(&scope, member.id, patch).await.expect("disabled");
    told.push(store.sign_in(None, "wang", PASSWORD, &here()).await.expect_err("disabled").to_string());
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let patch = MemberPatch { disabled: Some(false), ..MemberPatch::default() };
    store.change_member(&scope, member.id, patch).await.expect("let in again");
    store.sign_in(None, "wang", PASSWORD, &here()).await.expect("signed in");
}

async fn an_invitation_is_good_once_and_the_last_one_alone(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let (member, old) = store.add_member(&scope, named("li", Role::Member)).await.expect("added");
    let new = store.invite_member(&scope, member.id).await.expect("invited");
    assert!(
        store.accept_invitation(&old.token, PASSWORD, &here()).await.is_err(),
        "a later one took its place"
    );
    let short = store.accept_invitation(&new.token, "short", &here()).await.expect_err("too short");
    assert_eq!(short.param().as_deref(), Some("password"));
    let other = database.open().await;
    let (one, two) = (here(), here());
    let both = tokio::join!(
        store.accept_invitation(&new.token, PASSWORD, &one),
        other.accept_invitation(&new.token, "another horse battery", &two)
    );
    assert!(both.0.is_ok() != both.1.is_ok(), "one of two at once: {both:?}");
    assert!(store.accept_invitation(&new.token, PASSWORD, &here()).await.is_err(), "it is used");
}

async fn a_session_ends_by_its_owner_by_time_and_by_a_new_password(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let member = joined(&store, &scope, "li", Role::Member).await;
    let colleague = joined(&store, &scope, "wang", Role::Member).await;
    let sign = async || store.sign_in(None, "li", PASSWORD, &here()).await;
    let (a, b, c) = (sign().await.expect("in"), sign().await.expect("in"), sign().await.expect("in"));
    let works = async |secret: &str| {
        database.open().await.authenticate_session(secret, IDLE).await.expect("works").is_some()
    };
    assert_eq!(store.sessions(&scope, Some(member.id), IDLE).await.expect("list").len(), 4, "the link's too");
    let theirs = store.end_session(&scope, Some(colleague.id), a.session.id).await.expect_err("not theirs");
    assert_eq!(theirs.code(), Code::NotFound);
    store.end_session(&scope, Some(member.id), a.session.id).await.expect("ended");
    assert!(!works(&a.secret).await && works(&b.secret).await);

    let wrong = store.change_password(&scope, member.id, ("wrong", "newer horse battery"), None).await;
    assert_eq!(wrong.expect_err("the old one is wrong").code(), Code::WrongCredentials);
    store
        .change_password(&scope, member.id, (PASSWORD, "newer horse battery"), Some(b.session.id))
        .await
        .expect("changed");
    assert!(works(&b.secret).await && !works(&c.secret).await, "only the one that changed it stays");
    assert!(sign().await.is_err());

    assert!(
        store.authenticate_session(&b.secret, Duration::ZERO).await.expect("works").is_none(),
        "idle for longer than nothing"
    );
    let over = NewSession { lifetime: Duration::ZERO, ..here() };
    let over = store.sign_in(None, "li", "newer horse battery", &over).await.expect("in");
    assert!(!works(&over.secret).await, "its lifetime is over");
}

async fn a_key_keeps_what_narrows_it(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let limits = Limits {
        scopes: Some(vec![Right::Ask, Right::Models]),
        models: Some(vec!["qwen3".into()]),
        networks: Some(vec!["10.0.0.0/8".parse().expect("net"), "2001:db8::/32".parse().expect("net")]),
        expires_at: Some(now_ms() + 60_000),
    };
    let new = NewKey { limits: limits.clone(), ..NewKey::new("narrow", Role::Member) };
    let made = store.create_key_with(&scope, new).await.expect("made");
    let identity = store.authenticate(&made.secret).await.expect("works").expect("known");
    assert_eq!(identity.limits, limits);
    assert!(identity.may(Right::Ask), "both have it");
    assert!(!identity.may(Right::Browse) && !identity.may(Right::Models), "scopes take away and never add");
    let listed = store.keys(&scope).await.expect("list");
    assert_eq!(listed.iter().find(|key| key.id == made.key.id).expect("listed").limits, limits);
    for (bad, param) in [
        (Limits { scopes: Some(vec![]), ..Limits::default() }, "scopes"),
        (Limits { models: Some(vec![String::new()]), ..Limits::default() }, "models"),
        (Limits { networks: Some(vec![]), ..Limits::default() }, "networks"),
        (Limits { expires_at: Some(now_ms() - 1), ..Limits::default() }, "expires_at"),
    ] {
        let new = NewKey { limits: bad, ..NewKey::new("bad", Role::Member) };
        let error = store.create_key_with(&scope, new).await.expect_err(param);
        assert_eq!(error.param().as_deref(), Some(param));
    }
}

async fn a_members_keys_reach_no_further_than_the_member(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let member = joined(&store, &scope, "li", Role::Operator).await;
    let new = NewKey { member: Some(member.id), ..NewKey::new("li's", Role::Operator) };
    let key = store.create_key_with(&scope, new).await.expect("made").secret;
    let may = async |right| store.authenticate(&key).await.expect("works").expect("known").may(right);
    assert!(may(Right::Models).await);
    let patch = MemberPatch { role: Some(Role::Member), ..MemberPatch::default() };
    store.change_member(&scope, member.id, patch).await.expect("changed");
    assert!(!may(Right::Models).await && may(Right::Ask).await, "what the member lost the key has lost");
}

async fn what_an_ended_key_asked_for_is_cancelled_with_the_reason(database: Database) {
    let store = database.open().await;
    let tenant = host(&store).await;
    let new = || NewJob { kind: "import".into(), title: "a job".into(), ..NewJob::default() };
    let key = store.create_key(&tenant, "runs", Role::Member).await.expect("made");
    let scope = scope_of(&store, &key.secret).await;
    let running = store.submit_job(&scope, new()).await.expect("submitted");
    let claim = Claim { executor: "local", owner: "here", lease_ms: 60_000 };
    let claimed =
        store.supervisor().claim(&claim, |_| Verdict::Take).await.expect("works").expect("it waits");
    let (attempt, _) = store
        .enter_attempt(claimed.job.id, claimed.number, &claimed.token, false, 60_000)
        .await
        .expect("the attempt is the latest");
    assert!(store.authenticate_attempt(&claimed.token).await.expect("works").is_some());
    let waiting = store.submit_job(&scope, new()).await.expect("submitted");
    let after = NewJob { needs: vec![waiting.id], ..new() };
    let after = store.submit_job(&scope, after).await.expect("submitted");
    let others = store.submit_job(&tenant, new()).await.expect("submitted");

    store.revoke_key(&tenant, key.key.id).await.expect("revoked");
    let look = async |id| store.job(&tenant, id).await.expect("there");
    for id in [waiting.id, after.id] {
        let job = look(id).await;
        assert!(job.state.is_over(), "{:?}", job.state);
    }
    let job = look(waiting.id).await;
    assert_eq!(
        (job.state, job.reason.map(|fault| fault.code)),
        (JobState::Cancelled, Some(Code::InvalidKey))
    );
    let job = look(running.id).await;
    assert_eq!((job.state, job.cancel), (JobState::Running, true), "it is asked to leave a checkpoint");
    attempt.finish(&serde_json::Value::Null, &[]).await.expect("the latest");
    let job = look(running.id).await;
    assert_eq!(
        (job.state, job.reason.map(|fault| fault.code)),
        (JobState::Cancelled, Some(Code::InvalidKey))
    );
    assert_eq!(look(others.id).await.state, JobState::Queued, "nobody else's is touched");

    let member = joined(&store, &tenant, "li", Role::Member).await;
    let signed = store.sign_in(None, "li", PASSWORD, &here()).await.expect("in");
    let (identity, _) =
        store.authenticate_session(&signed.secret, IDLE).await.expect("works").expect("known");
    let job = store.submit_job(&identity.scope, new()).await.expect("submitted");
    let patch = MemberPatch { disabled: Some(true), ..MemberPatch::default() };
    store.change_member(&tenant, member.id, patch).await.expect("disabled");
    assert_eq!(look(job.id).await.state, JobState::Cancelled);
}

async fn the_last_owner_stays_among_members_and_keys(database: Database) {
    let store = database.open().await;
    let first = store.first_key().await.expect("works").expect("first");
    let scope = scope_of(&store, &first.secret).await.of_tenant();
    let (invited, _) = store.add_member(&scope, named("li", Role::Owner)).await.expect("added");
    assert!(store.revoke_key(&scope, first.key.id).await.is_err(), "an owner who can't sign in yet is none");
    let link = store.invite_member(&scope, invited.id).await.expect("invited");
    store.accept_invitation(&link.token, PASSWORD, &here()).await.expect("accepted");
    store.revoke_key(&scope, first.key.id).await.expect("the member is there");
    let own = store.revoke_key(&scope, invited.key_id).await.expect_err("a member's own");
    assert_eq!(own.code(), Code::InvalidValue);
    for patch in [
        MemberPatch { role: Some(Role::Member), ..MemberPatch::default() },
        MemberPatch { disabled: Some(true), ..MemberPatch::default() },
    ] {
        let error = store.change_member(&scope, invited.id, patch).await.expect_err("the last owner");
        assert!(matches!(error, Error::LastOwner { .. }), "{error}");
    }
    assert!(matches!(store.remove_member(&scope, invited.id).await, Err(Error::LastOwner { .. })));
    joined(&store, &scope, "wang", Role::Owner).await;
    store.remove_member(&scope, invited.id).await.expect("another is there");
}

async fn a_closed_project_ends_its_keys(database: Database) {
    let store = database.open().await;
    let scope = host(&store).await;
    let project = store.create_project(&scope, "网站").await.expect("made");
    assert_eq!(store.create_project(&scope, "网站").await.expect_err("taken").code(), Code::Conflict);
    let other = store.create_project(&scope, "other").await.expect("made");
    assert_eq!(
        store.rename_project(&scope, other.id, "网站").await.expect_err("taken").code(),
        Code::Conflict
    );
    let new = || NewKey { project: Some(project.id), ..NewKey::new("site", Role::Member) };
    let key = store.create_key_with(&scope, new()).await.expect("made");
    let identity = store.authenticate(&key.secret).await.expect("works").expect("known");
    assert_eq!(identity.project, Some(project.id));
    store.close_project(&scope, project.id).await.expect("closed");
    assert!(store.authenticate(&key.secret).await.expect("works").is_none());
    let error = store.create_key_with(&scope, new()).await.expect_err("closed");
    assert_eq!(error.code(), Code::NotFound);
    store.rename_project(&scope, other.id, "网站").await.expect("the name is free again");
}

async fn a_disabled_organisation_is_closed_and_the_host_stays(database: Database) {
    let store = database.open().await;
    let first = store.first_key().await.expect("works").expect("first").secret;
    let host = host_scope(&store, &first).await;
    let new = NewOrganisation { name: "学院".into(), owner: "dean".into() };
    let (made, link) = store.create_organisation(&host, &new).await.expect("made");
    assert_eq!(store.create_organisation(&host, &new).await.expect_err("taken").code(), Code::Conflict);
    let signed = store.accept_invitation(&link.token, PASSWORD, &here()).await.expect("accepted");
    let (identity, _) =
        store.authenticate_session(&signed.secret, IDLE).await.expect("works").expect("known");
    assert_eq!((identity.role, identity.host, identity.scope.tenant()), (Role::Owner, false, made.id));
    assert!(identity.host_scope().is_none() && !identity.may(Right::Models), "the machine is the host's");
    let key = store.create_key(&identity.scope, "theirs", Role::Member).await.expect("made").secret;
    assert!(store.authenticate(&key).await.expect("works").is_some());

    store.disable_organisation(&host, made.id, true).await.expect("disabled");
    assert!(store.authenticate(&key).await.expect("works").is_none(), "at once");
    assert!(store.authenticate_session(&signed.secret, IDLE).await.expect("works").is_none(), "at once");
    assert!(store.sign_in(Some("学院"), "dean", PASSWORD, &here()).await.is_err());
    store.disable_organisation(&host, made.id, false).await.expect("works again");
    assert!(store.authenticate(&key).await.expect("works").is_some());
    store.sign_in(Some("学院"), "dean", PASSWORD, &here()).await.expect("signed in");
    let all = store.organisations(&host).await.expect("list");
    assert_eq!(all.iter().filter(|one| one.host).count(), 1);
    let refused = store.disable_organisation(&host, all[0].id, true).await.expect_err("the host");
    assert_eq!(refused.code(), Code::InvalidValue);
}

async fn nothing_of_another_organisation_can_be_named(database: Database) {
    let store = database.open().await;
    let ours = host(&store).await;
    let member = joined(&store, &ours, "li", Role::Member).await;
    let signed = store.sign_in(None, "li", PASSWORD, &here()).await.expect("in");
    let project = store.create_project(&ours, "ours").await.expect("made");
    store.operator().create_tenant("other").await.expect("made");
    let theirs = store.operator().scope("other").await.expect("scope");
    let gone = |error: Error| assert!(matches!(error, Error::NotFound { .. }), "{error}");
    gone(store.member(&theirs, member.id).await.expect_err("not theirs"));
    gone(store.change_member(&theirs, member.id, MemberPatch::default()).await.expect_err("not theirs"));
    gone(store.remove_member(&theirs, member.id).await.expect_err("not theirs"));
    gone(store.invite_member(&theirs, member.id).await.expect_err("not theirs"));
    gone(store.set_password(&theirs, member.id, PASSWORD).await.expect_err("not theirs"));
    gone(
        store.change_password(&theirs, member.id, (PASSWORD, PASSWORD), None).await.expect_err("not theirs"),
    );
    gone(store.end_session(&theirs, None, signed.session.id).await.expect_err("not theirs"));
    gone(store.rename_project(&theirs, project.id, "x").await.expect_err("not theirs"));
    gone(store.close_project(&theirs, project.id).await.expect_err("not theirs"));
    let key = NewKey { project: Some(project.id), ..NewKey::new("x", Role::Member) };
    gone(store.create_key_with(&theirs, key).await.expect_err("not theirs"));
    let key = NewKey { member: Some(member.id), ..NewKey::new("x", Role::Member) };
    gone(store.create_key_with(&theirs, key).await.expect_err("not theirs"));
    assert!(store.members(&theirs).await.expect("list").is_empty());
    assert!(store.projects(&theirs).await.expect("list").is_empty());
    assert!(store.sessions(&theirs, None, IDLE).await.expect("list").is_empty());
    store.add_member(&theirs, named("li", Role::Member)).await.expect("the same name elsewhere");
    store.create_project(&theirs, "ours").await.expect("the same name elsewhere");
}
