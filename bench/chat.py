"""Chat against llama.cpp's own server: the same GGUF, threads, cache and requests, alternated in one run.

Runs under tests/with-suite. Our side is asked through the gateway, with authentication and metering, as a client would.
"""
import itertools
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

from measure import Endpoint, Report, Samples, children, resident_mib

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("RIXIN_TEST_CACHE") or pathlib.Path.home() / ".cache/rixin/test-models")
MODEL_FILE = CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"
THREADS = int(os.environ.get("RIXIN_BENCH_THREADS") or len(os.sched_getaffinity(0)))
REPEATS = int(os.environ.get("RIXIN_BENCH_REPEATS") or 7)
SLOTS, CACHE_TOKENS = 8, 16384
WORDS = "river stone window market garden signal letter mountain engine harbour silver winter paper forest bridge lantern copper meadow".split()
QUESTIONS = ["Why is the sky blue?", "How do I bake bread?", "Explain what a fever is.", "What should I pack for a hike?", "How does a bicycle stay upright?", "Give me three names for a cat.", "What is a mortgage?", "Describe the taste of tea."]
HANDBOOK = "You are the assistant of a city library. " + " ".join(f"Rule {i}: a reader who asks about {w} is sent to room {i} on floor {i % 7}." for i, w in zip(range(1, 25), itertools.cycle(WORDS)))


def words(seed: int, count: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(count))


def peer():
    process = subprocess.Popen([sys.executable, HERE / "peers/llama_server.py", MODEL_FILE, str(SLOTS), str(CACHE_TOKENS), str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if not line.startswith("ready "):
        sys.exit("the peer did not start")
    return process, Endpoint(line.split()[1], "peer")


def alternate(sides: dict, reading, repeats: int = REPEATS) -> dict:
    """`reading(endpoint, i)` of each side in turn; the side that goes first changes each time."""
    samples = {name: Samples() for name in sides}
    for i in range(repeats):
        for name in (list(sides) if i % 2 == 0 else reversed(list(sides))):
            samples[name].add(reading(sides[name], i))
    return samples


def prompt_speed(side: Endpoint, i: int) -> float:
    text = f"{i} {words(1000 + i, 900)}"
    started = time.perf_counter()
    usage = side.json("/v1/completions", {"prompt": text, "max_tokens": 1, "temperature": 0})["usage"]
    return usage["prompt_tokens"] / (time.perf_counter() - started)


def decode_speed(side: Endpoint, i: int) -> float:
    body = {"messages": [{"role": "user", "content": f"Tell me a long story about a {WORDS[i]}."}], "max_tokens": 160, "temperature": 0}
    times, usage, _ = side.stream("/v1/chat/completions", body)
    return (usage["completion_tokens"] - 1) / (times[-1] - times[0])


def eight_clients(system: str | None):
    """All tokens that the answers bring a second, over 8 clients that each ask 3 questions in one conversation after another."""

    def reading(side: Endpoint, i: int) -> float:
        total, lock = [0], threading.Lock()

        def client(number: int) -> None:
            for turn in range(3):
                messages = [{"role": "system", "content": system}] if system else []
                messages += [{"role": "user", "content": f"{QUESTIONS[(number + turn) % 8]} ({i}.{number}.{turn})"}]
                reply = side.json("/v1/chat/completions", {"messages": messages, "max_tokens": 96, "seed": number, "temperature": 0.8})
                with lock:
                    total[0] += reply["usage"]["total_tokens"]

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return total[0] / (time.perf_counter() - started)

    return reading


def first_token(side: Endpoint, prefix: str, question: str) -> float:
    times, _, _ = side.stream("/v1/completions", {"prompt": f"{prefix}\n{question}", "max_tokens": 2, "temperature": 0})
    return times[0]


def main() -> None:
    report = Report()
    ours = Endpoint(os.environ["RIXIN_URL"], os.environ["RIXIN_MODEL"], os.environ["RIXIN_KEY"])
    process, other = peer()
    sides = {"ours": ours, "peer": other}
    setting = f"SmolLM2-135M Q4_1, {THREADS} threads, {CACHE_TOKENS} tokens of cache, {SLOTS} slots on both sides"
    for side in sides.values():
        prompt_speed(side, 999)
        decode_speed(side, 0)

    got = alternate(sides, prompt_speed)
    report.row("prompt tokens/s, one client", "tokens/s", ">= 1.0", f"{REPEATS} prompts of 900 words never seen before, through the gateway; {setting}", got["ours"], got["peer"], noise=True)
    got = alternate(sides, decode_speed)
    report.row("decoded tokens/s, one client", "tokens/s", ">= 1.0", f"{REPEATS} streamed answers of 160 tokens, greedy, first token excluded; {setting}", got["ours"], got["peer"], noise=True)
    got = alternate(sides, eight_clients(HANDBOOK), max(3, REPEATS // 2))
    report.row("total tokens/s, 8 clients", "tokens/s", ">= 1.2", f"8 clients with 3 questions each under one system prompt of some 700 tokens, answers of 96 tokens at temperature 0.8; prompt and answer tokens over wall time; {setting}", got["ours"], got["peer"])
    got = alternate(sides, eight_clients(None), max(3, REPEATS // 2))
    report.row("total tokens/s, 8 clients, nothing shared", "tokens/s", ">= 1.0", f"the same without the system prompt; {setting}", got["ours"], got["peer"], noise=True)

    cold, warm = Samples(), Samples()
    for i in range(REPEATS):
        prefix = f"{i} {words(5000 + i, 830)}"
        cold.add(first_token(ours, prefix, "What does the first line say?") * 1000)
        warm.add(first_token(ours, prefix, "And what does the last line say?") * 1000)
    report.row("time to first token, 1,000-token prefix seen", "ms", "<= 0.125", "the same prefix with another question, against our own cold request; streamed through the gateway", warm, cold)

    replicas = [pid for pid in children(server_pid()) if resident_mib(pid) > 60]
    idle = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    time.sleep(0.3)
    interpreter = resident_mib(idle.pid)
    idle.communicate()
    report.row("memory of a replica", "MiB", "<= 1.05", f"resident after all of the above; from the peer's process the {interpreter:.0f} MiB of a bare Python interpreter are taken off; {setting}", resident_mib(replicas[0]), resident_mib(process.pid) - interpreter)
    process.communicate()
    report.finish()


def server_pid() -> int:
    """The gateway of the suite that we run under: with-suite's other child."""
    return next(pid for pid in children(os.getppid()) if pid != os.getpid())


main()
