"""What Argo CD can do as a team's sync identity, tried on a real API server.

Every attack is a change that a team could put into its own copy of charts/team. Each one must be refused,
and for the reason that was meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]


def priority_class(name: str, **fields: object) -> Object:
    """A PriorityClass that team risk may have if its name is right, with some fields changed."""
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    return {**kind, "value": 5000, "preemptionPolicy": "Never", "globalDefault": False, **fields}


def namespaced(kind: str, namespace: str, api: str = "v1", name: str = "mine", **fields: object) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


RBAC = "rbac.authorization.k8s.io/v1"
ARGOCD = "argoproj.io/v1alpha1"
ANYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def binding(kind: str, role: str, namespace: str = "team-risk") -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"kind": "ServiceAccount", "name": "risk", "namespace": "jobyard-teams"}
    return namespaced(kind, namespace, RBAC, roleRef=reference, subjects=[subject])


@dataclass(frozen=True)
class Attack:
    """A kubectl call (with an object to create, or none), and what the refusal must say."""

    name: str
    reason: str
    command: tuple[str, ...] = ("create", "-f", "-")
    target: Object | None = None

    def run(self, cluster: Cluster) -> CompletedProcess[str]:
        stdin = json.dumps(self.target) if self.target else None
        return cluster.kubectl(*self.command, *cluster.as_team("risk"), stdin=stdin)


def create(name: str, reason: str, one: Object) -> Attack:
    return Attack(name, reason, target=one)


def change(name: str, reason: str, one: Object) -> Attack:
    """Server-side apply of some fields, as Argo CD would."""
    return Attack(name, reason, ("apply", "--server-side", "--force-conflicts", "-f", "-"), one)


def cannot(verb: str, resource: str, group: str = "") -> str:
    """What RBAC answers."""
    return f'cannot {verb} resource "{resource}" in API group "{group}"'


RBAC_GROUP = "rbac.authorization.k8s.io"
TOO_MANY_RIGHTS = "is attempting to grant RBAC permissions not currently held"
NOT_ITS_NAME = "team risk may only have PriorityClasses named risk.*, not "

SYNC_ATTACKS = [
    create("configmap-of-another-team", cannot("create", "configmaps"), namespaced("ConfigMap", "team-fraud")),
    create(
        "serviceaccount-of-another-team",
        cannot("create", "serviceaccounts"),
        namespaced("ServiceAccount", "team-fraud"),
    ),
    create(
        "rolebinding-of-another-team",
        cannot("create", "rolebindings", RBAC_GROUP),
        binding("RoleBinding", "jobyard-launcher", "team-fraud"),
    ),
    create(
        "sync-identity-of-another-team",
        cannot("create", "serviceaccounts"),
        namespaced("ServiceAccount", "jobyard-teams"),
    ),
    Attack(
        "token-of-another-sync-identity",
        cannot("create", "serviceaccounts/token"),
        ("create", "token", "fraud", "-n", "jobyard-teams"),
    ),
    create("priority-of-another-team", NOT_ITS_NAME + "fraud.mine-5000", priority_class("fraud.mine-5000")),
    create("priority-with-a-longer-team-name", NOT_ITS_NAME + "risk-x.mine", priority_class("risk-x.mine")),
    create("priority-without-a-team", NOT_ITS_NAME + "urgent", priority_class("urgent")),
    create(
        "priority-above-the-band",
        "value 10000 is outside the band of team risk: 1000 to 9999",
        priority_class("risk.mine-10000", value=10000),
    ),
    create(
        "priority-below-the-band",
        "value 999 is outside the band of team risk: 1000 to 9999",
        priority_class("risk.mine-999", value=999),
    ),
    create(
        "priority-as-the-clusters-default",
        "may not be the cluster's default (globalDefault)",
        priority_class("risk.mine-5000", globalDefault=True),
    ),
    create(
        "priority-that-preempts",
        "may not preempt other pods (preemptionPolicy must be Never)",
        priority_class("risk.mine-5000", preemptionPolicy="PreemptLowerPriority"),
    ),
    create(
        "priority-that-preempts-by-default",
        "may not preempt other pods (preemptionPolicy must be Never)",
        {key: value for key, value in priority_class("risk.mine-5000").items() if key != "preemptionPolicy"},
    ),
    change(
        "priority-made-the-clusters-default-later",
        "may not be the cluster's default (globalDefault)",
        priority_class("risk.normal-2000", value=2000, globalDefault=True),
    ),
    change(
        "priority-of-another-team-changed",
        NOT_ITS_NAME + "fraud.normal-2000",
        priority_class("fraud.normal-2000", value=2000, description="mine"),
    ),
    Attack(
        "priority-of-another-team-deleted",
        NOT_ITS_NAME + "fraud.normal-2000",
        ("delete", "priorityclass/fraud.normal-2000"),
    ),
    Attack(
        "priorities-deleted-all-at-once",
        cannot("deletecollection", "priorityclasses", "scheduling.k8s.io"),
        ("delete", "--raw", "/apis/scheduling.k8s.io/v1/priorityclasses"),
    ),
    create("role", cannot("create", "roles", RBAC_GROUP), namespaced("Role", "team-risk", RBAC, rules=ANYTHING)),
    create(
        "clusterrole",
        cannot("create", "clusterroles", RBAC_GROUP),
        namespaced("ClusterRole", "team-risk", RBAC, rules=ANYTHING),
    ),
    create(
        "clusterrolebinding",
        cannot("create", "clusterrolebindings", RBAC_GROUP),
        binding("ClusterRoleBinding", "jobyard-viewer"),
    ),
    create("binding-cluster-admin", TOO_MANY_RIGHTS, binding("RoleBinding", "cluster-admin")),
    create("binding-the-schedulers-role", TOO_MANY_RIGHTS, binding("RoleBinding", "system:kube-scheduler")),
    change(
        "launcher-role-widened",
        cannot("patch", "clusterroles", RBAC_GROUP),
        {
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {"name": "jobyard-launcher"},
            "rules": ANYTHING,
        },
    ),
    change(
        "pod-security-switched-off",
        cannot("patch", "namespaces"),
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "team-risk", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        },
    ),
    Attack("namespace-deleted", cannot("delete", "namespaces"), ("delete", "namespace/team-risk")),
    create(
        "namespace-of-its-own",
        cannot("create", "namespaces"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-risk-2"}},
    ),
    change(
        "quota-raised",
        cannot("patch", "resourcequotas"),
        namespaced("ResourceQuota", "team-risk", "v1", "team", spec={"hard": {"pods": "999"}}),
    ),
    Attack(
        "quota-deleted",
        cannot("delete", "resourcequotas"),
        ("delete", "resourcequota/team", "-n", "team-risk"),
    ),
    Attack(
        "limits-deleted",
        cannot("delete", "limitranges"),
        ("delete", "limitrange/containers", "-n", "team-risk"),
    ),
    Attack(
        "network-policy-deleted",
        cannot("delete", "networkpolicies", "networking.k8s.io"),
        ("delete", "networkpolicy/team", "-n", "team-risk"),
    ),
    create(
        "network-opened",
        cannot("create", "networkpolicies", "networking.k8s.io"),
        namespaced("NetworkPolicy", "team-risk", "networking.k8s.io/v1", spec={"podSelector": {}, "ingress": [{}]}),
    ),
    create("pod", cannot("create", "pods"), namespaced("Pod", "team-risk")),
    create("secret", cannot("create", "secrets"), namespaced("Secret", "team-risk")),
    Attack("secrets-read", cannot("list", "secrets"), ("get", "secrets", "-n", "team-risk")),
    Attack(
        "admission-policy-deleted",
        cannot("delete", "validatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("delete", "validatingadmissionpolicy/jobyard-priority-classes"),
    ),
    Attack(
        "admission-policy-unbound",
        cannot("delete", "validatingadmissionpolicybindings", "admissionregistration.k8s.io"),
        ("delete", "validatingadmissionpolicybinding/jobyard-priority-classes"),
    ),
    change(
        "project-widened",
        cannot("patch", "appprojects", "argoproj.io"),
        namespaced("AppProject", "argocd", ARGOCD, "team-risk", spec={"sourceRepos": ["*"]}),
    ),
    change(
        "application-moved",
        cannot("patch", "applications", "argoproj.io"),
        namespaced("Application", "argocd", ARGOCD, "team-risk", spec={"project": "default"}),
    ),
]


@pytest.mark.parametrize("attack", SYNC_ATTACKS, ids=lambda attack: attack.name)
def test_sync_identity_is_refused(cluster: Cluster, attack: Attack) -> None:
    answer = attack.run(cluster)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert attack.reason in answer.stderr


@pytest.mark.parametrize("role", ["jobyard-launcher", "jobyard-viewer"])
def test_sync_identity_may_bind_the_two_roles_of_a_team(cluster: Cluster, role: str) -> None:
    cluster.apply([binding("RoleBinding", role)], *cluster.as_team("risk"), "--dry-run=server")


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
    values = {**cluster.team_values("risk"), "viewerGroups": ["jobyard:risk:viewers", "auditors"]}
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
