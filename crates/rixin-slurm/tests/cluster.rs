//! The client against a real Slurm: `tests/cluster/up` starts one for this run. Where the machine can't hold it, the test says so
//! and is skipped.

mod support;

use std::time::{Duration, Instant};

use rixin_slurm::{
    Account, Dependency, Error, Exit, GresRequest, Job, NodeState, Phase, Refusal, Server, Signal, State,
    TokenSource, devices,
};
use support::{Cluster, LossyProxy, until};

/// All scenarios share one cluster: those that leave the nodes alone run side by side, then those that need whole nodes, then those that
/// lose them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_cluster() {
    let Some(cluster) = Cluster::up() else { return };
    let cluster = &cluster;
    println!("Slurm {} at {}", cluster.text("version"), cluster.text("url"));
    tokio::join!(
        cluster.scenario("ping, versions, socket", reached(cluster)),
        cluster.scenario("submit, finish, output", finishes(cluster)),
        cluster.scenario("exit code, signal, dependency", fails(cluster)),
        cluster.scenario("cancel", cancelled(cluster)),
        cluster.scenario("refusals", refused(cluster)),
        cluster.scenario("lost answer", lost_answer(cluster)),
        cluster.scenario("token renewed", token_renewed(cluster)),
        cluster.scenario("accounts", accounts(cluster)),
    );
    tokio::join!(
        cluster.scenario("disjoint gpus", disjoint_gpus(cluster)),
        cluster.scenario("disjoint devices of other vendors", disjoint_others(cluster)),
    );
    // Most of their time is Slurm's: it waits for a node that does not answer. One leaves n1 and goes to n2, the other n4 and n3.
    tokio::join!(
        cluster.scenario("node killed", killed(cluster)),
        cluster.scenario("node cut off", cut_off(cluster)),
    );
    cluster.finish();
}

async fn reached(cluster: &Cluster) {
    let ping = cluster.client().await.ping().await.expect("a ping");
    assert!(ping.is_up());
    assert_eq!(ping.release, cluster.text("version"));
    let socket = Server::Unix(cluster.text("socket").into());
    let client = cluster.client_at(socket, cluster.tokens("3600")).await;
    assert!(client.ping().await.expect("a ping over the socket").is_up());
    let nodes = client.nodes().await.expect("nodes");
    assert_eq!(nodes.len(), 4);
    let first = nodes.iter().find(|node| node.name == "n1").expect("n1");
    assert!(first.is_usable());
    assert_eq!(
        (first.gres[0].kind.as_str(), first.gres[0].model.as_deref(), first.gres[0].total),
        ("gpu", Some("h100"), 4)
    );
    let error = client.job("4000000".parse().expect("an id")).await.expect_err("no such job");
    assert!(matches!(error, Error::JobNotFound { .. }), "{error}");
    let nobody = cluster
        .client_or(Server::Url("http://127.0.0.1:1".parse().expect("a URL")), cluster.tokens("3600"))
        .await;
    assert!(matches!(nobody.expect_err("nobody there"), Error::Unreachable { .. }));
}

async fn finishes(cluster: &Cluster) {
    let client = cluster.client().await;
    let mut submit = cluster.submit("finish-1", "echo \"hello $WHO from $SLURM_JOB_ID\"; pwd; echo oops >&2");
    submit.environment.insert("WHO".into(), "a \"b\" 世界".into());
    let id = client.submit(&submit).await.expect("submitted");
    let job = cluster.ended(&client, id).await;
    assert_eq!((&job.state, job.exit, job.restarts), (&State::Completed, Some(Exit::Code(0)), 0));
    assert_eq!((job.name.as_str(), job.token.as_ref()), ("rixin.finish-1", Some(&submit.token)));
    assert!(job.started_at_secs.is_some() && job.ended_at_secs >= job.started_at_secs);
    let output = cluster.output("finish-1.out").await;
    assert_eq!(output, format!("hello a \"b\" 世界 from {id}\n{}\n", cluster.text("shared")));
    assert_eq!(cluster.output("finish-1.err").await, "oops\n");
    assert!(client.jobs().await.expect("jobs").iter().any(|job| job.id == id));
}

