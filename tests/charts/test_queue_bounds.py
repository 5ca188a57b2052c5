"""How a team is bound where pods wait in Kueue's queues, tried on a real API server; Kueue itself does not run here.

The pods are what Kueue's webhook makes of them. `test_queues.py` has a Kueue that runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts import test_rights
from tests.charts.pod_attacks import CHANGED as CHANGED_WITHOUT
from tests.charts.queue_attacks import (
    ADMITTED,
    CHANGED,
    CREATED,
    CREATED_AS_WITHOUT,
    KINDS,
    KUEUE_USER,
    OLD,
    OVER_THE_QUOTA,
    STARTED,
    WAITING,
    path_of,
)
from tests.charts.team_pods import LAUNCHER, POD_IDENTITY, USUAL, changed, forget, keep, refused, start, start_all
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.attacks import Attack
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
MINE = ["pod/mine", "-n", "team-risk"]
KUEUE = ["--as", KUEUE_USER]
WHO = {
    "launcher": LAUNCHER,
    "viewer": ["--as", "somebody", "--as-group", "jobyard:risk:viewers", "--as-group", "system:authenticated"],
    "sync-identity": ["--as", "system:serviceaccount:jobyard-teams:risk"],
    "account-of-a-job": ["--as", "system:serviceaccount:team-risk:jobs"],
}
READ = test_rights.each(test_rights.READ, "workloads.kueue.x-k8s.io", "localqueues.kueue.x-k8s.io")


@pytest.fixture(scope="module")
def refusals(queueing: Cluster) -> dict[str, str]:
    """Return the API server's message for each pod that it does not admit, by the pod's name."""
    tries = {**CREATED_AS_WITHOUT, **CREATED}
    return start_all(queueing, {name: changed(changes, WAITING) for name, (changes, _) in tries.items()})


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (_, reason) in CREATED.items()], ids=CREATED)
def test_a_pod_that_would_get_past_its_queue_is_refused(refusals: dict[str, str], name: str, reason: str) -> None:
    assert name in refusals, "was let through"
    assert reason in refusals[name]


def test_what_is_refused_without_queues_is_refused_for_the_same_reasons(refusals: dict[str, str]) -> None:
    assert len(CREATED_AS_WITHOUT) > 80
    wrong = {name: refusals.get(name, "was let through") for name in CREATED_AS_WITHOUT}
    for name, (_, reason) in CREATED_AS_WITHOUT.items():
        if reason in wrong[name]:
            del wrong[name]
    assert wrong == {}


def test_a_pod_that_kueues_webhook_has_not_seen_is_refused(queueing: Cluster) -> None:
    """As the builder makes it: with the label of its queue, and nothing that says that Kueue has it in hand."""
    labels = {**USUAL["metadata"]["labels"], "kueue.x-k8s.io/queue-name": "jobs"}
    answer = start(queueing, changed({"metadata.labels": labels}))
    assert "Kueue's webhook has not put it there" in answer.stderr


def test_a_pod_that_waits_is_let_in(queueing: Cluster) -> None:
    labels = {**WAITING["metadata"]["labels"], **POD_IDENTITY["metadata.labels"]}
    inside = {
        "usual": WAITING,
        "without-topology": changed({"spec.schedulingGates": WAITING["spec"]["schedulingGates"][:1]}, WAITING),
        "with-an-aws-role": changed({**POD_IDENTITY, "metadata.labels": labels}, WAITING),
    }
    assert start_all(queueing, inside) == {}


def test_a_pod_over_the_quota_is_let_in_to_wait(queueing: Cluster) -> None:
    assert start_all(queueing, {name: changed(more, WAITING) for name, more in OVER_THE_QUOTA.items()}) == {}


def test_the_number_of_pods_is_bound_all_the_same(queueing: Cluster) -> None:
    quotas = json.loads(queueing.kubectl("get", "resourcequotas", "-n", "team-risk", "-o", "json").stdout)["items"]
    hard = {quota["metadata"]["name"]: quota["spec"]["hard"] for quota in quotas}
    assert hard.keys() == {"team", "objects"}
    assert hard["team"] == {"pods": "5", "count/pods": "20"}
    used = json.dumps({"status": {"used": {"pods": "5", "count/pods": "5"}}})
    queueing.kubectl(
        "patch", "resourcequota/team", "-n", "team-risk", "--subresource=status", "--type=merge", "-p", used
    )
    try:
        assert "exceeded quota: team, requested: pods=1, used: pods=5" in start(queueing, WAITING).stderr
    finally:
        queueing.count_nothing("risk")


@pytest.fixture
def pod(queueing: Cluster) -> Iterator[Cluster]:
    """The cluster, with a pod of the team's that waits."""
    keep(queueing, WAITING)
    yield queueing
    _forget(queueing, "mine")


