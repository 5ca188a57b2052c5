"""The wait of a pod for its team's quota, as the task's log tells of it.

Kueue gates each pod (`spec.schedulingGates`) until there is room for it. Why it still waits is in events of the pod's
Workload (kueue: pkg/scheduler/scheduler.go, pkg/scheduler/flavorassigner/flavorassigner.go).
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha1
from typing import Any, Protocol

from .target import Ending, Kind
from .verdict import timestamp

SETTLE_SECONDS = 4.0
"""A pod that is admitted sooner has not waited: each begins with the gate. It is longer than a worker follows one."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 600.0
"""How long the log is quiet after a line, at first and at most; each pause is twice the one before."""
NAME_CHARACTERS = 247
"""Of a Workload's name, before its hash (kueue: pkg/controller/jobframework/workload_names.go)."""
HASH_CHARACTERS = 5
_MORE = re.compile(r"insufficient unused quota for ([^\s,]+) in flavor ([^\s,]+), (\S+) more needed")
_NEVER = re.compile(
    r"insufficient quota for ([^\s,]+) in flavor ([^\s,]+), [^>]*current podset request \(([^)]+)\)"
    r" > maximum capacity \(([^)]+)\)"
)
_STOPPED = re.compile(r"Pending the preemption of (\d+) workload")
_PREFIX = re.compile(r"couldn't assign flavors to pod set [^:]+: ")


class Log(Protocol):
    """The task's log."""

    def info(self, message: str, /) -> Any:
        """Write a line."""


class QueueWait:
    """One pod's wait: fed with what is known of it, it writes the lines and says when to stop waiting."""

    def __init__(self, timeout: int | None, log: Log, clock: Callable[[], float] = time.time) -> None:
        """`timeout` is how many seconds the pod may wait, from when it was made; None is for ever."""
        self._timeout = timeout
        self._log = log
        self._clock = clock
        self._first_seen: float | None = None
        self._said = ""
        self._pause = FIRST_PAUSE
        self._next = 0.0
        self._reason = ""

    def look(self, pod: Mapping[str, Any], reason: str, before: int | None) -> None:
        """Write into the log what is new.

        `reason` is what Kueue said last of the pod, "" if it has said nothing; `before` is how many pods of the team
        come before it, if that is known.
        """
        now = self._clock()
        if not pod["gated"]:
            self._leave(now, pod)
            return
        self._reason = reason or self._reason
        begin = self._begin(pod)
        if not self._said:
            # Who has just begun to watch it may hear in a moment why it waits.
            self._next = SETTLE_SECONDS + (begin if self._reason else self._first_seen or now)
        line = f"Waiting for quota{words(self._reason)}{_position(before)}"
        if now >= self._next and line != self._said:
            self._log.info(line)
            self._said, self._next = line, now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def judge(self, pod: Mapping[str, Any]) -> Ending | None:
        """Return how the wait ended if it took too long."""
        end = self._end(pod)
        if end is None or self._clock() < end:
            return None
        text = (
            f"the pod has waited for quota{words(self._reason)} for longer than its queue_timeout of {self._timeout} s"
        )
        return Ending(Kind.QUEUE_TIMED_OUT, text)

    def next_look(self, pod: Mapping[str, Any]) -> float | None:
        """Return the second of the clock at which the pod has to be looked at; None once it may be scheduled."""
        if not pod["gated"]:
            return None
        now = self._clock()
        # A line that is due is written when there is something new.
        moments = [moment for moment in (self._next, self._end(pod)) if moment is not None and moment > now]
        return min(moments, default=None)

    def _begin(self, pod: Mapping[str, Any]) -> float:
        """Return since when the pod waits. Who follows it after another one does not begin again."""
        if self._first_seen is None:
            self._first_seen = self._clock()
        created = timestamp(pod["metadata"].get("creationTimestamp"))
        return self._first_seen if created is None else created

    def _end(self, pod: Mapping[str, Any]) -> float | None:
        if not pod["gated"] or self._timeout is None:
            return None
        return self._begin(pod) + self._timeout

    def _leave(self, now: float, pod: Mapping[str, Any]) -> None:
        if self._said:
            self._log.info(f"Admitted after {spoken(now - self._begin(pod))} in the queue")
            self._said = ""


def workload_name(pod: str, uid: str) -> str:
    """Return the name that Kueue gives the pod's Workload."""
    digest = sha1(f"Pod\n\n{pod}\n{uid}".encode(), usedforsecurity=False).hexdigest()
    return f"{f'pod-{pod}'[:NAME_CHARACTERS]}-{digest[:HASH_CHARACTERS]}"


def reason_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed of an event of a Workload: which pod it is about, and why that can't be admitted."""
    name = (event.get("involvedObject") or {}).get("name") or ""
    return {
        "pod": name.removeprefix("pod-").rpartition("-")[0],
        # The others say that it was admitted, or has ended.
        "reason": event.get("message") or "" if event.get("type") == "Warning" else "",
    }


def positions(pods: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many other pods come before each one that waits, by name.

    They are taken by priority and then by age, and only those for the same machines wait for the same quota.
    """
    queues: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for pod in pods:
        if pod["gated"] and "deletionTimestamp" not in pod["metadata"]:
            metadata = pod["metadata"]
            place = -pod["priority"], metadata.get("creationTimestamp") or "", metadata["name"]
            queues[pod["machines"]].append(place)
    found: dict[str, int] = {}
    for queue in queues.values():
        for position, (_, _, name) in enumerate(sorted(queue)):
            found[name] = position
    return found


def words(reason: str) -> str:
    """Return what a pod waits for, to be put behind "quota"; "" if Kueue has not said it."""
    if not reason:
        return ""
    groups = _needs(reason)
    if not groups:
        return f": {_PREFIX.sub('', reason)}"
    needs = "; or of ".join(f"{group}: {' and '.join(needed)}" for group, needed in groups.items())
    stopped = _STOPPED.search(reason)
    return f" of {needs}" + (f"; pods that are being stopped for it: {stopped[1]}" if stopped else "")


def _needs(reason: str) -> dict[str, list[str]]:
    """Return what lacks, by node group."""
    groups: dict[str, list[str]] = defaultdict(list)
    for resource, group, most in _MORE.findall(reason):
        groups[group].append(_amount(resource, most, "more "))
    for resource, group, wanted, most in _NEVER.findall(reason):
        groups[group].append(f"it requests {_amount(resource, wanted)}, and the most that there can be is {most}")
    return groups


def _amount(resource: str, quantity: str, more: str = "") -> str:
    """Return an amount in words, such as `4 more cores`."""
    if resource == "cpu":
        cores = f"{int(quantity[:-1]) / 1000:g}" if re.fullmatch(r"\d+m", quantity) else quantity
        return f"{cores} {more}{'core' if cores == '1' else 'cores'}"
    if resource == "nvidia.com/gpu":
        return f"{quantity} {more}{'GPU' if quantity == '1' else 'GPUs'}"
    return f"{quantity} {more or 'of '}{'disk' if resource == 'ephemeral-storage' else resource}"


def _position(before: int | None) -> str:
    if before is None:
        return ""
    return f"; {before} before it" if before else "; it is the team's next"


def spoken(seconds: float) -> str:
    """Return a duration in words, such as `12 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
