"""Machines that come and go: the platform's own node pools under a real Karpenter, with EC2's machines simulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.platform.machines import read_machines
from jobyard_local import karpenter
from jobyard_local.karpenter import CONSOLIDATE_SECONDS

from tests.charts.conftest import CATALOGUE
from tests.charts.karpenter_cluster import SECONDS, TEAM, KarpenterCluster, karpenter_cluster
from tests.charts.team_pods import USUAL
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

Object = dict[str, Any]
ENVIRONMENT = {"name": "test", "karpenter": {**karpenter.values(), "fixedNodeGroups": []}}
"""Each node group has a pool, and its machines are simulated."""
EXPIRING, EXPIRES_SECONDS = "graviton", 60
"""The group whose machines get old fast."""
KEPT = "karpenter.sh/do-not-disrupt"
STAYS_SECONDS = 4 * CONSOLIDATE_SECONDS
"""For so long nothing happens to a machine that is to stay: four times as long as an empty one has."""


@pytest.fixture(scope="module")
def cluster(
    programs: Path, render_chart: Callable[..., list[Object]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KarpenterCluster]:
    rendered = render_chart("platform", ["values/node-groups.yaml"], {"environment": ENVIRONMENT})
    pools = [one for one in rendered if one["kind"] == "NodePool"]
    assert len(pools) == len(CATALOGUE)
    for pool in pools:
        if pool["metadata"]["name"] == f"jobyard-{EXPIRING}":
            pool["spec"]["template"]["spec"]["expireAfter"] = f"{EXPIRES_SECONDS}s"
    with karpenter_cluster(programs, tmp_path_factory.mktemp("karpenter"), pools) as running:
        yield running


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


def test_each_group_has_a_machine_of_its_own_when_a_pod_needs_it(cluster: KarpenterCluster) -> None:
    assert cluster.machines() == {}
    cluster.add(*(pod(group, group) for group in CATALOGUE))
    cluster.wait_for_running(list(CATALOGUE))
    machines = cluster.machines()
    assert len(machines) == len(CATALOGUE)
    for group, described in CATALOGUE.items():
        labels = machines[str(cluster.machine_of(group))]
        assert labels["jobyard.dev/node-group"] == group
        # The pods are small, and the types are in the order of their sizes.
        instance_type, smallest = labels["node.kubernetes.io/instance-type"], described["instanceTypes"][-1]
        assert instance_type in described["instanceTypes"]
        assert instance_type.partition(".")[2] == smallest.partition(".")[2]
        assert labels["kubernetes.io/arch"] == described["architecture"]
        assert labels["karpenter.sh/capacity-type"] == described["capacityType"]
    cluster.remove(*CATALOGUE)


def test_pods_share_machines(cluster: KarpenterCluster) -> None:
    """40 pods of a core each are on machines that have 48 cores together at most, however many arrive at a time."""
    names = [f"shared-{number}" for number in range(40)]
    cluster.add(*(pod(name, "high-cpu", cpu="1", memory="1Gi") for name in names))
    cluster.wait_for_running(names)
    shared = {str(cluster.machine_of(name)) for name in names}
    assert shared <= set(cluster.of_group("high-cpu"))
    known, machines = read_machines(ROOT), cluster.machines()
    assert sum(known[machines[name]["node.kubernetes.io/instance-type"]].cpu for name in shared) <= 48
    cluster.remove(*names)


def test_a_group_has_no_more_machines_than_its_limit(cluster: KarpenterCluster) -> None:
    most = CATALOGUE["gpu"]["maxNodes"]
    names = [f"gpu-{number}" for number in range(most + 2)]
    cluster.add(*(pod(name, "gpu") for name in names))
    wait_until(lambda: sum(bool(cluster.machine_of(name)) for name in names) == most, SECONDS)
    stays_so(lambda: len(cluster.of_group("gpu")) == most)
    waiting = [name for name in names if not cluster.machine_of(name)]
    assert len(waiting) == 2
    # Those that wait have the machines of those that end.
    cluster.remove(*[name for name in names if name not in waiting][:2])
    cluster.wait_for_running(waiting)
    assert len(cluster.of_group("gpu")) == most
    cluster.remove(*cluster.pods())


def test_a_pod_that_may_not_use_a_group_gets_no_machine(cluster: KarpenterCluster) -> None:
    """Without the toleration, with another architecture, or too large for any machine of its group."""
    untolerated, other, large = pod("untolerated", "high-cpu"), pod("other", "high-cpu"), pod("large", "default")
    untolerated["spec"]["tolerations"] = []
    other["spec"]["nodeSelector"]["kubernetes.io/arch"] = "arm64"
    large["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "9"
    before = cluster.machines().keys()
    cluster.add(untolerated, other, large)
    stays_so(lambda: cluster.machines().keys() <= before)
    phases = {name: one["status"]["phase"] for name, one in cluster.pods().items()}
    assert phases == {"untolerated": "Pending", "other": "Pending", "large": "Pending"}
    cluster.remove(*phases)


def test_a_running_pod_is_not_moved_to_fill_another_machine(cluster: KarpenterCluster) -> None:
    """Two machines, each with one small pod, whether it may be disturbed or not."""
    full, small = ["full-0", "full-1"], ["small-kept", "small-moved"]
    cluster.add(*(pod(name, "high-memory", cpu="15", memory="1Gi") for name in full))
    cluster.wait_for_running(full)
    cluster.add(*(pod(name, "high-memory", cpu="500m", kept=name == "small-kept") for name in small))
    cluster.wait_for_running(small)
    before = {name: cluster.machine_of(name) for name in small}
    cluster.remove(*full)
    occupied = {str(machine) for machine in before.values()}
    wait_until(lambda: set(cluster.of_group("high-memory")) == occupied, SECONDS)
    stays_so(lambda: {name: cluster.machine_of(name) for name in small} == before)
    cluster.remove(*small)


def test_an_old_machine_ends_short_pods_and_waits_for_long_ones(cluster: KarpenterCluster) -> None:
    cluster.add(pod("long", EXPIRING), pod("short", EXPIRING, kept=False))
    cluster.wait_for_running(["long", "short"])
    machine = cluster.machine_of("long")
    assert cluster.machine_of("short") == machine
    wait_until(lambda: cluster.machine_of("short") is None, EXPIRES_SECONDS + SECONDS)
    stays_so(lambda: cluster.machine_of("long") == machine)
    # It takes no new pod: that gets a machine of its own.
    cluster.add(pod("new", EXPIRING))
    cluster.wait_for_running(["new"])
    assert cluster.machine_of("new") != machine
    cluster.remove("long")
    wait_until(lambda: machine not in cluster.machines(), SECONDS)
    cluster.remove("new")


def test_no_machine_is_left_without_pods(cluster: KarpenterCluster) -> None:
    wait_until(lambda: not cluster.pods(), SECONDS)
    wait_until(lambda: cluster.machines() == {}, SECONDS)
