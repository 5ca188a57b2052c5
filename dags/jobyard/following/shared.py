"""What the triggers of one triggerer share: a watch for each team, and how much of all logs is written a second.

The watch also finds pods that nobody follows, as of a task that somebody marked while no triggerer ran. Airflow is
asked whether the task still wants its pod; if not, the pod is deleted.
"""

import asyncio
import contextvars
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from . import task_state
from .cluster import FAILURES, Cluster, RequestError
from .follow import Following, Log
from .logs import POD_BURST, POD_RATE, Allowance
from .target import Ending, Target, TaskKey
from .verdict import TERMINAL
from .watch import PodWatch

SWEEP_SECONDS = 20
UNFOLLOWED_SECONDS = 40
"""How long a pod may be without a follower before Airflow is asked: a worker that has just made it is about to
defer."""
WANTED_SECONDS, LONGEST_WANTED_SECONDS = 60, 600
"""How long Airflow is not asked again for a pod that it wants: a worker, or another triggerer, follows that. As long as
it has been so, at least and at most this. Airflow 3 answers with all runs of the pod's task."""
LEAST_SECONDS = 20.0
"""How long a task is deferred at least. Airflow's scheduler fails a task that is queued again before it has taken note
that the worker, which deferred it, has ended ("finished with state success, but the task instance's state attribute is
queued")."""
LAGS, LONGEST_LAG = 4, 25.0
"""On a busy machine the scheduler takes longer. How busy it is shows the time from the deferral to the trigger's start,
at most that many seconds; a task is deferred for so many times that time more."""
IDLE_SECONDS = 180
"""How long a watch stays that nobody uses: the next task often is not far."""
LINES_OF_ALL = (512 * 1024, 8 * 1024 * 1024)
"""Bytes of all logs that are written a second, and at once at most, while pods run; the rest follows when they have
ended."""
LOG = logging.getLogger(__name__)


