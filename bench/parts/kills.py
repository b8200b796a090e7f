"""kill -9 of gateway, job and replica at random while batches run: what is lost, what is doubled, and whether the ledger is exact."""
import collections
import json
import os
import random
import signal
import time

from parts.engine import NAME, Engine
from parts.suite import MODEL, Suite, until

# Every so many lines one asks a real local model, so that there are replicas to kill; the others ask the engine that answers at once.
REAL_EVERY = 20
# The mean time for which the batch works between two kills.
WORKS_SECS = 0.5


def line(number: int) -> dict:
    real = number % REAL_EVERY == 0
    body = {"model": MODEL if real else NAME, "max_tokens": 1, "temperature": 0, "messages": [{"role": "user", "content": f"line {number}"}]}
    return {"custom_id": f"q{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


class Wrong:
    """What must not be."""

    def __init__(self) -> None:
        self.lost = self.doubled = self.misplaced = self.ledger = 0


def metered(suite: Suite) -> dict[str, tuple[int, int, int]]:
    sums = collections.defaultdict(lambda: [0, 0, 0])
    for row in suite.ask("GET", "/api/usage?days=3")["data"]:
        for at, name in enumerate(("requests", "prompt_tokens", "completion_tokens")):
            sums[row["model"]][at] += row[name]
    return {model: tuple(values) for model, values in sums.items()}


def check(suite: Suite, batch: str, lines: int, wrong: Wrong, owed: dict) -> None:
    """Reads the results of a finished batch, and adds what they say was used to `owed`."""
    state = suite.ask("GET", f"/v1/batches/{batch}")
    if state["status"] != "completed":
        raise RuntimeError(f"the batch ended as {state['status']}: {state}")
    text = suite.ask("GET", f"/v1/files/{state['output_file_id']}/content")
    answers = [json.loads(row) for row in text.splitlines()]
    seen = collections.Counter(answer["custom_id"] for answer in answers)
    wrong.lost += sum(1 for number in range(lines) if f"q{number}" not in seen)
    wrong.doubled += sum(count - 1 for count in seen.values())
    for answer in answers:
        number, body = int(answer["custom_id"][1:]), answer["response"]["body"]
        model = MODEL if number % REAL_EVERY == 0 else NAME
        if model == NAME and body["choices"][0]["message"]["content"] != f"line {number}":
            wrong.misplaced += 1
        for at, value in enumerate((1, body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"])):
            owed[model][at] += value


def measure(report, lines: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    # So slow that the batch outlasts the kills: half of what it answers between two of them may have to be asked again.
    engine = Engine(rate=max(20.0, lines / (kills * WORKS_SECS)))
    suite = Suite(model=True, RIXIN_CONTEXT_LENGTH="512").start()
    done, wrong, owed, batches = collections.Counter(), Wrong(), collections.defaultdict(lambda: [0, 0, 0]), 0
    started = time.monotonic()
    try:
        suite.ask("POST", "/api/externals", {"name": "bench", "base_url": engine.url, "models": [NAME]})
        while done.total() < kills:
            batch, batches = suite.batch([line(number) for number in range(lines)]), batches + 1
            over = lambda: suite.ask("GET", f"/v1/batches/{batch}")["status"] in ("completed", "failed", "cancelled")
            while done.total() < kills:
                until("a job's process runs, or the batch is over", 400, lambda: suite.children()[0] or over())
                if over():
                    break
                time.sleep(chance.uniform(0, 2 * WORKS_SECS))
                jobs, replicas = suite.children()
                victims = {"gateway": [suite.server.pid], "job": jobs, "replica": replicas}
                kind = chance.choice([kind for kind, pids in victims.items() if pids])
                if kind == "gateway":
                    suite.kill()
                    suite.start()
                else:
                    os.kill(chance.choice(victims[kind]), signal.SIGKILL)
                done[kind] += 1
            until("the batch is over", 900, over)
            check(suite, batch, lines, wrong, owed)
        found = metered(suite)
        for model, values in owed.items():
            wrong.ledger += sum(abs(a - b) for a, b in zip(found.get(model, (0, 0, 0)), values))
    finally:
        suite.close()
    parts = ", ".join(f"{count} of a {kind}" for kind, count in sorted(done.items()))
    how = (f"{done.total()} times kill -9 at random moments ({parts}) in {batches} batch{'es' * (batches > 1)} of {lines} lines, seed {seed}, "
           f"{time.monotonic() - started:.0f} s; one line in {REAL_EVERY} asks SmolLM2 on this machine, the others an engine of the bench that has "
           f"no model and answers {engine.rate:.0f} lines a second; it was asked {engine.asked} times")
    report.row("lines lost under random kills", "lines", "<= 0", how, float(wrong.lost))
    report.row("lines doubled or in the wrong place under random kills", "lines", "<= 0", how, float(wrong.doubled + wrong.misplaced))
    report.row("ledger against the answers, under random kills", "requests and tokens off", "<= 0", f"requests and tokens by model, the metered against the sum of the answers' own; {how}", float(wrong.ledger))
