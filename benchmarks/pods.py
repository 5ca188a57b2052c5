"""A thousand pods at once: what follows them, and what it costs, beside the provider's own ways to do it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from jobs import ROOT
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir, state_dir
from jobyard_cli.system.programs import stream
from jobyard_cli.system.waiting import NotYetError, until
from jobyard_local import airflow, control_plane, machine, simulated_nodes, tools
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.cluster import EmbeddedCluster, namespace
from jobyard_local.errors import TookTooLongError
from jobyard_local.layout import Layout
from jobyard_local.platform import LocalPlatform
from jobyard_local.processes import Process
from jobyard_local.settings import Source
from pods_report import chain, steady

PODS = int(os.environ.get("PODS", "1000"))
MINUTES = float(os.environ.get("MINUTES", "10"))
PARTS = os.environ.get("PARTS", "chain,steady,trickle,provider").split(",")
"""To try a part of it, or a small number."""
TEAMS = [f"team{number}" for number in range(10)]
LADDERS = {"2": [10, 20, 40, 80], "10": [50, 100, 200, 400]}
LIVES, APART = 60, 6
"""Seconds; as in in_airflow/pods/run.py."""
NODES, KUBELET_PORT, READY_SECONDS = 26, 18450, 300
TEST_PACKAGES = ["pytest", "apache-airflow-providers-postgres"]
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
]

TEXT = f"""\
## {PODS:,} pods at once

Airflow 3.3.1 on PostgreSQL, a real API server, scheduler and etcd, and nodes that kwok simulates; {len(TEAMS)} teams
with 10 jobs each, whose tasks are deferred. A start of a worker takes seconds of a processor, so the rows of all tasks
but a few are copies of those that workers left: {{alike}} compared with such copies had the same form. The kubeconfig
has client certificates, so that no side runs a plugin for a token. Each pod has a log that is followed through the API
server, from a stand-in for the kubelet. Memory is by the share of each process in its pages (PSS). The provider's
deferral reads no log while a pod runs; it is measured with more and more pods, until it no longer looks at each within
1.25 times its interval. Its windows come after Jobyard's in the same triggerer, whose memory does not shrink. A log or
a watch that is followed counts as a request when it ends.

{{steady}}

### From schedule to success

Ten tasks at once, each pod ended after {LIVES} s or more, {APART} s after the one before: processor seconds of
Airflow's scheduler with its workers, triggerer and API server, less what they use without tasks; what a task holds of a
worker, or of the triggerer, while its pod runs; and how long the deferred task holds a slot, before its deferral and
after it.

