"""What Argo CD can do as a team's sync identity, tried on a real API server.

Every attack is a change that a team could put into its own copy of charts/team, or a call that it would make if it had
the identity itself. Each one must be refused, and for the reason that was meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from tests.charts.attacks import (
    KINDS,
    NAMESPACES,
    NOT_ITS_NAME,
    NOT_ITS_ROLE,
    OBJECTS,
    OTHER,
    TEAM,
    Attack,
    Object,
    binding,
    cannot,
    group,
    priority_class,
    service_account,
)

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster


def try_to_make(cluster: Cluster, attack: Attack) -> CompletedProcess[str]:
    """Server-side apply with force, as Argo CD would: an object of that name that is there is changed."""
    command = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"]
    return cluster.kubectl(*command, *cluster.as_team(TEAM), stdin=json.dumps(attack.target))


@dataclass(frozen=True)
class Call:
    """A kubectl call, and what the refusal must say."""

    name: str
    reason: str
    command: tuple[str, ...]
    stdin: str | None = None


def put(path: str) -> tuple[str, ...]:
    """kubectl's arguments to replace what is at a path of the API with standard input."""
    return ("replace", "--raw", path, "-f", "-")


SCALE = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "mine"}, "spec": {"replicas": 9}}
IN_TEAM = ("-n", f"team-{TEAM}")
CALLS = [
    Call(
        "token-of-another-sync-identity",
        cannot("create", "serviceaccounts/token"),
        ("create", "token", OTHER, "-n", "jobyard-teams"),
    ),
    Call("token-of-its-jobs-account", cannot("create", "serviceaccounts/token"), ("create", "token", "jobs", *IN_TEAM)),
    Call(
        "priority-of-another-team-deleted", NOT_ITS_NAME + f"{OTHER}.normal-2000", ("delete", f"pc/{OTHER}.normal-2000")
    ),
    Call(
        "priorities-deleted-all-at-once",
        cannot("deletecollection", "priorityclasses", "scheduling.k8s.io"),
        ("delete", "--raw", "/apis/scheduling.k8s.io/v1/priorityclasses"),
    ),
    Call("namespace-deleted", cannot("delete", "namespaces"), ("delete", f"namespace/team-{TEAM}")),
    Call("quota-deleted", cannot("delete", "resourcequotas"), ("delete", "resourcequota/team", *IN_TEAM)),
    Call("limits-deleted", cannot("delete", "limitranges"), ("delete", "limitrange/containers", *IN_TEAM)),
    Call(
        "network-policy-deleted",
        cannot("delete", "networkpolicies", "networking.k8s.io"),
        ("delete", "networkpolicy/team", *IN_TEAM),
    ),
    Call(
        "its-sync-binding-deleted",
        NOT_ITS_ROLE + "ClusterRole jobyard-team-sync",
        ("delete", "rolebinding/jobyard-team-sync", *IN_TEAM),
    ),
    Call("secrets-read", cannot("list", "secrets"), ("get", "secrets", *IN_TEAM)),
    Call("secrets-of-all-read", cannot("list", "secrets"), ("get", "secrets", "--all-namespaces")),
    Call(
        "admission-policy-deleted",
        cannot("delete", "validatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("delete", "validatingadmissionpolicy/jobyard-priority-classes"),
    ),
    Call(
        "quotas-status-raised",
        cannot("update", "resourcequotas/status"),
        put(f"/api/v1/namespaces/team-{TEAM}/resourcequotas/team/status"),
        "{}",
    ),
    Call(
        "ephemeral-container",
        cannot("update", "pods/ephemeralcontainers"),
        put(f"/api/v1/namespaces/team-{TEAM}/pods/any/ephemeralcontainers"),
        "{}",
    ),
    Call(
        "scale-of-a-deployment",
        cannot("update", "deployments/scale", "apps"),
        put(f"/apis/apps/v1/namespaces/team-{TEAM}/deployments/mine/scale"),
        json.dumps(SCALE),
    ),
]


@pytest.mark.parametrize("attack", [*KINDS, *NAMESPACES, *OBJECTS], ids=lambda attack: attack.name)
def test_sync_identity_may_not_make(cluster: Cluster, attack: Attack) -> None:
    answer = try_to_make(cluster, attack)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert attack.reason in answer.stderr


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_sync_identity_is_refused(cluster: Cluster, call: Call) -> None:
    answer = cluster.kubectl(*call.command, *cluster.as_team(TEAM), stdin=call.stdin)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert call.reason in answer.stderr


@pytest.mark.parametrize(
    "changed",
    [
        priority_class(f"{TEAM}.normal-2000", value=2000, globalDefault=True),
        priority_class(f"{OTHER}.normal-2000", value=2000, description="mine"),
    ],
    ids=["its-own-made-the-clusters-default", "another-teams"],
)
def test_a_class_that_is_there_is_bounded_too(cluster: Cluster, changed: Object) -> None:
    answer = try_to_make(cluster, Attack("", changed, ""))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert "ValidatingAdmissionPolicy 'jobyard-priority-classes'" in answer.stderr


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("jobyard-launcher", "jobyard:risk:launchers"),
        ("jobyard-viewer", "jobyard:risk:on-call"),
        ("jobyard-viewer", "oidc:risk"),
    ],
)
def test_sync_identity_may_bind_what_the_platform_gave(cluster: Cluster, role: str, name: str) -> None:
    cluster.apply([binding(role, group(name))], *cluster.as_team("risk"), "--dry-run=server")


