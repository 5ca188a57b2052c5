"""What Argo CD can do as a team's sync identity, tried on a real API server.

Every attack is a change that a team could put into its own copy of charts/team, or a call that it would make if it had
the identity itself. Each one must be refused, and for the reason that was meant.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
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
    OWN,
    TEAM,
    Attack,
    Object,
    binding,
    cannot,
    group,
    priority_class,
    service_account,
)
from tests.charts.attacks_by_field import BY_FIELD, NAMESPACE, OWNER, account, config_map, launchers, with_metadata

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster


def try_to_make(cluster: Cluster, attack: Attack) -> CompletedProcess[str]:
    """Server-side apply with force, as Argo CD would: an object of that name that is there is changed."""
    command = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"]
    return cluster.kubectl(*command, *cluster.as_team(TEAM), stdin=json.dumps(attack.target))


def everything_of(cluster: Cluster) -> set[str]:
    """Names of all that a sync identity may make, in the team's namespace and in none."""
    kinds = "configmaps,serviceaccounts,rolebindings,priorityclasses"
    return set(cluster.kubectl("get", kinds, "-n", NAMESPACE, "--output=name").stdout.split())


def refused_all(cluster: Cluster, objects: Iterable[Object]) -> str:
    """What the API server says to each of them, which it has to refuse, in one call."""
    before = everything_of(cluster)
    command = ["apply", "--server-side", "--force-conflicts", "-f", "-", *cluster.as_team(TEAM)]
    answer = cluster.kubectl(*command, stdin="\n---\n".join(map(json.dumps, objects)))
    assert everything_of(cluster) == before
    return answer.stderr


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


@pytest.fixture(scope="module")
def refusals(cluster: Cluster) -> list[str]:
    """What the API server says to every attack on fields, asked in one call; each object has a name of its own."""
    return refused_all(cluster, [attack.object for attack in BY_FIELD]).splitlines()


@pytest.mark.parametrize("attack", BY_FIELD, ids=lambda attack: attack.name)
def test_sync_identity_may_not_write(refusals: list[str], attack: Attack) -> None:
    said = [line for line in refusals if f'"{attack.object["metadata"]["name"]}"' in line]
    assert said
    assert [line for line in said if attack.reason not in line] == []


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
    assert "ValidatingAdmissionPolicy 'jobyard-priorit" in answer.stderr


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


@pytest.mark.parametrize(("name", "value"), [("risk.edge-1000", 1000), ("risk.high-9999", 9999)])
def test_a_class_that_the_platform_gave_is_let_in(cluster: Cluster, name: str, value: int) -> None:
    mine = {**priority_class(name, value=value), "description": "Ours."}
    cluster.apply([mine], *cluster.as_team("risk"), "--dry-run=server")


def test_the_value_of_a_class_is_the_one_in_its_name(cluster: Cluster) -> None:
    answer = try_to_make(cluster, Attack("", priority_class("risk.spare-1500", value=9999), ""))
    assert "the value of PriorityClass risk.spare-1500 is in its name, and not 9999" in answer.stderr


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


def test_a_class_that_the_platform_gives_no_more_can_be_kept_and_deleted(cluster: Cluster) -> None:
    old = priority_class("risk.old-20000", value=20000)
    cluster.apply([old])
    cluster.apply([{**old, "description": "As before."}], *cluster.as_team("risk"), "--force-conflicts")
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
        mine = json.dumps(config_map("one-more"))
        answer = cluster.kubectl("create", "-f", "-", *cluster.as_team(TEAM), stdin=mine)
        assert answer.returncode != 0, f"was let through: {answer.stdout}"
        assert "exceeded quota: objects, requested: count/configmaps=1, used: count/configmaps=20" in answer.stderr
    finally:
        cluster.count_nothing(TEAM)


def test_a_commit_of_sixty_classes_leaves_none(cluster: Cluster) -> None:
    sixty = [priority_class(f"risk.level{value}-{value}", value=value) for value in range(5000, 5060)]
    said = refused_all(cluster, sixty)
    for one in sixty:
        name = one["metadata"]["name"]
        assert f"team risk may have the PriorityClasses {GIVEN}, not {name} (priorities in the file" in said


