"""A task of the release becomes the arguments of its operator, above all of KubernetesPodOperator.

Only arguments that provider 9.0.1, the oldest supported, has too; newer ones' defaults suit. Left out on
purpose: `random_name_suffix` (False deletes the wrong pod, apache/airflow#21169), `reattach_on_restart` (on
by default, deprecated later), `init_container_logs` (hangs, #68445).
"""

from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes.client import (  # type: ignore[import-untyped]
    V1Capabilities,
    V1EmptyDirVolumeSource,
    V1PodSecurityContext,
    V1ResourceRequirements,
    V1SeccompProfile,
    V1SecurityContext,
    V1Volume,
    V1VolumeMount,
)
from kubernetes.client.configuration import Configuration  # type: ignore[import-untyped]

from jobyard.assets import named_asset
from jobyard.compat import CONSTANT_BACKOFF, EXPONENTIAL_BACKOFF
from jobyard.images import image_field
from jobyard.outputs import Gate
from jobyard.platform import Platform
from jobyard.release import GateTest, Resources, Retries, SecretKey, Task

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
# Shared by all pods: nothing changes them, and making them costs more than the rest of a task.
POD_SECURITY = V1PodSecurityContext(run_as_non_root=True, seccomp_profile=V1SeccompProfile(type="RuntimeDefault"))
CONTAINER_SECURITY = V1SecurityContext(allow_privilege_escalation=False, capabilities=V1Capabilities(drop=["ALL"]))
# Without it each object makes its own, which resets the log levels of the process: a quarter of a parse.
CLIENT = Configuration()
SCRATCH = "/scratch"
# What a release of before disks were bounded gets: room for logs and what is written beside the scratch space.
DISK, DISK_KIND = "2Gi", "ephemeral-storage"
# A batch pod that is moved starts again from nothing, so Karpenter is not to consolidate the node of a long one.
LONG_SECONDS = 600
DO_NOT_DISRUPT = {"karpenter.sh/do-not-disrupt": "true"}


def task_arguments(name: str, task: Task) -> dict[str, Any]:
    """Return the keyword arguments that the operator of every task has, whatever its type.

    Raises:
        JobError: an input or output is no asset.
        KeyError: the entry lacks something.
    """
    inputs, outputs = task.get("inputs"), task.get("outputs")
    return {
        "task_id": name,
        "execution_timeout": seconds(task["timeout"]),
        "trigger_rule": task["trigger_rule"],
        **retry_arguments(task["retries"]),
        **({"inlets": [named_asset(uri) for uri in inputs]} if inputs else {}),
        **({"outlets": [named_asset(uri) for uri in outputs]} if outputs else {}),
    }


def pod_arguments(platform: Platform, team: str, job: str, name: str, task: Task) -> dict[str, Any]:
    """Return the keyword arguments that make the task's pod.

    Raises:
        UnknownNameError: the environment has no such node group.
        ImageSourceError: the image's address is of a registry that the environment does not take images from.
        KeyError: the entry lacks something.
    """
    group = platform.node_group(task["node_group"])
    return {
        "name": f"{job}-{name}",
        "image": image_field(task["image"], platform.image_registries),
        "cmds": task["command"],
        "arguments": task["args"],
        "env_vars": task["env"],
        "secrets": [secret(name, place) for name, place in task["secrets"].items()],
        **scratch_arguments(task["scratch"]),
        "labels": labels(platform, team, job, name),
        "annotations": DO_NOT_DISRUPT if task["timeout"] is None or task["timeout"] > LONG_SECONDS else {},
        "container_resources": V1ResourceRequirements(**with_disk(task["resources"]), local_vars_configuration=CLIENT),
        "node_selector": group.node_selector,
        "tolerations": group.tolerations,
        "service_account_name": task["service_account"],
        "priority_class_name": task["priority_class"],
        "startup_timeout_seconds": task["startup_timeout"] or group.startup_timeout,
        # Airflow's own timeout strikes first; this one stops a pod that a lost worker left behind.
        "active_deadline_seconds": min(task["timeout"] or platform.longest_task, platform.longest_task),
        **({"output": True} if task.get("output") else {}),
        **({"gate": gate(task["gate"])} if task.get("gate") else {}),
        **connection_arguments(platform, team),
        **FIXED,
    }


FIXED: dict[str, Any] = {
    "security_context": POD_SECURITY,
    "container_security_context": CONTAINER_SECURITY,
    "on_finish_action": "delete_pod",
    "deferrable": False,
    "get_logs": True,
    "log_events_on_failure": True,
    # The pod's specification holds the task's environment, and buries the message.
    "log_pod_spec_on_failure": False,
}


def with_disk(resources: Resources) -> dict[str, dict[str, str]]:
    """Return the resources with a request and a limit of disk, where the release has none."""
    disk = resources["requests"].get(DISK_KIND, DISK)
    return {
        "requests": {**resources["requests"], DISK_KIND: disk},
        "limits": {DISK_KIND: disk, **resources["limits"]},
    }


def gate(entry: GateTest | None) -> Gate | None:
    """Return the condition on another task's output.

    Raises:
        GateError: it is of no known kind.
    """
    return Gate(entry["output_of"], entry["value"], entry["test"], entry["bound"]) if entry else None


def secret(variable: str, place: SecretKey) -> Secret:
    """Return the variable's reference to a Secret, whose value only the kubelet reads."""
    return Secret("env", variable, place["secret"], place["key"])  # type: ignore[no-untyped-call]


def scratch_arguments(size: str | None) -> dict[str, Any]:
    """Return the arguments that give the pod a folder of its own, evicting it when it puts more than `size` there."""
    if size is None:
        return {}
    volume = V1Volume(name="scratch", empty_dir=V1EmptyDirVolumeSource(size_limit=size))
    return {"volumes": [volume], "volume_mounts": [V1VolumeMount(name="scratch", mount_path=SCRATCH)]}


def connection_arguments(platform: Platform, team: str) -> dict[str, Any]:
    """Return how the operator reaches the cluster: as the team, in the team's namespace.

    Both follow from the loader's name, which is the platform's, never from the release, which is the team's.
    """
    return {
        "config_file": platform.kubeconfig,
        "cluster_context": team,
        "namespace": f"team-{team}",
        "in_cluster": False,
        # An Airflow connection could point elsewhere.
        "kubernetes_conn_id": None,
    }


def labels(platform: Platform, team: str, job: str, task: str) -> dict[str, str]:
    """Return the labels by which, with Airflow's own (of the run and the try), a retry finds the pod of a lost try.

    The cost center is for the bill: https://docs.aws.amazon.com/cur/latest/userguide/split-cost-allocation-data.html
    """
    return {
        "jobyard.dev/team": team,
        "jobyard.dev/job": job,
        "jobyard.dev/task": task,
        "jobyard.dev/environment": platform.environment,
        "jobyard.dev/cost-center": platform.cost_centers.get(team, team),
    }


def retry_arguments(retries: Retries) -> dict[str, Any]:
    """Return Airflow's arguments; `attempts` counts the tries after the first, as Airflow's `retries` do."""
    return {
        "retries": retries["attempts"],
        "retry_delay": timedelta(seconds=retries["delay"]),
        "retry_exponential_backoff": (EXPONENTIAL_BACKOFF if retries["backoff"] == "exponential" else CONSTANT_BACKOFF),
        "max_retry_delay": seconds(retries["max_delay"]),
    }


def seconds(value: int | None) -> timedelta | None:
    """Return the duration; None stays None, which is "no limit"."""
    return None if value is None else timedelta(seconds=value)
