"""The library beside a real Kueue: what it says of pods that wait for quota, and how following them ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard.following import follow, queue
from jobyard.following.cluster import Cluster
from jobyard.following.follow import Following
from jobyard.following.target import Ending, Kind, Target, TaskKey
from jobyard.following.watch import PodWatch

from tests.charts.kueue_server import RunningKueue
from tests.charts.test_kueue import FLAVOR, GATE, made, pod
from tests.support.waiting import wait_until

Object = dict[str, Any]
NAMESPACE = "queue-watched"


@dataclass
class Log:
    """A task's log."""

    lines: list[str] = field(default_factory=list)

    def info(self, message: str, /) -> None:
        """Write a line."""
        self.lines.append(message)

    def warning(self, message: str, /) -> None:
        """Write a line."""
        self.lines.append(message)

    @property
    def of_queue(self) -> list[str]:
        """What it says of the wait for quota."""
        return [line for line in self.lines if line.startswith(("Waiting", "Admitted"))]


@dataclass
class Followed:
    """A pod that is followed."""

    log: Log
    task: asyncio.Task[Ending]


class Team:
    """A team's namespace with a quota of 4 cores, and what follows its pods."""

    def __init__(self, kueue: RunningKueue, kubeconfig: Path) -> None:
        self.kueue = kueue
        self.kubectl = kueue.kubectl
        self.kubeconfig = str(kubeconfig)

    def create(self, name: str, cpu: str = "2") -> str:
        """Create a pod as the builder does; return its uid."""
        found = pod(name, NAMESPACE, cpu)
        labels = {**found["metadata"]["labels"], "jobyard.dev/environment": "prod"}
        found["metadata"]["labels"] = labels
        answer = self.kubectl("create", "-f", "-", "-o", "json", stdin=yaml.safe_dump(found))
        assert answer.returncode == 0, answer.stderr
        return str(json.loads(answer.stdout)["metadata"]["uid"])

    def read(self, name: str) -> Object:
        """Return the pod, nothing if it does not exist."""
        answer = self.kubectl("get", "pod", name, "-n", NAMESPACE, "-o", "json", "--ignore-not-found")
        found: Object = json.loads(answer.stdout or "{}")
        return found

    def waits(self, name: str) -> bool:
        """Whether the pod waits for quota."""
        return GATE in [gate["name"] for gate in self.read(name)["spec"].get("schedulingGates", [])]

    def end(self, name: str) -> None:
        """End the pod as a kubelet would."""
        status = json.dumps({"status": {"phase": "Succeeded"}})
        self.kubectl("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", status)

    def follow(
        self, names: dict[str, str], act: Callable[[dict[str, Followed]], Awaitable[None]], **changes: Any
    ) -> None:
        """Follow these pods as a triggerer does, with one watch; do something meanwhile."""

        async def both() -> None:
            cluster = Cluster(self.kubeconfig, "admin")
            watch = PodWatch(cluster, NAMESPACE, environment="prod")
            watch.start()
            followed = {name: self._start(cluster, watch, name, uid, changes) for name, uid in names.items()}
            try:
                await act(followed)
            finally:
                for one in followed.values():
                    one.task.cancel()
                await asyncio.gather(*(one.task for one in followed.values()), return_exceptions=True)
                await watch.stop()
                await cluster.close()
                # TLS connections of aiohttp end a moment later.
                await asyncio.sleep(0.3)

        asyncio.run(both())

    def _start(self, cluster: Cluster, watch: PodWatch, name: str, uid: str, changes: Object) -> Followed:
        target = Target(
            **{
                "kubeconfig": self.kubeconfig,
                "context": "admin",
                "namespace": NAMESPACE,
                "environment": "prod",
                "pod": name,
                "uid": uid,
                "container": "main",
                "timeout": None,
                "startup_timeout": 600,
                "task": TaskKey("risk.score", "run", name),
                **changes,
            }
        )
        log = Log()
        return Followed(log, asyncio.create_task(Following(target, cluster, watch, log).run()))


@pytest.fixture(scope="module")
def with_queue(kueue: RunningKueue, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """The namespace, its queue, and a kubeconfig with a context as the library needs it."""
    labels = {"jobyard.dev/team": "watched"}
    resources = [{"name": "cpu", "nominalQuota": "4"}, {"name": "memory", "nominalQuota": "1Ti"}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": FLAVOR, "resources": resources}]}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        made("ResourceFlavor", FLAVOR, {"nodeLabels": {"jobyard.dev/node-group": FLAVOR}}),
        made("ClusterQueue", "team-watched", {"namespaceSelector": {}, "resourceGroups": [group]}),
        made("LocalQueue", "jobs", {"clusterQueue": "team-watched"}, NAMESPACE),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}},
    ]
    applied = kueue.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert applied.returncode == 0, applied.stderr
    config = yaml.safe_load(kueue.server.kubeconfig.read_text())
    context = {"cluster": config["clusters"][0]["name"], "user": "admin"}
    config["users"] = [{"name": "admin", "user": {"token": "admin"}}]
    config["contexts"] = [{"name": "admin", "context": context}]
    kubeconfig = tmp_path_factory.mktemp("library") / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return Team(kueue, kubeconfig)


