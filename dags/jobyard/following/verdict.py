"""What a pod's status says of how it ended.

A pod that Kubernetes stopped, or that went with its machine, is lost; its task did nothing wrong. Kubernetes marks most
of them with the condition `DisruptionTarget`
(https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions), older kubelets and some
paths only with a reason.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .target import Ending, Kind

# `status.reason` of a pod that its kubelet or the controllers ended for the machine's sake, or refused
# (kubernetes: pkg/kubelet/nodeshutdown, pkg/kubelet/preemption, pkg/kubelet/lifecycle/predicate.go,
# pkg/controller/nodelifecycle).
LOST_REASONS = frozenset(
    {
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "Preempted",
        "Preempting",
        "Shutdown",
        "Terminated",
        "UnexpectedAdmissionError",
    }
)
OUT_OF = "OutOf"
"""The kubelet's refusal of a pod for which the machine has no room after all: `OutOfcpu`, `OutOfmemory`,
`OutOfpods`."""
EVICTED = "Evicted"
OWN_FAULT = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")
"""What the kubelet says of an eviction for the pod's own use (kubernetes: pkg/kubelet/eviction/eviction_manager.go)."""
TERMINAL = ("Succeeded", "Failed")


def timestamp(text: str | None) -> float | None:
    """Return the second of the epoch that an RFC 3339 text names; None without one."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def state(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """Return the state of the container: an object with `waiting`, `running` or `terminated`, or an empty one."""
    for status in pod["status"].get("containerStatuses") or []:
        if status["name"] == container:
            found: Mapping[str, Any] = status.get("state") or {}
            return found
    return {}


def started(pod: Mapping[str, Any], container: str) -> float | None:
    """Return the second at which the container started; None if it has not."""
    found = state(pod, container)
    running = found.get("running") or found.get("terminated") or {}
    return timestamp(running.get("startedAt"))


def ending(pod: Mapping[str, Any], container: str) -> Ending | None:
    """Return how the pod ended; None while it has not."""
    status = pod["status"]
    if status.get("phase") not in TERMINAL:
        return None
    terminated = state(pod, container).get("terminated") or {}
    kind, message = _verdict(status, terminated, container)
    return Ending(kind, message, output=terminated.get("message"), node=pod["node"])


def _verdict(status: Mapping[str, Any], terminated: Mapping[str, Any], container: str) -> tuple[Kind, str]:
    if status["phase"] == "Succeeded":
        return Kind.SUCCEEDED, ""
    reason, message = status.get("reason") or "", status.get("message") or ""
    if cause := _disruption(status, reason, message):
        return Kind.LOST, cause
    if reason == "DeadlineExceeded":
        return Kind.TIMED_OUT, f"Kubernetes stopped the pod: {message}"
    if not terminated:
        return Kind.NOT_STARTED, f"the pod failed before it started: {reason}: {message}"
    if terminated.get("reason") == "OOMKilled":
        return Kind.OUT_OF_MEMORY, f"container {container!r} was killed, as it used more memory than its limit"
    code = f"container {container!r} ended with exit code {terminated.get('exitCode')}"
    details = [detail for detail in (terminated.get("reason"), reason, message) if detail]
    return Kind.FAILED, f"{code} ({': '.join(details)})" if details else code


def _disruption(status: Mapping[str, Any], reason: str, message: str) -> str:
    """Return why Kubernetes ended the pod, "" if it did not."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    is_lost = reason in LOST_REASONS or reason.startswith(OUT_OF)
    if reason == EVICTED:
        is_lost = not any(text in message for text in OWN_FAULT)
    return f"{reason}: {message}" if is_lost else ""