async fn fails(cluster: &Cluster) {
    let client = cluster.client().await;
    let seven = client.submit(&cluster.submit("fail-1", "exit 7")).await.expect("submitted");
    let killed = client.submit(&cluster.submit("fail-2", "kill -KILL $$")).await.expect("submitted");
    let mut after = cluster.submit("fail-3", "true");
    after.dependencies = vec![Dependency::Success(seven)];
    let after = client.submit(&after).await.expect("submitted");
    let job = cluster.ended(&client, seven).await;
    assert_eq!((&job.state, job.exit), (&State::Failed, Some(Exit::Code(7))));
    assert_eq!(job.reason.as_deref(), Some("NonZeroExitCode"));
    assert_eq!(cluster.ended(&client, killed).await.exit, Some(Exit::Signal(9)));
    let job = cluster.ended(&client, after).await;
    assert_eq!(
        (&job.state, job.started_at_secs.is_some() && !job.nodes.is_empty()),
        (&State::Cancelled, false)
    );
}

async fn cancelled(cluster: &Cluster) {
    let client = cluster.client().await;
    let script = "trap 'echo saved; exit 3' TERM\necho ready\nsleep 300 & wait";
    for (token, signal, state) in
        [("cancel-1", Signal::Cancel, State::Cancelled), ("cancel-2", Signal::Terminate, State::Failed)]
    {
        let id = client.submit(&cluster.submit(token, script)).await.expect("submitted");
        cluster.line(&format!("{token}.out"), "ready").await;
        let asked = Instant::now();
        client.cancel(id, signal).await.expect("cancelled");
        cluster.line(&format!("{token}.out"), "saved").await;
        println!("  {signal:?} reached the script after {:.2} s", asked.elapsed().as_secs_f64());
        assert_eq!(cluster.ended(&client, id).await.state, state);
        client.cancel(id, Signal::Cancel).await.expect("an ended job stays as it is");
    }
    let error =
        client.cancel("4000001".parse().expect("an id"), Signal::Cancel).await.expect_err("no such job");
    assert!(matches!(error, Error::JobNotFound { .. }), "{error}");
}

async fn refused(cluster: &Cluster) {
    let client = cluster.client().await;
    let kind = |result: rixin_slurm::Result<_>| match result.expect_err("refused") {
        Error::Refused { kind, .. } => kind,
        other => panic!("{other}"),
    };
    let mut submit = cluster.submit("refused-1", "true");
    submit.gres = vec![GresRequest::new("gpu", Some("h100"), 64).expect("fine")];
    assert_eq!(kind(client.submit(&submit).await), Refusal::Resources);
    let mut submit = cluster.submit("refused-2", "true");
    submit.partition = "none".into();
    assert_eq!(kind(client.submit(&submit).await), Refusal::Partition);
    if cluster.has_accounting() {
        let mut submit = cluster.submit("refused-3", "true");
        submit.account = "none".into();
        assert_eq!(kind(client.submit(&submit).await), Refusal::Account);
    }
}

async fn lost_answer(cluster: &Cluster) {
    let client = cluster.client().await;
    let submit = cluster.submit("lost-1", "true");
    assert_eq!(client.find_by_token(&submit.token).await.expect("asked"), None);
    // The proxy lets the OpenAPI document through, and cuts off the answer to a submission.
    let proxy = LossyProxy::before(&cluster.text("url")).await;
    let lossy = cluster.client_at(proxy.server(), cluster.tokens("3600")).await;
    let error = lossy.submit(&submit).await.expect_err("the answer was lost");
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    let found = client.find_by_token(&submit.token).await.expect("asked").expect("Slurm had taken it");
    assert_eq!(client.submit_once(&submit).await.expect("found"), found.id);
    let other = cluster.submit("lost-2", "true");
    let id = lossy.submit_once(&other).await.expect("found after the answer was lost");
    let same = client
        .jobs()
        .await
        .expect("jobs")
        .into_iter()
        .filter(|job| job.token.as_ref() == Some(&other.token))
        .count();
    assert_eq!((same, client.submit_once(&other).await.expect("found")), (1, id));
}

