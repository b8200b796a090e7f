"""A real Slurm cluster on one host, without systemd: what `up`, `down` and `node` share.

Everything lies under ROOT, a folder of the caller, so that several clusters can stand side by side:

    ROOT/cluster.json   how to reach it, for the tests
    ROOT/state.json     processes, namespaces and links, for `node` and `down`
    ROOT/etc, log, run, state, spool, db, dev, rest, shared

Each node is a process tree of its own: a PID namespace where the kernel allows one, so that killing a node kills all that
runs on it at once, as when a machine loses power. The last node also has a network namespace, so that it can be cut off
while its jobs go on. Where namespaces can't be had, /proc is searched instead, and cutting off means that Slurm's own
processes on the node are stopped: slurmctld sees no answer, and the job's processes go on.
"""
import contextlib, json, os, pathlib, pwd, secrets, shutil, signal, socket, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# The status that says: this machine can't hold it. Test runners read it as "skipped".
CANNOT = 77
REST_USER = "nobody"
DAEMONS = ["slurm-wlm", "slurm-wlm-jwt-plugin", "slurmrestd", "munge", "iproute2", "util-linux"]
ACCOUNTING = ["slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server"]
# GRES of each node: (kind, type, count, whether gres.conf names device files). A count without files gives no indices.
NODES = {
    "n1": [("gpu", "h100", 4, True)],
    "n2": [("npu", "ascend910b", 4, True), ("musa", "s4000", 2, True)],
    "n3": [("mlu", "mlu370", 4, True), ("dcu", "k100", 4, True)],
    "n4": [("gpu", "h100", 2, True), ("mlu", "mlu370", 4, False)],
}
CUT_NODE = "n4"
CPUS, MEMORY_MIB = 4, 4000
KINDS = sorted({kind for gres in NODES.values() for kind, *_ in gres})


class Cannot(Exception):
    """This machine can't hold the cluster."""


def say(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def path_to(name):
    """A daemon's path: Debian keeps them in /usr/sbin, which a user's PATH may lack."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Cannot(f"{name} is not installed")
    return found


def install(names):
    """Installs Debian packages by name, through scripts/env. Returns why not, or None."""
    done = subprocess.run(["bash", "-c", 'source "$1/scripts/env"; shift; packages "$@"', "bash", REPOSITORY, *names],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None if done.returncode == 0 else (lines[-1] if lines else f"status {done.returncode}")


def started_at(pid):
    """When a process started, in clock ticks since boot: with its pid, its identity. None where it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Process:
    """A process that `up` or `node` started."""

    def __init__(self, pid, born):
        self.pid, self.born = pid, born

    def alive(self):
        return self.born is not None and started_at(self.pid) == self.born

    def send(self, sig):
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def end(self, grace_secs):
        """Asks it to end, then makes it."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if not wait_for(lambda: not self.alive(), grace_secs):
            self.send(signal.SIGKILL)
            wait_for(lambda: not self.alive(), 5)


def wait_for(holds, seconds, every=0.05):
    """Waits until something holds; False where it never did."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if holds():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(every)


def run(*command, check=True, env=None, timeout=60):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, **(env or {})}, timeout=timeout)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return done


def free_ports(count):
    """Ports that nobody listens on; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def marked(mark):
    """The processes that carry a node's mark in their environment, and all that descends from them."""
    parents, found = {}, set()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except (OSError, IndexError):
            continue
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        grown = bool(more)
        found |= more
    found.discard(os.getpid())
    return [Process(pid, started_at(pid)) for pid in found]


