"""Kueue as `kueue/` sets it up, beside a real API server: whose pods wait in it, and what goes on while it is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jobyard_local.kueue import USER

from tests.charts.kueue_server import RunningKueue
from tests.support.waiting import wait_until

Object = dict[str, Any]
GATE = "kueue.x-k8s.io/admission"
AWAY = "failed calling webhook"
FLAVOR = "high-memory"


def made(kind: str, name: str, spec: Object, namespace: str | None = None) -> Object:
    """An object of Kueue's."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, "spec": spec}


def queues(team: str, cpu: str) -> Iterator[Object]:
    """A team's namespace, its queue and its quota, of which any other team may use what is idle."""
    labels = {"jobyard.dev/team": team}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"queue-{team}", "labels": labels}}
    resources = [{"name": "cpu", "nominalQuota": cpu}, {"name": "memory", "nominalQuota": "1Ti"}]
    group = {
        "coveredResources": ["cpu", "memory"],
        "flavors": [{"name": FLAVOR, "resources": resources}],
    }
    only_there = {"matchLabels": {"kubernetes.io/metadata.name": f"queue-{team}"}}
    spec = {"cohortName": "jobyard", "namespaceSelector": only_there, "resourceGroups": [group]}
    yield made("ClusterQueue", f"team-{team}", spec)
    yield made("LocalQueue", "jobs", {"clusterQueue": f"team-{team}"}, f"queue-{team}")


def pod(name: str, namespace: str, cpu: str = "2") -> Object:
    """A pod in its team's queue."""
    labels = {"kueue.x-k8s.io/queue-name": "jobs"}
    requests = {"cpu": cpu, "memory": "1Gi"}
    container = {"name": "main", "image": "none", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


class Pods:
    """The pods of a test, as an administrator makes them."""

    def __init__(self, kueue: RunningKueue) -> None:
        self.kubectl = kueue.kubectl

    def create(self, *objects: Object) -> str:
        """Create them; what the API server says against it, nothing if it took them."""
        answer = self.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(objects))
        return answer.stderr

    def gates(self, namespace: str) -> dict[str, list[str]]:
        """Each pod's scheduling gates."""
        listed = json.loads(self.kubectl("get", "pods", "-n", namespace, "-o", "json").stdout)["items"]
        return {
            one["metadata"]["name"]: [gate["name"] for gate in one["spec"].get("schedulingGates", [])] for one in listed
        }

    def waiting(self, namespace: str) -> list[str]:
        """The pods that wait for quota."""
        return sorted(name for name, gates in self.gates(namespace).items() if GATE in gates)

    def running(self, namespace: str) -> list[str]:
        """Those that do not wait, whether they have ended or not."""
        return sorted(self.gates(namespace).keys() - set(self.waiting(namespace)))

    def end(self, name: str, namespace: str) -> None:
        """End it as a kubelet would."""
        status = json.dumps({"status": {"phase": "Succeeded"}})
        ended = self.kubectl(
            "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status
        )
        assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def pods(kueue: RunningKueue) -> Pods:
    """Teams `own`, with 8 cores, and `idle`, with 4, neither with a pod."""
    flavor = made("ResourceFlavor", FLAVOR, {"nodeLabels": {"jobyard.dev/node-group": FLAVOR}})
    objects = [flavor, *queues("own", "8"), *queues("idle", "4")]
    applied = kueue.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert applied.returncode == 0, applied.stderr
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    for namespace in ("queue-own", "queue-idle", "default"):
        # The controller manager, which does not run here, makes it in each namespace.
        kueue.kubectl("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(account))
    return Pods(kueue)


def test_pods_over_their_own_and_idle_quota_wait_and_go_on_as_others_end(pods: Pods) -> None:
    there = "queue-own"
    assert pods.create(*(pod(f"job-{number}", there) for number in range(10))) == ""
    wait_until(lambda: len(pods.waiting(there)) == 4)
    for name in pods.running(there)[:2]:
        pods.end(name, there)
    wait_until(lambda: len(pods.waiting(there)) == 2)
    for name in pods.running(there):
        pods.end(name, there)
    wait_until(lambda: pods.waiting(there) == [])


def test_pods_outside_the_teams_are_let_alone(pods: Pods) -> None:
    assert pods.create(pod("outside", "default")) == ""
    assert pods.gates("default") == {"outside": []}


@pytest.fixture(scope="class")
def away(kueue: RunningKueue, pods: Pods) -> Iterator[None]:
    """Kueue has ended; a pod of team `idle` runs since before."""
    assert pods.create(pod("running", "queue-idle", cpu="1m")) == ""
    wait_until(lambda: pods.waiting("queue-idle") == [])
    kueue.stop()
    yield
    kueue.start()


@pytest.mark.usefixtures("away")
class TestAway:
    """What goes on while no Kueue answers."""

    def test_no_pod_of_a_team_starts(self, pods: Pods) -> None:
        assert AWAY in pods.create(pod("late", "queue-idle"))

    def test_a_pod_that_runs_may_be_labelled(self, pods: Pods) -> None:
        labelled = pods.kubectl("label", "pod", "running", "-n", "queue-idle", "example.com/seen=yes")
        assert labelled.returncode == 0, labelled.stderr

    @pytest.mark.parametrize("namespace", ["default", "queue-idle"])
    def test_jobs_and_deployments_may_be_made(self, pods: Pods, namespace: str) -> None:
        template = {"metadata": {"labels": {"app": "other"}}, "spec": pod("other", namespace)["spec"]}
        of_all = {"metadata": {"name": "other", "namespace": namespace}}
        always = {**template, "spec": {**template["spec"], "restartPolicy": "Always"}}
        selected = {"selector": {"matchLabels": {"app": "other"}}, "template": always}
        job = {**of_all, "apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}
        deployment = {**of_all, "apiVersion": "apps/v1", "kind": "Deployment", "spec": selected}
        assert pods.create(job, deployment) == ""


def test_after_it_was_away_it_goes_on(pods: Pods) -> None:
    assert pods.create(pod("afterwards", "queue-idle", cpu="1m")) == ""
    wait_until(lambda: "afterwards" not in pods.waiting("queue-idle"))


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "pods"),
        ("get", "secrets"),
        ("get", "configmaps"),
        ("create", "pods/exec"),
        ("create", "clusterqueues.kueue.x-k8s.io"),
        ("create", "localqueues.kueue.x-k8s.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
    ],
)
def test_kueue_has_no_right_that_it_does_not_need(pods: Pods, verb: str, resource: str) -> None:
    answer = pods.kubectl("auth", "can-i", verb, resource, "--as", USER, "-n", "queue-own")
    assert answer.stdout.strip() == "no"
