"""What Prometheus has of short pods: the kernel's own peak, as far as docs/sampling.md promises it.

The pods here are deleted as soon as they have ended, as KubernetesPodOperator does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import yaml
from jobyard_local import control_plane
from jobyard_local.control_plane import Kubectl
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import LocalPlatform
from jobyard_local.settings import REAL_NODE_GROUPS
from jobyard_local.usage import PodUsage, UsageWatcher

from tests.support.dashboard import expressions, metrics
from tests.support.waiting import wait_until

NAMESPACE = "memory-peaks"
MIB = 2**20
LATE = {f"late-{seconds}": seconds for seconds in (2, 5, 10)}
"""Pods that hold 150 MiB in their last second alone, by how long they run."""
EARLY, NEVER = "early", "never-sampled"
LARGE_GROUP = "high-memory"
"""Its machines are simulated: no kubelet has their pods."""
WORK = """\
import sys, time

def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(2000))
        time.sleep(0.05)

before, held, after = map(float, sys.argv[1:])
work(before)
block = b"x" * (150 * 2**20)
work(held)
del block
work(after)
"""
OWN = 'namespace="memory-peaks", pod!="", container="", image=""'
"""Selects the pods' cgroups, not those of containers and of sandboxes (`image` is that of the pause container)."""


@dataclass(frozen=True)
class Prometheus:
    """The platform's, asked as the metrics job asks it."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.url}/api/v1/query", {"query": expression}, timeout=60)
        assert answer.ok, f"{expression}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def by_pod(self, expression: str) -> dict[str, float]:
        return {one["metric"]["pod"]: float(one["value"][1]) for one in self.query(expression)}

    def names(self) -> set[str]:
        """Return the names of all metrics that it has."""
        return set(requests.get(f"{self.url}/api/v1/label/__name__/values", timeout=60).json()["data"])


def pod(platform: LocalPlatform, name: str, *seconds: float, group: str = "default") -> dict[str, Any]:
    """A pod that works, holds 150 MiB, and works, for so long each."""
    container = {
        "name": "base",
        "image": f"{platform.layout.registry}/{TEAM}/inference:latest",
        "command": ["python", "-S", "-c", WORK, *map(str, seconds)],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    }
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": {"jobyard.dev/node-group": group},
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


@pytest.fixture(scope="module")
def prometheus(demo: FinishedDemo) -> Prometheus:
    return Prometheus(demo.story.platform.layout.prometheus_url)


@pytest.fixture(scope="module")
def ended(demo: FinishedDemo) -> Iterator[Mapping[str, PodUsage]]:
    """The pods of the real nodes, each ended and deleted, with the kernel's peak of each."""
    platform = demo.story.platform
    kubectl = platform.kubectl
    kubectl("create", "namespace", NAMESPACE)
    kubectl("wait", f"--namespace={NAMESPACE}", "--for=create", "serviceaccount/default", "--timeout=300s")
    pods = [pod(platform, name, seconds - 1, 1, 0) for name, seconds in LATE.items()]
    pods.append(pod(platform, EARLY, 0, 0.1, 5))
    with UsageWatcher(platform.cluster, NAMESPACE) as watcher:
        kubectl.apply(*pods, pod(platform, NEVER, 0, 0, 0, group=LARGE_GROUP))
        delete_as_they_end(kubectl, watcher, len(pods))
        uids = {usage.uid for usage in watcher.pods.values()}
        wait_until(lambda: not uids & dict(platform.cluster.memory_peaks()).keys())
    yield {usage.name: usage for usage in watcher.pods.values() if usage.name != NEVER}
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def delete_as_they_end(kubectl: Kubectl, watcher: UsageWatcher, count: int) -> None:
    """Delete each pod as soon as it has ended, until so many have."""
    deleted: set[str] = set()

    def all_deleted() -> bool:
        ended = {usage.name for usage in [*watcher.pods.values()] if usage.phase in ("Succeeded", "Failed")}
        for name in ended - deleted:
            kubectl("delete", "pod", f"--namespace={NAMESPACE}", name, "--wait=false")
            deleted.add(name)
        return len(deleted) == count

    wait_until(all_deleted)


def test_the_peak_of_a_short_pod_is_the_kernels(prometheus: Prometheus, ended: Mapping[str, PodUsage]) -> None:
    peaks = prometheus.by_pod(f"max by (pod) (max_over_time(container_memory_max_usage_bytes{{{OWN}}}[10m]))")
    kernels = {name: usage.peak_bytes for name, usage in ended.items()}
    assert all(150 * MIB < peak < 200 * MIB for peak in kernels.values()), kernels
    assert peaks == pytest.approx(kernels, rel=0.01)