class Cluster:
    """The cluster under one ROOT."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.state_file = self.root / "state.json"
        self.state = {"processes": {}, "link": None, "ports": {}, "pid_namespaces": False}
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text())

    def save(self):
        temporary = self.state_file.with_suffix(".new")
        temporary.write_text(json.dumps(self.state, indent=1))
        temporary.rename(self.state_file)

    @property
    def env(self):
        return {"SLURM_CONF": str(self.root / "etc/slurm.conf")}

    def process(self, name):
        found = self.state["processes"].get(name)
        return Process(*found) if found else None

    def mark(self, node):
        return f"RIXIN_CLUSTER_NODE={self.root}:{node}"

    def spawn(self, name, command, env=None):
        """Starts a daemon in the foreground of its own session; its output goes to ROOT/log."""
        with open(self.root / f"log/{name}.out", "ab") as log:
            child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                                     env={**os.environ, **self.env, **(env or {})}, start_new_session=True, close_fds=True)
        self.state["processes"][name] = [child.pid, started_at(child.pid)]
        self.save()
        return child

    def await_daemon(self, name, ready, seconds):
        """Waits until a daemon is ready; one that ends before that is not waited for."""
        if not wait_for(lambda: ready() or not self.process(name).alive(), seconds) or not ready():
            raise self.failed(name)

    def failed(self, name):
        """Why a daemon is not up, from the ends of its logs."""
        texts = []
        for log in sorted((self.root / "log").glob(f"{name}.*")):
            texts.append(f"--- {log.name}\n" + log.read_text(errors="replace")[-1500:])
        return RuntimeError(f"{name} did not come up\n" + "\n".join(texts))

    # Namespaces

    def try_namespaces(self):
        """Finds out what the kernel allows; makes the network namespace of the node that can be cut off."""
        self.state["pid_namespaces"] = run("unshare", "--pid", "--fork", "--mount-proc", "true", check=False).returncode == 0
        holder = self.spawn("namespace", ["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        inside = lambda: holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/net") != own
        with contextlib.suppress(OSError):
            wait_for(inside, 5)
        link = f"rx{secrets.token_hex(4)}"
        try:
            if holder.poll() is not None:
                raise RuntimeError("unshare --net is not allowed")
            used = run("ip", "-4", "addr").stdout + run("ip", "-4", "route").stdout
            net = next(n for n in (f"10.{213 + secrets.randbelow(30)}.{secrets.randbelow(256)}" for _ in range(100)) if f"{n}." not in used)
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
            self.state["link"] = {"name": link, "outside": f"{net}.1", "inside": f"{net}.2"}
            self.save()
            run("ip", "addr", "add", f"{net}.1/30", "dev", link)
            run("ip", "link", "set", link, "up")
            self.inside("ip", "link", "set", "lo", "up")
            self.inside("ip", "addr", "add", f"{net}.2/30", "dev", "eth0")
            self.inside("ip", "link", "set", "eth0", "up")
            run("ping", "-c", "1", f"{net}.2", check=False) if shutil.which("ping") else None
        except (RuntimeError, FileNotFoundError, StopIteration) as error:
            say(f"no network namespace ({error}): cutting off stops Slurm's processes on the node instead")
            run("ip", "link", "delete", link, check=False) if shutil.which("ip") else None
            self.process("namespace").send(signal.SIGKILL)
            self.state["link"] = None
            self.state["processes"].pop("namespace")
        self.save()

    def inside(self, *command):
        """Runs a command in the network namespace. Not `ip netns exec`, which would also change the view of /sys and mounts."""
        return run("nsenter", f"--net=/proc/{self.process('namespace').pid}/ns/net", *command)

    # Nodes

    def has_link(self, node):
        return node == CUT_NODE and self.state["link"] is not None

    def start_node(self, node):
        if (self.process(node) or Process(0, None)).alive():
            return
        conf = self.root / "etc/slurm.conf"
        command = [path_to("slurmd"), "-D", "-f", conf, "-N", node]
        if self.state["pid_namespaces"]:
            # A shell is the namespace's first process, because slurmd would not reap the orphans that come to it.
            command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", '"$@" & wait $!', "sh", *command]
        if self.has_link(node):
            command = ["nsenter", f"--net=/proc/{self.process('namespace').pid}/ns/net", *command]
        key, _, value = self.mark(node).partition("=")
        self.spawn(node, command, env={key: value})

    def kill_node(self, node):
        """Everything on the node dies at once, without a word to anyone."""
        self.process(node).send(signal.SIGKILL)
        gone = lambda: not [p.send(signal.SIGKILL) for p in marked(self.mark(node))]
        if not wait_for(gone, 10):
            raise RuntimeError(f"processes of {node} outlived SIGKILL")

    def cut_node(self, node, on):
        """Nobody hears the node any more, nor it them; its jobs go on."""
        if self.has_link(node):
            self.inside("ip", "link", "set", "eth0", "down" if on else "up")
            return
        for process in marked(self.mark(node)):
            with contextlib.suppress(OSError):
                name = pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip()
                if name.startswith("slurm"):
                    process.send(signal.SIGSTOP if on else signal.SIGCONT)

    def node_states(self):
        out = run("sinfo", "-h", "-N", "-o", "%N %T", env=self.env, check=False).stdout
        return dict(line.split() for line in out.splitlines() if len(line.split()) == 2)

    # The end

    def down(self):
        """Stops everything; what can't be stopped politely is killed. Returns what is left, which should be nothing."""
        for node in NODES:
            process = self.process(node)
            if process:
                process.send(signal.SIGKILL)
        for node in NODES:
            wait_for(lambda node=node: not [p.send(signal.SIGKILL) for p in marked(self.mark(node))], 10)
        for name, grace in [("slurmrestd", 2), ("slurmctld", 5), ("slurmdbd", 5), ("mariadbd", 10), ("munged", 2), ("namespace", 0)]:
            process = self.process(name)
            if process:
                process.end(grace)
        left = [name for name in self.state["processes"] if self.process(name).alive()]
        link = self.state["link"]
        if link:
            # The pair goes with its namespace, a moment after the last process in it.
            if not wait_for(lambda: not pathlib.Path(f"/sys/class/net/{link['name']}").exists(), 5):
                run("ip", "link", "delete", link["name"], check=False)
                left += [link["name"]] if pathlib.Path(f"/sys/class/net/{link['name']}").exists() else []
        if not left:
            self.state_file.unlink(missing_ok=True)
            (self.root / "cluster.json").unlink(missing_ok=True)
        return left
