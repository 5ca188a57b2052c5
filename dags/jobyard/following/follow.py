"""Following one pod from when it was created to its end."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from .cluster import FAILURES, Cluster, RequestError
from .create import NotAdmittedError, create
from .logs import POD_RATE, Allowance, LogReader
from .queue import QueueWait
from .start import StartWatch
from .target import Ending, Kind, Target
from .verdict import ending, is_abandoned, started, stopped_by, timestamp
from .watch import PodWatch, Subscription

LONGEST_WAIT = 60.0
"""Seconds after which a pod is looked at although nothing has changed."""
ASK_SECONDS = 5.0
"""Between two attempts to ask for a pod whose time is over, or that can't be watched."""
DRAIN_SECONDS = 5.0
"""How long the end of a log is waited for when its pod has ended; who finishes the task reads what is left."""
GONE_SECONDS = 1.0
REMOVAL_SECONDS = 300.0
"""How long after the end of its grace period a pod that is being deleted may take to end. A kubelet that can't be
reached confirms nothing, and the object stays until its node is removed."""


class Log(Protocol):
    """The task's log."""

    def info(self, message: str, /) -> Any:
        """Write a line."""

    def warning(self, message: str, /) -> Any:
        """Write a line."""


class Following:
    """One pod, followed."""

    def __init__(
        self,
        target: Target,
        cluster: Cluster,
        watch: PodWatch,
        log: Log,
        allowances: Iterable[Allowance] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`allowances` bound what is written of the pod's log while it runs."""
        self._target = target
        self._cluster = cluster
        self._watch = watch
        self._log = log
        self._allowances = tuple(allowances)
        self._clock = clock
        self._start = StartWatch(target.startup_timeout, clock, target.events)
        self._queue = QueueWait(target.queue_timeout, log, clock)
        self._reader = LogReader(cluster, target, line_writer(target, log))
        self._reading: asyncio.Task[bool] | None = None
        self._ended = asyncio.Event()
        self._has_node = False
        self._is_queued = False
        self._said: set[str] = set()

    @property
    def has_node(self) -> bool:
        """Whether the pod has been seen to have a node: it runs, or is about to."""
        return self._has_node

    @property
    def is_queued(self) -> bool:
        """Whether the pod has been seen to wait for its team's quota."""
        return self._is_queued

    @property
    def log_bytes(self) -> int:
        """How much of the pod's log has been written."""
        return self._reader.written

    @property
    def has_ended(self) -> bool:
        """Whether it is known how the pod ended: it may have been deleted because of that."""
        return self._ended.is_set()

    def rest(self) -> Target:
        """Return what is left to follow when `run` was cancelled."""
        return replace(self._target, log=self._reader.position, events=tuple(sorted(self._start.seen)))

    async def run(self) -> Ending:
        """Return how the pod ended."""
        uid = self._target.uid
        if not uid:
            try:
                uid = await create(self._cluster, self._watch, self._target.manifest or {}, self._log)
            except NotAdmittedError as error:
                return Ending(Kind.NOT_STARTED, f"the pod was not admitted: {error}", log_complete=True)
        try:
            with self._watch.follow(self._target.pod, uid) as subscription:
                self._reader.on_excess = subscription.notify
                found = await self._end(subscription)
                self._write_events(subscription)
                return await self._with_log(found, subscription)
        finally:
            if self._reading is not None:
                # What it would write after that would be written twice.
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)

    async def _end(self, subscription: Subscription) -> Ending:
        await self._watch.events_listed()
        asked: dict[str, Any] | None = None
        while True:
            self._write_events(subscription)
            pod = subscription.pod
            found = ending(pod, self._target.container) if pod is not None else None
            if found:
                self._ended.set()
                return found
            if subscription.gone or (pod is not None and is_abandoned(pod)):
                self._ended.set()
                return _lost(pod, "the pod was deleted while its container had not ended")
            if self._reader.is_excessive:
                return Ending(Kind.BEHIND, f"it writes more than {POD_RATE // 1024} KiB of log a second")
            if pod is None:
                await self._watch.confirm(subscription)
                continue
            self._has_node = bool(pod["node"])
            self._look_at_queue(pod, subscription)
            found = self._judge(pod)
            if found and pod is asked:
                self._ended.set()
                return await self._stopped(found)
            if found:
                # What was last seen of the pod may be old: the server may have been away since, or its watch may be.
                asked = await self._asked(subscription)
                continue
            await self._change(pod, subscription)

    def _look_at_queue(self, pod: dict[str, Any], subscription: Subscription) -> None:
        """Say what the pod waits for, if it waits for quota."""
        self._is_queued = pod["gated"]
        if self._is_queued:
            self._watch.watch_queue(subscription)
        self._queue.look(pod, subscription.waits_for, self._watch.position(subscription))

    async def _asked(self, subscription: Subscription) -> dict[str, Any] | None:
        """Return the pod as the server has it; None after a pause if the server can't be asked."""
        pod = await self._watch.look(subscription)
        if pod is None and not subscription.gone:
            await asyncio.sleep(ASK_SECONDS)
        return pod

    async def _change(self, pod: dict[str, Any], subscription: Subscription) -> None:
        """Wait until the pod changes, or has to be looked at."""
        wait = min(max(self._deadline(pod) - self._clock(), 0.05), LONGEST_WAIT)
        if not self._watch.refusal:
            await subscription.change(wait)
            return
        await subscription.change(min(wait, ASK_SECONDS))
        await self._watch.look(subscription)

    def _judge(self, pod: dict[str, Any]) -> Ending | None:
        """Return how following the pod, which has not ended, ends; None if it does not."""
        if not self._runs(pod):
            return self._queue.judge(pod) or self._start.judge(pod) or self._stuck(pod)
        self._read()
        since, limit = started(pod, self._target.container), self._target.timeout
        if since is not None and limit is not None and self._clock() >= since + limit:
            return Ending(Kind.TIMED_OUT, f"the task's timeout of {limit} s, from its container's start on, is over")
        return self._stuck(pod)

    def _runs(self, pod: dict[str, Any]) -> bool:
        return started(pod, self._target.container) is not None or pod["status"].get("phase") == "Running"

    def _read(self) -> None:
        """Begin to read the log, unless that has begun."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._reader.follow(self._ended, *self._allowances))

    def _stuck(self, pod: dict[str, Any]) -> Ending | None:
        end = _removal_end(pod)
        if end is None or self._clock() < end:
            return None
        return _lost(pod, "the pod was deleted, and its machine does not confirm that it has ended")

    def _deadline(self, pod: dict[str, Any]) -> float:
        """Return the second of the clock at which the pod has to be looked at if nothing changes."""
        since = started(pod, self._target.container)
        limits = [_removal_end(pod)]
        if not self._runs(pod):
            limits += [self._queue.next_look(pod), self._start.deadline(pod), self._start.next_look()]
        elif since is not None and self._target.timeout is not None:
            limits.append(since + self._target.timeout)
        known = [limit for limit in limits if limit is not None]
        return min(known, default=self._clock() + LONGEST_WAIT)

    async def _stopped(self, found: Ending) -> Ending:
        """Delete a pod that must not go on: nobody else may look at the task for long, as while its DAG is paused."""
        if found.kind is Kind.LOST:
            return found
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=DRAIN_SECONDS)
            if self._reader.is_behind:
                # The log goes with the pod, and its end says what took so long.
                return found
        try:
            await self._cluster.delete(self._target.path)
        except (RequestError, *FAILURES) as error:
            self._log.warning(f"Could not delete the pod: {error}")
        return replace(found, log_complete=True)

    async def _with_log(self, found: Ending, subscription: Subscription) -> Ending:
        """Return the ending with how far the log was written; of a deleted pod, nothing more can be read."""
        pod = subscription.pod
        if pod is None or (self._reading is None and started(pod, self._target.container) is None):
            return replace(found, log_complete=True)
        self._read()
        assert self._reading is not None
        if not found.log_complete:
            wait = GONE_SECONDS if subscription.gone else DRAIN_SECONDS
            await asyncio.wait({self._reading}, timeout=wait)
        is_complete = found.log_complete or subscription.gone
        if self._reading.done() and not self._reading.exception():
            is_complete = is_complete or self._reading.result()
        # What is written after that would be written twice.
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        return replace(found, log=self._reader.position, log_complete=is_complete)

    def _write_events(self, subscription: Subscription) -> None:
        self._say("The team's pods can't be watched; this one is asked for by its name", self._watch.refusal)
        self._say("Could not read the pod's events", self._watch.events_refusal)
        while subscription.events:
            event = subscription.events.popleft()
            if self._start.is_new(event):
                write = self._log.warning if event["type"] == "Warning" else self._log.info
                write(f"Pod event: {event['reason']}: {event['message']}")

    def _say(self, words: str, refusal: str) -> None:
        """Say once what is refused."""
        if refusal and words not in self._said:
            self._said.add(words)
            self._log.warning(f"{words}: {refusal}")


def line_writer(target: Target, log: Log) -> Callable[[str], None]:
    """Return what writes a line of the container into the task's log."""

    def write(line: str) -> None:
        log.info(f"[{target.container}] {line}")

    return write


def _lost(pod: dict[str, Any] | None, reason: str) -> Ending:
    if pod is None:
        return Ending(Kind.LOST, reason)
    return Ending(Kind.LOST, stopped_by(pod) or reason, node=pod["node"])


def _removal_end(pod: dict[str, Any]) -> float | None:
    """Return when a pod that is being deleted must have ended; None if it is not being deleted."""
    # The time of deletion is that at which the grace period ends.
    end = timestamp(pod["metadata"].get("deletionTimestamp"))
    return None if end is None else end + REMOVAL_SECONDS
