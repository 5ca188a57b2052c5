"""Teams' pods in the queues that the charts make, with a Kueue that runs: who starts, who waits, who gives back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts.conftest import CATALOGUE, QUEUEING, TEAMS, serving, with_charts
from tests.charts.kueue_server import RunningKueue, with_kueue
from tests.charts.queue_attacks import ADMITTED, ANNOTATIONS, KUEUE, NO_GATE, NOT_ITS_QUEUE, QUEUE, WORDS_TO_KUEUE
from tests.charts.team_pods import BASE, LABELS, changed, start, start_all
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.charts.conftest import Cluster

Object = dict[str, Any]
Render = Callable[..., list[Object]]
GATE = f"{KUEUE}/admission"
GROUP = CATALOGUE["high-cpu"]
SOON = 60
"""Seconds within which Kueue admits a pod, on a busy machine too."""
QUOTAS = {"risk": "8", "fraud": "4"}
TWO_CORES: Object = {
    "metadata.labels": {**LABELS, f"{KUEUE}/queue-name": "jobs"},
    "spec.nodeSelector": {**GROUP["labels"], "kubernetes.io/arch": GROUP["architecture"]},
    "spec.tolerations": [{**taint, "operator": "Equal"} for taint in GROUP["taints"]],
    f"{BASE}.resources.requests.cpu": "2",
}
"""A pod as the builder makes it, in group high-cpu: what Kueue puts into it is not there yet."""


class Teams:
    """Teams risk, with 8 cores, and fraud, with 4, and their pods."""

    def __init__(self, cluster: Cluster, kueue: RunningKueue, render: Render) -> None:
        self.cluster = cluster
        self.kueue = kueue
        self._render = render

    def bound(self, team: str, environment: Object | None = None, **values: object) -> None:
        """Apply a team's bounds, with some of its values or the environment's changed."""
        quota = {"pods": 40, "cpu": QUOTAS[team], "memory": "100Gi", "ephemeralStorage": "400Gi"}
        platform = {**QUEUEING, "environment": {**QUEUEING["environment"], **(environment or {})}}
        given = {**platform, "team": team, **TEAMS[team], "quota": quota, **values}
        self.cluster.apply(self._render("bounds", values=given))
        self.cluster.count_nothing(team)

    def start(self, team: str, number: int, level: str = "normal-2000", **changes: Any) -> list[str]:
        """Start some pods as Airflow does; their names."""
        names = [f"{level.split('-')[0]}-{index}" for index in range(number)]
        labels = {**TWO_CORES["metadata.labels"], "jobyard.dev/team": team, "jobyard.dev/cost-center": team}
        own = {
            **TWO_CORES,
            "metadata.namespace": f"team-{team}",
            "metadata.labels": labels,
            "spec.priorityClassName": f"{team}.{level}",
            **changes,
        }
        items = [changed({**own, "metadata.name": name}) for name in names]
        launcher = ["--as", f"airflow-{team}", "--as-group", f"jobyard:{team}:launchers"]
        made = {"apiVersion": "v1", "kind": "List", "items": items}
        answer = self.cluster.kubectl("create", "-f", "-", *launcher, stdin=json.dumps(made))
        assert answer.returncode == 0, answer.stderr
        return names

    def pods(self, team: str) -> dict[str, Object]:
        """The team's pods, by name."""
        listed = json.loads(self.cluster.kubectl("get", "pods", "-n", f"team-{team}", "-o", "json").stdout)["items"]
        return {pod["metadata"]["name"]: pod for pod in listed}

    def admitted(self, team: str) -> list[str]:
        """Those that may start."""
        return sorted(name for name, pod in self.pods(team).items() if not pod["spec"].get("schedulingGates"))

    def waiting(self, team: str) -> list[str]:
        """Those at the gate."""
        return sorted(self.pods(team).keys() - set(self.admitted(team)))

    def settle(self, **admitted: int) -> None:
        """Wait until so many pods of each team are admitted, and see that it stays so."""
        wait_until(lambda: {team: len(self.admitted(team)) for team in admitted} == admitted, SOON)
        wait_until(lambda: all(self.is_looked_at(team) for team in admitted), SOON)
        assert {team: len(self.admitted(team)) for team in admitted} == admitted

    def is_looked_at(self, team: str) -> bool:
        """Whether Kueue has found that the team's waiting pods don't fit; of those that are alike it looks at one."""
        waiting = self.waiting(team)
        return not waiting or any(self.reason(team, name) for name in waiting)

    def reason(self, team: str, name: str) -> str:
        """Why a pod waits, in Kueue's words; nothing where Kueue has not looked at it."""
        listed = self.cluster.kubectl("get", "workloads", "-n", f"team-{team}", "-o", "json").stdout
        for workload in json.loads(listed)["items"]:
            if workload["metadata"]["ownerReferences"][0]["name"] == name:
                conditions = workload.get("status", {}).get("conditions", [])
                return "".join(one["message"] for one in conditions if one["type"] == "QuotaReserved")
        return ""

    def end(self, team: str, *names: str) -> None:
        """End pods as a kubelet would."""
        status = json.dumps({"status": {"phase": "Succeeded"}})
        for name in names:
            there = ["pod", name, "-n", f"team-{team}", "--subresource=status", "--type=merge"]
            ended = self.cluster.kubectl("patch", *there, "-p", status)
            assert ended.returncode == 0, ended.stderr

    def clear(self) -> None:
        """Delete every pod, and wait until Kueue has let go of it."""
        for team in QUOTAS:
            delete = ["delete", "pods", "--all", "-n", f"team-{team}", "--grace-period=0", "--force", "--wait=false"]
            self.cluster.kubectl(*delete)
        wait_until(lambda: not any(self.pods(team) for team in QUOTAS), SOON)
        # The controller manager, which does not run here, deletes them with their pods.
        self.cluster.kubectl("delete", "workloads", "--all", "--all-namespaces", "--wait=false")
        wait_until(lambda: self.cluster.kubectl("get", "workloads", "-A").stdout == "", SOON)


