"""An environment gets queues and loses them again, beside a real Kueue: what becomes of the pods that are there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.charts.conftest import PLATFORM, QUEUEING, TEAMS, Cluster, Object, serving, with_charts
from tests.charts.kueue_server import with_kueue
from tests.charts.team_pods import BASE, LABELS, LAUNCHER, changed
from tests.support.waiting import wait_until

QUEUE = {"kueue.x-k8s.io/queue-name": "jobs"}
THERE = ["-n", "team-risk"]
GATE = "kueue.x-k8s.io/admission"
CPU, FIT = "3", 2
"""What each pod requests, and how many fit in the quotas of both teams together."""


class Environment:
    """The charts, with queues or without, and team risk's pods."""

    def __init__(self, cluster: Cluster, render_chart: Callable[..., list[Object]]) -> None:
        self.kubectl = cluster.kubectl
        self._cluster = cluster
        self._render = render_chart

    def sync(self, platform: Mapping[str, Any]) -> None:
        """Apply the charts, and delete what they no longer have, as Argo CD does."""
        self._cluster.apply(self._render("platform", values=dict(platform)))
        for team, values in TEAMS.items():
            self._cluster.apply(self._render("bounds", values={**platform, "team": team, **values}))
            self._cluster.count_nothing(team)
        if platform is not QUEUEING:
            kinds = "clusterqueues,localqueues,resourceflavors"
            deleted = self.kubectl("delete", kinds, "-A", "-l", "app.kubernetes.io/part-of=jobyard", "--wait=false")
            assert deleted.returncode == 0, deleted.stderr

    def start(self, name: str, labels: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        """Ask for a pod, as Airflow does."""
        changes = {
            "metadata.name": name,
            "metadata.labels": {**LABELS, **labels},
            f"{BASE}.resources.requests.cpu": CPU,
        }
        pod = changed(changes)
        return self.kubectl("create", "-f", "-", *LAUNCHER, *options, stdin=json.dumps(pod))

    def refusal(self, labels: Mapping[str, str]) -> str:
        """What the API server says against such a pod; nothing is kept."""
        return self.start("tried", labels, "--dry-run=server").stderr

    def pods(self) -> dict[str, list[str]]:
        """The scheduling gates of each pod."""
        listed = json.loads(self.kubectl("get", "pods", *THERE, "-o", "json").stdout)["items"]
        return {
            pod["metadata"]["name"]: [gate["name"] for gate in pod["spec"].get("schedulingGates", [])] for pod in listed
        }

    def waiting(self) -> list[str]:
        """The names of those that wait for quota."""
        return sorted(name for name, gates in self.pods().items() if GATE in gates)

    def delete(self, *names: str) -> None:
        """Delete them at once: there is no kubelet to say that they have ended."""
        deleted = self.kubectl("delete", "pod", *names, *THERE, "--grace-period=0", "--force", "--wait=false")
        assert deleted.returncode == 0, deleted.stderr


@pytest.fixture(scope="module")
def environment(
    tmp_path_factory: pytest.TempPathFactory, programs: Path, render_chart: Callable[..., list[Object]]
) -> Iterator[Environment]:
    """Without queues; Kueue is there."""
    state = tmp_path_factory.mktemp("switching")
    with serving(programs, state) as server, with_kueue(programs, state, server):
        yield Environment(with_charts(server, render_chart, PLATFORM), render_chart)


def test_with_queues_pods_that_are_there_go_on_and_new_ones_wait(environment: Environment) -> None:
    started = environment.start("from-before", {})
    assert started.returncode == 0, started.stderr
    environment.sync(QUEUEING)
    wait_until(lambda: "must have the label kueue.x-k8s.io/queue-name" in environment.refusal({}))
    wait_until(lambda: environment.refusal(QUEUE) == "")
    for number in range(FIT + 1):
        environment.start(f"queued-{number}", QUEUE)
    wait_until(lambda: len(environment.waiting()) == 1)
    labelled = environment.kubectl("annotate", "pod", "from-before", *THERE, "karpenter.sh/do-not-disrupt-")
    assert labelled.returncode == 0, labelled.stderr
    environment.delete("from-before")
    wait_until(lambda: "from-before" not in environment.pods())


def test_without_them_again_pods_that_wait_and_pods_that_run_can_end(environment: Environment) -> None:
    environment.sync(PLATFORM)
    wait_until(lambda: environment.refusal({}) == "")
    environment.start("afterwards", {})
    assert environment.pods()["afterwards"] == []
    environment.delete(*environment.waiting())
    wait_until(lambda: environment.waiting() == [])
    environment.delete(*(name for name in environment.pods() if name.startswith("queued")))
    wait_until(lambda: list(environment.pods()) == ["afterwards"])
    queues = "clusterqueues,localqueues,resourceflavors"
    wait_until(lambda: environment.kubectl("get", queues, "-A", "-o", "name").stdout == "")
