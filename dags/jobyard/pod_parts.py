"""The parts of a task's pod, in the words of Kubernetes' API, once for the builder and for `jobyard plan`.

Each takes fields of a task as `entries` has them. Nothing of Airflow's is imported.
"""

from collections.abc import Mapping
from typing import Any

from jobyard.contract import DISK, KUEUE, QUEUE, QUEUE_LABEL, SCRATCH_PATH
from jobyard.entries import Resources, Task

DISK_KIND = "ephemeral-storage"
# A batch pod that is moved starts again from nothing, so Karpenter is not to consolidate the node of a long one.
LONG_SECONDS = 600
DO_NOT_DISRUPT = {"karpenter.sh/do-not-disrupt": "true"}
# An affinity. The scheduler would spread pods over all machines with room, so that few become empty and can go. With it
# the machines that run most tasks, of any team, come first.
NEAR_OTHER_TASKS: Mapping[str, Any] = {
    "podAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "namespaceSelector": {},
                    "labelSelector": {"matchExpressions": [{"key": "jobyard.dev/team", "operator": "Exists"}]},
                },
            }
        ]
    }
}
SCRATCH = "scratch"
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
POD_SECURITY: Mapping[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Mapping[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
READ_ONLY_SECURITY: Mapping[str, Any] = {**CONTAINER_SECURITY, "readOnlyRootFilesystem": True}


def container_security(task: Task) -> Mapping[str, Any]:
    """Return the container's security context, one of two that all pods share.

    With a read-only root the scratch space stays writable, as it is a volume, and the output's file too, as the kubelet
    mounts it from the node.
    """
    return READ_ONLY_SECURITY if task.get("read_only_root_filesystem") else CONTAINER_SECURITY


def with_disk(resources: Resources) -> Resources:
    """Return the resources with a request and a limit of disk, which an older release may not have."""
    disk = resources["requests"].get(DISK_KIND, DISK)
    return {
        "requests": {**resources["requests"], DISK_KIND: disk},
        "limits": {DISK_KIND: disk, **resources["limits"]},
    }


def volumes(task: Task) -> list[dict[str, Any]]:
    """Return the pod's volumes: its scratch space, if it has one, which evicts a pod that puts more there."""
    size = task["scratch"]
    if size is None:
        return []
    return [{"name": SCRATCH, "emptyDir": {"sizeLimit": size}}]


def volume_mounts(task: Task) -> list[dict[str, Any]]:
    """Return where the container has the volumes."""
    if task["scratch"] is None:
        return []
    return [{"name": SCRATCH, "mountPath": SCRATCH_PATH}]


def annotations(task: Task) -> dict[str, str]:
    """Return the pod's annotations."""
    timeout = task["timeout"]
    if timeout is not None and timeout <= LONG_SECONDS:
        return {}
    return DO_NOT_DISRUPT


def startup_timeout(task: Task, of_group: int) -> int:
    """Return the seconds that the pod may take to start: the task's own, or else those of its node group."""
    return task["startup_timeout"] or of_group


def active_deadline(task: Task, of_group: int, longest: int) -> int:
    """Return the seconds after which Kubernetes stops the pod; `of_group` are those that its node group takes to start.

    Kubernetes counts them from when a node has the pod, and `timeout` is counted from when the container runs, after
    its image was pulled. So the operator's limit strikes first, unless `longest` is less than both together: this one
    stops a pod that nobody follows any more.
    """
    timeout = task["timeout"]
    if timeout is None:
        return longest
    return min(timeout + startup_timeout(task, of_group), longest)


def labels(team: str, job: str, task: str) -> dict[str, str]:
    """Return the labels that name the task, whatever the environment."""
    return {"jobyard.dev/team": team, "jobyard.dev/job": job, "jobyard.dev/task": task}


def environment_labels(environment: str, cost_center: str, queueing: str) -> dict[str, str]:
    """Return the labels that follow from the environment: with Kueue, its queue is one of them.

    The cost center is for the bill: https://docs.aws.amazon.com/cur/latest/userguide/split-cost-allocation-data.html
    """
    queue = {QUEUE_LABEL: QUEUE} if queueing == KUEUE else {}
    return {"jobyard.dev/environment": environment, "jobyard.dev/cost-center": cost_center, **queue}
