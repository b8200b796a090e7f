"""What the gateway costs: the time it adds to a request, its idle memory, and its start.

Runs under tests/with-suite.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from measure import Endpoint, Report, Samples, resident_mib

PAIRS = int(os.environ.get("RIXIN_BENCH_PAIRS") or 1500)
STARTS = 9


def timed(side: Endpoint, connection, path: str, body: dict) -> float:
    started = time.perf_counter()
    reply = side.post(path, body, connection)
    reply.read()
    return (time.perf_counter() - started) * 1000


def added(report: Report) -> None:
    gateway = Endpoint(os.environ["RIXIN_URL"], os.environ["RIXIN_MODEL"], os.environ["RIXIN_KEY"])
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
    gateway.json("/v1/chat/completions", body)
    sockets = [path for path in pathlib.Path(os.environ["RIXIN_DATA_DIR"], "run").rglob("*") if path.is_socket()]
    replica = Endpoint(str(sockets[0]), os.environ["RIXIN_MODEL"])
    # A request that the replica answers at once, so that the model's own time does not hide the gateway's.
    quick = body | {"grammar": "root ::= ("}
    through, direct = gateway.connection(), replica.connection()
    for name, request, pairs in (("answered at once", quick, PAIRS), ("one token of a real answer", body, PAIRS // 5)):
        via, straight = Samples(), Samples()
        for _ in range(pairs):
            straight.add(timed(replica, direct, "/v1/chat/completions", request))
            via.add(timed(gateway, through, "/v1/chat/completions", request))
        how = f"{pairs} pairs, kept-alive connections, gateway against the replica's own socket, alternated ({name})"
        if request is body:
            report.row("time the gateway adds, p50, real answer", "ms", "<= 0.5", how, via.median - straight.median)
        else:
            report.row("time the gateway adds, p50", "ms", "<= 0.5", how, via.median - straight.median)
            report.row("time the gateway adds, p99", "ms", "<= 3", how, via.quantile(0.99) - straight.quantile(0.99))


def starts(report: Report) -> None:
    ready, memory = Samples(), Samples()
    for _ in range(STARTS):
        data = tempfile.mkdtemp(prefix="rixin-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {k: v for k, v in os.environ.items() if not k.startswith("RIXIN_")}
        env |= {"RIXIN_DATA_DIR": data, "RIXIN_LISTEN": f"127.0.0.1:{port}", "RIXIN_LOG": "warn"}
        started = time.perf_counter()
        server = subprocess.Popen([os.environ["RIXIN_BIN"], "serve", "--json"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in server.stdout:
            if b"ready" in line:
                break
        ready.add((time.perf_counter() - started) * 1000)
        time.sleep(0.5)
        memory.add(resident_mib(server.pid))
        server.terminate()
        server.wait()
        shutil.rmtree(data, ignore_errors=True)
    report.row("start to ready", "ms", "<= 300", f"{STARTS} first starts on an empty data folder, from exec to the ready line", ready)
    report.row("memory of the gateway, idle", "MiB", "<= 50", f"resident half a second after each of {STARTS} starts", memory)


def main() -> None:
    report = Report()
    starts(report)
    added(report)
    report.finish()


main()
