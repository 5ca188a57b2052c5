"""Judging whether a pod that is not running yet still may.

A node group that scales from zero needs ten minutes; an image that cannot be pulled needs none to be known.
The provider tells the two apart differently in each version (9.0.1 not at all), so it is done here for all.
"""

import time
from collections.abc import Callable

from kubernetes.client import CoreV1Event, V1Pod  # type: ignore[import-untyped]

from jobyard.errors import PodCannotStartError, PodNotStartedError

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
    """One wait for one pod: fed with its events and states, it says when to stop waiting."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the wait; `timeout` counts the seconds until the pod runs, nodes and pull included."""
        self._timeout = timeout
        self._clock = clock
        self._begin = clock()
        self._trouble_since: float | None = None
        self._seen: set[str] = set()
        self._last_warning = ""
        self._cause = ""

    def is_new(self, event: CoreV1Event) -> bool:
        """Take in an event of the pod and return whether it was not seen before."""
        if event.metadata.uid in self._seen:
            return False
        self._seen.add(event.metadata.uid)
        message = event.message or ""
        if event.type == "Warning":
            self._last_warning = f"{event.reason}: {message}"
        # The kubelet says the cause once ("Failed to pull image ...: not found"), then "Error: ErrImagePull".
        if event.reason == "Failed" and message and not message.startswith("Error: "):
            self._cause = message
        return True

    def is_over(self, pod: V1Pod) -> bool:
        """Return whether the pod runs or has run.

        Raises:
            PodCannotStartError: it never will.
            PodNotStartedError: it did not in time, or failed before its container started.
        """
        status = pod.status
        if status.phase == "Failed" and not status.container_statuses:
            raise PodNotStartedError(f"the pod failed before it started: {status.reason}: {status.message}")
        if status.phase in ("Running", "Succeeded", "Failed"):
            return True
        self._judge_containers(pod)
        if self._clock() - self._begin >= self._timeout:
            last = self._last_warning or "none"
            raise PodNotStartedError(f"the pod was not running after {self._timeout:.0f} s; last warning: {last}")
        return False

    def _judge_containers(self, pod: V1Pod) -> None:
        for container in pod.status.container_statuses or []:
            waiting = container.state.waiting if container.state else None
            if waiting and waiting.reason in TROUBLE:
                self._judge(container.name, waiting.reason, waiting.message or "")

    def _judge(self, container: str, reason: str, message: str) -> None:
        """Raise at once for what is hopeless, after the grace for the rest."""
        # Kubelets before 1.32 give the cause in the event alone; "Back-off pulling image" says nothing.
        explanation = f"{message} {self._cause}".lower()
        detail = f"container {container!r} cannot start: {reason}: {self._cause or message}"
        if reason in HOPELESS_REASONS or any(text in explanation for text in HOPELESS_TEXTS):
            raise PodCannotStartError(detail)
        now = self._clock()
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._trouble_since >= GRACE_SECONDS:
            raise PodNotStartedError(detail)
