"""What pods Airflow can start with a team's credentials, tried on a real API server."""

from __future__ import annotations

import json
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
CONTAINER: Object = {
    "name": "main",
    "image": "registry.example.com/any@sha256:" + 64 * "0",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
USUAL = {
    "nodeSelector": {"jobyard.dev/node-group": "default"},
    "priorityClassName": "risk.normal-2000",
    "serviceAccountName": "jobs",
    "restartPolicy": "Never",
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
}
WITH_SECRET_AND_SCRATCH = {
    "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "2Gi"}}],
    "containers": [
        {
            **CONTAINER,
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}}],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            "resources": {"requests": {"ephemeral-storage": "2Gi"}},
        }
    ],
}
RESTRICTED = 'violates PodSecurity "restricted:latest"'
MUST_NAME_A_GROUP = "a pod must name its node group in nodeSelector: jobyard.dev/node-group"
NOT_ITS_PRIORITY = "team risk may only use PriorityClasses named risk.*, not "
LAUNCHER = ["--as", "airflow-risk", "--as-group", "jobyard:risk:launchers", "--as-group", "system:authenticated"]
NAMELESS = "a toleration must name the key and the effect of what it tolerates"


def in_container(**security: object) -> Object:
    """The container with some of its security context changed."""
    return {**CONTAINER, "securityContext": {**CONTAINER["securityContext"], **security}}


def affinity(group: str) -> Object:
    """Node affinity to a node group."""
    expression = {"key": "jobyard.dev/node-group", "operator": "In", "values": [group]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def start(cluster: Cluster, spec: Object, namespace: str = "team-risk", dry_run: bool = True) -> CompletedProcess[str]:
    """Ask for a pod as Airflow does for team risk; by default nothing is kept."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine", "namespace": namespace},
        "spec": spec,
    }
    options = [*LAUNCHER, "--dry-run=server"] if dry_run else LAUNCHER
    return cluster.kubectl("create", "-f", "-", *options, stdin=json.dumps(pod))


BEYOND: dict[str, tuple[Object, str]] = {
    "no-node-group": ({"nodeSelector": {}}, MUST_NAME_A_GROUP),
    "node-group-not-allowed": (
        {"nodeSelector": {"jobyard.dev/node-group": "gpu"}},
        "team risk may not use node group gpu",
    ),
    "node-by-name": ({"nodeName": "gpu-1"}, "a pod may not choose its node (nodeName gpu-1): the scheduler does"),
    "node-group-by-affinity-alone": ({"nodeSelector": {}, "affinity": affinity("gpu")}, MUST_NAME_A_GROUP),
    "node-group-by-affinity": (
        {"affinity": affinity("gpu")},
        "a pod chooses its node group in nodeSelector, not by nodeAffinity",
    ),
    "tolerates-everything": ({"tolerations": [{"operator": "Exists"}]}, NAMELESS),
    "tolerates-every-effect": ({"tolerations": [{"key": "jobyard.dev/node-group", "operator": "Exists"}]}, NAMELESS),
    "tolerates-every-key": ({"tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}, NAMELESS),
    "priority-of-another-team": ({"priorityClassName": "fraud.normal-2000"}, NOT_ITS_PRIORITY + "fraud.normal-2000"),
    "priority-of-the-system": (
        {"priorityClassName": "system-node-critical"},
        NOT_ITS_PRIORITY + "system-node-critical",
    ),
    "node-network": ({"hostNetwork": True}, RESTRICTED),
    "root": ({"securityContext": {}}, RESTRICTED),
    "node-processes": ({"hostPID": True}, RESTRICTED),
    "privileged": ({"containers": [in_container(privileged=True, allowPrivilegeEscalation=True)]}, RESTRICTED),
    "root-by-number": ({"containers": [in_container(runAsUser=0)]}, RESTRICTED),
    "setuid": ({"containers": [in_container(allowPrivilegeEscalation=True)]}, RESTRICTED),
    "added-capability": (
        {"containers": [in_container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})]},
        RESTRICTED,
    ),
    "privileged-init": (
        {"initContainers": [{**in_container(privileged=True, allowPrivilegeEscalation=True), "name": "first"}]},
        RESTRICTED,
    ),
    "node-port": ({"containers": [{**CONTAINER, "ports": [{"containerPort": 80, "hostPort": 80}]}]}, RESTRICTED),
    "node-files": ({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}, RESTRICTED),
    "service-account-of-the-sync-identity": (
        {"serviceAccountName": "risk"},
        'error looking up service account team-risk/risk: serviceaccount "risk" not found',
    ),
    "more-than-the-quota": (
        {"containers": [{**CONTAINER, "resources": {"requests": {"cpu": "5"}}}]},
        "exceeded quota: team, requested: requests.cpu=5",
    ),
    "gpu-without-a-quota-of-them": (
        {"containers": [{**CONTAINER, "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
        "exceeded quota: gpu, requested: requests.nvidia.com/gpu=1",
    ),
}
"""Name of a try -> changes to the usual pod's specification, and the words of the refusal."""


@pytest.mark.parametrize(("change", "reason"), BEYOND.values(), ids=BEYOND)
def test_a_pod_beyond_the_bounds_is_refused(cluster: Cluster, change: Object, reason: str) -> None:
    answer = start(cluster, {**USUAL, **change})
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


def test_a_pod_in_another_teams_namespace_is_refused(cluster: Cluster) -> None:
    answer = start(cluster, USUAL, namespace="team-fraud")
    assert 'cannot create resource "pods" in API group "" in the namespace "team-fraud"' in answer.stderr


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="as-the-builder-makes-it"),
        pytest.param({"priorityClassName": ""}, id="without-a-priority"),
        pytest.param(WITH_SECRET_AND_SCRATCH, id="with-a-secret-and-scratch-space"),
        pytest.param({"nodeSelector": {"jobyard.dev/node-group": "high-cpu"}}, id="on-another-allowed-group"),
    ],
)
def test_a_pod_inside_the_bounds_is_let_in(cluster: Cluster, change: Object) -> None:
    answer = start(cluster, {**USUAL, **change})
    assert answer.returncode == 0, answer.stderr


TOLERATES_GPUS = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}


def test_the_toleration_that_the_api_server_adds_for_a_gpu_is_let_in(cluster: Cluster) -> None:
    answer = start(cluster, {**USUAL, **TOLERATES_GPUS})
    assert answer.returncode == 0, answer.stderr


def test_a_pod_that_is_there_can_not_be_made_to_tolerate_everything(cluster: Cluster) -> None:
    started = start(cluster, USUAL, dry_run=False)
    assert started.returncode == 0, started.stderr
    there = ["pod/mine", "-n", "team-risk", *LAUNCHER]
    try:
        added = [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]
        answer = cluster.kubectl("patch", *there, "--type=json", "-p", json.dumps(added))
        assert answer.returncode != 0, f"was let through: {answer.stdout}"
        assert NAMELESS in answer.stderr
        # What the operator itself changes is let through.
        labelled = cluster.kubectl("patch", *there, "-p", '{"metadata": {"labels": {"already_checked": "True"}}}')
        assert labelled.returncode == 0, labelled.stderr
    finally:
        cluster.kubectl("delete", "pod/mine", "-n", "team-risk", "--grace-period=0", "--force")
