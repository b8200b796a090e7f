"""What the platform promises: jobs that survive being killed, lists and reports over a large store, quick starts, quick signing.

Runs suites of its own, on SQLite and, for the large store, on a private Postgres. `RIXIN_BENCH_ONLY=kills,start,store,seal,overhead,cluster`
chooses parts; `RIXIN_BENCH_KILLS` and `RIXIN_BENCH_LINES` set how often what is killed.
"""
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

from engine import Engine
from measure import Endpoint, Report, Samples, children

KILLS = int(os.environ.get("RIXIN_BENCH_KILLS") or 200)
LINES = int(os.environ.get("RIXIN_BENCH_LINES") or 2000)
JOBS = int(os.environ.get("RIXIN_BENCH_JOBS") or 100_000)
ROWS = int(os.environ.get("RIXIN_BENCH_ROWS") or 1_000_000)
RUNS = 15
PAIRS = int(os.environ.get("RIXIN_BENCH_PAIRS") or 1500)
MODEL = "smollm2-135m-instruct"
DAY_MS = 86_400_000


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Suite:
    """A suite in a data folder of its own; killed and started again as its measurement likes."""

    def __init__(self, **settings: str) -> None:
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="rixin-bench-"))
        self.port = free_port()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RIXIN_")}
        self.env |= {"RIXIN_DATA_DIR": str(self.data), "RIXIN_LISTEN": f"127.0.0.1:{self.port}", "RIXIN_LANG": "en", "RIXIN_LOG": "warn"}
        self.env |= settings
        self.server: subprocess.Popen | None = None
        self.key = json.loads(self.command("keys", "create", "bench", "--role", "owner", "--json"))["key"]

    def command(self, *args: str) -> bytes:
        return subprocess.run([os.environ["RIXIN_BIN"], *args], env=self.env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def start(self) -> None:
        log = open(self.data / "serve.log", "ab")
        self.server = subprocess.Popen([os.environ["RIXIN_BIN"], "serve"], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/api/health")[0] == 200:
                    return
            if self.server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the suite did not start:\n" + (self.data / "serve.log").read_text(errors="replace")[-4000:])
            time.sleep(0.02)

    def kill(self) -> None:
        self.server.kill()
        self.server.wait()

    def close(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def ask(self, method: str, path: str, body: bytes | dict | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            head = {"Authorization": f"Bearer {self.key}"} | ({"Content-Type": kind} if body is not None else {})
            connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, head)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: bytes | dict | None = None, kind: str = "application/json") -> dict:
        status, text = self.ask(method, path, body, kind)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path}: {status} {text[:400]!r}")
        return json.loads(text)


# --- what survives being killed


def line(number: int) -> str:
    body = {"model": MODEL, "max_tokens": 2, "temperature": 0, "messages": [{"role": "user", "content": f"{number} + 1 ="}]}
    return json.dumps({"custom_id": f"q{number}", "method": "POST", "url": "/v1/chat/completions", "body": body})


def submit_batch(suite: Suite) -> tuple[str, str]:
    lines = "\n".join(line(n) for n in range(LINES))
    mark = uuid.uuid4().hex
    form = f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{mark}\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{lines}\r\n--{mark}--\r\n'
    file = suite.json("POST", "/v1/files", form.encode(), f"multipart/form-data; boundary={mark}")["id"]
    batch = suite.json("POST", "/v1/batches", {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
    return batch["id"], suite.json("GET", "/api/jobs")["data"][0]["id"]


def command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def kill_one(suite: Suite, what: str) -> bool:
    """Kills it where it is there at the moment."""
    if what == "gateway":
        suite.kill()
        suite.start()
        return True
    word = {"job": " job run ", "replica": " replica run "}[what]
    for pid in children(suite.server.pid):
        if word in command_of(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def kills(report: Report) -> None:
    suite = Suite(RIXIN_CONTEXT_LENGTH="1024")
    rng = random.Random(20261125)
    try:
        model = pathlib.Path(os.environ.get("RIXIN_TEST_CACHE", "")) / "SmolLM2-135M-Instruct.Q4_1.gguf"
        suite.command("models", "import", str(model), "--id", MODEL, "--licence", "Apache-2.0", "--yes", "--json")
        suite.start()
        batch, job = submit_batch(suite)
        killed: dict[str, int] = {"gateway": 0, "job": 0, "replica": 0}
        started = time.monotonic()
        order = [name for name in killed for _ in range(KILLS // 3 + 1)][:KILLS]
        rng.shuffle(order)
        done, status = 0, ""
        while status not in ("completed", "failed", "expired", "cancelled"):
            time.sleep(rng.uniform(0.01, 0.1))
            with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
                state = suite.json("GET", f"/api/jobs/{job}")["job"]
                done = (state.get("progress") or {}).get("done") or done
                status = suite.json("GET", f"/v1/batches/{batch}")["status"] if state["state"] in ("succeeded", "failed", "cancelled") else ""
            count = sum(killed.values())
            # Spread over the whole batch: the next one falls when that much of it is done.
            if not status and count < len(order) and done >= (count + 0.5) * LINES / KILLS * 0.97:
                time.sleep(rng.uniform(0, 0.3))
                what = order[count]
                if kill_one(suite, what):
                    killed[what] += 1
                    if count % 20 == 19:
                        say(f"killed {count + 1} times, {done} of {LINES} lines done, {time.monotonic() - started:.0f} s")
        took = time.monotonic() - started
        found = suite.json("GET", f"/v1/batches/{batch}")
        answers = []
        for name in ("output_file_id", "error_file_id"):
            if found.get(name):
                answers += [json.loads(text) for text in suite.ask("GET", f"/v1/files/{found[name]}/content")[1].splitlines()]
        ids = [answer["custom_id"] for answer in answers]
        wanted = {f"q{n}" for n in range(LINES)}
        attempts = len(suite.json("GET", f"/api/jobs/{job}")["attempts"])
        suite.kill()
        db = sqlite3.connect(suite.data / "rixin.db")
        rows, tokens = db.execute("SELECT count(*), coalesce(sum(prompt_tokens + completion_tokens), 0) FROM ledger WHERE job_id = ?", (job,)).fetchone()
        used = [answer["response"]["body"].get("usage") for answer in answers if answer.get("response", {}).get("status_code") == 200]
        told = sum(usage["total_tokens"] for usage in used if usage)
        table = "usage_days" if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage_days'").fetchone() else "usage"
        sums = db.execute(f"SELECT coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(requests), 0) FROM {table}").fetchone()
        all_rows, all_tokens = db.execute("SELECT count(*), coalesce(sum(prompt_tokens + completion_tokens), 0) FROM ledger").fetchone()
        db.close()
        how = f"{LINES} lines, {sum(killed.values())} kills with SIGKILL ({', '.join(f'{n} of a {k}' for k, n in killed.items())}) spread over the batch, {attempts} attempts, {took:.0f} s, SmolLM2-135M, SQLite"
        report.row("lines lost", "lines", "<= 0", how, len(wanted - set(ids)))
        report.row("lines doubled", "lines", "<= 0", how, len(ids) - len(set(ids)))
        report.row("lines that failed", "lines", "<= 0", how, sum(answer.get("response", {}).get("status_code") != 200 for answer in answers))
        off = abs(rows - len(used)) + abs(tokens - told) + abs(sums[0] - all_tokens) + abs(sums[1] - all_rows)
        report.row("ledger: rows and tokens that differ from the answers", "count", "<= 0", how + "; the ledger's rows and tokens against the answers' usage, and the daily sums against the ledger", off)
        report.row("kills during the batch", "kills", f">= {KILLS}", how, sum(killed.values()))
    finally:
        suite.close()


# --- how soon a job starts


def starts(report: Report) -> None:
    suite = Suite()
    try:
        suite.start()
        bad = suite.data / "bad.gguf"
        bad.write_bytes(b"GGUF but no more")
        waits = Samples()
        for _ in range(RUNS):
            job = suite.json("POST", "/api/jobs", {"kind": "import", "params": {"target": f"file:{bad}", "accept_licence": True}})["id"]
            while True:
                state = suite.json("GET", f"/api/jobs/{job}")["job"]
                if state["state"] in ("failed", "succeeded"):
                    break
                time.sleep(0.005)
            waits.add(state["started_at"] - state["created_at"])
        report.row("submit to start of a local job", "ms", "<= 100", f"{RUNS} jobs, from the row to its process at work", waits)
    finally:
        suite.close()


# --- a large store


class Sqlite:
    name = "SQLite"
    settings: dict[str, str] = {}

    def fill(self, suite: Suite, script: str) -> None:
        db = sqlite3.connect(suite.data / "rixin.db")
        db.executescript("PRAGMA foreign_keys = off; BEGIN;" + script + "COMMIT; ANALYZE;")
        db.close()

    series = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {n}) SELECT n FROM s)"
    day = "strftime('%Y-%m-%d', at / 1000, 'unixepoch')"
    has = "SELECT 1 FROM sqlite_master WHERE name = '{table}'"

    def one(self, suite: Suite, query: str):
        db = sqlite3.connect(suite.data / "rixin.db")
        try:
            return db.execute(query).fetchone()
        finally:
            db.close()

    def close(self) -> None:
        pass


class Postgres:
    name = "Postgres"
    series = "(SELECT n FROM generate_series(1, {n}) n)"
    day = "to_char(to_timestamp(at / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    has = "SELECT 1 FROM pg_tables WHERE tablename = '{table}'"

    def __init__(self) -> None:
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="rixin-pg-"))
        self.user = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
        if self.user:
            shutil.chown(self.root, "postgres")
        self.port = free_port()
        data = str(self.root / "data")
        self.run("initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.run("pg_ctl", "-D", data, "-w", "-l", str(self.root / "log"), "-o", f"-p {self.port} -k {self.root} -c listen_addresses=127.0.0.1", "start")
        self.url = f"postgres://bench@127.0.0.1:{self.port}/postgres"
        self.settings = {"RIXIN_DATABASE_URL": self.url}

    def run(self, name: str, *args: str) -> None:
        subprocess.run([*self.user, str(self.bin / name), *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def psql(self, text: str) -> str:
        return subprocess.run([str(self.bin / "psql"), self.url, "-qAt", "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True, stdout=subprocess.PIPE).stdout.strip()

    def fill(self, suite: Suite, script: str) -> None:
        self.psql("SET session_replication_role = replica; BEGIN;" + script + "COMMIT; ANALYZE;")

    def one(self, suite: Suite, query: str):
        text = self.psql(query)
        return tuple(text.split("|")) if text else None

    def close(self) -> None:
        self.run("pg_ctl", "-D", str(self.root / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.root, ignore_errors=True)


def fill(suite: Suite, db) -> None:
    """A year of an organisation: jobs of two kinds, most of them over, and the ledger with its sums by day."""
    tenant, key = db.one(suite, "SELECT tenant_id, id FROM keys LIMIT 1")
    now = int(time.time() * 1000)
    jobs = db.series.format(n=JOBS)
    rows = db.series.format(n=ROWS)
    script = f"""
INSERT INTO jobs (id, tenant_id, key_id, kind, title, params, state, attempt, created_at, started_at, ended_at, result)
SELECT 'job_' || substr('00000000000000000000000000000000' || CAST(n AS TEXT), -32, 32), '{tenant}', '{key}',
  CASE WHEN n % 5 = 0 THEN 'import' ELSE 'batch' END, '/v1/chat/completions questions-' || n || '.jsonl', '{{"endpoint":"/v1/chat/completions"}}',
  CASE WHEN n % 20 = 0 THEN 'failed' WHEN n % 33 = 0 THEN 'cancelled' ELSE 'succeeded' END, 1,
  {now} - CAST(n AS BIGINT) * 300000, {now} - CAST(n AS BIGINT) * 300000 + 40, {now} - CAST(n AS BIGINT) * 300000 + 9000, '{{}}'
FROM {jobs} j;
INSERT INTO ledger (id, tenant_id, key_id, job_id, at, kind, model, prompt_tokens, completion_tokens, price_percent)
SELECT 'bench_' || n, '{tenant}', '{key}', NULL, {now} - CAST(n AS BIGINT) * 31000, CASE WHEN n % 7 = 0 THEN 'embedding' ELSE 'chat' END, 'model-' || (n % 23),
  n % 900, n % 300, CASE WHEN n % 3 = 0 THEN 50 ELSE 100 END
FROM {rows} r;
"""
    if db.name == "Postgres":
        script = script.replace("substr('00000000000000000000000000000000' || CAST(n AS TEXT), -32, 32)", "lpad(CAST(n AS TEXT), 32, '0')")
    if db.one(suite, db.has.format(table="usage_days")):
        script += f"""INSERT INTO usage_days (tenant_id, day, key_id, project_id, model, kind, price_percent, requests, prompt_tokens, completion_tokens, images, job_seconds)
SELECT tenant_id, {db.day}, key_id, '', model, kind, price_percent, count(*), sum(prompt_tokens), sum(completion_tokens), 0, 0 FROM ledger WHERE id LIKE 'bench%' GROUP BY 1, 2, 3, 5, 6, 7;
"""
    else:
        script += f"""INSERT INTO usage (tenant_id, key_id, day, model, requests, prompt_tokens, completion_tokens)
SELECT tenant_id, key_id, {db.day}, model, count(*), sum(prompt_tokens), sum(completion_tokens) FROM ledger GROUP BY 1, 2, 3, 4;
"""
    db.fill(suite, script)


def store(report: Report, db) -> None:
    suite = Suite(**db.settings)
    try:
        suite.start()
        suite.kill()
        say(f"{db.name}: writing {JOBS} jobs and {ROWS} rows of the ledger")
        fill(suite, db)
        suite.start()
        middle = suite.json("GET", "/api/jobs?limit=200")["next"]
        for name, path, goal in (
            ("list the jobs", "/api/jobs", 100),
            ("list the jobs, a later page of 200", f"/api/jobs?limit=200&after={middle}", 100),
            ("filter by kind and state", "/api/jobs?kind=import&state=failed", 100),
            ("filter by states that few have", "/api/jobs?state=blocked,queued,starting,running", 100),
            ("usage report of 30 days", "/api/usage?days=30", 300),
            ("usage report of a year", "/api/usage?days=366", 300),
        ):
            times = Samples()
            for _ in range(RUNS):
                started = time.perf_counter()
                status, text = suite.ask("GET", path)
                times.add((time.perf_counter() - started) * 1000)
                if status != 200:
                    raise RuntimeError(f"{path}: {status} {text[:300]!r}")
            report.row(f"{name}, {db.name}", "ms", f"<= {goal}", f"GET {re.sub('after=.*', 'after=...', path)} with {JOBS} jobs and {ROWS} ledger rows, {RUNS} times, connection included, {len(text)} bytes", times)
    finally:
        suite.close()
        db.close()


# --- signing


def seal(report: Report) -> None:
    """By the library's own example, which makes its files."""
    target = os.environ["CARGO_TARGET_DIR"]
    output = subprocess.run([f"{target}/release/examples/provenance_bench"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {row["measure"]: row for row in map(json.loads, output.splitlines())}
    for measure, goal in (("sign and label a PNG", 60), ("sign and label a PNG, visible label drawn", 60), ("sign and label a 60 s MP4", 500)):
        if measure in found:
            report.row(measure, "ms", f"<= {goal}", found[measure]["how"], float(found[measure]["value"]))
    flips = found["flipped bytes found"]
    tries = int(flips["unit"].split()[-1])
    report.row("flipped bytes not found", "bytes", "<= 0", f"{flips['how']}, {tries} tries", tries - float(flips["value"]))


def overhead(report: Report) -> None:
    """What stands between a caller and an engine that answers at once: key, quota, routing, metering."""
    engine, suite = Engine(), Suite()
    try:
        suite.start()
        suite.json("POST", "/api/externals", {"name": "bench", "base_url": engine.url, "models": [engine.model]})
        limits = []
        for what, period in (("tokens", "day"), ("requests", "minute")):
            status, text = suite.ask("POST", "/api/quotas", {"subject": "tenant", "measure": what, "period": period, "amount": 10**9})
            if status == 200:
                limits.append(f"{what} a {period}")
            elif status != 404:
                raise RuntimeError(f"no quota of {what}: {status} {text[:300]!r}")
        gateway, straight = Endpoint(f"http://127.0.0.1:{suite.port}", engine.model, suite.key), Endpoint(engine.url.removesuffix("/v1"), engine.model)
        through, direct = gateway.connection(), straight.connection()
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        via, alone = Samples(), Samples()
        for _ in range(PAIRS):
            for side, connection, samples in ((straight, direct, alone), (gateway, through, via)):
                started = time.perf_counter()
                side.json("/v1/chat/completions", body, connection)
                samples.add((time.perf_counter() - started) * 1000)
        metered = sum(row["requests"] for row in suite.json("GET", "/api/usage?days=2")["data"])
        if metered != PAIRS:
            raise RuntimeError(f"{metered} of {PAIRS} requests are in the ledger")
        quotas = f"quotas of {' and '.join(limits)}" if limits else "NO QUOTA, as this version has none"
        how = f"{PAIRS} pairs, kept-alive connections, through the gateway against straight to an engine of the bench that answers at once, alternated; key checked, {quotas}, all metered"
        report.row("time the gateway adds with auth, quota and metering, p50", "ms", "<= 1", how, via.median - alone.median)
        report.row("time the gateway adds with auth, quota and metering, p99", "ms", "<= 5", how, via.quantile(0.99) - alone.quantile(0.99))
    finally:
        suite.close()


def cluster(report: Report) -> None:
    """The test on the real cluster, which prints a line with its figures; left out where the machine can't hold one."""
    command = ["cargo", "test", "--release", "--locked", "-p", "rixin-tests", "--test", "cluster", "--", "--nocapture"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    figures = [json.loads(line.split("figures: ", 1)[1]) for line in done.stdout.splitlines() if "figures: " in line]
    if done.returncode == 0 and not figures:
        say(f"left out: {done.stdout[-500:]}")
        return
    # the test ends at the first line that is lost, doubled or metered wrongly
    passed = done.returncode == 0
    how = figures[0]["how"] if figures else f"the test failed: {done.stdout[-1500:]}"
    report.row("cluster: a node is cut off, one is killed, the gateway is killed", "tests that failed", "<= 0", how, 0.0 if passed else 1.0)


def main() -> None:
    report = Report()
    parts = {
        "start": lambda: starts(report),
        "store": lambda: (store(report, Sqlite()), store(report, Postgres())),
        "seal": lambda: seal(report),
        "kills": lambda: kills(report),
        "overhead": lambda: overhead(report),
        "cluster": lambda: cluster(report),
    }
    chosen = [name for name in (os.environ.get("RIXIN_BENCH_ONLY") or "").split(",") if name] or list(parts)
    for name in chosen:
        parts[name]()
    report.finish()


if __name__ == "__main__":
    main()
