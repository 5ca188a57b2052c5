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

DISRUPTIONS = {
    "DisruptionTarget": "",
    # Kueue's own, of a pod that it takes out again (kueue: pkg/controller/jobs/pod/pod_controller.go).
    "TerminationTarget": "Kueue: ",
}
"""Conditions of a pod that Kubernetes is about to stop, and what is said before their reason."""
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
REFUSED = "Pod was rejected: "
"""What the kubelet says before any reason to refuse a pod (kubernetes: pkg/kubelet/kubelet.go)."""
EVICTED = "Evicted"
OWN_FAULT = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")
"""What the kubelet says of an eviction for the pod's own use (kubernetes: pkg/kubelet/eviction/helpers.go)."""
FORGOTTEN = ("ContainerStatusUnknown", "Unknown")
"""Reasons of a container whose end nobody has seen, as after a restart of its machine (kubernetes:
pkg/kubelet/status/status_manager.go; containerd: internal/cri/server/restart.go)."""
SKEW_SECONDS = 5
"""By how much the clocks of two machines may differ."""
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


def scheduled(pod: Mapping[str, Any]) -> float | None:
    """Return the second at which the pod got its node; None without one."""
    for condition in pod["status"].get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return timestamp(condition.get("lastTransitionTime"))
    return None


def ending(pod: Mapping[str, Any], container: str) -> Ending | None:
    """Return how the pod ended; None while it has not."""
    status = pod["status"]
    if status.get("phase") not in TERMINAL:
        return None
    terminated = state(pod, container).get("terminated") or {}
    kind, message = _verdict(pod, terminated, container)
    return Ending(kind, message, output=terminated.get("message"), node=pod["node"])


def _verdict(pod: Mapping[str, Any], terminated: Mapping[str, Any], container: str) -> tuple[Kind, str]:
    status = pod["status"]
    if status["phase"] == "Succeeded":
        return Kind.SUCCEEDED, ""
    reason, message = status.get("reason") or "", status.get("message") or ""
    if cause := _disruption(status, terminated) or _loss(reason, message, terminated):
        return Kind.LOST, cause
    if reason == EVICTED:
        return Kind.FAILED, f"{reason}: {message}"
    if reason == "DeadlineExceeded":
        return Kind.TIMED_OUT, f"Kubernetes stopped the pod: {message}"
    if not terminated and "deletionTimestamp" not in pod["metadata"]:
        return Kind.NOT_STARTED, f"the pod failed before it started: {_before_start(status, reason, message)}"
    if terminated.get("reason") == "OOMKilled":
        return Kind.OUT_OF_MEMORY, f"container {container!r} was killed, as it used more memory than its limit"
    if _was_deleted(pod, terminated):
        return Kind.LOST, "the pod was deleted while its container had not ended"
    code = f"container {container!r} ended with exit code {terminated.get('exitCode')}"
    details = [detail for detail in (terminated.get("reason"), reason, message) if detail]
    return Kind.FAILED, f"{code} ({': '.join(details)})" if details else code


def is_abandoned(pod: Mapping[str, Any]) -> bool:
    """Return whether the pod was deleted before it had a node: none will take it.

    The object stays as long as a finalizer is on it, such as Kueue's while Kueue is away.
    """
    return "deletionTimestamp" in pod["metadata"] and not pod["node"] and pod["status"].get("phase") not in TERMINAL


def stopped_by(pod: Mapping[str, Any]) -> str:
    """Return why Kubernetes, or Kueue, had the pod deleted; "" if neither says so."""
    return _disruption(pod["status"], {})


def _disruption(status: Mapping[str, Any], terminated: Mapping[str, Any]) -> str:
    """Return why Kubernetes ended the pod, "" if it did not, or if the container had ended by then."""
    for condition in status.get("conditions") or []:
        said = DISRUPTIONS.get(condition.get("type"))
        if said is None or condition.get("status") != "True":
            continue
        if not _ended_before(terminated, timestamp(condition.get("lastTransitionTime"))):
            return f"{said}{condition.get('reason')}: {condition.get('message')}"
    return ""


def _loss(reason: str, message: str, terminated: Mapping[str, Any]) -> str:
    """Return how the machine, or its kubelet, lost the pod; "" if it did not."""
    if reason == EVICTED:
        is_lost = not any(text in message for text in OWN_FAULT)
    else:
        is_lost = reason in LOST_REASONS or reason.startswith(OUT_OF) or message.startswith(REFUSED)
    if is_lost:
        return f"{reason}: {message}"
    # An eviction for the pod's own use is not better for a container that could not be found afterwards.
    if reason or terminated.get("reason") not in FORGOTTEN:
        return ""
    return f"{terminated['reason']}: {terminated.get('message') or 'its machine does not know how it ended'}"


def _was_deleted(pod: Mapping[str, Any], terminated: Mapping[str, Any]) -> bool:
    """Return whether somebody had the pod deleted before its container ended."""
    end = timestamp(pod["metadata"].get("deletionTimestamp"))
    if end is None:
        return False
    # The time of deletion is that at which the grace period ends.
    return not _ended_before(terminated, end - (pod["metadata"].get("deletionGracePeriodSeconds") or 0))


def _ended_before(terminated: Mapping[str, Any], moment: float | None) -> bool:
    end = timestamp(terminated.get("finishedAt"))
    return end is not None and moment is not None and end < moment - SKEW_SECONDS


def _before_start(status: Mapping[str, Any], reason: str, message: str) -> str:
    """Return why a pod failed whose container never ran: its own reason, or how one of its init containers ended."""
    for found in status.get("initContainerStatuses") or []:
        ended = (found.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"init container {found['name']!r} ended with exit code {ended['exitCode']}"
    return ": ".join(text for text in (reason, message) if text) or "Kubernetes does not say why"
