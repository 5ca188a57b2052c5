"""What pods Airflow can start with a team's credentials, tried on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts.pod_attacks import CHANGED, CREATED
from tests.charts.team_pods import (
    BASE,
    CONTAINER,
    LAUNCHER,
    POD_IDENTITY,
    ROLES_FOR_ACCOUNTS,
    USUAL,
    changed,
    forget,
    keep,
    start,
    start_all,
)

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
MINE = ["pod/mine", "-n", "team-risk"]
THERE = [*MINE, *LAUNCHER]
TOLERATED = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for state in ("not-ready", "unreachable")
]


@pytest.fixture(scope="module")
def refusals(cluster: Cluster) -> dict[str, str]:
    """Return the API server's message for each pod that it does not admit, by the pod's name."""
    return start_all(cluster, {name: changed(changes) for name, (changes, _) in CREATED.items()})


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (_, reason) in CREATED.items()], ids=CREATED)
def test_a_pod_beyond_the_bounds_is_refused(refusals: dict[str, str], name: str, reason: str) -> None:
    assert name in refusals, "was let through"
    assert reason in refusals[name]


def test_a_pod_in_another_teams_namespace_is_refused(cluster: Cluster) -> None:
    answer = start(cluster, changed({"metadata.namespace": "team-fraud"}))
    assert 'cannot create resource "pods" in API group "" in the namespace "team-fraud"' in answer.stderr


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as-the-builder-makes-it"),
        pytest.param({"metadata.annotations": None}, id="that-may-be-moved"),
        pytest.param({"spec.affinity": None}, id="that-prefers-no-machine"),
        pytest.param({f"{BASE}.securityContext.readOnlyRootFilesystem": True}, id="that-writes-to-scratch-alone"),
        pytest.param({"spec.volumes": None, f"{BASE}.volumeMounts": None}, id="without-scratch-space"),
        pytest.param(ROLES_FOR_ACCOUNTS, id="with-an-aws-role-by-its-service-account"),
        pytest.param(POD_IDENTITY, id="with-an-aws-role-by-pod-identity"),
        pytest.param({"spec.tolerations": TOLERATED}, id="with-the-tolerations-that-the-api-server-adds"),
    ],
)
def test_a_pod_inside_the_bounds_is_let_in(cluster: Cluster, changes: Object) -> None:
    answer = start(cluster, changed(changes))
    assert answer.returncode == 0, answer.stderr


def test_a_container_that_says_nothing_gets_little_and_no_more(cluster: Cluster) -> None:
    answer = start(cluster, changed({f"{BASE}.resources": {}}), "-o", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
        "limits": {"memory": "512Mi", "ephemeral-storage": "1Gi"},
    }


@pytest.fixture(scope="module")
def pod(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, with a pod of the team's that is there."""
    keep(cluster, USUAL)
    yield cluster
    forget(cluster, "mine")


@pytest.mark.parametrize(("patch", "reason"), CHANGED.values(), ids=CHANGED)
def test_a_pod_that_is_there_can_not_be_made_one_that_would_be_refused(
    pod: Cluster, patch: list[Object], reason: str
) -> None:
    """The launcher may change nothing, and the policy holds those who may: here an administrator."""
    answer = pod.kubectl("patch", *MINE, "--dry-run=server", "--type=json", "-p", json.dumps(patch))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


def test_the_launcher_may_not_change_a_pod(pod: Cluster) -> None:
    labelled = pod.kubectl("patch", *THERE, "-p", '{"metadata": {"labels": {"try_number": "2"}}}')
    assert '"airflow-risk" cannot patch resource "pods"' in labelled.stderr


def test_a_label_of_airflows_may_be_changed(pod: Cluster) -> None:
    labelled = pod.kubectl("patch", *MINE, "-p", '{"metadata": {"labels": {"try_number": "2"}}}')
    assert labelled.returncode == 0, labelled.stderr


def test_a_label_that_the_api_server_has_put_does_not_stop_a_change(pod: Cluster) -> None:
    """From Kubernetes 1.35 on, binding a pod copies its node's zone to it."""
    target = {"apiVersion": "v1", "kind": "Node", "name": "default-1"}
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "mine", "labels": {"topology.kubernetes.io/zone": "eu-central-1a"}},
        "target": target,
    }
    bound = pod.kubectl(
        "create", "--raw=/api/v1/namespaces/team-risk/pods/mine/binding", "-f", "-", stdin=json.dumps(binding)
    )
    assert bound.returncode == 0, bound.stderr
    assert "eu-central-1a" in pod.kubectl("get", *THERE, "-o", "json").stdout
    patch = '{"metadata": {"labels": {"try_number": "3"}}}'
    labelled = pod.kubectl("patch", *MINE, "--dry-run=server", "-p", patch)
    assert labelled.returncode == 0, labelled.stderr