GIVEN = "risk.edge-1000, risk.high-9999, risk.normal-2000, risk.spare-1500"


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ({**priority_class("risk.spare-1500", value=1500), "description": 1_300_000 * "x"}, "not 1300000"),
        (config_map(data={"key": 1_000_000 * "x"}), "may have 32768 bytes of data, not 1000003"),
        (config_map(data={f"key{number}": "" for number in range(20_000)}), "may have 32768 bytes of data, not "),
        (
            {**launchers(), "subjects": [group(f"jobyard:{TEAM}:{number}") for number in range(5000)]},
            "may have 20 subjects, not 5000",
        ),
        (
            with_metadata(config_map(), labels={**OWN, **{f"x{number}": "" for number in range(2000)}}),
            "may have labels ",
        ),
        (
            with_metadata(config_map(), annotations={"argocd.argoproj.io/tracking-id": f"team-{TEAM}:{200_000 * 'x'}"}),
            "may have annotations of 1024 characters, not ",
        ),
        (
            with_metadata(config_map(), finalizers=[f"example.com/{number}" for number in range(10_000)]),
            "may have no finalizer, not example.com/0",
        ),
        (
            with_metadata(config_map(), annotations={"argocd.argoproj.io/tracking-id": f"team-{OTHER}:/ConfigMap:x/y"}),
            f"belongs to Argo CD Application team-{TEAM}, not team-{OTHER}",
        ),
    ],
    ids=["class", "config-map", "keys", "subjects", "labels", "annotation", "finalizers", "other-application"],
)
def test_nothing_large_is_let_in(cluster: Cluster, target: Object, rule: str) -> None:
    assert rule in refused_all(cluster, [target])


def test_a_name_that_the_api_server_makes_is_refused(cluster: Cluster) -> None:
    metadata = {"generateName": "mine-", "namespace": NAMESPACE, "labels": OWN}
    mine = json.dumps({**config_map(), "metadata": metadata})
    answer = cluster.kubectl("create", "-f", "-", *cluster.as_team(TEAM), stdin=mine)
    assert answer.returncode != 0
    assert "of a team may have metadata name, namespace, labels, annotations, not generateName" in answer.stderr


def test_the_list_of_field_managers_does_not_grow(cluster: Cluster) -> None:
    there = json.dumps(config_map("managed"))
    command = ["apply", "--server-side", "-f", "-", *cluster.as_team(TEAM)]
    try:
        said = [
            cluster.kubectl(*command, f"--field-manager=manager-{number}", stdin=there).stderr for number in range(12)
        ]
        assert said[:10] == 10 * [""]
        assert all("ConfigMap managed of a team may have 10 field managers, not 11" in one for one in said[10:])
    finally:
        cluster.kubectl("delete", "configmap/managed", "-n", NAMESPACE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("configmap/kube-root-ca.crt", "ConfigMap kube-root-ca.crt"),
        ("serviceaccount/default", "ServiceAccount default"),
    ],
)
def test_what_is_the_clusters_is_not_deleted(cluster: Cluster, name: str, words: str) -> None:
    answer = cluster.kubectl("delete", name, "-n", NAMESPACE, *cluster.as_team(TEAM))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert f"has the label jobyard.dev/team: {TEAM}, not {words}" in answer.stderr


@pytest.mark.parametrize("target", [config_map("changed"), account("changed"), launchers("changed")])
def test_what_is_refused_at_first_is_refused_as_a_change_too(cluster: Cluster, target: Object) -> None:
    cluster.apply([target], *cluster.as_team(TEAM))
    try:
        for metadata, rule in (
            ({"finalizers": ["example.com/forever"]}, "may have no finalizer, not example.com/forever"),
            ({"ownerReferences": [OWNER]}, "may have no owner, not ConfigMap node-groups"),
            ({"annotations": {"helm.sh/resource-policy": "keep"}}, "not helm.sh/resource-policy"),
        ):
            assert rule in refused_all(cluster, [with_metadata(target, **metadata)])
    finally:
        cluster.kubectl("delete", f"{target['kind']}/changed", "-n", NAMESPACE)


def test_after_all_of_it_a_team_can_be_taken_away(cluster: Cluster, render_chart: Callable[..., list[Object]]) -> None:
    """As Argo CD prunes: each object is asked to go, by the team's identity, and is gone."""
    refused_all(cluster, [attack.object for attack in (*OBJECTS, *BY_FIELD)])
    made = [name for name in everything_of(cluster) if name not in OTHERS and f"/{OTHER}." not in name]
    assert made
    try:
        gone = cluster.kubectl("delete", *made, "-n", NAMESPACE, *cluster.as_team(TEAM), "--wait=false")
        assert gone.returncode == 0, gone.stderr
        end = time.monotonic() + 60
        while (left := everything_of(cluster) & set(made)) and time.monotonic() < end:
            time.sleep(0.2)
        assert not left
    finally:
        cluster.apply(render_chart("team", values=cluster.team_values(TEAM)), *cluster.as_team(TEAM))


OTHERS = {
    "configmap/kube-root-ca.crt",
    "serviceaccount/default",
    "rolebinding.rbac.authorization.k8s.io/jobyard-team-sync",
    "priorityclass.scheduling.k8s.io/system-cluster-critical",
    "priorityclass.scheduling.k8s.io/system-node-critical",
}
"""What others made: the cluster and the platform."""