@pytest.fixture
def team(with_queue: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """The team without a pod; a line is written as soon as something has changed."""
    monkeypatch.setattr(queue, "FIRST_PAUSE", 0.5)
    monkeypatch.setattr(follow, "LONGEST_WAIT", 1.0)
    yield with_queue
    # What collects garbage does not run here.
    for kinds in ("pods", "workloads"):
        with_queue.kubectl("delete", kinds, "--all", "-n", NAMESPACE, "--force", "--wait=false")
    wait_until(lambda: not with_queue.kubectl("get", "pods,workloads", "-n", NAMESPACE, "-o", "name").stdout)


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.1)


def test_the_log_says_what_lacks_and_when_it_has_come(team: Team) -> None:
    uids = {name: team.create(name) for name in ("first", "second")}
    wait_until(lambda: not any(team.waits(name) for name in uids))
    for name, cpu in {"third": "2", "fourth": "4", "never": "5"}.items():
        uids[name] = team.create(name, cpu)
        # Kubernetes knows in which second a pod was made.
        time.sleep(1.1)

    async def act(followed: dict[str, Followed]) -> None:
        last = followed["fourth"].log
        await until(lambda: bool(last.of_queue) and bool(followed["never"].log.of_queue))
        team.end("first")
        third = followed["third"]
        await until(lambda: len(third.log.of_queue) == 2)
        await until(lambda: "before it" not in last.of_queue[-1])
        assert (await followed["first"].task).kind is Kind.SUCCEEDED
        assert not third.task.done()
        logs.update({name: one.log.of_queue for name, one in followed.items()})

    logs: dict[str, list[str]] = {}
    team.follow(uids, act)
    assert logs["first"] == logs["second"] == []
    waits, admitted = logs["third"]
    assert waits == f"Waiting for quota of {FLAVOR}: 2 more cores; it is the team's next"
    assert admitted.startswith("Admitted after ") and admitted.endswith(" s in the queue")
    assert logs["fourth"][0].startswith(f"Waiting for quota of {FLAVOR}: 4 more cores; 1 before it")
    never = f"Waiting for quota of {FLAVOR}: it requests 5 cores, and the most that there can be is 4"
    assert logs["never"][0] == f"{never}; 2 before it"


def test_a_wait_that_takes_too_long_ends_and_so_does_its_pod(team: Team) -> None:
    uids = {"large": team.create("large", cpu="4")}
    wait_until(lambda: not team.waits("large"))
    uids["late"] = team.create("late")

    async def act(followed: dict[str, Followed]) -> None:
        found = await asyncio.wait_for(followed["late"].task, 60)
        assert found.kind is Kind.QUEUE_TIMED_OUT
        lacks = "the pod has waited for quota of high-memory: 2 more cores"
        assert found.message == f"{lacks} for longer than its queue_timeout of 6 s"
        assert not followed["large"].task.done()

    team.follow(uids, act, queue_timeout=6)
    wait_until(lambda: not team.read("late"))


@pytest.mark.parametrize("name", ["runs", "waits"])
def test_a_pod_that_kueue_stops_is_lost(team: Team, name: str) -> None:
    """As it does with one whose quota another team takes back, or whose Workload somebody deletes."""
    uids = {"runs": team.create("runs", cpu="4")}
    wait_until(lambda: not team.waits("runs"))
    uids["waits"] = team.create("waits")
    workload = queue.workload_name(name, uids[name])

    async def act(followed: dict[str, Followed]) -> None:
        await until(lambda: bool(followed["waits"].log.of_queue))
        team.kubectl("delete", "workload", workload, "-n", NAMESPACE, "--wait=false")
        found = await asyncio.wait_for(followed[name].task, 60)
        assert (found.kind, found.message) == (Kind.LOST, "Kueue: WorkloadDeleted: Workload is deleted")

    team.follow(uids, act)


def test_following_ends_also_while_kueue_is_away(team: Team) -> None:
    """Its finalizer keeps the objects until it is back."""
    uids = {"runs": team.create("runs", cpu="4")}
    wait_until(lambda: not team.waits("runs"))
    uids.update({name: team.create(name) for name in ("deleted", "late")})
    kinds: dict[str, Kind] = {}
    left: list[str] = []

    async def act(followed: dict[str, Followed]) -> None:
        await until(lambda: bool(followed["late"].log.of_queue))
        team.kueue.stop()
        team.kubectl("delete", "pod", "deleted", "-n", NAMESPACE, "--wait=false")
        team.end("runs")
        team.kubectl("delete", "pod", "runs", "-n", NAMESPACE, "--wait=false")
        for name, one in followed.items():
            kinds[name] = (await asyncio.wait_for(one.task, 60)).kind
        left.extend(name for name in followed if team.read(name))

    try:
        team.follow(uids, act, queue_timeout=15)
    finally:
        team.kueue.start()
    assert kinds == {"runs": Kind.SUCCEEDED, "deleted": Kind.LOST, "late": Kind.QUEUE_TIMED_OUT}
    assert left == ["runs", "deleted", "late"]
    wait_until(lambda: not any(team.read(name) for name in uids))