async fn token_renewed(cluster: &Cluster) {
    let path = std::path::PathBuf::from(cluster.text("shared")).join("token");
    std::fs::write(&path, cluster.make_token("2")).expect("written");
    let server: Server = cluster.text("url").parse().expect("an address");
    let by_file = cluster.client_at(server.clone(), TokenSource::File(path.clone())).await;
    let by_command = cluster.client_at(server, cluster.tokens("2")).await;
    by_command.nodes().await.expect("nodes");
    let id = by_command.submit(&cluster.submit("token-1", "true")).await.expect("submitted");
    // Until the file's token is refused; by then the command's first one has ended too.
    let error = until("the token ends", 20, async || by_file.job(id).await.err()).await;
    assert!(
        !matches!(error, Error::JobNotFound { .. }),
        "a token that ended must not look like a job that is not there: {error}"
    );
    by_command.nodes().await.expect("the command was run again");
    by_command.job(id).await.expect("the job is there");
    std::fs::write(&path, cluster.make_token("3600")).expect("written");
    by_file.job(id).await.expect("the file was read again");
    let bad = path.with_file_name("bad-token");
    std::fs::write(&bad, "a.b.c").expect("written");
    let client =
        cluster.client_at(cluster.text("url").parse().expect("an address"), TokenSource::File(bad)).await;
    let error = client.nodes().await.expect_err("refused");
    assert!(matches!(error, Error::ControllerDown { .. } | Error::Denied { .. }), "{error}");
}

async fn accounts(cluster: &Cluster) {
    let client = cluster.client().await;
    let account = Account {
        name: "ten_0123456789abcdef".parse().expect("a name"),
        description: "a tenant".into(),
        organization: "rixin".into(),
    };
    if !cluster.has_accounting() {
        let error = client.ensure_account(&account).await.expect_err("no accounting");
        assert!(matches!(error, Error::NoAccounting { .. }), "{error}");
        return;
    }
    for _ in 0..2 {
        client.ensure_account(&account).await.expect("an account");
        client.ensure_association(&account.name, "root").await.expect("an association");
    }
    let mut submit = cluster.submit("account-1", "true");
    submit.account = account.name.to_string();
    // slurmdbd tells slurmctld of the association a moment later.
    let id = until("slurmctld knows the account", 20, async || client.submit(&submit).await.ok()).await;
    let job = cluster.ended(&client, id).await;
    assert_eq!((job.account.as_str(), &job.state), (account.name.as_str(), &State::Completed));
}

/// Two jobs that hold `gres` on one node at the same time: what each finds out about its devices.
async fn two_jobs(cluster: &Cluster, token: &str, gres: GresRequest) -> Vec<(Job, String, String)> {
    let client = cluster.client().await;
    let script = "scontrol show job -d $SLURM_JOB_ID\necho \"SEEN ${CUDA_VISIBLE_DEVICES-none} ${SLURM_JOB_GPUS-none}\"\necho told\nsleep 300";
    let mut ids = Vec::new();
    for n in 1..=2 {
        let mut submit = cluster.submit(&format!("{token}-{n}"), script);
        submit.gres = vec![gres.clone()];
        ids.push(client.submit(&submit).await.expect("submitted"));
    }
    let mut found = Vec::new();
    for (n, id) in (1..=2).zip(&ids) {
        cluster.line(&format!("{token}-{n}.out"), "told").await;
        let job = client.job(*id).await.expect("the job");
        let output = cluster.output(&format!("{token}-{n}.out")).await;
        let seen = output.lines().find_map(|line| line.strip_prefix("SEEN ")).expect("a line").to_owned();
        found.push((job, output, seen));
    }
    for id in ids {
        client.cancel(id, Signal::Cancel).await.expect("cancelled");
        cluster.ended(&client, id).await;
    }
    found
}

async fn disjoint_gpus(cluster: &Cluster) {
    let found = two_jobs(cluster, "gpus", GresRequest::new("gpu", Some("h100"), 2).expect("fine")).await;
    assert_eq!(found[0].0.nodes, found[1].0.nodes, "both fit one node");
    let mut all = Vec::new();
    for (job, output, seen) in &found {
        assert_eq!(job.gres[0][0].count, 2);
        let entries = devices::gres_on_node(output, &job.nodes).expect("reads");
        let (cuda, slurm) = seen.split_once(' ').expect("two");
        let get = |name: &str| (name == "CUDA_VISIBLE_DEVICES").then(|| cuda.to_owned());
        let told = devices::environment(devices::allotted(&entries, get).expect("told")).expect("told");
        assert_eq!((told.set["CUDA_VISIBLE_DEVICES"].as_str(), slurm), (cuda, cuda));
        all.extend(told.allotted[0].devices.clone());
    }
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"]);
}

