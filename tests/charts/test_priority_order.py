"""Which of a team's waiting pods Kubernetes' own scheduler starts first, by the PriorityClasses of the team's chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts.conftest import CATALOGUE
from tests.charts.scheduler import add_machine, add_namespace, create, kube_scheduler, nodes_of_pods, remove
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
    with kube_scheduler(api_server, programs, tmp_path) as start:
        yield start
    remove(api_server, NAMESPACE, [NODE])


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
    add_namespace(api_server, NAMESPACE)
    # The least urgent comes first.
    create(api_server, *classes, *map(pod, LEVELS))
    add_machine(api_server, NODE, cores=1)
    scheduler()
    order = []
    for _ in LEVELS:
        wait_until(lambda: nodes_of_pods(api_server, NAMESPACE))
        [first] = nodes_of_pods(api_server, NAMESPACE)
        order.append(first)
        api_server.kubectl("delete", "pod", first, "-n", NAMESPACE, "--grace-period=0", "--force")
    assert order == ["high", "normal", "low"]
