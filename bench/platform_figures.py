"""The platform's figures: jobs under kill -9, their start, the gateway's cost with all checks on, a large store, provenance, the cluster.

Options: --json, --only kills,start,overhead,store,provenance,cluster, --kills 200, --lines 2000, --seed 1, --jobs 100000, --ledger 1000000,
--flips 10000.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from measure import Endpoint, Report, Samples  # noqa: E402
from parts import kills, store  # noqa: E402
from parts.engine import NAME, Engine  # noqa: E402
from parts.suite import Suite, until  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
STARTS = 31
PAIRS = int(os.environ.get("RIXIN_BENCH_PAIRS") or 1500)
PARTS = ("kills", "start", "overhead", "store", "provenance", "cluster")


def start(report: Report, _) -> None:
    """From the moment before the request is sent to the moment at which the store has the process of the job as running."""
    engine, suite = Engine(), Suite().start()
    samples = Samples()
    try:
        suite.ask("POST", "/api/externals", {"name": "bench", "base_url": engine.url, "models": [NAME]})
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": NAME, "messages": [{"role": "user", "content": "a"}]}}
        file = suite.upload([line])
        for _ in range(STARTS):
            sent = time.time() * 1000
            batch = suite.ask("POST", "/v1/batches", {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})["id"]
            until("the batch is over", 30, lambda: suite.ask("GET", f"/v1/batches/{batch}")["status"] == "completed")
            begun = suite.ask("GET", f"/v1/batches/{batch}")
            job = next(job for job in suite.ask("GET", "/api/jobs?limit=1")["data"])
            assert job["state"] == "succeeded", (job, begun)
            samples.add(job["started_at"] - sent)
    finally:
        suite.close()
    how = f"{STARTS} batches of one line, one after the other, from before the request to the job's process being at work by the store's clock; p95 {samples.quantile(0.95):.0f} ms"
    report.row("submit to start of a local job", "ms", "<= 100", how, samples)


def overhead(report: Report, _) -> None:
    """What stands between a caller and an engine that answers at once: key, quota, routing, metering."""
    engine, suite = Engine(), Suite().start()
    try:
        suite.ask("POST", "/api/externals", {"name": "bench", "base_url": engine.url, "models": [NAME]})
        limits = []
        for measure, period in (("tokens", "day"), ("requests", "minute")):
            try:
                suite.ask("POST", "/api/quotas", {"subject": "tenant", "measure": measure, "period": period, "amount": 10**9})
                limits.append(f"{measure} a {period}")
            except RuntimeError as error:
                if "404" not in str(error) and "405" not in str(error):
                    raise
        gateway, straight = Endpoint(f"http://127.0.0.1:{suite.port}", NAME, suite.key), Endpoint(engine.url.removesuffix("/v1"), NAME)
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        through, direct = gateway.connection(), straight.connection()
        via, alone = Samples(), Samples()
        for _ in range(PAIRS):
            for side, connection, samples in ((straight, direct, alone), (gateway, through, via)):
                started = time.perf_counter()
                reply = side.post("/v1/chat/completions", body, connection)
                text = reply.read()
                samples.add((time.perf_counter() - started) * 1000)
                if reply.status != 200:
                    raise RuntimeError(f"{side.address}: {reply.status} {text[:300]!r}")
        metered = sum(row["requests"] for row in suite.ask("GET", "/api/usage?days=2")["data"])
        if metered != PAIRS:
            raise RuntimeError(f"{metered} of {PAIRS} requests are in the ledger")
        quotas = f"quotas of {' and '.join(limits)}" if limits else "NO QUOTA: this version has none"
        how = f"{PAIRS} pairs, kept-alive connections, through the gateway against straight to an engine of the bench that answers at once, alternated; key checked, {quotas}, all metered"
        report.row("time the gateway adds with auth, quota and metering, p50", "ms", "<= 1", how, via.median - alone.median)
        report.row("time the gateway adds with auth, quota and metering, p99", "ms", "<= 5", how, via.quantile(0.99) - alone.quantile(0.99))
    finally:
        suite.close()


def provenance(report: Report, options) -> None:
    command = ["cargo", "run", "--release", "--locked", "--quiet", "-p", "rixin-provenance", "--example", "provenance_bench", "--", "--flips", str(options.flips)]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = {row["measure"]: row for row in map(json.loads, output.splitlines())}
    for measure, name, goal in (("sign and label a PNG", "signing and labelling a 1024x1024 PNG", "<= 60"), ("sign and label a 60 s MP4", "signing and labelling a 60 s MP4", "<= 500")):
        if measure in rows:
            report.row(name, "ms", goal, rows[measure]["how"], rows[measure]["value"])
    found = rows["flipped bytes found"]
    report.row("bytes flipped in signed files that were not found", "bytes", "<= 0", f"{options.flips} tries, {found['how']}", options.flips - found["value"])


def cluster(report: Report, _) -> None:
    """The test on the real cluster, which prints a line with its figures."""
    test = ROOT / "tests/tests/cluster.rs"
    if not test.exists():
        print("left out: there is no test of a cluster", file=sys.stderr)
        return
    command = ["cargo", "test", "--release", "--locked", "-p", "rixin-tests", "--test", "cluster", "--", "--nocapture"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    figures = [json.loads(line.split("figures: ", 1)[1]) for line in done.stdout.splitlines() if "figures: " in line]
    if done.returncode or not figures:
        print(f"the cluster's test {'failed' if done.returncode else 'was skipped'}:\n{done.stdout[-3000:]}", file=sys.stderr)
        if not done.returncode:
            return
    wrong = figures[0]["wrong"] if figures and not done.returncode else 1.0
    how = figures[0]["how"] if figures else "the test on the cluster failed before its end"
    report.row("lines lost, doubled or metered wrongly when a node is killed, one is cut off and the gateway is killed", "lines", "<= 0", how, float(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS))
    for name, value in (("kills", 200), ("lines", 2000), ("seed", 1), ("jobs", 100_000), ("ledger", 1_000_000), ("flips", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    report = Report()
    work = {"kills": lambda r, o: kills.measure(r, o.lines, o.kills, o.seed), "start": start, "overhead": overhead,
            "store": lambda r, o: store.measure(r, o.jobs, o.ledger), "provenance": provenance, "cluster": cluster}
    for part in PARTS:
        if part in chosen:
            work[part](report, options)
    report.finish()


main()
