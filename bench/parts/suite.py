"""A suite of the bench's own: data folder, port and settings, which can be killed and started again."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = os.environ["RIXIN_BIN"]
MODEL = "smollm2-135m-instruct"
MODELS = pathlib.Path(os.environ.get("RIXIN_TEST_CACHE") or pathlib.Path.home() / ".cache/rixin/test-models")


class Suite:
    def __init__(self, model: bool = False, **settings: str) -> None:
        self.data = tempfile.mkdtemp(prefix="rixin-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RIXIN_")}
        self.env |= {"RIXIN_DATA_DIR": self.data, "RIXIN_LISTEN": f"127.0.0.1:{self.port}", "RIXIN_LANG": "en", "RIXIN_LOG": "error"}
        self.env |= settings
        self.server = None
        if model:
            self.cli("models", "import", str(MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"), "--id", MODEL, "--licence", "Apache-2.0", "--yes", "--json")
        made = None
        for role in ("owner", "admin"):
            made = subprocess.run([BIN, "keys", "create", "bench", "--role", role, "--json"], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if made.returncode == 0:
                break
        if made.returncode:
            raise RuntimeError(f"no key: {made.stderr.decode()}")
        self.key = json.loads(made.stdout)["key"]

    def cli(self, *args: str) -> bytes:
        return subprocess.run([BIN, *args], env=self.env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def start(self) -> "Suite":
        """Starts the gateway and waits until it says that it is ready."""
        self.server = subprocess.Popen([BIN, "serve", "--json"], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for line in self.server.stdout:
            if b"ready" in line:
                return self
        raise RuntimeError(f"the gateway ended with {self.server.wait()} before it was ready")

    def kill(self) -> None:
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.server.stdout.close()

    def stop(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def ask(self, method: str, path: str, body: bytes | dict | None = None, kind: str = "application/json"):
        """The answer's JSON, or its bytes where it is none; an error is raised with the gateway's words."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.key}")
        if data is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                text = reply.read()
                return json.loads(text) if reply.headers.get_content_type() == "application/json" and text else text
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:400]!r}") from None

    def upload(self, lines: list[dict]) -> str:
        """A file for a batch; its id."""
        edge = "bench-bench-bench"
        text = "\n".join(json.dumps(line) for line in lines)
        body = (f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{edge}\r\n'
                f'Content-Disposition: form-data; name="file"; filename="lines.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n{text}\r\n--{edge}--\r\n')
        return self.ask("POST", "/v1/files", body.encode(), f"multipart/form-data; boundary={edge}")["id"]

    def batch(self, lines: list[dict]) -> str:
        body = {"input_file_id": self.upload(lines), "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return self.ask("POST", "/v1/batches", body)["id"]

    def children(self) -> tuple[list[int], list[int]]:
        """The processes of jobs, and those of replicas."""
        jobs, replicas = [], []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                stat = pathlib.Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()
                words = pathlib.Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(stat[1]) == self.server.pid and stat[0] != "Z":
                (jobs if b"job" in words else replicas).append(int(name))
        return jobs, replicas


def until(what: str, seconds: float, done):
    """Asks until `done` gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
