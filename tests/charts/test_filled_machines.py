"""Which machine with room Kubernetes' own scheduler gives a task's pod, by the preference of `fillMachines`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobyard.pod_parts import NEAR_OTHER_TASKS

from tests.charts.scheduler import add_machine, add_namespace, create, kube_scheduler, nodes_of_pods, remove
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import ApiServer

Object = dict[str, Any]
NAMESPACE, OTHERS = "filled", "filled-by-others"
BUSY, IDLE, OTHERS_BUSY = "busy", "idle", "busy-with-other-pods"


@pytest.fixture
def machines(tmp_path: Path, api_server: ApiServer, programs: Path) -> Iterator[ApiServer]:
    """A scheduler, and machines of four cores: with two tasks of other teams, with one, and with pods of no team."""
    for namespace in (NAMESPACE, OTHERS):
        add_namespace(api_server, namespace)
    for name in (BUSY, IDLE, OTHERS_BUSY):
        add_machine(api_server, name, cores=4)
    there = {"first": (BUSY, True), "second": (BUSY, True), "third": (IDLE, True)}
    there |= {f"pod-{number}": (OTHERS_BUSY, False) for number in range(3)}
    create(api_server, *(pod(name, OTHERS, is_task, nodeName=node) for name, (node, is_task) in there.items()))
    with kube_scheduler(api_server, programs, tmp_path) as start:
        start()
        yield api_server
    remove(api_server, OTHERS, [BUSY, IDLE, OTHERS_BUSY])
    api_server.kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")


def pod(name: str, namespace: str, is_task: bool = True, **spec: Any) -> Object:
    """A pod of one core."""
    container = {"name": "base", "image": "any", "resources": {"requests": {"cpu": "1"}}}
    labels = {"jobyard.dev/team": namespace} if is_task else {}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def node_of(server: ApiServer, one: Object) -> str:
    """Make the pod, and return the node that it gets."""
    name = one["metadata"]["name"]
    create(server, one)
    wait_until(lambda: name in nodes_of_pods(server, NAMESPACE))
    return nodes_of_pods(server, NAMESPACE)[name]


def test_a_pod_gets_the_machine_that_runs_most_tasks_until_it_is_full(machines: ApiServer) -> None:
    assert node_of(machines, pod("without-preference", NAMESPACE, is_task=False)) == IDLE
    tasks = [pod(name, NAMESPACE, affinity=NEAR_OTHER_TASKS) for name in ("one", "two", "three")]
    assert [node_of(machines, one) for one in tasks] == [BUSY, BUSY, IDLE]
