"""What a team's people and its Airflow can't do with the credentials they have, tried on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.charts.attacks import cannot

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

VIEWER = "jobyard:risk:viewers"
LAUNCHER = "jobyard:risk:launchers"
IN_TEAM = ("-n", "team-risk")
POD = "/api/v1/namespaces/team-risk/pods/any"
CALLS = [
    ("exec", ("create", "--raw", f"{POD}/exec?command=sh", "-f", "-"), cannot("create", "pods/exec")),
    ("exec-by-get", ("get", "--raw", f"{POD}/exec?command=sh"), cannot("get", "pods/exec")),
    ("attach", ("get", "--raw", f"{POD}/attach"), cannot("get", "pods/attach")),
    ("port-forward", ("get", "--raw", f"{POD}/portforward"), cannot("get", "pods/portforward")),
    ("proxy", ("get", "--raw", f"{POD}/proxy"), cannot("get", "pods/proxy")),
    (
        "ephemeral-container",
        ("replace", "--raw", f"{POD}/ephemeralcontainers", "-f", "-"),
        cannot("update", "pods/ephemeralcontainers"),
    ),
    ("status", ("replace", "--raw", f"{POD}/status", "-f", "-"), cannot("update", "pods/status")),
    ("eviction", ("create", "--raw", f"{POD}/eviction", "-f", "-"), cannot("create", "pods/eviction")),
    ("choosing-the-node", ("create", "--raw", f"{POD}/binding", "-f", "-"), cannot("create", "pods/binding")),
    ("secrets", ("get", "secrets", *IN_TEAM), cannot("list", "secrets")),
    ("a-secret", ("get", "secret/database", *IN_TEAM), cannot("get", "secrets")),
    ("secrets-of-another-team", ("get", "secrets", "-n", "team-fraud"), cannot("list", "secrets")),
    ("pods-of-another-team", ("get", "pods", "-n", "team-fraud"), cannot("list", "pods")),
    ("pods-of-all", ("get", "pods", "--all-namespaces"), cannot("list", "pods")),
    ("nodes", ("get", "nodes"), cannot("list", "nodes")),
    ("token-of-the-jobs-account", ("create", "token", "jobs", *IN_TEAM), cannot("create", "serviceaccounts/token")),
    (
        "token-of-a-sync-identity",
        ("create", "token", "risk", "-n", "jobyard-teams"),
        cannot("create", "serviceaccounts/token"),
    ),
    (
        "role",
        ("create", "role", "mine", "--verb=get", "--resource=secrets", *IN_TEAM),
        cannot("create", "roles", "rbac.authorization.k8s.io"),
    ),
    (
        "role-binding",
        ("create", "rolebinding", "mine", "--clusterrole=jobyard-viewer", "--user=somebody", *IN_TEAM),
        cannot("create", "rolebindings", "rbac.authorization.k8s.io"),
    ),
    ("quota", ("delete", "resourcequota/team", *IN_TEAM), cannot("delete", "resourcequotas")),
    ("config-map", ("create", "configmap", "mine", *IN_TEAM), cannot("create", "configmaps")),
    (
        "all-pods-at-once",
        ("delete", "--raw", "/api/v1/namespaces/team-risk/pods"),
        cannot("deletecollection", "pods"),
    ),
]


@pytest.mark.parametrize("group", [VIEWER, LAUNCHER])
@pytest.mark.parametrize(("name", "command", "reason"), CALLS, ids=[name for name, _, _ in CALLS])
def test_is_refused(cluster: Cluster, group: str, name: str, command: tuple[str, ...], reason: str) -> None:
    answer = cluster.kubectl(*command, *cluster.as_group(group), stdin="{}")
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


@pytest.mark.parametrize("verb", ["create", "delete", "patch"])
def test_a_viewer_only_looks(cluster: Cluster, verb: str) -> None:
    answer = cluster.kubectl("auth", "can-i", verb, "pods", *IN_TEAM, *cluster.as_group(VIEWER))
    assert answer.stdout.strip() == "no"


@pytest.fixture(scope="module")
def tokens(cluster: Cluster) -> dict[str, str]:
    """Bearer tokens: of people by the API server's list, of the sync identity as the API server issues it."""
    issued = cluster.kubectl("create", "token", "risk", "-n", "jobyard-teams")
    assert issued.returncode == 0, issued.stderr
    return {"viewer": "risk-viewer", "launcher": "risk-launcher", "sync identity": issued.stdout}


@pytest.mark.parametrize("who", ["viewer", "launcher", "sync identity"])
@pytest.mark.parametrize(
    "headers",
    [
        ["--as", "admin"],
        ["--as", "system:serviceaccount:argocd:platform-sync"],
        ["--as", "somebody", "--as-group", "system:masters"],
    ],
    ids=["user", "service-account", "group"],
)
def test_nobody_passes_for_somebody_else(
    cluster: Cluster, tokens: dict[str, str], who: str, headers: list[str]
) -> None:
    answer = cluster.kubectl("get", "configmaps", *IN_TEAM, f"--token={tokens[who]}", *headers)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert "(Forbidden): configmaps is forbidden" in answer.stderr
    assert " cannot impersonate" in answer.stderr


@pytest.mark.parametrize(
    ("who", "resource"), [("viewer", "pods"), ("launcher", "pods"), ("sync identity", "rolebindings")]
)
def test_the_tokens_are_good_ones(cluster: Cluster, tokens: dict[str, str], who: str, resource: str) -> None:
    answer = cluster.kubectl("get", resource, *IN_TEAM, f"--token={tokens[who]}")
    assert answer.returncode == 0, answer.stderr
