"""100,000 jobs and 1,000,000 rows of the ledger, on SQLite and on Postgres: how long lists, filters and reports take over HTTP."""
import datetime
import http.client
import os
import pathlib
import pwd
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

from measure import Samples
from parts.suite import Suite

ROUNDS = 25
DAY = 86_400_000
MODELS = [f"model-{n}" for n in range(8)]


def new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex}"


class Sqlite:
    name = "SQLite"
    settings: dict = {}

    def __init__(self) -> None:
        pass

    def open(self, suite: Suite) -> None:
        self.db = sqlite3.connect(next(pathlib.Path(suite.data).glob("*.db")))

    def rows(self, text: str) -> list[tuple]:
        return self.db.execute(text).fetchall()

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.rows(f"PRAGMA table_info({table})")]

    def fill(self, table: str, columns: list[str], rows) -> None:
        self.db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)
        self.db.commit()

    def settle(self) -> None:
        self.db.execute("PRAGMA optimize")
        self.db.commit()
        self.db.close()

    def close(self) -> None:
        pass


class Postgres:
    """A private server in a temporary folder, as its own defaults have it."""

    name = "Postgres"

    def __init__(self) -> None:
        homes = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not homes:
            raise FileNotFoundError("no Postgres on this machine (Debian: apt-get install postgresql)")
        self.bin, self.folder = homes[-1], tempfile.mkdtemp(prefix="rixin-bench-pg-")
        self.as_user = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "rixin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        self.run("pg_ctl", "-D", f"{self.folder}/data", "start", "--wait", "--silent", "--log", f"{self.folder}/log",
                 "-o", f"-c listen_addresses='' -c unix_socket_directories='{self.folder}'")
        self.run("createdb", "-h", self.folder, "-U", "rixin", "rixin")
        self.settings = {"RIXIN_DATABASE_URL": f"postgres://rixin@localhost/rixin?host={self.folder}"}

    def run(self, program: str, *args: str, text: str | None = None) -> str:
        done = subprocess.run([*self.as_user, str(self.bin / program), *args], input=text, text=True, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-400:]}")
        return done.stdout

    def psql(self, *args: str, text: str | None = None) -> str:
        return self.run("psql", "-h", self.folder, "-U", "rixin", "-d", "rixin", "-q", "-v", "ON_ERROR_STOP=1", *args, text=text)

    def open(self, suite: Suite) -> None:
        pass

    def rows(self, text: str) -> list[tuple]:
        return [tuple(line.split("\t")) for line in self.psql("-At", "-F", "\t", "-c", text).splitlines()]

    def columns(self, table: str) -> list[str]:
        return [row[0] for row in self.rows(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' AND table_schema = 'public'")]

    def fill(self, table: str, columns: list[str], rows) -> None:
        show = lambda value: "\\N" if value is None else str(value)
        text = "".join("\t".join(map(show, row)) + "\n" for row in rows)
        self.psql(text=f"COPY {table} ({', '.join(columns)}) FROM STDIN;\n{text}\\.\n")

    def settle(self) -> None:
        self.psql("-c", "ANALYZE")

    def close(self) -> None:
        self.run("pg_ctl", "-D", f"{self.folder}/data", "stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def fill(database, suite: Suite, jobs: int, ledger: int) -> None:
    chance, now = random.Random(1), int(time.time() * 1000)
    tenant, own = database.rows("SELECT tenant_id, id FROM keys")[0]
    # ids of keys look like the one that is there
    prefix = own[: len(own) - 36] if "-" in own else own[:-32]
    columns = ["id", "tenant_id", "name", "role", "prefix", "hash", "created_at"]
    keys, rows = [own], []
    for number in range(40):
        key = prefix + (str(uuid.uuid4()) if "-" in own else uuid.uuid4().hex)
        digest = uuid.uuid4().bytes * 2
        keys.append(key)
        rows.append((key, tenant, f"key {number}", "member", f"rx-{number:04}", digest if database.name == "SQLite" else f"\\\\x{digest.hex()}", now))
    database.fill("keys", columns, rows)

    made = database.rows("SELECT id FROM jobs LIMIT 1")[0][0]
    like = made[: len(made) - 36] if "-" in made else made[:-32]
    states = ["succeeded"] * 80 + ["failed"] * 12 + ["cancelled"] * 8
    kinds = ["batch"] * 6 + ["import"] * 3 + ["evaluate"]
    columns = ["id", "tenant_id", "key_id", "kind", "title", "params", "state", "attempt", "created_at", "started_at", "ended_at"]

    def job(number: int) -> tuple:
        at = now - 90 * DAY + number * (90 * DAY // jobs)
        name = like + (str(uuid.uuid4()) if "-" in made else uuid.uuid4().hex)
        return name, tenant, chance.choice(keys), chance.choice(kinds), f"job {number}", "{}", chance.choice(states), 1, at, at + 50, at + 60_000

    database.fill("jobs", columns, (job(number) for number in range(jobs)))

    sums: dict[tuple, list[int]] = {}

    def entry(number: int) -> tuple:
        at = now - 90 * DAY + number * (90 * DAY // ledger)
        key, model = chance.choice(keys), chance.choice(MODELS)
        prompt, answer = chance.randrange(2000), chance.randrange(500)
        day = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%d")
        total = sums.setdefault((day, key, model), [0, 0, 0])
        for place, value in enumerate((1, prompt, answer)):
            total[place] += value
        return f"bench-{number}", tenant, key, at, "chat", model, prompt, answer

    columns = ["id", "tenant_id", "key_id", "at", "kind", "model", "prompt_tokens", "completion_tokens"]
    for start in range(0, ledger, 100_000):
        database.fill("ledger", columns, [entry(number) for number in range(start, min(start + 100_000, ledger))])
    # the sums that the gateway keeps in the transaction of each row
    if database.columns("usage_days"):
        columns = ["tenant_id", "day", "key_id", "project_id", "model", "kind", "price_percent", "requests", "prompt_tokens", "completion_tokens", "images", "job_seconds"]
        rows = [(tenant, day, key, "", model, "chat", 100, *total, 0, 0) for (day, key, model), total in sums.items()]
        database.fill("usage_days", columns, rows)
    else:
        columns = ["tenant_id", "day", "key_id", "model", "requests", "prompt_tokens", "completion_tokens"]
        database.fill("usage", columns, [(tenant, day, key, model, *total) for (day, key, model), total in sums.items()])
    database.settle()


def timed(suite: Suite, path: str) -> tuple[Samples, int]:
    connection = http.client.HTTPConnection("127.0.0.1", suite.port, timeout=60)
    samples, size = Samples(), 0
    for round in range(ROUNDS + 1):
        started = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {suite.key}"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {text[:300]!r}")
        if round:
            samples.add((time.perf_counter() - started) * 1000)
        size = len(text)
    return samples, size


def measure_on(report, make, jobs: int, ledger: int) -> None:
    database = make()
    suite = None
    try:
        suite = Suite(**database.settings).start()
        # one real job, so that ids look like the gateway's own
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "none", "messages": [{"role": "user", "content": "a"}]}}
        suite.batch([line])
        suite.stop()
        database.open(suite)
        fill(database, suite, jobs, ledger)
        suite.start()
        far = suite.ask("GET", "/api/jobs?limit=200")
        for _ in range(20):
            far = suite.ask("GET", f"/api/jobs?limit=200&after={far['next']}")
        lists = {"list of jobs": [("first page", "/api/jobs"), ("a page far back", f"/api/jobs?limit=200&after={far['next']}")],
                 "filter of jobs": [("state", "/api/jobs?state=failed"), ("kind", "/api/jobs?kind=import"), ("state and kind", "/api/jobs?state=failed,cancelled&kind=evaluate")],
                 "usage report": [("30 days", "/api/usage?days=30"), ("90 days", "/api/usage?days=90")]}
        for what, asks in lists.items():
            goal = "<= 300" if what == "usage report" else "<= 100"
            worst, shown = None, []
            for name, path in asks:
                samples, size = timed(suite, path)
                shown.append(f"{name} {samples.median:.1f} ms ({size // 1024} KiB)")
                worst = samples if worst is None or samples.median > worst.median else worst
            how = f"{jobs:,} jobs and {ledger:,} ledger rows of 90 days, 41 keys and {len(MODELS)} models; over HTTP, the slowest of {'; '.join(shown)}; {ROUNDS} times each"
            report.row(f"{what}, {database.name}", "ms", goal, how, worst)
    finally:
        if suite:
            suite.close()
        database.close()


def measure(report, jobs: int, ledger: int) -> None:
    measure_on(report, Sqlite, jobs, ledger)
    try:
        measure_on(report, Postgres, jobs, ledger)
    except FileNotFoundError as why:
        print(f"left out: {why}", file=sys.stderr)
