"""A task of the release becomes the arguments of its operator, above all of KubernetesPodOperator.

Only arguments that provider 9.0.1, the oldest supported, has too; newer ones' defaults suit. Left out on
purpose: `random_name_suffix` (False deletes the wrong pod, apache/airflow#21169), `reattach_on_restart` (on
by default, deprecated later), `init_container_logs` (hangs, #68445).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes import client  # type: ignore[import-untyped]
from kubernetes.client.configuration import Configuration  # type: ignore[import-untyped]

from jobyard import pod_parts
from jobyard.assets import named_asset
from jobyard.compat import CONSTANT_BACKOFF, EXPONENTIAL_BACKOFF
from jobyard.contract import namespace
from jobyard.entries import GateTest, Retries, SecretKey, Task
from jobyard.images import image_field
from jobyard.outputs import Gate
from jobyard.platform import Platform

# Without it each object makes its own, which resets the log levels of the process: a quarter of a parse.
CLIENT = Configuration()


def typed(kind: str, document: Mapping[str, Any]) -> Any:
    """Return a part of a pod, written as Kubernetes' API has it, as the client's object of that kind."""
    model = getattr(client, kind)
    attributes = {key: attribute for attribute, key in model.attribute_map.items()}
    fields: dict[str, Any] = {}
    for key, value in document.items():
        attribute = attributes[key]
        fields[attribute] = _typed_value(model.openapi_types[attribute], value)
    return model(**fields, local_vars_configuration=CLIENT)


def _typed_value(kind: str, value: Any) -> Any:
    if kind.startswith("list[V1"):
        return [typed(kind.removeprefix("list[").removesuffix("]"), item) for item in value]
    return typed(kind, value) if kind.startswith("V1") else value


# Shared by all pods: nothing changes them, and making them costs more than the rest of a task.
POD_SECURITY = typed("V1PodSecurityContext", pod_parts.POD_SECURITY)
CONTAINER_SECURITY = typed("V1SecurityContext", pod_parts.CONTAINER_SECURITY)
READ_ONLY_SECURITY = typed("V1SecurityContext", pod_parts.READ_ONLY_SECURITY)
# The operator puts it into the pod: as an argument, Airflow would store it with each task of a `foreach`.
NEAR_OTHER_TASKS = typed("V1Affinity", pod_parts.NEAR_OTHER_TASKS)


def task_arguments(name: str, task: Task) -> dict[str, Any]:
    """Return the keyword arguments that the operator of every task has, whatever its type.

    Raises:
        JobError: an input or output is not an asset.
        KeyError: the entry lacks something.
    """
    arguments = {
        "task_id": name,
        # A pod's timeout counts from when its container starts (`timeout_seconds`), Airflow's from when the task does.
        "execution_timeout": seconds(task["timeout"]) if task.get("type") else None,
        "trigger_rule": task["trigger_rule"],
        **retry_arguments(task["retries"]),
    }
    if inputs := task.get("inputs"):
        arguments["inlets"] = [named_asset(uri) for uri in inputs]
    if outputs := task.get("outputs"):
        arguments["outlets"] = [named_asset(uri) for uri in outputs]
    return arguments


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
        "secrets": [secret(variable, key) for variable, key in task["secrets"].items()],
        **volume_arguments(task),
        "labels": labels(platform, team, job, name),
        "annotations": pod_parts.annotations(task),
        "container_resources": typed("V1ResourceRequirements", pod_parts.with_disk(task["resources"])),
        "container_security_context": container_security(task),
        "node_selector": group.node_selector,
        "tolerations": group.tolerations,
        "service_account_name": task["service_account"],
        "priority_class_name": task["priority_class"],
        "startup_timeout_seconds": pod_parts.startup_timeout(task, group.startup_timeout),
        "timeout_seconds": task["timeout"],
        "active_deadline_seconds": pod_parts.active_deadline(task, group.startup_timeout, platform.longest_task),
        **({"queue_timeout_seconds": task["queue_timeout"]} if task.get("queue_timeout") else {}),
        **({"on_oom": task["on_oom"]} if task.get("on_oom") else {}),
        **({"output": True} if task.get("output") else {}),
        **({"gate": gate(task["gate"])} if task.get("gate") else {}),
        **({"near_other_tasks": True} if platform.fill_machines else {}),
        **connection_arguments(platform, team),
        **FIXED,
    }


FIXED: dict[str, Any] = {
    "security_context": POD_SECURITY,
    "on_finish_action": "delete_pod",
    "deferrable": False,
    "get_logs": True,
    "log_events_on_failure": True,
    # The pod's specification holds the task's environment, and buries the message.
    "log_pod_spec_on_failure": False,
}


def gate(entry: GateTest | None) -> Gate | None:
    """Return the condition on another task's output.

    Raises:
        GateError: the test is unknown, or the bound is not a number.
    """
    if not entry:
        return None
    return Gate(entry["output_of"], entry["value"], entry["test"], entry["bound"])


def secret(variable: str, key: SecretKey) -> Secret:
    """Return the variable's reference to a Secret, whose value only the kubelet reads."""
    return Secret("env", variable, key["secret"], key["key"])  # type: ignore[no-untyped-call]


def environment(variables: Mapping[str, str]) -> list[Any]:
    """Return the environment as the client's objects, which the provider would make without their `CLIENT`."""
    make = client.V1EnvVar
    return [make(name=name, value=value, local_vars_configuration=CLIENT) for name, value in variables.items()]


def volume_arguments(task: Task) -> dict[str, Any]:
    """Return the arguments with the pod's volumes, if it has any."""
    volumes = [typed("V1Volume", volume) for volume in pod_parts.volumes(task)]
    if not volumes:
        return {}
    mounts = [typed("V1VolumeMount", mount) for mount in pod_parts.volume_mounts(task)]
    return {"volumes": volumes, "volume_mounts": mounts}


def container_security(task: Task) -> Any:
    """Return the container's security context, as `pod_parts` has it."""
    is_read_only = pod_parts.container_security(task) is pod_parts.READ_ONLY_SECURITY
    return READ_ONLY_SECURITY if is_read_only else CONTAINER_SECURITY


def connection_arguments(platform: Platform, team: str) -> dict[str, Any]:
    """Return how the operator reaches the cluster: as the team, in the team's namespace.

    Both follow from the loader's name, which is the platform's, never from the release, which is the team's.
    """
    return {
        "config_file": platform.kubeconfig,
        "cluster_context": team,
        "namespace": namespace(team),
        "in_cluster": False,
        # An Airflow connection could point elsewhere.
        "kubernetes_conn_id": None,
    }


def labels(platform: Platform, team: str, job: str, task: str) -> dict[str, str]:
    """Return the labels by which, with Airflow's own (of the run and the try), a retry finds the pod of a lost try."""
    cost_center = platform.cost_centers.get(team, team)
    of_environment = pod_parts.environment_labels(platform.environment, cost_center, platform.queueing)
    return {**pod_parts.labels(team, job, task), **of_environment}


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
    if value is None:
        return None
    return timedelta(seconds=value)