async fn disjoint_others(cluster: &Cluster) {
    for (kind, model, variable) in
        [("npu", "ascend910b", "ASCEND_RT_VISIBLE_DEVICES"), ("dcu", "k100", "HIP_VISIBLE_DEVICES")]
    {
        let found = two_jobs(cluster, kind, GresRequest::new(kind, Some(model), 2).expect("fine")).await;
        assert_eq!(found[0].0.nodes, found[1].0.nodes, "both fit one node");
        let mut all = Vec::new();
        for (job, output, seen) in &found {
            assert_eq!(seen, "none none", "Slurm sets no variable for {kind}");
            let entries = devices::gres_on_node(output, &job.nodes).expect("reads");
            let told =
                devices::environment(devices::allotted(&entries, |_| None).expect("told")).expect("told");
            assert_eq!(told.set[variable].split(',').count(), 2);
            all.extend(told.allotted[0].devices.clone());
        }
        all.sort();
        assert_eq!(all, ["0", "1", "2", "3"], "{kind}");
    }
}

/// The first attempt waits for ever, the next ends at once.
const TWO_ATTEMPTS: &str = "echo \"attempt ${SLURM_RESTART_COUNT:-0} on $SLURMD_NODENAME\"\n[ \"${SLURM_RESTART_COUNT:-0}\" -gt 0 ] && exit 0\nsleep 600";

async fn killed(cluster: &Cluster) {
    let client = cluster.client().await;
    let submit = cluster.submit("killed-1", TWO_ATTEMPTS);
    let id = client.submit(&submit).await.expect("submitted");
    let node =
        until("it runs", 60, async || client.job(id).await.ok().filter(|job| job.state == State::Running))
            .await
            .nodes;
    cluster.line("killed-1.out", &format!("attempt 0 on {node}")).await;
    cluster.node("kill", &node);
    let job = lost_and_found(cluster, &client, id, "kill").await;
    assert_eq!((&job.state, job.exit, job.restarts), (&State::Completed, Some(Exit::Code(0)), 1));
    assert_ne!(job.nodes, node, "the node is dead");
    assert_eq!(
        cluster.output("killed-1.out").await,
        format!("attempt 0 on {node}\nattempt 1 on {}\n", job.nodes)
    );
    cluster.node("start", &node);
    cluster.node_usable(&client, &node).await;
}

async fn cut_off(cluster: &Cluster) {
    let client = cluster.client().await;
    let cut = cluster.text("cut_node");
    // n3 and the node to cut have such devices; n3 is filled by a job that wants what it alone has.
    let mut blocker = cluster.submit("blocker-1", "echo here; sleep 600");
    blocker.gres = vec![GresRequest::new("dcu", None, 1).expect("fine")];
    blocker.cpus = 4;
    let blocker = client.submit(&blocker).await.expect("submitted");
    cluster.line("blocker-1.out", "here").await;
    let mut submit = cluster.submit("cut-1", TWO_ATTEMPTS);
    submit.gres = vec![GresRequest::new("mlu", Some("mlu370"), 1).expect("fine")];
    let id = client.submit(&submit).await.expect("submitted");
    cluster.line("cut-1.out", &format!("attempt 0 on {cut}")).await;
    cluster.node("cut", &cut);
    client.cancel(blocker, Signal::Cancel).await.expect("cancelled");
    let job = lost_and_found(cluster, &client, id, "cut").await;
    assert_eq!((&job.state, job.restarts, job.nodes.as_str()), (&State::Completed, 1, "n3"));
    let nodes = client.nodes().await.expect("nodes");
    assert_eq!(nodes.iter().find(|node| node.name == cut).map(|node| &node.state), Some(&NodeState::Down));
    cluster.node("restore", &cut);
    cluster.node_usable(&client, &cut).await;
    assert_eq!(
        client.job(id).await.expect("the job").state,
        State::Completed,
        "the node that came back changed nothing"
    );
}

/// Follows a job whose node is lost to its end, and prints how long each part took.
async fn lost_and_found(
    cluster: &Cluster,
    client: &rixin_slurm::Client,
    id: rixin_slurm::SlurmJobId,
    what: &str,
) -> Job {
    let lost = Instant::now();
    let waiting = until("Slurm notices", 120, async || {
        client.job(id).await.ok().filter(|job| job.phase() == Phase::Waiting)
    })
    .await;
    assert_eq!(waiting.restarts, 1);
    let noticed = lost.elapsed();
    let job = cluster.ended(client, id).await;
    println!(
        "  {what}: back in the queue after {:.1} s, run again after {:.1} s",
        noticed.as_secs_f64(),
        lost.elapsed().max(Duration::ZERO).as_secs_f64()
    );
    job
}