@pytest.fixture(scope="module")
def with_queues(programs: Path, render_chart: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    """The charts beside a Kueue of their own, whose webhooks have taken all of them."""
    state = tmp_path_factory.mktemp("queues")
    with serving(programs, state) as server, with_kueue(programs, state, server) as running:
        yield Teams(with_charts(server, render_chart, QUEUEING), running, render_chart)


@pytest.fixture
def teams(with_queues: Teams) -> Iterator[Teams]:
    for team in QUOTAS:
        with_queues.bound(team)
    yield with_queues
    with_queues.clear()


def test_pods_over_own_and_lent_quota_wait(teams: Teams) -> None:
    teams.start("risk", 10)
    teams.settle(risk=6)
    assert len(teams.waiting("risk")) == 4
    reasons = [teams.reason("risk", name) for name in teams.waiting("risk")]
    assert any("insufficient unused quota for cpu in flavor high-cpu, 2 more needed" in one for one in reasons)


def test_what_kueue_makes_of_a_pod_that_may_start_is_what_the_policy_admits(teams: Teams) -> None:
    [name] = teams.start("risk", 1)
    teams.settle(risk=1)
    pod = teams.pods("risk")[name]
    assert pod["spec"]["nodeSelector"] == TWO_CORES["spec.nodeSelector"]
    assert pod["metadata"]["labels"].items() >= ADMITTED.items()
    assert pod["metadata"]["finalizers"] == [f"{KUEUE}/managed"]
    assert sorted(pod["metadata"]["annotations"]) == [
        "karpenter.sh/do-not-disrupt",
        f"{KUEUE}/role-hash",
        f"{KUEUE}/workload",
    ]


def test_lent_quota_is_given_back_as_pods_end_and_no_pod_is_stopped(teams: Teams) -> None:
    teams.start("risk", 10)
    teams.settle(risk=6)
    before = teams.admitted("risk")
    teams.start("fraud", 2, "high-9999")
    teams.settle(risk=6, fraud=0)
    assert teams.admitted("risk") == before
    # One after the other: of what comes free at the same moment, each team that waits gets a pod's.
    teams.end("risk", before[0])
    teams.settle(risk=6, fraud=1)
    teams.end("risk", before[1])
    teams.settle(risk=6, fraud=2)
    assert teams.admitted("risk") == before


def test_the_higher_priority_goes_first_whenever_it_came(teams: Teams) -> None:
    teams.start("risk", 6)
    teams.settle(risk=6)
    first = teams.admitted("risk")
    teams.start(
        "risk", 9, **{"metadata.labels": _of_risk(), "spec.priorityClassName": "risk.normal-2000"}, level="later"
    )
    [urgent] = teams.start("risk", 1, "high-9999")
    teams.settle(risk=6)
    teams.end("risk", first[0])
    wait_until(lambda: urgent in teams.admitted("risk"), SOON)
    assert teams.admitted("risk") == sorted([*first, urgent])


def _of_risk() -> Object:
    return {**TWO_CORES["metadata.labels"]}


@pytest.mark.parametrize(
    ("team", "limit", "most"), [("risk", "borrow", 4), ("fraud", "lend", 4)], ids=["borrow-nothing", "lend-nothing"]
)
def test_a_team_borrows_and_lends_as_much_as_the_platform_says(teams: Teams, team: str, limit: str, most: int) -> None:
    teams.bound(team, queue={"nodeGroups": {"high-cpu": {limit: {"cpu": "0"}}}})
    teams.start("risk", 10)
    teams.settle(risk=most)


def test_a_team_may_have_less_of_a_group_than_its_quota(teams: Teams) -> None:
    teams.bound("risk", queue={"nodeGroups": {"high-cpu": {"cpu": "2", "borrow": {"cpu": "1"}}}})
    teams.start("risk", 2)
    teams.settle(risk=1)


def test_pods_wait_for_disk_as_for_cores(teams: Teams) -> None:
    disk = {f"{BASE}.resources.{kind}.ephemeral-storage": "300Gi" for kind in ("requests", "limits")}
    teams.bound("risk", queue={"nodeGroups": {"high-cpu": {"borrow": {"ephemeralStorage": "0"}}}})
    teams.start("risk", 2, **disk)
    teams.settle(risk=1)
    assert "quota for ephemeral-storage in flavor high-cpu" in teams.reason("risk", teams.waiting("risk")[0])


class TestReclaim:
    """Where the environment has a team's quota taken back by preemption."""

    @pytest.fixture(autouse=True)
    def _preempt(self, teams: Teams) -> None:
        for team in QUOTAS:
            teams.bound(team, {"reclaim": "preempt"})

    def test_it_stops_a_borrowing_pod_of_lower_priority_and_no_other(self, teams: Teams) -> None:
        teams.start("risk", 6)
        teams.settle(risk=6)
        [waited] = teams.start("fraud", 1, "high-9999")
        wait_until(lambda: teams.admitted("fraud") == [waited], SOON)
        wait_until(lambda: len(teams.pods("risk")) == 5, SOON)
        teams.settle(risk=5, fraud=1)

    def test_it_stops_none_of_the_same_or_a_higher_priority(self, teams: Teams) -> None:
        teams.start("risk", 6)
        teams.settle(risk=6)
        teams.start("fraud", 1)
        teams.settle(risk=6, fraud=0)

    def test_it_stops_none_of_its_own_team(self, teams: Teams) -> None:
        teams.start("risk", 6)
        teams.settle(risk=6)
        teams.start("risk", 1, "high-9999")
        teams.settle(risk=6)

    def test_it_stops_none_that_borrows_nothing(self, teams: Teams) -> None:
        teams.start("risk", 4)
        teams.settle(risk=4)
        teams.start("fraud", 3, "high-9999")
        teams.settle(risk=4, fraud=2)


def test_a_pod_without_a_queue_is_refused_where_kueue_runs(teams: Teams) -> None:
    assert NOT_ITS_QUEUE + "missing" in start(teams.cluster, changed({**TWO_CORES, "metadata.labels": LABELS})).stderr


def test_what_would_have_kueue_let_a_pod_alone_is_refused(teams: Teams) -> None:
    """Kueue gates no pod below another that it has in hand, nor lets go of one that names a parent."""
    tries = {
        "another-queue": {"metadata.labels": {**LABELS, f"{KUEUE}/queue-name": "others"}},
        "below-a-pod-in-the-queue": QUEUE["part-of-a-pod-that-waits"][0],
        "below-a-parent-that-is-not-there": {"metadata.annotations": {f"{KUEUE}/pod-suspending-parent": "none"}},
        **{name: _without_kueue(changes) for name, (changes, _) in WORDS_TO_KUEUE.items()},
    }
    assert start_all(teams.cluster, {"usual": changed(TWO_CORES)}) == {}
    refusals = start_all(teams.cluster, {name: changed({**TWO_CORES, **changes}) for name, changes in tries.items()})
    assert refusals.keys() == tries.keys()


def _without_kueue(changes: Object) -> Object:
    """The changes to a pod that Kueue's webhook has not seen: it writes these itself."""
    written = {f"{KUEUE}/managed": "true", f"{KUEUE}/role-hash": ANNOTATIONS[f"{KUEUE}/role-hash"]}
    return {path: dict(value.items() - written.items()) for path, value in changes.items()}


def test_while_kueue_is_away_no_pod_starts_and_those_that_run_go_on(teams: Teams) -> None:
    teams.start("risk", 10)
    teams.settle(risk=6)
    before, waiting = teams.admitted("risk"), teams.waiting("risk")
    teams.kueue.stop()
    try:
        answer = start(teams.cluster, changed(TWO_CORES))
        assert "failed calling webhook" in answer.stderr
        assert teams.admitted("risk") == before
        labelled = ["label", f"pod/{before[0]}", "-n", "team-risk", "try_number=2", "--overwrite"]
        assert teams.cluster.kubectl(*labelled).returncode == 0
        teams.end("risk", before[0])
        opened = ["patch", f"pod/{waiting[0]}", "-n", "team-risk", "--type=merge"]
        answer = teams.cluster.kubectl(*opened, "-p", '{"spec": {"schedulingGates": null}}')
        assert "only Kueue lets a pod start" in answer.stderr
    finally:
        teams.kueue.start()
    wait_until(lambda: len(teams.waiting("risk")) == 3, SOON)


def test_nothing_is_left_ungated_where_kueues_webhook_was_taken_away(teams: Teams) -> None:
    """The policy asks for what the webhook writes, whatever becomes of the webhook."""
    kinds = ["mutatingwebhookconfiguration/kueue-mutating-webhook-configuration"]
    kinds += ["validatingwebhookconfiguration/kueue-validating-webhook-configuration"]
    deleted = teams.cluster.kubectl("delete", *kinds)
    assert deleted.returncode == 0, deleted.stderr
    try:
        wait_until(lambda: NO_GATE in start(teams.cluster, changed(TWO_CORES)).stderr, SOON)
    finally:
        teams.kueue.install()
        wait_until(lambda: start(teams.cluster, changed(TWO_CORES)).returncode == 0, SOON)