class Team:
    """The watch of one team's pods, with what is swept up behind it."""

    def __init__(self, target: Target) -> None:
        self.cluster = Cluster(target.kubeconfig, target.context)
        self.watch = PodWatch(self.cluster, target.namespace, environment=target.environment)
        self.users = 0
        self.used = time.monotonic()
        self._unfollowed: dict[str, float] = {}
        self._wanted: dict[str, float] = {}
        self._handed_over: set[str] = set()
        self._tasks: dict[str, TaskKey] = {}
        # A context of its own: else its lines would be in the log of the task that came first.
        context = contextvars.Context()
        self.watch.start(context=context)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_forever(), context=context)

    @property
    def is_idle(self) -> bool:
        """Whether nobody needs the watch: nobody follows or makes a pod, and all pods have been looked after."""
        is_unused = not self.users and time.monotonic() - self.used > IDLE_SECONDS
        return is_unused and self.watch.is_listed and not self.watch.pods

    def note(self, target: Target) -> None:
        """Take note of whose pod that is."""
        self.used = time.monotonic()
        self._tasks[target.pod] = target.task

    def hand_over(self, pod: str) -> None:
        """Take note that a worker will finish the task of a pod whose log and output it already has."""
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
            except Exception:  # the next round may find what it needs
                LOG.exception("Could not look after pods that nobody follows: %s", self.watch.pods_path)

    async def _sweep(self) -> None:
        """Delete the pods that nobody follows and no task wants."""
        pods = dict(self.watch.pods)
        self._tasks = {name: task for name, task in self._tasks.items() if name in pods or self.watch.is_followed(name)}
        self._handed_over &= pods.keys()
        due = {name: pods[name] for name in self._due(pods)}
        for question, names in self._questions(due).items():
            await self._look_after(question, {name: due[name] for name in names})

    def _due(self, pods: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return the names of the pods to ask Airflow for."""
        now = time.monotonic()
        unfollowed = [name for name in pods if not self.watch.is_followed(name)]
        self._unfollowed = {name: self._unfollowed.get(name, now) for name in unfollowed}
        self._wanted = {name: until for name, until in self._wanted.items() if name in self._unfollowed and now < until}
        is_old = {name for name, since in self._unfollowed.items() if now - since >= UNFOLLOWED_SECONDS}
        return sorted(
            name for name in is_old - self._wanted.keys() if "deletionTimestamp" not in pods[name]["metadata"]
        )

    def _questions(self, pods: Mapping[str, Mapping[str, Any]]) -> Mapping["Question", list[str]]:
        """Return what Airflow is to be asked, with the names of the pods that it decides about."""
        found: dict[Question, list[str]] = defaultdict(list)
        for name, pod in pods.items():
            labels = pod["metadata"].get("labels") or {}
            if task := self._tasks.get(name):
                found[task.dag_id, task.task_id, task.run_id].append(name)
            elif labels.keys() >= LABELS:
                dag_id = f"{labels['jobyard.dev/team']}.{labels['jobyard.dev/job']}"
                found[dag_id, labels["jobyard.dev/task"], None].append(name)
        return found

    async def _look_after(self, question: "Question", pods: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            unwanted = await self._unwanted(question, pods)
        except Exception as error:  # Airflow's database or API
            LOG.info("Could not ask Airflow about %s: %s: %s", question, type(error).__name__, error)
            return
        now = time.monotonic()
        for name in pods.keys() - unwanted:
            wait = min(max(now - self._unfollowed[name], WANTED_SECONDS), LONGEST_WANTED_SECONDS)
            self._wanted[name] = now + wait
        for name in unwanted:
            LOG.info("Deleting pod %s, whose task does not need it any longer", name)
            try:
                await self.cluster.delete(f"{self.watch.pods_path}/{name}")
            except (RequestError, *FAILURES) as error:
                LOG.info("Could not delete pod %s: %s", name, error)

    async def _unwanted(self, question: "Question", pods: Mapping[str, Mapping[str, Any]]) -> set[str]:
        # A task whose DAG is paused is finished when it is no longer; its pod need not wait.
        found = {name for name in self._handed_over & pods.keys() if pods[name]["status"].get("phase") in TERMINAL}
        if others := pods.keys() - found:
            states = await task_state.states(*question)
            found |= {name for name in others if self._is_orphan(name, pods[name]["metadata"]["labels"], states)}
        return found

    def _is_orphan(self, name: str, labels: Mapping[str, str], states: task_state.States) -> bool:
        """Return whether the instance of a task to which the pod belongs has ended.

        One that does not exist may be another Airflow's, as while an environment is replaced by one of a newer version.
        Its pod ends by its own deadline. One that was followed here did exist, and its run was deleted.
        """
        from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

        if task := self._tasks.get(name):
            return states.get((task.run_id, task.map_index)) in task_state.ENDED
        map_index = labels.get("map_index", "-1")
        for (run_id, index), value in states.items():
            if str(index) == map_index and make_safe_label_value(run_id) == labels["run_id"]:
                return value in task_state.ENDED
        return False


Question = tuple[str, str, str | None]
"""A DAG, a task and, if it is known, a run."""
LABELS = {"jobyard.dev/team", "jobyard.dev/job", "jobyard.dev/task", "run_id"}


class Shared:
    """The teams of one triggerer."""

    def __init__(self) -> None:
        self._teams: dict[tuple[str, str], Team] = {}
        self._lines = Allowance(*LINES_OF_ALL)
        self._closing: asyncio.Task[None] | None = None
        # The event loop alone would not keep them.
        self._abandoning: set[asyncio.Task[None]] = set()

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
        team.note(target)
        team.users += 1
        least = _least_seconds(target.deferred_at)
        begin = time.monotonic()
        try:
            allowances = (Allowance(POD_RATE, POD_BURST), self._lines)
            found = await Following(target, team.cluster, team.watch, log, allowances).run()
            if found.log_complete:
                team.hand_over(target.pod)
            await asyncio.sleep(max(0.0, least - (time.monotonic() - begin)))
            return found
        finally:
            team.users -= 1
            team.used = time.monotonic()

    async def abandon(self, target: Target) -> None:
        """Delete the pod if its task does not want it any longer: somebody has cleared or marked it.

        This goes on if the caller is cancelled: Airflow's triggerer cancels a trigger about once a second until it has
        ended, so that it would cut off a deletion that takes longer.

        Raises:
            Exception: neither Airflow nor the API server could be asked.
        """
        abandoning = asyncio.create_task(self._abandon(target))
        self._abandoning.add(abandoning)
        abandoning.add_done_callback(self._abandoning.discard)
        await asyncio.shield(abandoning)

    async def _abandon(self, target: Target) -> None:
        if await task_state.state(target.task) == task_state.DEFERRED:
            # The triggerer stops, or another one follows the pod from now on.
            return
        team = self.team(target)
        team.note(target)
        await team.cluster.delete(target.path)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS / 3)
            for key, team in list(self._teams.items()):
                if team.is_idle:
                    del self._teams[key]
                    await team.close()


def _least_seconds(deferred_at: float) -> float:
    """Return for how many seconds from now on a task stays deferred, that was deferred at that second of the epoch."""
    passed = max(0.0, time.time() - deferred_at)
    return LEAST_SECONDS + LAGS * min(passed, LONGEST_LAG) - passed


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
