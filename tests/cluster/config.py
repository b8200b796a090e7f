"""The configuration files of the cluster, with the reason of each line that is not plain."""
import os
import socket

from cluster import CPUS, KINDS, MEMORY_MIB, NODES


def host():
    return socket.gethostname().split(".")[0]


def controller(cluster):
    """Where slurmctld is heard: by all nodes, so on the link where there is one."""
    link = cluster.state["link"]
    return link["outside"] if link else "127.0.0.1"


def slurm_conf(cluster, accounting):
    root, ports = cluster.root, cluster.state["ports"]
    lines = [
        "ClusterName=lab",
        f"SlurmctldHost={host()}({controller(cluster)})",
        f"SlurmctldPort={ports['slurmctld']}",
        "AuthType=auth/munge",
        # A requeued job starts only after its first credential has run out: 120 s by default.
        f"AuthInfo=socket={root}/run/munge.sock,cred_expire=30",
        "AuthAltTypes=auth/jwt",
        f"AuthAltParameters=jwt_key={root}/state/jwt.key",
        "CredType=cred/munge",
        "SlurmUser=root",
        "SlurmdUser=root",
        f"StateSaveLocation={root}/state",
        f"SlurmctldPidFile={root}/run/slurmctld.pid",
        f"SlurmctldLogFile={root}/log/slurmctld.log",
        f"SlurmdPidFile={root}/run/slurmd-%n.pid",
        f"SlurmdLogFile={root}/log/%n.log",
        f"SlurmdSpoolDir={root}/spool/%n",
        # One host, no cgroups: processes are tracked by /proc, and nothing is pinned.
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/linux",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        # The nodes are what this file says, not what the host has.
        "SlurmdParameters=config_overrides",
        "ReturnToService=2",
        # How soon a lost node is noticed. Real clusters wait 300 s.
        "SlurmdTimeout=15",
        "TCPTimeout=2",
        "InactiveLimit=0",
        "KillWait=5",
        "MinJobAge=600",
        "JobRequeue=1",
        "SchedulerParameters=sched_interval=5,bf_interval=5",
        "MpiDefault=none",
        "MailProg=/bin/true",
        f"GresTypes={','.join(KINDS)}",
        "JobCompType=jobcomp/none",
    ]
    if accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={ports['slurmdbd']}",
            # Not a password: with munge, this is the socket for the connection to slurmdbd.
            f"AccountingStoragePass={root}/run/munge.sock",
            f"AccountingStorageTRES={','.join(f'gres/{kind}' for kind in KINDS)}",
            "AccountingStorageEnforce=associations,limits,qos",
        ]
    else:
        lines += ["AccountingStorageType=accounting_storage/none"]
    for name, gres in NODES.items():
        address = cluster.state["link"]["inside"] if cluster.has_link(name) else "127.0.0.1"
        # RIXIN_CLUSTER_PREFER names a node that gets jobs first.
        prefer = os.environ.get("RIXIN_CLUSTER_PREFER")
        weight = f" Weight={1 if name == prefer else 10}" if prefer else ""
        counts = ",".join(f"{kind}:{model}:{count}" for kind, model, count, _ in gres)
        lines.append(f"NodeName={name} NodeHostname={host()} NodeAddr={address} Port={ports[name]} CPUs={CPUS} RealMemory={MEMORY_MIB} Gres={counts}{weight}")
    lines.append(f"PartitionName=batch Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE DefMemPerCPU=100 State=UP")
    return "\n".join(lines) + "\n"


def gres_conf(cluster):
    lines = []
    for name, gres in NODES.items():
        for kind, model, count, files in gres:
            what = f"File={cluster.root}/dev/{name}-{kind}[0-{count - 1}]" if files else f"Count={count}"
            lines.append(f"NodeName={name} Name={kind} Type={model} {what}")
    return "\n".join(lines) + "\n"


def slurmdbd_conf(cluster, password):
    root, ports = cluster.root, cluster.state["ports"]
    return "\n".join([
        "AuthType=auth/munge",
        f"AuthInfo=socket={root}/run/munge.sock",
        "AuthAltTypes=auth/jwt",
        f"AuthAltParameters=jwt_key={root}/state/jwt.key",
        f"DbdHost={host()}",
        "DbdAddr=127.0.0.1",
        f"DbdPort={ports['slurmdbd']}",
        "SlurmUser=root",
        "StorageType=accounting_storage/mysql",
        "StorageHost=127.0.0.1",
        f"StoragePort={ports['mariadbd']}",
        "StorageUser=slurm",
        f"StoragePass={password}",
        "StorageLoc=slurm_acct",
        f"LogFile={root}/log/slurmdbd.log",
        f"PidFile={root}/run/slurmdbd.pid",
    ]) + "\n"