@pytest.fixture(scope="module")
def kept(queueing: Cluster) -> Iterator[Cluster]:
    """The same, for tests that change nothing."""
    keep(queueing, changed({"metadata.name": "kept"}, WAITING))
    yield queueing
    _forget(queueing, "kept")


def _forget(cluster: Cluster, name: str) -> None:
    """Delete a pod, whose finalizer Kueue would take away."""
    forget_now = ["pod", name, "-n", "team-risk", "--type=merge", "-p", '{"metadata": {"finalizers": null}}']
    cluster.kubectl("patch", *forget_now)
    forget(cluster, name)


@pytest.mark.parametrize(("operations", "reason"), CHANGED.values(), ids=CHANGED)
def test_a_pod_that_waits_can_not_be_made_one_that_does_not(
    kept: Cluster, operations: list[Object], reason: str
) -> None:
    """The launcher may change nothing, and the policy holds those who may: here an administrator."""
    command = ["patch", "pod/kept", "-n", "team-risk", "--dry-run=server", "--type=json"]
    answer = kept.kubectl(*command, "-p", json.dumps(operations))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


@pytest.mark.parametrize(
    "operations",
    [operations for name, (operations, _) in CHANGED_WITHOUT.items() if name != "finalizer"],
    ids=[name for name in CHANGED_WITHOUT if name != "finalizer"],
)
def test_nor_one_that_would_be_refused_without_queues(kept: Cluster, operations: list[Object]) -> None:
    reason = next(words for changes, words in CHANGED_WITHOUT.values() if changes is operations)
    command = ["patch", "pod/kept", "-n", "team-risk", "--dry-run=server", "--type=json"]
    answer = kept.kubectl(*command, "-p", json.dumps(operations))
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert reason in answer.stderr


@pytest.mark.parametrize("who", WHO)
def test_nobody_of_the_team_may_change_a_pod(kept: Cluster, who: str) -> None:
    taken = "/api/v1/namespaces/team-risk/pods/kept"
    answer = kept.kubectl("replace", "--raw", taken, "-f", "-", *WHO[who], stdin=json.dumps(USUAL))
    assert 'cannot update resource "pods"' in answer.stderr


def test_a_pod_can_not_request_more_than_kueue_has_counted(kept: Cluster) -> None:
    larger = {"spec": {"containers": [{"name": "base", "resources": {"requests": {"cpu": "3"}}}]}}
    command = ["patch", "pod/kept", "-n", "team-risk", "--subresource=resize", "-p", json.dumps(larger)]
    answer = kept.kubectl(*command)
    assert answer.returncode != 0, f"was let through: {answer.stdout}"
    assert "a pod that is there may not request other resources than when it was made" in answer.stderr


@pytest.fixture(scope="module")
def kueue(queueing: Cluster) -> Cluster:
    """The cluster, with Kueue's user, which may do anything; the policies hold it too."""
    bound = ["create", "clusterrolebinding", "kueue", "--clusterrole=cluster-admin", f"--user={KUEUE_USER}"]
    assert queueing.kubectl(*bound).returncode == 0
    return queueing


def test_kueue_lets_a_pod_start_and_go(pod: Cluster, kueue: Cluster) -> None:
    started = kueue.kubectl("patch", *MINE, "--type=json", "-p", json.dumps(STARTED), *KUEUE)
    assert started.returncode == 0, started.stderr
    there = json.loads(pod.kubectl("get", *MINE, "-o", "json").stdout)
    assert there["metadata"]["labels"].items() >= ADMITTED.items()
    assert "schedulingGates" not in there["spec"]
    again = pod.kubectl("patch", *MINE, "--dry-run=server", "-p", '{"metadata": {"labels": {"try_number": "2"}}}')
    assert again.returncode == 0, again.stderr
    assert pod.kubectl("delete", *MINE, "--wait=false", "--grace-period=0", "--force", *LAUNCHER).returncode == 0
    assert pod.kubectl("get", *MINE).returncode == 0
    finished = ["--type=merge", "-p", '{"metadata": {"finalizers": null}}']
    ended = kueue.kubectl("patch", *MINE, *finished, *KUEUE)
    assert ended.returncode == 0, ended.stderr
    assert pod.kubectl("get", *MINE).returncode != 0


