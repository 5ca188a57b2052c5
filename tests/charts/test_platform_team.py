"""The reserved team on a real API server: every right that its launcher and its pod's service account have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jobyard_cli.platform.own_jobs import SERVICE_ACCOUNT

from tests.charts.conftest import CATALOGUE, PLATFORM, Cluster, Object
from tests.charts.test_rights import ELSEWHERE, LAUNCHER, rights

POD = f"system:serviceaccount:team-platform:{SERVICE_ACCOUNT}"
METRICS = {"prometheusUrl": "http://prometheus.monitoring:9090"}
EVERYWHERE = (*ELSEWHERE, "team-risk")


@pytest.fixture(scope="module")
def own(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> Cluster:
    """The cluster with the reserved team, as Argo CD makes it: its bounds, and its chart as its own sync identity."""
    environment = {**PLATFORM["environment"], "metrics": METRICS}
    values = {
        **PLATFORM,
        "environment": environment,
        "team": "platform",
        "ofPlatform": True,
        "repo": "https://a.b/c.git",
    }
    bounds = render_chart("bounds", ["values/platform-team.yaml"], values)
    cluster.apply(bounds)
    cluster.count_nothing("platform")
    [application] = [one for one in bounds if one["kind"] == "Application"]
    chart = render_chart("team", ["values/node-groups.yaml"], application["spec"]["source"]["helm"]["valuesObject"])
    cluster.apply(chart, *cluster.as_team("platform"))
    return cluster


def test_the_launcher_has_exactly_a_launchers_rights_in_its_namespace(own: Cluster) -> None:
    assert rights(own, "team-platform", own.as_group("jobyard:platform:launchers")) == LAUNCHER


@pytest.mark.parametrize("namespace", EVERYWHERE)
def test_the_launcher_has_no_rights_elsewhere(own: Cluster, namespace: str) -> None:
    assert rights(own, namespace, own.as_group("jobyard:platform:launchers")) == set()


@pytest.mark.parametrize("namespace", ["team-platform", *EVERYWHERE])
def test_the_pods_service_account_has_no_rights_at_all(own: Cluster, namespace: str) -> None:
    groups = ("system:serviceaccounts", "system:serviceaccounts:team-platform", "system:authenticated")
    who = ["--as", POD, *(part for group in groups for part in ("--as-group", group))]
    assert rights(own, namespace, who) == set()


@pytest.mark.parametrize("team", ["risk", "fraud"])
def test_no_other_team_may_do_anything_in_its_namespace(own: Cluster, team: str) -> None:
    for who in (own.as_team(team), own.as_group(f"jobyard:{team}:launchers"), own.as_group(f"jobyard:{team}:viewers")):
        assert {right for right in rights(own, "team-platform", who) if "priorityclasses" not in right} == set()


def test_its_service_account_mounts_no_token(own: Cluster) -> None:
    found = own.kubectl("get", "serviceaccount", SERVICE_ACCOUNT, "-n", "team-platform", "-o", "json")
    assert json.loads(found.stdout)["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
        ({"nodeSelector": {"jobyard.dev/node-group": "gpu", "kubernetes.io/arch": "amd64"}}, "node group"),
        ({"priorityClassName": "risk.high-9999"}, "PriorityClasses named platform.*"),
    ],
)
def test_its_pods_are_bounded_as_every_teams(own: Cluster, change: dict[str, Any], words: str) -> None:
    assert own.kubectl(*CREATE, stdin=yaml.safe_dump(pod({}))).returncode == 0
    refused = own.kubectl(*CREATE, stdin=yaml.safe_dump(pod(change)))
    assert refused.returncode == 1
    assert words in refused.stderr


CREATE = ("create", "--dry-run=server", "-f", "-")


def pod(change: dict[str, Any]) -> Object:
    """Return the pod of the platform's job, as the library makes it, with a part of its specification changed."""
    group = CATALOGUE["default"]
    selector = {**group["labels"], "kubernetes.io/arch": group["architecture"]}
    sizes = {"memory": "2Gi", "ephemeral-storage": "2Gi"}
    container = {
        "name": "base",
        "image": "registry.example.com/platform/metrics@sha256:" + "0" * 64,
        "args": ["--day", "2026-11-25"],
        "env": [{"name": "JOBYARD_ENVIRONMENT", "value": "prod"}],
        "resources": {"requests": {"cpu": "1", **sizes}, "limits": sizes},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/airflow/xcom/return.json",
    }
    spec = {
        "automountServiceAccountToken": False,
        "activeDeadlineSeconds": 7200,
        "containers": [container],
        "nodeSelector": selector,
        "priorityClassName": "platform.normal-100",
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "serviceAccountName": SERVICE_ACCOUNT,
        **change,
    }
    labels = {
        "jobyard.dev/team": "platform",
        "jobyard.dev/environment": "prod",
        "jobyard.dev/cost-center": "platform",
        "jobyard.dev/job": "metrics",
        "jobyard.dev/task": "collect",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "metrics-collect", "namespace": "team-platform", "labels": labels},
        "spec": spec,
    }
