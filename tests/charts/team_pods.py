"""Pods of team risk: as the builder makes them, and with something changed, for the tests that ask an API server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.charts.conftest import Server

Object = dict[str, Any]
LAUNCHER = ["--as", "airflow-risk", "--as-group", "jobyard:risk:launchers", "--as-group", "system:authenticated"]
LABELS = {
    "jobyard.dev/team": "risk",
    "jobyard.dev/job": "score",
    "jobyard.dev/task": "predict",
    "jobyard.dev/environment": "prod",
    "jobyard.dev/cost-center": "risk",
    "airflow_kpo_in_cluster": "False",
    "airflow_version": "3.3.1",
    "dag_id": "risk.score",
    "kubernetes_pod_operator": "True",
    "run_id": "scheduled__2026-11-02",
    "task_id": "predict",
    "try_number": "1",
}
"""Those of the builder, and Airflow's own."""
CONTAINER: Object = {
    "name": "base",
    "image": "registry.example.com/risk/inference@sha256:" + 64 * "0",
    "args": ["--date", "2026-11-02"],
    "env": [
        {"name": "MODEL", "value": "xgboost"},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}},
    ],
    "resources": {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "4Gi"},
        "limits": {"memory": "1Gi", "ephemeral-storage": "4Gi"},
    },
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "terminationMessagePath": "/airflow/xcom/return.json",
    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
}
NEAR_OTHER_TASKS: Object = {
    "weight": 100,
    "podAffinityTerm": {
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {},
        "labelSelector": {"matchExpressions": [{"key": "jobyard.dev/team", "operator": "Exists"}]},
    },
}
"""The preference of pods where an environment has `fillMachines`."""
USUAL: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "mine",
        "namespace": "team-risk",
        "labels": LABELS,
        "annotations": {"karpenter.sh/do-not-disrupt": "true"},
    },
    "spec": {
        "activeDeadlineSeconds": 7200,
        "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [NEAR_OTHER_TASKS]}},
        "automountServiceAccountToken": False,
        "containers": [CONTAINER],
        "nodeSelector": {"jobyard.dev/node-group": "default", "kubernetes.io/arch": "amd64"},
        "priorityClassName": "risk.normal-2000",
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "serviceAccountName": "jobs",
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "2Gi"}}],
    },
}
"""A pod as the builder makes it. `test_built_pods.py` tries the real ones."""
REFUSAL = re.compile(r'(?:Error from server .*: error when \w+ "STDIN": [\w.]+|The \S+) "([^"]+)" is ')
BASE = "spec.containers.0"
"""Path of its container."""


def projected_token(name: str, audience: str, folder: str) -> Object:
    """What EKS's webhook adds to a pod whose service account has an AWS role: the changes."""
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": 86400, "path": "token"}}
    mounts = [*CONTAINER["volumeMounts"], {"name": name, "mountPath": f"/var/run/secrets/{folder}", "readOnly": True}]
    return {
        "spec.volumes": [*USUAL["spec"]["volumes"], {"name": name, "projected": {"sources": [source]}}],
        f"{BASE}.volumeMounts": mounts,
    }


ROLES_FOR_ACCOUNTS = {
    **projected_token("aws-iam-token", "sts.amazonaws.com", "eks.amazonaws.com/serviceaccount"),
    f"{BASE}.env": [
        *CONTAINER["env"],
        {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"},
        {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/risk-jobs"},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"},
    ],
}
"""What EKS adds for IAM roles for service accounts; EKS itself does not run here."""
POD_IDENTITY = {
    **projected_token("eks-pod-identity-token", "pods.eks.amazonaws.com", "pods.eks.amazonaws.com/serviceaccount"),
    "metadata.labels": {**LABELS, "eks.amazonaws.com/pod-identity": "enabled"},
    f"{BASE}.env": [
        *CONTAINER["env"],
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"},
        {
            "name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "value": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
        },
    ],
}
"""What EKS adds for EKS Pod Identity."""


def changed(changes: Mapping[str, Any], pod: Object = USUAL) -> Object:
    """The pod with the values at some paths, such as `spec.containers.0.image`, changed; None takes one away."""
    copy = deepcopy(pod)
    for path, value in changes.items():
        *above, last = path.split(".")
        owner = copy
        for step in above:
            owner = owner[int(step)] if isinstance(owner, list) else owner.setdefault(step, {})
        if value is None:
            del owner[last]
        else:
            owner[last] = value
    return copy


def start(cluster: Server, pod: Object, *options: str) -> CompletedProcess[str]:
    """Ask for a pod as Airflow does for team risk; nothing is kept."""
    command = ["create", "-f", "-", "--dry-run=server", *LAUNCHER, *options]
    return cluster.kubectl(*command, stdin=json.dumps(pod))


def start_all(cluster: Server, pods: Mapping[str, Object]) -> dict[str, str]:
    """Ask for pods, in one call; what is said of those that are refused, by their names."""
    items = [changed({"metadata.name": name}, pod) for name, pod in pods.items()]
    answer = start(cluster, {"apiVersion": "v1", "kind": "List", "items": items})
    assert answer.stdout.count("created") + len(refused(answer.stderr)) == len(pods), answer.stderr
    return refused(answer.stderr)


def refused(text: str) -> dict[str, str]:
    """What kubectl says of each object that was refused."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := REFUSAL.match(line):
            name = match[1]
        found[name] = f"{found.get(name, '')}{line}\n"
    found.pop("", None)
    return found


def keep(cluster: Server, pod: Object) -> None:
    """Start a pod for good."""
    started = cluster.kubectl("create", "-f", "-", *LAUNCHER, stdin=json.dumps(pod))
    assert started.returncode == 0, started.stderr


def forget(cluster: Server, name: str) -> None:
    """Delete it at once: there is no kubelet to say that it has ended."""
    cluster.kubectl("delete", f"pod/{name}", "-n", "team-risk", "--grace-period=0", "--force")