def test_sync_identity_may_give_a_service_account_the_teams_iam_role(cluster: Cluster) -> None:
    account = service_account("arn:aws:iam::111122223333:role/risk-jobs")
    cluster.apply([account], *cluster.as_team("risk"), "--dry-run=server")


@pytest.mark.parametrize("value", [1000, 9999])
def test_a_band_includes_its_ends(cluster: Cluster, value: int) -> None:
    mine = priority_class(f"risk.edge-{value}", value=value)
    cluster.apply([mine], *cluster.as_team("risk"), "--dry-run=server")


def test_a_changed_chart_syncs_and_prunes(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> None:
    values = {**cluster.team_values("risk"), "priorities": {"normal": 2000, "spare": 1500}}
    cluster.apply(render_chart("team", values=values), *cluster.as_team("risk"))
    pruned = cluster.kubectl("delete", "priorityclass/risk.spare-1500", *cluster.as_team("risk"))
    assert pruned.returncode == 0, pruned.stderr


def test_role_bindings_can_be_reconciled(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> None:
    """Argo CD's dry run before a sync goes by `kubectl auth reconcile` for these."""
    values = {
        **cluster.team_values("risk"),
        "viewerGroups": ["jobyard:risk:viewers", "oidc:risk", "jobyard:risk:auditors"],
    }
    bindings = [one for one in render_chart("team", values=values) if one["kind"] == "RoleBinding"]
    assert bindings
    for one in bindings:
        command = ["auth", "reconcile", "-f", "-", *cluster.as_team("risk")]
        answer = cluster.kubectl(*command, stdin=json.dumps(one))
        assert answer.returncode == 0, answer.stderr


def test_a_class_outside_a_narrowed_band_can_still_be_deleted(cluster: Cluster) -> None:
    cluster.apply([priority_class("risk.old-20000", value=20000)])
    deleted = cluster.kubectl("delete", "priorityclass/risk.old-20000", *cluster.as_team("risk"))
    assert deleted.returncode == 0, deleted.stderr


def test_an_unknown_sync_identity_may_change_no_class(cluster: Cluster) -> None:
    command = ["create", "clusterrolebinding", "ghost", "--clusterrole=jobyard-team-priorities"]
    bound = cluster.kubectl(*command, "--serviceaccount=jobyard-teams:ghost")
    assert bound.returncode == 0, bound.stderr
    mine = json.dumps(priority_class("ghost.mine-5000"))
    answer = cluster.kubectl("create", "-f", "-", *cluster.as_team("ghost"), stdin=mine)
    assert answer.returncode != 0
    assert "there is no team ghost" in answer.stderr


NAMESPACE_RULES = [
    (
        {"pod-security.kubernetes.io/enforce": "baseline"},
        "a team's namespace has Pod Security restricted, to enforce, warn and audit",
    ),
    (
        {"pod-security.kubernetes.io/audit": None},
        "a team's namespace has Pod Security restricted, to enforce, warn and audit",
    ),
    (
        {"pod-security.kubernetes.io/enforce-version": "v1.20"},
        "a team's namespace has the newest Pod Security, not that of an earlier version",
    ),
    (
        {"jobyard.dev/team": None},
        "a team's namespace is named team-<team> and labelled jobyard.dev/team with that team",
    ),
    (
        {"jobyard.dev/team": OTHER},
        "a team's namespace is named team-<team> and labelled jobyard.dev/team with that team",
    ),
]


@pytest.mark.parametrize(("labels", "reason"), NAMESPACE_RULES)
def test_not_even_an_administrator_lowers_pod_security(cluster: Cluster, labels: Object, reason: str) -> None:
    patch = json.dumps({"metadata": {"labels": labels}})
    answer = cluster.kubectl("patch", f"namespace/team-{TEAM}", "--type=merge", "-p", patch)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


def test_other_namespaces_are_nobodys_business(cluster: Cluster) -> None:
    labels = ["pod-security.kubernetes.io/enforce=baseline"]
    labelled = cluster.kubectl("label", "namespace/default", *labels, "--dry-run=server")
    assert labelled.returncode == 0, labelled.stderr


def test_the_store_is_not_filled_with_what_a_team_may_make(cluster: Cluster) -> None:
    there = ["resourcequota/objects", "-n", f"team-{TEAM}"]
    used = {"status": {"used": {"count/configmaps": "20"}}}
    cluster.kubectl("patch", *there, "--subresource=status", "--type=merge", "-p", json.dumps(used))
    try:
        answer = cluster.kubectl("create", "configmap", "one-more", "-n", f"team-{TEAM}", *cluster.as_team(TEAM))
        assert answer.returncode != 0, f"was let through: {answer.stdout}"
        assert "exceeded quota: objects, requested: count/configmaps=1, used: count/configmaps=20" in answer.stderr
    finally:
        cluster.count_nothing(TEAM)