def test_its_working_set_may_miss_a_moment_but_is_never_above_the_peak(
    prometheus: Prometheus, ended: Mapping[str, PodUsage]
) -> None:
    working_sets = prometheus.by_pod(f"max by (pod) (max_over_time(container_memory_working_set_bytes{{{OWN}}}[10m]))")
    assert working_sets.keys() == ended.keys()
    assert all(size <= ended[name].peak_bytes for name, size in working_sets.items())


def test_the_series_names_the_pods_uid(prometheus: Prometheus, ended: Mapping[str, PodUsage]) -> None:
    series = prometheus.query(f"last_over_time(container_memory_max_usage_bytes{{{OWN}}}[10m])")
    uids = {one["metric"]["id"].rpartition("/pod")[2] for one in series}
    assert uids == {usage.uid for usage in ended.values()}


def test_the_last_sample_says_whether_the_peak_is_final(prometheus: Prometheus, ended: Mapping[str, PodUsage]) -> None:
    """Samples have the time at which the kubelet read the cgroup: one after the container's end has all of it."""
    peak = f"max by (pod) (max_over_time(timestamp(container_memory_max_usage_bytes{{{OWN}}})[10m:1s]))"
    ends = prometheus.by_pod(f'max by (pod) (last_over_time(kube_pod_completion_time{{namespace="{NAMESPACE}"}}[10m]))')
    read = prometheus.by_pod(peak)
    assert all(read[name] >= ends[name] for name in LATE)


def test_a_pod_that_no_kubelet_had_is_known_and_has_no_usage(
    prometheus: Prometheus, ended: Mapping[str, PodUsage]
) -> None:
    assert NEVER in prometheus.by_pod(f'max by (pod) (last_over_time(kube_pod_info{{namespace="{NAMESPACE}"}}[10m]))')
    assert not prometheus.query(f'last_over_time({{__name__=~"container_.+", pod="{NEVER}"}}[10m])')


def test_nodes_say_which_machine_they_stand_for(prometheus: Prometheus, platform: LocalPlatform) -> None:
    found = [one["metric"] for one in prometheus.query("last_over_time(kube_node_labels[3h])")]
    # The large tasks of the demo ran on machines that are gone.
    assert {one["label_jobyard_dev_node_group"] for one in found} >= {*REAL_NODE_GROUPS, LARGE_GROUP}
    for one in found:
        group = platform.node_groups[one["label_jobyard_dev_node_group"]]
        assert one["label_node_kubernetes_io_instance_type"] in group["instanceTypes"]
        assert one["label_karpenter_sh_capacity_type"] == group["capacityType"]


def test_the_pods_of_jobs_say_of_which_try_they_are(prometheus: Prometheus) -> None:
    found = prometheus.query(f'last_over_time(kube_pod_labels{{namespace="team-{TEAM}"}}[3h])')
    names = ("jobyard_dev_job", "jobyard_dev_task", "dag_id", "task_id", "run_id", "try_number")
    assert found
    assert all(one["metric"][f"label_{name}"] for one in found for name in names)


def test_every_panel_of_the_dashboard_answers_and_its_metrics_are_there(
    prometheus: Prometheus, ended: Mapping[str, PodUsage]
) -> None:
    assert metrics() <= prometheus.names()
    for expression in expressions():
        prometheus.query(expression)


@pytest.mark.parametrize(
    ("user", "resources", "verbs"),
    [
        (control_plane.PROMETHEUS, ["nodes/metrics"], ["get"]),
        (control_plane.KUBE_STATE_METRICS, ["nodes", "pods"], ["list", "watch"]),
    ],
)
def test_each_has_the_rights_it_needs_and_no_other(
    platform: LocalPlatform, user: str, resources: list[str], verbs: list[str]
) -> None:
    everyones = rules(platform, "somebody")
    own = [rule for rule in rules(platform, user) if rule not in everyones]
    assert own == [{"apiGroups": [""], "resources": resources, "verbs": verbs}]


def rules(platform: LocalPlatform, user: str) -> list[dict[str, Any]]:
    """What a user may do, as the API server sees it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    options = ("create", f"--as={user}", "--as-group=system:authenticated", "--validate=false", "--output=yaml", "-f=-")
    answer = yaml.safe_load(platform.kubectl(*options, stdin=yaml.safe_dump(review)))
    found: list[dict[str, Any]] = answer["status"]["resourceRules"]
    return found
