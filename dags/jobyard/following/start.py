"""Judging whether a pod that is not running yet still may.

A node group that scales from zero needs ten minutes; an image that cannot be pulled needs none to be known.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .target import Ending, Kind
from .verdict import scheduled, timestamp

# How long the kubelet may go on trying before the try fails: a registry or network in trouble often recovers.
GRACE_SECONDS = 60
# A container's `waiting.reason` while the kubelet fails to start it
# (kubernetes: pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime/kuberuntime_container.go).
TROUBLE = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
    }
)
# Of the labels that Kueue reads and writes: https://kueue.sigs.k8s.io/docs/reference/labels-and-annotations/
QUEUE = "kueue.x-k8s.io/"
HOPELESS_REASONS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
# What registries and the kubelet say of an image that no further try will find, may pull, or may run.
HOPELESS_TEXTS = (
    "denied",
    "forbidden",
    "manifest unknown",
    "no match for platform",
    "non-numeric user",
    "not found",
    "unauthorized",
    "will run as root",
)


class StartWatch:
    """The wait for one pod's start: fed with its events and states, it says when to stop waiting."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.time, seen: Iterable[str] = ()) -> None:
        """`timeout` is how many seconds may pass from when the pod may be scheduled, nodes and pull included.

        `seen` are the uids of events that are not new.
        """
        self._timeout = timeout
        self._clock = clock
        self._begin: float | None = None
        self._was_gated = False
        self._trouble_since: float | None = None
        self.seen = set(seen)
        self._last_warning = ""
        self._cause = ""

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Take in an event of the pod and return whether it was not seen before."""
        if event["uid"] in self.seen:
            return False
        self.seen.add(event["uid"])
        message = event["message"]
        if event["type"] == "Warning":
            self._last_warning = f"{event['reason']}: {message}"
        # The kubelet says the cause once ("Failed to pull image ...: not found"), then "Error: ErrImagePull".
        if event["reason"] == "Failed" and message and not message.startswith("Error: "):
            self._cause = message
        return True

    def deadline(self, pod: Mapping[str, Any]) -> float | None:
        """Return the second of the clock by which the pod must run; None while it may not be scheduled."""
        if pod["gated"]:
            self._was_gated = True
            return None
        if self._begin is None:
            self._begin = min(self._since(pod), self._clock())
        return self._begin + self._timeout

    def _since(self, pod: Mapping[str, Any]) -> float:
        """Return since when the pod may be scheduled, as far as that is known."""
        created = timestamp(pod["metadata"].get("creationTimestamp"))
        if self._was_gated or created is None:
            return self._clock()
        if not any(label.startswith(QUEUE) for label in pod["metadata"].get("labels") or {}):
            return created
        # It has waited in a queue, and left that before this was watched: not later than it was scheduled.
        return scheduled(pod) or self._clock()

    def judge(self, pod: Mapping[str, Any]) -> Ending | None:
        """Return how the wait ended if the pod, which does not run yet, never will or has not in time."""
        if not (trouble := list(_trouble(pod))):
            self._trouble_since = None
        for name, waiting in trouble:
            if ending := self._judge(name, waiting["reason"], waiting.get("message") or ""):
                return ending
        deadline = self.deadline(pod)
        if deadline is not None and self._clock() >= deadline:
            last = self._last_warning or "none"
            text = f"the pod was not running after {self._timeout:.0f} s; last warning: {last}"
            return Ending(Kind.NOT_STARTED, text)
        return None

    def next_look(self) -> float | None:
        """Return the second of the clock at which trouble has lasted too long; None without trouble."""
        return None if self._trouble_since is None else self._trouble_since + GRACE_SECONDS

    def _judge(self, container: str, reason: str, message: str) -> Ending | None:
        """Give up at once for what is hopeless, after the grace period for the rest."""
        # Kubelets before 1.32 give the cause in the event alone; "Back-off pulling image" says nothing.
        explanation = f"{message} {self._cause}".lower()
        detail = f"container {container!r} cannot start: {reason}: {self._cause or message}"
        if reason in HOPELESS_REASONS or any(text in explanation for text in HOPELESS_TEXTS):
            return Ending(Kind.CANNOT_START, detail)
        now = self._clock()
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._trouble_since >= GRACE_SECONDS:
            return Ending(Kind.NOT_STARTED, detail)
        return None


def _trouble(pod: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the `waiting` of each container that the kubelet fails to start."""
    for status in pod["status"].get("containerStatuses") or []:
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in TROUBLE:
            yield status["name"], waiting
