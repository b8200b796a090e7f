//! Jobs of a real suite on a real Slurm cluster, whose nodes are lost while they work. Root only, as the cluster's daemons want it.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rixin_tests::{MODEL, Suite, until};
use serde_json::{Value, json};

const LINES: usize = 400;
/// The status of `tests/cluster/up` where the machine can't hold a cluster.
const CANNOT: i32 = 77;

/// A cluster, stopped when this is dropped.
struct Cluster {
    about: Value,
    _root: tempfile::TempDir,
}

impl Cluster {
    fn up() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: a cluster on one host needs root");
            return None;
        }
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
        let root = tempfile::Builder::new().prefix("rixin-cluster-").tempdir().expect("a folder");
        let output = Command::new(scripts.join("up"))
            .arg(root.path())
            // the node that can be cut off is the first to get a job
            .env("RIXIN_CLUSTER_PREFER", "n4")
            .stdin(Stdio::null())
            .output()
            .expect("tests/cluster/up runs");
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(CANNOT) {
            println!("skipped: no Slurm cluster here: {}", words.trim());
            return None;
        }
        assert!(output.status.success(), "tests/cluster/up failed: {words}");
        Some(Self { about: serde_json::from_slice(&output.stdout).expect("a description"), _root: root })
    }

    fn text(&self, name: &str) -> String {
        self.about[name].as_str().expect("a text").to_owned()
    }

    fn command(&self, name: &str, more: &[&str]) {
        let words: Vec<&str> =
            self.about[name].as_array().expect("words").iter().filter_map(Value::as_str).collect();
        let status = Command::new(words[0]).args(&words[1..]).args(more).status().expect("it runs");
        assert!(status.success(), "{name} {more:?}");
    }

    fn node(&self, what: &str, node: &str) {
        self.command("node_command", &[what, node]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words: Vec<&str> = self.about["down_command"]
                .as_array()
                .expect("words")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let _ = Command::new(words[0]).args(&words[1..]).status();
        } else {
            self.command("down_command", &[]);
        }
    }
}

