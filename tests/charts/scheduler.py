"""Kubernetes' own scheduler, beside an API server of the tests, and machines for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jobyard_local.processes import Process, Supervisor

from tests.support.ports import free_ports

if TYPE_CHECKING:
    from tests.charts.conftest import ApiServer

Object = dict[str, Any]


@contextmanager
def kube_scheduler(server: ApiServer, programs: Path, folder: Path) -> Iterator[Callable[[], None]]:
    """Start kube-scheduler when it is called; stop it at the end."""
    supervisor = Supervisor(folder)
    [port] = free_ports(1)
    command = [
        f"{programs}/kube-scheduler",
        f"--kubeconfig={server.kubeconfig}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
    try:
        yield lambda: supervisor.start(Process("kube-scheduler", command))
    finally:
        supervisor.stop(supervisor.names(), grace=0)


def add_machine(server: ApiServer, name: str, cores: int) -> None:
    """Make a node that takes pods, with a GiB for each core."""
    capacity = {"cpu": str(cores), "memory": f"{cores}Gi", "pods": "10"}
    ready = {"type": "Ready", "status": "True"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    labels = {"kubernetes.io/hostname": name}
    create(server, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status})
    untainted = server.kubectl("taint", "nodes", name, "node.kubernetes.io/not-ready-")
    assert untainted.returncode == 0, untainted.stderr


def add_namespace(server: ApiServer, name: str) -> None:
    """Make a namespace in which pods may be made."""
    create(server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    create(server, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})


def create(server: ApiServer, *objects: Object) -> None:
    """Make objects, one after the other."""
    for one in objects:
        made = server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(one))
        assert made.returncode == 0, made.stderr


def nodes_of_pods(server: ApiServer, namespace: str) -> dict[str, str]:
    """Return the nodes of the pods that have one, by the pods' names."""
    listed = json.loads(server.kubectl("get", "pods", "-n", namespace, "-o", "json").stdout)["items"]
    return {one["metadata"]["name"]: one["spec"]["nodeName"] for one in listed if one["spec"].get("nodeName")}


def remove(server: ApiServer, namespace: str, nodes: Iterable[str]) -> None:
    """Remove the nodes, and the pods of the namespace."""
    server.kubectl("delete", "nodes", *nodes)
    server.kubectl("delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force")
