"""What the platform's charts make of a side, and the pods that run on it."""

from __future__ import annotations

from collections import Counter

import pytest
from night.driver import pod_of
from night.scenario import ONE_TYPE, Object, Scenario, catalogue, node_pools_and_queues, of_types
from night.workload import Task


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return node_pools_and_queues(Scenario("test", of_types(ONE_TYPE), "WhenEmpty", 120, fills=True, teams=3, speed=20))


def test_each_team_has_a_queue_of_its_own(objects: list[Object]) -> None:
    kinds = Counter(one["kind"] for one in objects)
    groups = len(catalogue())
    assert kinds == {"NodePool": groups, "ResourceFlavor": groups, "ClusterQueue": 3, "LocalQueue": 3, "Namespace": 4}
    queues = {
        one["metadata"]["namespace"]: one["spec"]["clusterQueue"] for one in objects if one["kind"] == "LocalQueue"
    }
    assert queues == {f"team-t00{number}": f"team-t00{number}" for number in range(3)}


def test_pools_have_the_machines_of_the_side_and_its_times_made_shorter(objects: list[Object]) -> None:
    pools = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "NodePool"}
    for name, types in ONE_TYPE.items():
        pool = pools[f"jobyard-{name}"]
        required = {one["key"]: one["values"] for one in pool["template"]["spec"]["requirements"]}
        assert required["node.kubernetes.io/instance-type"] == types
        assert pool["disruption"]["consolidateAfter"] == "6s"
    # Of four machines at least, so that few teams are not held up.
    assert pools["jobyard-default"]["limits"] == {"cpu": "8", "memory": "32Gi"}


@pytest.mark.parametrize(("timeout", "kept"), [(600, False), (1800, True)])
def test_a_pod_is_as_the_builder_makes_it(timeout: int, kept: bool) -> None:
    scenario = Scenario("test", catalogue(), "WhenEmpty", 120, fills=True, teams=3, speed=20)
    task = Task("t000-0-neural", "t000", "gpu", 4000, 16384, 1, 90, timeout)
    made = pod_of(task, "mine", scenario)
    assert made["metadata"]["annotations"] == ({"karpenter.sh/do-not-disrupt": "true"} if kept else {})
    resources = made["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "4000m", "memory": "16384Mi", "ephemeral-storage": "1Gi"}
    assert resources["limits"] == {"memory": "16384Mi", "nvidia.com/gpu": "1"}
    assert made["spec"]["nodeSelector"] == {"jobyard.dev/node-group": "gpu", "kubernetes.io/arch": "amd64"}
    assert [one["value"] for one in made["spec"]["tolerations"]] == ["gpu", "present"]