fn suite(cluster: &Cluster) -> Option<Suite> {
    let host = cluster.text("gateway_host");
    let port =
        TcpListener::bind((host.as_str(), 0)).and_then(|l| l.local_addr()).expect("a free port").port();
    let words: Vec<&str> =
        cluster.about["token_command"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    let listen = format!("{host}:{port}");
    Suite::with_model(&[
        ("RIXIN_LISTEN", &listen),
        ("RIXIN_GATEWAY_URL", &format!("http://{listen}")),
        ("RIXIN_CONTEXT_LENGTH", "1024"),
        ("RIXIN_EXECUTOR", "slurm"),
        ("RIXIN_LOCAL_KINDS", ""),
        ("RIXIN_SLURM_URL", &cluster.text("url")),
        ("RIXIN_SLURM_USER", &cluster.text("user")),
        ("RIXIN_SLURM_TOKEN", &words.join(" ")),
        ("RIXIN_SLURM_PARTITION", &cluster.text("partition")),
        ("RIXIN_SLURM_FOLDER", &format!("{}/jobs", cluster.text("shared"))),
        ("RIXIN_SLURM_ENVIRONMENT", &format!("SLURM_CONF={}", cluster.text("slurm_conf"))),
    ])
}

async fn get(suite: &Suite, path: &str) -> Value {
    let response = suite.client().get(format!("{}{path}", suite.url)).send().await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.expect("JSON")
}

async fn post(suite: &Suite, path: &str, body: &Value) -> Value {
    let response =
        suite.client().post(format!("{}{path}", suite.url)).json(body).send().await.expect("an answer");
    let status = response.status();
    let body: Value = response.json().await.expect("JSON");
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

async fn batch(suite: &Suite, count: usize) -> String {
    let lines: Vec<String> = (0..count)
        .map(|number| {
            json!({"custom_id": format!("q{number}"), "method": "POST", "url": "/v1/chat/completions", "body": {
                "model": MODEL, "max_tokens": 8, "temperature": 0,
                "messages": [{"role": "user", "content": format!("What is {number} + 1?")}],
            }})
            .to_string()
        })
        .collect();
    let edge = "x-x-x-x";
    let body = format!(
        "--{edge}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{edge}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n{}\r\n--{edge}--\r\n",
        lines.join("\n")
    );
    let response = suite
        .client()
        .post(format!("{}/v1/files", suite.url))
        .header("content-type", format!("multipart/form-data; boundary={edge}"))
        .body(body)
        .send()
        .await
        .expect("an answer");
    let file: Value = response.json().await.expect("JSON");
    let body =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    post(suite, "/v1/batches", &body).await["id"].as_str().expect("an id").to_owned()
}

/// How far the newest job is: its id, its state, lines done, attempts, and the node of the last one.
async fn newest(suite: &Suite) -> (String, String, u64, u64, String) {
    let jobs = get(suite, "/api/jobs?limit=1").await;
    let id = jobs["data"][0]["id"].as_str().expect("an id").to_owned();
    let whole = get(suite, &format!("/api/jobs/{id}")).await;
    let job = &whole["job"];
    let node = whole["attempts"].as_array().and_then(|a| a.last()).and_then(|a| a["place"]["node"].as_str());
    (
        id,
        job["state"].as_str().expect("a state").to_owned(),
        job["progress"]["done"].as_u64().unwrap_or(0),
        job["attempt"].as_u64().unwrap_or(0),
        node.unwrap_or_default().to_owned(),
    )
}

/// Waits until an attempt after `after` works on a node that is not among `lost` and has done so many lines; that node and the attempt.
async fn working(suite: &Suite, after: u64, lost: &[&str], lines: u64) -> (String, u64) {
    let mut found = (String::new(), 0);
    until("the job works on another node", Duration::from_secs(240), async || {
        let (_, state, done, attempt, node) = newest(suite).await;
        assert!(!matches!(state.as_str(), "failed" | "succeeded"), "it is {state} after {done} lines");
        found = (node, attempt);
        state == "running"
            && attempt > after
            && !found.0.is_empty()
            && !lost.contains(&found.0.as_str())
            && done >= lines
    })
    .await;
    found
}

async fn requests(suite: &Suite) -> u64 {
    let usage = get(suite, "/api/usage?days=2").await;
    usage["data"].as_array().expect("rows").iter().map(|row| row["requests"].as_u64().unwrap_or(0)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_on_a_cluster_survives_its_nodes_and_its_gateway() {
    let Some(cluster) = Cluster::up() else { return };
    let Some(mut suite) = suite(&cluster) else { return };
    let started = Instant::now();
    until("the cluster is there", Duration::from_secs(30), async || {
        get(&suite, "/api/cluster").await["cluster"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 4)
    })
    .await;

    let made = batch(&suite, LINES).await;
    // cut off: its process goes on and hears nothing; the next one takes over
    let (first, attempt) = working(&suite, 0, &[], 20).await;
    assert_eq!(first, cluster.text("cut_node"), "the cluster prefers it");
    cluster.node("cut", &first);
    let (second, attempt) = working(&suite, attempt, &[&first], 40).await;
    cluster.node("restore", &first);
    println!("cut off: {first} to {second} after {:.0} s", started.elapsed().as_secs_f64());
    // killed
    cluster.node("kill", &second);
    let (third, attempt) = working(&suite, attempt, &[&second], 80).await;
    println!("killed: {second} to {third} after {:.0} s", started.elapsed().as_secs_f64());
    let shown = get(&suite, "/api/cluster").await;
    let nodes = shown["cluster"]["nodes"].as_array().expect("nodes");
    let dead = nodes.iter().find(|node| node["name"] == second.as_str()).expect("there");
    assert_eq!(dead["usable"], false, "{dead}");
    // the gateway
    suite.crash_and_restart();
    let (_, state, _, same, _) = newest(&suite).await;
    assert!(
        state == "succeeded" || same == attempt,
        "the same attempt goes on without its gateway: {state}, {same}"
    );

    let mut done = Value::Null;
    until("the batch is over", Duration::from_secs(240), async || {
        done = get(&suite, &format!("/v1/batches/{made}")).await;
        matches!(done["status"].as_str(), Some("completed" | "failed" | "cancelled"))
    })
    .await;
    let (job, ..) = newest(&suite).await;
    let whole = get(&suite, &format!("/api/jobs/{job}")).await;
    assert_eq!(done["status"], "completed", "{done} {whole}");
    assert_eq!(done["request_counts"], json!({"total": LINES, "completed": LINES, "failed": 0}));
    let file = done["output_file_id"].as_str().expect("an id");
    let url = format!("{}/v1/files/{file}/content", suite.url);
    let text = suite.client().get(url).send().await.expect("an answer").text().await.expect("text");
    let ids: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["custom_id"]
                .as_str()
                .expect("an id")
                .to_owned()
        })
        .collect();
    let wanted: Vec<String> = (0..LINES).map(|number| format!("q{number}")).collect();
    assert_eq!(ids, wanted, "every line once, in the input's order");
    assert_eq!(requests(&suite).await, LINES as u64, "each answer is counted once");
    let causes: BTreeSet<&str> =
        whole["attempts"].as_array().expect("attempts").iter().filter_map(|a| a["cause"].as_str()).collect();
    assert!(causes.is_subset(&BTreeSet::from(["lost", "unavailable"])), "{causes:?}");
    let attempts = whole["attempts"].as_array().map_or(0, Vec::len);
    let how = format!(
        "a batch of {LINES} lines on a real Slurm {}: its node {first} is cut off, the next one, {second}, is killed, then the gateway is killed; {attempts} attempts, {:.0} s; each line once in order, the ledger exact",
        cluster.text("version"),
        started.elapsed().as_secs_f64()
    );
    println!("figures: {}", json!({"wrong": 0, "how": how}));
    cluster.node("start", &second);

    // a cancelled job lets go within two seconds
    batch(&suite, LINES).await;
    let (_, _) = working(&suite, 0, &[], 5).await;
    let (job, ..) = newest(&suite).await;
    post(&suite, &format!("/api/jobs/{job}/cancel"), &json!({})).await;
    until("it has let go", Duration::from_secs(2), async || newest(&suite).await.1 == "cancelled").await;
    until("nothing is left on the cluster", Duration::from_secs(30), async || {
        get(&suite, "/api/cluster").await["cluster"]["jobs"].as_array().is_some_and(Vec::is_empty)
    })
    .await;

    // what asks for an accelerator gets a node that has it, and what no node has is refused with the reason
    let model = rixin_tests::smollm2().expect("it is there");
    let params = json!({"target": model.display().to_string(), "id": "again", "licence": "Apache-2.0", "accept_licence": true});
    for (family, state) in [("npu", "succeeded"), ("tpu", "failed")] {
        let resources = json!({"accelerators": [{"family": family, "count": 1}]});
        post(&suite, "/api/jobs", &json!({"kind": "import", "params": params, "resources": resources})).await;
        let mut last = newest(&suite).await;
        until("it is over", Duration::from_secs(90), async || {
            last = newest(&suite).await;
            matches!(last.1.as_str(), "succeeded" | "failed")
        })
        .await;
        assert_eq!(last.1, state, "{}", get(&suite, &format!("/api/jobs/{}", last.0)).await);
        if family == "npu" {
            assert_eq!(last.4, "n2");
        }
    }
}

/// The cluster's replica as the gateway shows it: its state and its job's node.
async fn replica(suite: &Suite, id: &str) -> Option<String> {
    let all = get(suite, "/api/replicas").await;
    let found = all["data"].as_array()?.iter().find(|replica| replica["id"] == id)?.clone();
    assert_eq!(found["kind"], "cluster", "{found}");
    Some(found["state"].as_str()?.to_owned())
}

/// Where replicas run.
async fn kinds(suite: &Suite) -> Vec<String> {
    let all = get(suite, "/api/replicas").await;
    let kinds = all["data"].as_array().expect("replicas").iter();
    kinds.map(|replica| replica["kind"].as_str().expect("a kind").to_owned()).collect()
}

async fn is_ready(suite: &Suite, id: &str, within: Duration) {
    until("the replica answers from the cluster", within, async || {
        let state = replica(suite, id).await;
        assert_ne!(state, None, "it was forgotten");
        matches!(state.as_deref(), Some("ready" | "idle"))
    })
    .await;
}

async fn asked(suite: &Suite) {
    let body = json!({"model": MODEL, "max_tokens": 4, "temperature": 0,
        "messages": [{"role": "user", "content": "What is 1 + 1?"}]});
    let answer = post(suite, "/v1/chat/completions", &body).await;
    assert!(answer["usage"]["completion_tokens"].as_u64().is_some_and(|count| count > 0), "{answer}");
}

fn node_of(nodes: &Value) -> Option<String> {
    let busy =
        nodes["cluster"]["nodes"].as_array()?.iter().find(|node| node["cores_used"].as_u64() > Some(0))?;
    busy["name"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_on_the_cluster_is_asked_dropped_and_started_again() {
    let Some(cluster) = Cluster::up() else { return };
    let Some(mut suite) = suite(&cluster) else { return };
    let started = Instant::now();
    let wish = json!({"model": MODEL, "on": "cluster", "resources": {"cores": 1}});
    let made = post(&suite, "/api/replicas", &wish).await;
    assert_eq!((&made["kind"], &made["state"]), (&json!("cluster"), &json!("loading")), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    is_ready(&suite, &id, Duration::from_secs(120)).await;
    println!("ready after {:.1} s", started.elapsed().as_secs_f64());
    asked(&suite).await;
    assert_eq!(kinds(&suite).await, ["cluster"], "nothing was loaded on this machine for it");

    // without its gateway it goes on, and the next one finds it
    suite.crash_and_restart();
    is_ready(&suite, &id, Duration::from_secs(30)).await;
    asked(&suite).await;
    assert_eq!(kinds(&suite).await, ["cluster"], "the next gateway asks the same one");

    // without its node it is dropped, and another job takes its place
    let node = node_of(&get(&suite, "/api/cluster").await).expect("it holds a core");
    cluster.node("kill", &node);
    let lost = Instant::now();
    until("it is dropped", Duration::from_secs(60), async || {
        matches!(replica(&suite, &id).await.as_deref(), Some("failed" | "loading"))
    })
    .await;
    println!("dropped {:.1} s after its node was killed", lost.elapsed().as_secs_f64());
    is_ready(&suite, &id, Duration::from_secs(240)).await;
    println!("on another node {:.1} s after that", lost.elapsed().as_secs_f64());
    assert_ne!(node_of(&get(&suite, "/api/cluster").await).as_ref(), Some(&node));
    asked(&suite).await;
    cluster.node("start", &node);

    let client = suite.client();
    let stopped = client.delete(format!("{}/api/replicas/{id}", suite.url)).send().await.expect("an answer");
    assert_eq!(stopped.status(), 204);
    until("its job is gone", Duration::from_secs(60), async || {
        replica(&suite, &id).await.is_none() && node_of(&get(&suite, "/api/cluster").await).is_none()
    })
    .await;

    // one that can't be had says why
    let wish = json!({"model": MODEL, "on": "cluster", "resources": {"accelerators": [{"family": "tpu", "count": 1}]}});
    let made = post(&suite, "/api/replicas", &wish).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    until("it is given up", Duration::from_secs(60), async || {
        replica(&suite, &id).await.as_deref() == Some("failed")
    })
    .await;
}
