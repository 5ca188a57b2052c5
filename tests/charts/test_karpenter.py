"""Machines that come and go: the platform's own node pools under a real Karpenter, with EC2's machines simulated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jobyard_local.karpenter import CONSOLIDATE_SECONDS, simulated

from tests.charts.conftest import CATALOGUE
from tests.charts.karpenter_cluster import SECONDS, TEAM, KarpenterCluster, karpenter_cluster
from tests.charts.team_pods import USUAL
from tests.support.waiting import wait_until

Object = dict[str, Any]
FILES = ["values/node-groups.yaml", "values/environments/prod.yaml"]
EXPIRING, EXPIRES_SECONDS = "graviton", 30
"""The group whose machines get old fast."""
KEPT = "karpenter.sh/do-not-disrupt"
STAYS_SECONDS = 3 * CONSOLIDATE_SECONDS
"""For so long nothing happens to a machine that is to stay: three times as long as an empty one has."""


@pytest.fixture(scope="module")
def cluster(
    programs: Path, render_chart: Callable[..., list[Object]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KarpenterCluster]:
    pools = [simulated(one) for one in render_chart("platform", FILES) if one["kind"] == "NodePool"]
    assert len(pools) == len(CATALOGUE)
    for pool in pools:
        if pool["metadata"]["name"] == f"jobyard-{EXPIRING}":
            pool["spec"]["template"]["spec"]["expireAfter"] = f"{EXPIRES_SECONDS}s"
    with karpenter_cluster(programs, tmp_path_factory.mktemp("karpenter"), pools) as running:
        yield running


@pytest.fixture
def empty(cluster: KarpenterCluster) -> Iterator[KarpenterCluster]:
    """The cluster without a machine, before and after."""
    assert cluster.machines() == {}
    yield cluster
    cluster.remove()
    cluster.wait_for_none()


def pod(name: str, group: str, *, cpu: str = "500m", memory: str = "1Gi", kept: bool = True) -> Object:
    """A pod as the builder makes it for a task of the group."""
    made, described = deepcopy(USUAL), CATALOGUE[group]
    made["metadata"] |= {"name": name, "namespace": TEAM, "annotations": {KEPT: "true"} if kept else {}}
    spec, container = made["spec"], made["spec"]["containers"][0]
    spec["nodeSelector"] = {**described["labels"], "kubernetes.io/arch": described["architecture"]}
    spec["tolerations"] = [{**taint, "operator": "Equal"} for taint in described["taints"]]
    # The class is the team's chart's.
    del spec["priorityClassName"]
    container["resources"]["requests"] |= {"cpu": cpu, "memory": memory}
    container["resources"]["limits"] |= {"memory": memory}
    if "gpu" in described["capacity"]:
        container["resources"]["limits"]["nvidia.com/gpu"] = "1"
    return made


def stays_so(holds: Callable[[], bool]) -> None:
    """Look for a while whether it goes on to hold."""
    end = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < end:
        assert holds()
        time.sleep(0.5)


def test_each_group_has_a_machine_of_its_own_while_a_pod_needs_it_and_none_after(empty: KarpenterCluster) -> None:
    groups = [group for group in CATALOGUE if group != EXPIRING]
    empty.add(*(pod(group, group) for group in groups))
    empty.wait_for_running(groups)
    machines = empty.machines()
    assert len(machines) == len(groups)
    for group in groups:
        labels, described = machines[str(empty.machine_of(group))], CATALOGUE[group]
        assert labels["jobyard.dev/node-group"] == group
        assert labels["node.kubernetes.io/instance-type"] in described["instanceTypes"]
        assert labels["kubernetes.io/arch"] == described["architecture"]
        assert labels["karpenter.sh/capacity-type"] == described["capacityType"]
    empty.remove()
    empty.wait_for_none()


def test_a_machine_that_is_spot_and_arm(empty: KarpenterCluster) -> None:
    """As fast as these machines get old here, a pod that is not to be disturbed keeps its own."""
    empty.add(pod("arm", EXPIRING))
    empty.wait_for_running(["arm"])
    labels = empty.machines()[str(empty.machine_of("arm"))]
    assert labels["kubernetes.io/arch"] == "arm64"
    assert labels["karpenter.sh/capacity-type"] == "spot"
    assert labels["node.kubernetes.io/instance-type"] in CATALOGUE[EXPIRING]["instanceTypes"]


def test_pods_share_machines(empty: KarpenterCluster) -> None:
    """40 pods of a core each are on three machines of 16 cores."""
    names = [f"shared-{number}" for number in range(40)]
    empty.add(*(pod(name, "high-cpu", cpu="1", memory="1Gi") for name in names))
    empty.wait_for_running(names)
    machines = empty.machines()
    assert {labels["jobyard.dev/node-group"] for labels in machines.values()} == {"high-cpu"}
    assert len(machines) == 3
    shared = Counter(empty.machine_of(name) for name in names)
    assert max(shared.values()) >= 13


def test_a_group_has_no_more_machines_than_its_limit(empty: KarpenterCluster) -> None:
    most = CATALOGUE["gpu"]["maxNodes"]
    names = [f"gpu-{number}" for number in range(most + 2)]
    empty.add(*(pod(name, "gpu") for name in names))
    wait_until(lambda: sum(bool(empty.machine_of(name)) for name in names) == most, SECONDS)
    stays_so(lambda: len(empty.machines()) == most)
    waiting = [name for name in names if not empty.machine_of(name)]
    assert len(waiting) == 2
    # Those that wait have the machines of those that end.
    empty.remove(*[name for name in names if name not in waiting][:2])
    empty.wait_for_running(waiting)
    assert len(empty.machines()) == most


def test_a_pod_that_may_not_use_a_group_gets_no_machine(empty: KarpenterCluster) -> None:
    """Without the toleration, with another architecture, or too large for any machine of its group."""
    untolerated, other, large = pod("untolerated", "high-cpu"), pod("other", "high-cpu"), pod("large", "default")
    untolerated["spec"]["tolerations"] = []
    other["spec"]["nodeSelector"]["kubernetes.io/arch"] = "arm64"
    large["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "3"
    empty.add(untolerated, other, large)
    stays_so(lambda: empty.machines() == {})
    assert {one["status"]["phase"] for one in empty.pods().values()} == {"Pending"}


def test_a_running_pod_is_not_moved_to_fill_another_machine(empty: KarpenterCluster) -> None:
    """Two machines, each with one small pod, whether it may be disturbed or not."""
    names = ["small-kept", "small-moved", "full-0", "full-1"]
    empty.add(*(pod(name, "high-memory", cpu="15", memory="1Gi") for name in names[2:]))
    empty.wait_for_running(names[2:])
    empty.add(*(pod(name, "high-memory", cpu="500m", kept=name == "small-kept") for name in names[:2]))
    empty.wait_for_running(names[:2])
    before = {name: empty.machine_of(name) for name in names[:2]}
    empty.remove(*names[2:])
    occupied = {str(machine) for machine in before.values()}
    wait_until(lambda: set(empty.machines()) == occupied, SECONDS)
    stays_so(lambda: {name: empty.machine_of(name) for name in names[:2]} == before)


def test_an_old_machine_ends_short_pods_and_waits_for_long_ones(empty: KarpenterCluster) -> None:
    empty.add(pod("long", EXPIRING), pod("short", EXPIRING, kept=False))
    empty.wait_for_running(["long", "short"])
    machine = empty.machine_of("long")
    assert empty.machine_of("short") == machine
    wait_until(lambda: empty.machine_of("short") is None, EXPIRES_SECONDS + SECONDS)
    stays_so(lambda: empty.machine_of("long") == machine)
    # It takes no new pod: that gets a machine of its own.
    empty.add(pod("new", EXPIRING))
    empty.wait_for_running(["new"])
    assert empty.machine_of("new") != machine
    empty.remove("long")
    wait_until(lambda: machine not in empty.machines(), SECONDS)
