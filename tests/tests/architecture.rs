//! The map of ARCHITECTURE.md, held against `cargo metadata`: dependencies run down only, and what a crate must not know is absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// From the top down. A crate may use those below it.
const ORDER: &[&str] = &[
    "rixin-tests",
    "rixin",
    "rixin-api",
    "rixin-control",
    "rixin-replica",
    "rixin-chat",
    "rixin-models",
    "rixin-store",
    "rixin-protocol",
    "rixin-base",
];

/// What must be absent from all that a crate stands on, and why.
const ABSENT: &[(&str, &[&str], &str)] = &[
    ("rixin-api", &["llama-cpp-2", "rixin-chat", "rixin-replica"], "the gateway loads no weights"),
    ("rixin-control", &["llama-cpp-2", "rixin-chat", "rixin-replica"], "weights live in replica processes"),
    (
        "rixin-chat",
        &["hyper", "axum", "reqwest", "sqlx", "rixin-store"],
        "an engine knows no HTTP, no tenant and no database",
    ),
    (
        "rixin-replica",
        &["sqlx", "reqwest", "rixin-store", "rixin-models"],
        "a replica knows one file and one socket",
    ),
    ("rixin-models", &["axum", "rixin-store", "llama-cpp-2"], "the registry knows no tenants and no engine"),
    ("rixin-store", &["axum", "reqwest", "rixin-models"], "the store keeps rows and knows no routes"),
    ("rixin-protocol", &["axum", "hyper", "reqwest"], "wire types know no sockets"),
    ("rixin-base", &["hyper", "sqlx", "serde_yaml"], "the base knows nothing above it"),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Package name to the names of its normal dependencies.
fn graph(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|p| (p["id"].as_str().expect("id"), p["name"].as_str().expect("name")))
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let name = names[node["id"].as_str().expect("id")];
        let normal = node["deps"].as_array().expect("deps").iter().filter(|dep| {
            dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        });
        graph
            .entry(name.to_owned())
            .or_default()
            .extend(normal.map(|dep| names[dep["pkg"].as_str().expect("pkg")].to_owned()));
    }
    graph
}

fn reached(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for next in graph.get(&name).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn dependencies_run_down() {
    let graph = graph(&metadata());
    for name in graph.keys().filter(|name| name.starts_with("rixin")) {
        let place = ORDER.iter().position(|n| n == name);
        let place = place.unwrap_or_else(|| {
            panic!("{name} has no place in the order: add it here and to ARCHITECTURE.md")
        });
        for used in graph[name].iter().filter(|used| used.starts_with("rixin")) {
            let below = ORDER.iter().position(|n| n == used).expect("checked above");
            assert!(place < below, "{name} uses {used}, which stands above it");
        }
    }
}

#[test]
fn what_a_crate_must_not_know_is_absent() {
    let graph = graph(&metadata());
    for (name, absent, why) in ABSENT {
        let reached = reached(&graph, name);
        for crate_name in *absent {
            assert!(!reached.contains(*crate_name), "{name} reaches {crate_name}, but {why}");
        }
    }
}

#[test]
fn the_map_names_every_crate() {
    let map = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md");
    for name in ORDER {
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
    }
}