@pytest.mark.parametrize(
    ("subresource", "patch"),
    [
        ("resize", {"spec": {"containers": [{"name": "base", "resources": {"requests": {"cpu": "3"}}}]}}),
        ("ephemeralcontainers", {"spec": {"ephemeralContainers": [{**CONTAINER, "name": "more"}]}}),
        ("status", {"status": {"phase": "Succeeded"}}),
    ],
)
def test_the_launcher_may_not_ask_for_a_part_of_a_pod(pod: Cluster, subresource: str, patch: Object) -> None:
    answer = pod.kubectl("patch", *THERE, f"--subresource={subresource}", "-p", json.dumps(patch))
    assert f'"airflow-risk" cannot get resource "pods/{subresource}"' in answer.stderr
    for verb in ("create", "patch", "update"):
        may = pod.kubectl(
            "auth", "can-i", verb, "pods/mine", f"--subresource={subresource}", "-n", "team-risk", *LAUNCHER
        )
        assert may.stdout == "no\n"


@pytest.mark.parametrize(("subresource", "kind"), [("binding", "v1"), ("eviction", "policy/v1")])
def test_nor_place_or_evict_it(pod: Cluster, subresource: str, kind: str) -> None:
    path = f"--raw=/api/v1/namespaces/team-risk/pods/mine/{subresource}"
    body = {"apiVersion": kind, "kind": subresource.capitalize(), "metadata": {"name": "mine"}}
    answer = pod.kubectl("create", path, "-f", "-", *LAUNCHER, stdin=json.dumps(body))
    assert f'cannot create resource "pods/{subresource}"' in answer.stderr


def test_not_even_an_administrator_adds_a_container_or_resizes_past_the_bounds(pod: Cluster) -> None:
    """Who may do that falls under the policy too."""
    more = {"spec": {"ephemeralContainers": [{"name": "more", "image": "registry.example.com/any"}]}}
    added = pod.kubectl("patch", *MINE, "--subresource=ephemeralcontainers", "-p", json.dumps(more))
    assert "ephemeralContainers" in added.stderr or "violates PodSecurity" in added.stderr
    assert added.returncode != 0
    larger = {"spec": {"containers": [{"name": "base", "resources": {"limits": {"memory": "9Gi"}}}]}}
    resized = pod.kubectl("patch", *MINE, "--subresource=resize", "-p", json.dumps(larger))
    assert resized.returncode != 0


def test_a_pod_is_not_deleted_with_ten_years_to_end(pod: Cluster) -> None:
    answer = pod.kubectl("delete", *THERE, "--dry-run=server", "--grace-period=315360000", "--wait=false")
    assert "gracePeriodSeconds must be at most 120, not 315360000" in answer.stderr
    allowed = pod.kubectl("delete", *THERE, "--dry-run=server", "--grace-period=30", "--wait=false")
    assert allowed.returncode == 0, allowed.stderr


def test_limits_count_towards_the_quota_before_anything_is_used(cluster: Cluster) -> None:
    """Three pods that may have 3Gi each are more than 8Gi, though they request less; so are pods that have ended."""
    hard = json.loads(cluster.kubectl("get", "resourcequota/team", "-n", "team-risk", "-o", "json").stdout)["spec"][
        "hard"
    ]
    assert hard == {
        "pods": "5",
        "count/pods": "20",
        "requests.cpu": "4",
        "requests.memory": "8Gi",
        "limits.memory": "8Gi",
        "requests.ephemeral-storage": "10Gi",
        "limits.ephemeral-storage": "10Gi",
    }
    large = {f"{BASE}.resources.requests.memory": "1536Mi", f"{BASE}.resources.limits.memory": "3Gi"}
    disk = {f"{BASE}.resources.{kind}.ephemeral-storage": "1Gi" for kind in ("requests", "limits")}
    names = ["first", "second", "third"]
    try:
        for name in names[:2]:
            keep(cluster, changed({"metadata.name": name, **large, **disk}))
        answer = start(cluster, changed({"metadata.name": "third", **large, **disk}))
        assert "exceeded quota: team, requested: limits.memory=3Gi, used: limits.memory=" in answer.stderr
    finally:
        for name in names:
            forget(cluster, name)
