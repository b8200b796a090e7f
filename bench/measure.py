"""What every measurement shares: samples, medians with spread, rows against a goal, HTTP without a library's overhead."""
import http.client
import json
import os
import socket
import statistics
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Samples:
    """Repeated readings of one quantity."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, q: float) -> float:
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    @property
    def spread(self) -> float:
        """Half the interquartile range over the median: the noise."""
        if len(self.values) < 4:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.median if self.median else 0.0


class Report:
    """Rows of `measure, ours, peer, unit, ratio, goal, met, how`; `met` is computed from the goal, never given."""

    def __init__(self) -> None:
        self.json = "--json" in sys.argv
        self.rows: list[dict] = []

    def row(self, measure: str, unit: str, goal: str, how: str, ours: Samples | float, peer: Samples | float | None = None, noise: bool = False) -> None:
        """`goal` is `>= x` or `<= x`, of the ratio where there is a peer, else of our own figure.

        With `noise`, the spread that both sides show in this run is granted to the goal.
        """
        value = lambda side: side.median if isinstance(side, Samples) else side
        mine, other = value(ours), None if peer is None else value(peer)
        ratio = None if other is None else mine / other
        spread = max([side.spread for side in (ours, peer) if isinstance(side, Samples)], default=0.0)
        operator, bound = goal.split()
        judged, bound = (mine if ratio is None else ratio), float(bound)
        slack = spread if noise else 0.0
        met = judged >= bound * (1 - slack) if operator == ">=" else judged <= bound * (1 + slack)
        self.rows.append({"measure": measure, "ours": round(mine, 4), "peer": None if other is None else round(other, 4), "unit": unit, "ratio": None if ratio is None else round(ratio, 3), "goal": goal, "met": met, "how": f"{how}; spread {spread:.0%}"})
        if self.json:
            print(json.dumps(self.rows[-1], ensure_ascii=False), flush=True)
        else:
            print(f"  measured: {measure}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        if self.json:
            return
        show = lambda x: "-" if x is None else f"{x:,.1f}" if abs(x) >= 100 else f"{x:.3g}"
        head = ("measure", "ours", "peer", "unit", "ratio", "goal", "met")
        lines = [head] + [(r["measure"], show(r["ours"]), show(r["peer"]), r["unit"], show(r["ratio"]), r["goal"], "yes" if r["met"] else "NO") for r in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
        print()
        for r in self.rows:
            print(f"{r['measure']}: {r['how']}")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Endpoint:
    """A server that speaks OpenAI's protocol: an http URL or the path of a unix socket."""

    def __init__(self, address: str, model: str, key: str | None = None) -> None:
        self.address, self.model = address, model
        self.headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def connection(self) -> http.client.HTTPConnection:
        if self.address.startswith("/"):
            return UnixConnection(self.address)
        host = self.address.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=600)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def post(self, path: str, body: dict, connection=None):
        connection = connection or self.connection()
        connection.request("POST", path, json.dumps(body | {"model": self.model}), self.headers)
        return connection.getresponse()

    def json(self, path: str, body: dict, connection=None) -> dict:
        reply = self.post(path, body, connection)
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{self.address}{path}: {reply.status} {text[:400]!r}")
        return json.loads(text)

    def stream(self, path: str, body: dict):
        """Times of the events that carry text, and the usage."""
        started = time.perf_counter()
        reply = self.post(path, body | {"stream": True, "stream_options": {"include_usage": True}})
        if reply.status != 200:
            raise RuntimeError(f"{self.address}{path}: {reply.status} {reply.read()[:400]!r}")
        times, usage = [], None
        for line in reply:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            choices = event.get("choices") or [{}]
            if choices[0].get("text") or (choices[0].get("delta") or {}).get("content"):
                times.append(time.perf_counter() - started)
        return times, usage, time.perf_counter() - started


def resident_mib(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def children(pid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                        found.append(int(name))
            except OSError:
                pass
    return found
