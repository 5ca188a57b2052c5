"""What pods Airflow can start with a team's credentials, tried on a real API server."""

from __future__ import annotations

import json
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
CONTAINER = {
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


def start(cluster: Cluster, spec: Object, namespace: str = "team-risk") -> CompletedProcess[str]:
    """Ask for a pod as Airflow does for team risk; nothing is kept."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine", "namespace": namespace},
        "spec": spec,
    }
    options = [*cluster.as_group("jobyard:risk:launchers"), "--dry-run=server"]
    return cluster.kubectl("create", "-f", "-", *options, stdin=json.dumps(pod))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"nodeSelector": {}}, MUST_NAME_A_GROUP, id="no-node-group"),
        pytest.param(
            {"nodeSelector": {"jobyard.dev/node-group": "gpu"}},
            "team risk may not use node group gpu",
            id="node-group-not-allowed",
        ),
        pytest.param(
            {"nodeSelector": {}, "nodeName": "gpu-1", "tolerations": [{"operator": "Exists"}]},
            MUST_NAME_A_GROUP,
            id="node-chosen-by-name",
        ),
        pytest.param(
            {"priorityClassName": "fraud.normal-2000"},
            NOT_ITS_PRIORITY + "fraud.normal-2000",
            id="priority-of-another-team",
        ),
        pytest.param(
            {"priorityClassName": "system-node-critical"},
            NOT_ITS_PRIORITY + "system-node-critical",
            id="priority-of-the-system",
        ),
        pytest.param({"hostNetwork": True}, RESTRICTED, id="node-network"),
        pytest.param({"securityContext": {}}, RESTRICTED, id="root"),
        pytest.param({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}, RESTRICTED, id="node-files"),
        pytest.param(
            {"containers": [{**CONTAINER, "resources": {"requests": {"cpu": "5"}}}]},
            "exceeded quota: team, requested: requests.cpu=5",
            id="more-than-the-quota",
        ),
        pytest.param(
            {"containers": [{**CONTAINER, "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
            "exceeded quota: team, requested: requests.nvidia.com/gpu=1",
            id="gpu-without-a-quota-of-them",
        ),
    ],
)
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
