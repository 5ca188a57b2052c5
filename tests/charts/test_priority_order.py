"""Which of a team's waiting pods Kubernetes' own scheduler starts first, by the PriorityClasses of the team's chart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jobyard_local.processes import Process, Supervisor

from tests.charts.conftest import CATALOGUE
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import ApiServer

Object = dict[str, Any]
NAMESPACE = "order"
LEVELS = {"low": 1000, "normal": 2000, "high": 9999}
NODE = "one-core"


@pytest.fixture
def scheduler(tmp_path: Path, api_server: ApiServer, programs: Path) -> Iterator[Callable[[], None]]:
    """Start kube-scheduler when it is called; what it schedules is gone at the end."""
    supervisor = Supervisor(tmp_path)
    [port] = free_ports(1)
    command = [
        f"{programs}/kube-scheduler",
        f"--kubeconfig={api_server.kubeconfig}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
    try:
        yield lambda: supervisor.start(Process("kube-scheduler", command))
    finally:
        supervisor.stop(supervisor.names(), grace=0)
        api_server.kubectl("delete", "node", NODE)
        api_server.kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")


def node() -> Object:
    """A machine on which one of the pods fits at a time."""
    capacity = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    ready = {"type": "Ready", "status": "True"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "status": status}


def pod(level: str) -> Object:
    """A pod that needs the whole machine."""
    container = {"name": "main", "image": "any", "resources": {"requests": {"cpu": "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": level, "namespace": NAMESPACE},
        "spec": {"priorityClassName": f"order.{level}-{LEVELS[level]}", "containers": [container]},
    }


def test_of_a_teams_waiting_pods_the_one_of_the_highest_priority_gets_the_machine(
    api_server: ApiServer, render_chart: Callable[..., list[Object]], scheduler: Callable[[], None]
) -> None:
    values = {
        "team": "order",
        "allowedNodeGroups": ["default"],
        "serviceAccounts": {"jobs": {"roleArn": ""}},
        "priorities": LEVELS,
        "viewerGroups": [],
        "nodeGroups": CATALOGUE,
    }
    classes = [one for one in render_chart("team", values=values) if one["kind"] == "PriorityClass"]
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    # The least urgent comes first.
    for one in (namespace, account, *classes, *map(pod, LEVELS), node()):
        made = api_server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(one))
        assert made.returncode == 0, made.stderr
    untainted = api_server.kubectl("taint", "nodes", NODE, "node.kubernetes.io/not-ready-")
    assert untainted.returncode == 0, untainted.stderr

    def scheduled() -> list[str]:
        listed = json.loads(api_server.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json").stdout)["items"]
        return [one["metadata"]["name"] for one in listed if one["spec"].get("nodeName")]

    scheduler()
    order = []
    for _ in LEVELS:
        wait_until(scheduled)
        [first] = scheduled()
        order.append(first)
        api_server.kubectl("delete", "pod", first, "-n", NAMESPACE, "--grace-period=0", "--force")
    assert order == ["high", "normal", "low"]