{{chain}}
"""


def section() -> str:
    """Measure, and return the result as Markdown."""
    results: list[dict[str, Any]] = []

    def take(line: str) -> None:
        print(line, flush=True)
        if line.startswith("{"):
            results.append(json.loads(line))

    with Steps(new_console()) as steps:
        with steps.step("PostgreSQL") as report:
            machine.install({"postgresql": "pg_ctlcluster"}, report)
        with steps.step("Airflow") as report:
            installed = airflow.environment(Source.find(), cache_dir(), report, extra=TEST_PACKAGES)
        with _cluster(steps) as settings:
            folder = ROOT / "benchmarks" / "in_airflow"
            paths = [ROOT / "dags", ROOT / "tests" / "dags", folder]
            python = installed / "bin"
            environment = {
                "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
            }
            command = [python / "python", "-m", "pods.run", json.dumps(settings)]
            stream([*map(str, command)], take, what="measuring", environment=environment, cwd=ROOT)
    return TEXT.format(steady=steady(results), chain=chain(results), alike=_alike(results))


def _alike(results: list[dict[str, Any]]) -> str:
    [found] = [result for result in results if result["part"] == "samples"]
    return f"{found['alike']} of {found['of']}"


@contextmanager
def _cluster(steps: Steps) -> Iterator[dict[str, Any]]:
    """A control plane with simulated nodes, and a namespace for each team; yield what is to be measured, and where."""
    state = state_dir("bench-pods")
    platform = LocalPlatform(state, Source.find())
    platform.down(purge=True)
    with steps.step("Kubernetes, kwok") as step:
        layout = Layout.choose(state, tools.ensure(cache_dir(), step), 0)
    authority = CertificateAuthority(state / "pki")
    platform.layout = layout
    cluster = EmbeddedCluster(layout, platform.node_groups, platform.supervisor)
    port = machine.free_port(KUBELET_PORT, layout.ports.values())
    serving = authority.issue("log-server", "log-server", hosts=["127.0.0.1"])
    try:
        with steps.step("control plane"):
            for process in control_plane.processes(layout, authority):
                platform.supervisor.start(process)
            kwok = simulated_nodes.kwok_process(layout, authority)
            # With a name too, as kwok takes a node's only address away again where one of the two is missing.
            options = ["--node-ip=127.0.0.1", "--node-name=simulated", f"--node-port={port}"]
            platform.supervisor.start(Process(kwok.name, [*kwok.command, *options]))
            cluster.kubectl.apply(*_nodes(platform.node_groups["default"]))
            late = TookTooLongError.of("the nodes' becoming ready", READY_SECONDS)
            until(lambda: _ready(cluster), READY_SECONDS, late)
        cluster.kubectl.apply(*_objects())
        yield {
            "kubeconfig": str(_kubeconfig(layout, authority)),
            "admin": str(layout.admin_kubeconfig),
            "audit": str(layout.audit_log),
            "certificate": str(serving.certificate),
            "key": str(serving.key),
            "port": port,
            "pods": PODS,
            "minutes": MINUTES,
            "ladders": LADDERS,
            "parts": PARTS,
        }
    finally:
        platform.down(purge=True)


def _nodes(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number in range(NODES):
        yield simulated_nodes.simulated_node(f"bench-{number}", group)


def _ready(cluster: EmbeddedCluster) -> None:
    nodes = cluster.kubectl.once.json("get", "nodes")["items"]
    ready = [node for node in nodes if '"type": "Ready"' in json.dumps(node.get("status", {}))]
    if len(ready) < NODES:
        raise NotYetError(f"{len(ready)} of {NODES}")


def _objects() -> Iterator[dict[str, Any]]:
    """What the charts make for each team, as far as a pod needs it."""
    rbac = "rbac.authorization.k8s.io"
    yield {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "launcher"}, "rules": RULES}
    for team in TEAMS:
        of = {"namespace": namespace(team)}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(team)}}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jobs", **of}}
        kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
        yield {**kind, "metadata": {"name": f"{team}.normal-2000"}, "value": 2000, "preemptionPolicy": "Never"}
        role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "launcher"}
        group = {"apiGroup": rbac, "kind": "Group", "name": f"jobyard:{team}:launchers"}
        binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "roleRef": role, "subjects": [group]}
        yield {**binding, "metadata": {"name": "launcher", **of}}


def _kubeconfig(layout: Layout, authority: CertificateAuthority) -> Path:
    """Write a kubeconfig with a certificate and a context for each team: nothing is run for it, and nothing asked."""
    users, contexts = [], []
    for team in TEAMS:
        pair = authority.issue(f"launcher-{team}", f"airflow-{team}", [f"jobyard:{team}:launchers"])
        files = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
        users.append({"name": f"airflow-{team}", "user": files})
        context = {"cluster": "local", "user": f"airflow-{team}", "namespace": namespace(team)}
        contexts.append({"name": team, "context": context})
    server = {"server": layout.api_url, "certificate-authority": str(authority.root.certificate)}
    path = layout.state / "teams.yaml"
    clusters = [{"name": "local", "cluster": server}]
    whole = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts}
    control_plane.write_private(path, yaml.safe_dump({**whole, "current-context": TEAMS[0]}))
    return path
