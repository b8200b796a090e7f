//! Replicas of a cluster: one gateway looks after each, one process may be it, and what an earlier one says changes nothing.

use rixin_base::{Code, Explain as _, Fault};
use rixin_store::{ClusterState, Registration, Resources, now_ms};

use crate::{on_both, support::Database};

on_both! {
    a_replica_registers_once_and_renews
    one_gateway_at_a_time_looks_after_it
    a_lost_attempt_can_not_come_back
}

fn said(key: &str) -> Registration {
    Registration {
        address: "http://10.0.0.7:4000/v1".into(),
        key: key.into(),
        slots: 4,
        context_length: 2048,
        memory_bytes: 1 << 30,
    }
}

async fn a_replica_registers_once_and_renews(database: Database) {
    let store = database.open().await;
    let replicas = store.cluster_replicas();
    let resources = Resources { cores: 2, memory_bytes: 1 << 30, ..Resources::default() };
    let wished = replicas.add("m", &resources).await.expect("added");
    assert_eq!((wished.state, wished.attempt, &wished.resources), (ClusterState::Starting, 0, &resources));
    assert!(replicas.own(wished.id, "a", 10_000).await.expect("asked"));
    let wished = replicas.get(wished.id).await.expect("there");
    let (number, token) = replicas.begin(&wished).await.expect("begun").expect("wanted");
    assert_eq!(number, 1);
    assert!(replicas.begin(&wished).await.expect("asked").is_none(), "that attempt has begun already");
    replicas.set_place(wished.id, 1, &serde_json::json!({"slurm_job": 7})).await.expect("noted");

    assert!(!replicas.register(wished.id, "rxr-wrong", &said("k1"), 5000).await.expect("asked"));
    assert!(!replicas.renew(wished.id, "k1", 5000).await.expect("asked"), "it has not registered");
    assert!(replicas.register(wished.id, &token, &said("k1"), 5000).await.expect("asked"));
    assert!(
        replicas.register(wished.id, &token, &said("k1"), 5000).await.expect("asked"),
        "the same process"
    );
    assert!(!replicas.register(wished.id, &token, &said("k2"), 5000).await.expect("asked"), "another one");
    let ready = replicas.get(wished.id).await.expect("there");
    assert_eq!((ready.state, ready.registration.as_ref()), (ClusterState::Ready, Some(&said("k1"))));
    assert!(ready.lease_until > now_ms());
    assert!(!replicas.renew(wished.id, "k2", 5000).await.expect("asked"));
    assert!(replicas.renew(wished.id, "k1", 60_000).await.expect("asked"));
    assert!(replicas.get(wished.id).await.expect("there").lease_until > ready.lease_until);

    replicas.stop(wished.id).await.expect("stopped");
    assert!(!replicas.renew(wished.id, "k1", 5000).await.expect("asked"), "it has to end");
    replicas.remove(wished.id).await.expect("removed");
    assert_eq!(replicas.get(wished.id).await.expect_err("gone").code(), Code::NotFound);
    assert_eq!(replicas.stop(wished.id).await.expect_err("gone").code(), Code::NotFound);
}

async fn one_gateway_at_a_time_looks_after_it(database: Database) {
    let store = database.open().await;
    let replicas = store.cluster_replicas();
    let id = replicas.add("m", &Resources::default()).await.expect("added").id;
    assert!(replicas.own(id, "a", 60_000).await.expect("asked"));
    assert!(!replicas.own(id, "b", 60_000).await.expect("asked"));
    assert!(replicas.own(id, "a", 60_000).await.expect("asked"));
    replicas.disown("a").await.expect("given up");
    assert!(replicas.own(id, "b", 60_000).await.expect("asked"));
}

async fn a_lost_attempt_can_not_come_back(database: Database) {
    let store = database.open().await;
    let replicas = store.cluster_replicas();
    let id = replicas.add("m", &Resources::default()).await.expect("added").id;
    replicas.own(id, "a", 60_000).await.expect("asked");
    let (first, old) =
        replicas.begin(&replicas.get(id).await.expect("there")).await.expect("begun").expect("wanted");
    assert!(replicas.register(id, &old, &said("k1"), 5000).await.expect("asked"));
    let fault = Fault::new(Code::ReplicaLost, "its node was lost", "节点丢失");
    assert!(replicas.ended(id, first, &fault, Some(now_ms())).await.expect("asked"));
    assert!(!replicas.renew(id, "k1", 5000).await.expect("asked"));
    let (second, new) =
        replicas.begin(&replicas.get(id).await.expect("there")).await.expect("begun").expect("wanted");
    assert_eq!(second, 2);
    assert!(!replicas.register(id, &old, &said("k1"), 5000).await.expect("asked"));
    assert!(!replicas.ended(id, first, &fault, None).await.expect("asked"), "of an attempt that is over");
    assert!(replicas.register(id, &new, &said("k2"), 5000).await.expect("asked"));
    assert!(replicas.ended(id, second, &fault, None).await.expect("asked"));
    let failed = replicas.get(id).await.expect("there");
    assert_eq!((failed.state, failed.reason), (ClusterState::Failed, Some(fault)));
}