def test_not_even_kueue_puts_a_pod_elsewhere(kept: Cluster, kueue: Cluster) -> None:
    elsewhere = [{"op": "replace", "path": path_of("queue-name"), "value": "others"}]
    command = ["patch", "pod/kept", "-n", "team-risk", "--dry-run=server", "--type=json"]
    assert kueue.kubectl(*command, "-p", json.dumps(elsewhere), *KUEUE).returncode != 0
    node = [{"op": "add", "path": "/spec/nodeSelector/zone", "value": "a"}]
    answer = kueue.kubectl(*command, "-p", json.dumps(node), *KUEUE)
    assert "nodeSelector must be that of node group default; it differs in zone" in answer.stderr


def test_a_pod_of_before_there_were_queues_goes_on(queueing: Cluster) -> None:
    binding = queueing.kubectl("get", "validatingadmissionpolicybinding/jobyard-pods", "-o", "json").stdout
    queueing.kubectl("delete", "validatingadmissionpolicybinding/jobyard-pods")
    wait_until(lambda: start(queueing, USUAL).returncode == 0)
    keep(queueing, OLD)
    try:
        kept = json.loads(binding)
        del kept["metadata"]["resourceVersion"], kept["metadata"]["uid"]
        assert queueing.kubectl("create", "-f", "-", stdin=json.dumps(kept)).returncode == 0
        wait_until(lambda: start(queueing, USUAL).returncode != 0)
        patch = ["patch", "pod/old", "-n", "team-risk", "--dry-run=server"]
        labelled = queueing.kubectl(*patch, "-p", '{"metadata": {"labels": {"try_number": "2"}}}')
        assert labelled.returncode == 0, labelled.stderr
        queued = queueing.kubectl(*patch, "-p", '{"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "jobs"}}}')
        assert "may not be changed" in queued.stderr
    finally:
        forget(queueing, "old")


@pytest.mark.parametrize("who", WHO)
def test_nobody_of_a_team_makes_what_is_kueues(queueing: Cluster, who: str) -> None:
    items = [attack.object for attack in KINDS]
    command = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-", *WHO[who]]
    answer = queueing.kubectl(*command, stdin="\n---\n".join(map(json.dumps, items)))
    assert "serverside-applied" not in answer.stdout
    lines = answer.stderr.splitlines()
    for attack in KINDS:
        assert _refusal_of(lines, attack), f"{attack.name}: {answer.stderr}"


def _refusal_of(lines: list[str], attack: Attack) -> list[str]:
    name = attack.object["metadata"]["name"]
    return [line for line in lines if f'"{name}" is forbidden' in line and attack.reason in line]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("launcher", test_rights.LAUNCHER),
        ("viewer", test_rights.VIEWER | READ),
        ("sync-identity", test_rights.SYNC | test_rights.PRIORITIES),
        ("account-of-a-job", set()),
    ],
)
def test_each_has_exactly_its_rights(queueing: Cluster, who: str, expected: set[str]) -> None:
    assert test_rights.rights(queueing, "team-risk", WHO[who]) == expected


def test_kueue_takes_what_the_charts_make_of_the_queues(queueing: Cluster) -> None:
    """Its kinds' own rules; `test_queues.py` asks its webhooks too."""
    kinds = "clusterqueues,localqueues,resourceflavors"
    there = queueing.kubectl("get", kinds, "-n", "team-risk", "--output=name").stdout.split()
    flavors = [
        f"resourceflavor.kueue.x-k8s.io/{name}" for name in ("default", "gpu", "graviton", "high-cpu", "high-memory")
    ]
    queues = ["clusterqueue.kueue.x-k8s.io/team-fraud", "clusterqueue.kueue.x-k8s.io/team-risk"]
    assert sorted(there) == sorted([*flavors, *queues, "localqueue.kueue.x-k8s.io/jobs"])
    assert refused(queueing.kubectl("get", kinds, "-n", "team-risk").stderr) == {}
