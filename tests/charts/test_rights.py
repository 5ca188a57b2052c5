"""Every right that launchers, viewers and sync identities have, as a real API server lists them.

The lists are complete, so a right too many shows as well as one too few.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

READ = ("get", "list", "watch")
CHANGE = (*READ, "create", "patch", "update", "delete")
NOBODY = ["--as", "system:serviceaccount:default:nobody"]
"""A service account that nothing is bound to: what it may do, every service account may."""


def each(verbs: tuple[str, ...], *resources: str) -> set[str]:
    return {f"{verb} {resource}" for verb in verbs for resource in resources}


LAUNCHER = each(("create", "get", "list", "watch", "delete"), "pods")
LAUNCHER |= each(("get",), "pods/log") | each(("list", "watch"), "events")
VIEWER = each(READ, "configmaps", "events", "limitranges", "pods", "resourcequotas", "serviceaccounts")
VIEWER |= each(READ, "jobs.batch") | each(("get",), "pods/log")
PRIORITIES = each(CHANGE, "priorityclasses.scheduling.k8s.io")
SYNC = each(CHANGE, "configmaps", "serviceaccounts", "rolebindings.rbac.authorization.k8s.io")
SYNC |= {f"bind clusterroles.rbac.authorization.k8s.io/{role}" for role in ("jobyard-launcher", "jobyard-viewer")}
ELSEWHERE = ("team-fraud", "jobyard-teams", "argocd", "default", "kube-system")


def rights(cluster: Cluster, namespace: str, who: list[str]) -> set[str]:
    """What somebody may do in a namespace or on the whole cluster, and an account with no binding may not."""
    return listed(cluster, namespace, who) - listed(cluster, namespace, NOBODY)


def listed(cluster: Cluster, namespace: str, who: list[str]) -> set[str]:
    """Every `verb resource[.group][/name]` that the API server says they may do there."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    command = ["create", "--validate=false", "-f", "-", "-o", "json"]
    answer = cluster.kubectl(*command, *who, stdin=json.dumps(review))
    assert answer.returncode == 0, answer.stderr
    status = json.loads(answer.stdout)["status"]
    assert not status["incomplete"], status
    return {right for rule in status["resourceRules"] for right in spelled_out(rule)}


def spelled_out(rule: dict[str, Any]) -> Iterator[str]:
    """One rule's rights, one by one."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            suffix = f".{group}" if group else ""
            for name in rule.get("resourceNames") or [""]:
                for verb in rule["verbs"]:
                    yield f"{verb} {resource}{suffix}" + (f"/{name}" if name else "")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("jobyard:risk:launchers", LAUNCHER),
        ("jobyard:risk:viewers", VIEWER),
        ("jobyard:fraud:launchers", set()),
    ],
)
def test_a_group_has_exactly_its_rights_in_the_teams_namespace(
    cluster: Cluster, group: str, expected: set[str]
) -> None:
    assert rights(cluster, "team-risk", cluster.as_group(group)) == expected


@pytest.mark.parametrize("namespace", ELSEWHERE)
@pytest.mark.parametrize("group", ["jobyard:risk:launchers", "jobyard:risk:viewers"])
def test_a_group_has_no_right_anywhere_else(cluster: Cluster, group: str, namespace: str) -> None:
    assert rights(cluster, namespace, cluster.as_group(group)) == set()


def test_a_sync_identity_has_exactly_its_rights_in_the_teams_namespace(cluster: Cluster) -> None:
    assert rights(cluster, "team-risk", cluster.as_team("risk")) == SYNC | PRIORITIES


@pytest.mark.parametrize("namespace", ELSEWHERE)
def test_elsewhere_a_sync_identity_only_has_priority_classes(cluster: Cluster, namespace: str) -> None:
    assert rights(cluster, namespace, cluster.as_team("risk")) == PRIORITIES


def test_the_jobs_account_of_a_team_has_no_right_at_all(cluster: Cluster) -> None:
    account = ["--as", "system:serviceaccount:team-risk:jobs"]
    assert rights(cluster, "team-risk", account) == set()
