"""What the triggers of one triggerer share: a watch for each team, and how much of all logs is written a second.

The watch also finds pods that nobody follows, as of a task that somebody marked while no triggerer ran. Airflow is asked
whether the task still wants its pod; if not, the pod is deleted.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Mapping
from typing import Any

from . import task_state
from .cluster import FAILURES, Cluster, RequestError
from .follow import Following, Log
from .logs import Allowance
from .target import Ending, Target
from .verdict import TERMINAL
from .watch import PodWatch

SWEEP_SECONDS = 20
UNFOLLOWED_SECONDS = 40
"""How long a pod may be without a follower before Airflow is asked: a worker that has just made it is about to
defer."""
LEAST_SECONDS = 20.0
"""How long a task is deferred at least. Airflow's scheduler fails a task that is queued again before it has taken note
that the worker, which deferred it, has ended ("finished with state success, but the task instance's state attribute is
queued")."""
IDLE_SECONDS = 180
"""How long a watch stays that nobody uses: the next task often is not far."""
LINES_OF_A_POD = (32 * 1024, 1024 * 1024)
LINES_OF_ALL = (512 * 1024, 8 * 1024 * 1024)
"""Bytes of logs that are written a second, and at once at most, while pods run; what a pod writes beyond that follows
when it has ended. So no pod can take the triggerer's time, or its memory, from the others."""
LOG = logging.getLogger(__name__)


class Team:
    """The watch of one team's pods, with what is swept up behind it."""

    def __init__(self, target: Target) -> None:
        self.cluster = Cluster(target.kubeconfig, target.context)
        self.watch = PodWatch(self.cluster, target.namespace, environment=target.environment)
        self.used = time.monotonic()
        self._unfollowed: dict[str, float] = {}
        self._handed_over: set[str] = set()
        # A context of its own: else its lines would be in the log of the task that came first.
        context = contextvars.Context()
        self.watch.start(context=context)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_forever(), context=context)

    def hand_over(self, pod: str) -> None:
        """Take note that a worker will finish the task of a pod whose log and output it needs no more."""
        self._handed_over.add(pod)

    async def close(self) -> None:
        """Stop the watch."""
        self._sweeping.cancel()
        await self.watch.stop()
        await self.cluster.close()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._sweep()
            except (RequestError, *FAILURES) as error:
                LOG.info("%s: %s", self.watch.pods_path, error)
            except Exception:  # Airflow's database or API; the next round asks again
                LOG.exception("Could not look after pods that nobody follows: %s", self.watch.pods_path)

    async def _sweep(self) -> None:
        now = time.monotonic()
        pods = dict(self.watch.pods)
        unfollowed = [name for name in pods if not self.watch.is_followed(name)]
        self._unfollowed = {name: self._unfollowed.get(name, now) for name in unfollowed}
        self._handed_over &= pods.keys()
        for name, since in self._unfollowed.items():
            pod = pods[name]
            if now - since >= UNFOLLOWED_SECONDS and "deletionTimestamp" not in pod["metadata"]:
                await self._look_after(name, pod)

    async def _look_after(self, name: str, pod: Mapping[str, Any]) -> None:
        has_ended = pod["status"].get("phase") in TERMINAL
        # A task whose DAG is paused is finished when it is no longer; its pod need not wait.
        if (has_ended and name in self._handed_over) or await _is_orphan(pod["metadata"].get("labels") or {}):
            LOG.info("Deleting pod %s, whose task does not need it any longer", name)
            await self.cluster.delete(f"{self.watch.pods_path}/{name}")


async def _is_orphan(labels: Mapping[str, str]) -> bool:
    """Return whether the instance of a task that the labels name has ended.

    One that does not exist may be another Airflow's, as while an environment is replaced by one of a newer version. Its
    pod ends by its own deadline.
    """
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

    run_label = labels.get("run_id")
    if run_label is None:
        return False
    dag_id = f"{labels['jobyard.dev/team']}.{labels['jobyard.dev/job']}"
    found = await task_state.states(dag_id, labels["jobyard.dev/task"])
    map_index = int(labels.get("map_index", -1))
    for (run_id, index), value in found.items():
        if index == map_index and make_safe_label_value(run_id) == run_label:
            return value in task_state.ENDED
    return False


class Shared:
    """The teams of one triggerer."""

    def __init__(self) -> None:
        self._teams: dict[tuple[str, str], Team] = {}
        self._lines = Allowance(*LINES_OF_ALL)
        self._closing: asyncio.Task[None] | None = None

    def team(self, target: Target) -> Team:
        """Return the team's watch, begun if there was none yet."""
        key = (target.kubeconfig, target.context)
        if key not in self._teams:
            self._teams[key] = Team(target)
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_idle(), context=contextvars.Context())
        return self._teams[key]

    async def follow(self, target: Target, log: Log) -> Ending:
        """Return how the pod ended."""
        team = self.team(target)
        begin = time.monotonic()
        try:
            allowances = (Allowance(*LINES_OF_A_POD), self._lines)
            found = await Following(target, team.cluster, team.watch, log, allowances).run()
            if found.log_complete:
                team.hand_over(target.pod)
            await asyncio.sleep(max(0.0, LEAST_SECONDS - (time.monotonic() - begin)))
            return found
        finally:
            team.used = time.monotonic()

    async def abandon(self, target: Target) -> None:
        """Delete the pod if its task does not want it any longer: somebody has cleared or marked it.

        Raises:
            Exception: neither Airflow nor the API server could be asked.
        """
        if await task_state.state(target.task) == task_state.DEFERRED:
            # The triggerer stops, or another one follows the pod from now on.
            return
        team = self.team(target)
        team.used = time.monotonic()
        await team.cluster.delete(f"{team.watch.pods_path}/{target.pod}")

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS / 3)
            for key, team in list(self._teams.items()):
                if not team.watch.followed and time.monotonic() - team.used > IDLE_SECONDS:
                    del self._teams[key]
                    await team.close()


_shared: dict[asyncio.AbstractEventLoop, Shared] = {}


def shared() -> Shared:
    """Return what the triggers of the running event loop share."""
    loop = asyncio.get_running_loop()
    for other in [other for other in _shared if other.is_closed()]:
        del _shared[other]
    return _shared.setdefault(loop, Shared())


async def follow(arguments: Mapping[str, Any], log: Log) -> dict[str, Any]:
    """Follow the pod of a target, as `Target.arguments` describes it; return the `Ending.arguments`."""
    found = await shared().follow(Target.of(arguments), log)
    return found.arguments()


async def abandon(arguments: Mapping[str, Any]) -> None:
    """Delete the pod of a target if its task does not want it any longer.

    Raises:
        Exception: neither Airflow nor the API server could be asked.
    """
    await shared().abandon(Target.of(arguments))
