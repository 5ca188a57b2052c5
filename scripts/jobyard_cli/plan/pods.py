"""The pod that a task becomes, as a document: what `dags/jobyard/pod.py` has Airflow make, without Airflow.

tests/airflow/test_planned_jobs.py compares the two on every supported Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard import pod_parts
from jobyard.contract import LONGEST_TASK, NO_QUEUEING, OUTPUT_PATH, namespace
from jobyard.entries import Task
from jobyard.platform_entries import NodeGroupEntry, PlatformFile

Pod = dict[str, Any]
"""A pod, or a part of one, in the words of Kubernetes' API."""
_NOWHERE = NodeGroupEntry(node_selector={}, tolerations=[], startup_timeout=0)
"""Stands for a node group that the catalogue does not have."""


def pod(platform: PlatformFile, team: str, job: str, name: str, task: Task) -> Pod:
    """Return the pod of a compiled task, without empty fields, what Airflow adds, and its name's random part.

    The machines that an environment's pods prefer are left out too, as no job can change them.
    With no environment's name in the platform's file, the labels that depend on one are left out. Templates are as they
    are written, and an image has its short name.
    """
    group = platform["node_groups"].get(task["node_group"], _NOWHERE)
    longest = platform.get("longest_task", LONGEST_TASK)
    spec = {
        "serviceAccountName": task["service_account"],
        "automountServiceAccountToken": False,
        "priorityClassName": task["priority_class"],
        "nodeSelector": group["node_selector"],
        "tolerations": group["tolerations"],
        "activeDeadlineSeconds": pod_parts.active_deadline(task, group["startup_timeout"], longest),
        "restartPolicy": "Never",
        "securityContext": pod_parts.POD_SECURITY,
        "containers": [_container(task)],
        "volumes": pod_parts.volumes(task),
    }
    metadata = {
        "namespace": namespace(team),
        "labels": _labels(platform, team, job, name),
        "annotations": pod_parts.annotations(task),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _filled(metadata), "spec": _filled(spec)}


def _filled(fields: Mapping[str, object]) -> Pod:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _labels(platform: PlatformFile, team: str, job: str, name: str) -> dict[str, str]:
    labels = pod_parts.labels(team, job, name)
    environment = platform["environment"]
    if not environment:
        return labels
    cost_center = platform.get("cost_centers", {}).get(team, team)
    queueing = platform.get("queueing", NO_QUEUEING)
    return {**labels, **pod_parts.environment_labels(environment, cost_center, queueing)}


def _container(task: Task) -> Pod:
    return _filled(
        {
            "name": "base",
            "image": task["image"],
            "command": task["command"],
            "args": task["args"],
            "env": list(_variables(task)),
            "resources": pod_parts.with_disk(task["resources"]),
            "securityContext": pod_parts.container_security(task),
            "volumeMounts": pod_parts.volume_mounts(task),
            "terminationMessagePath": OUTPUT_PATH,
        }
    )


def _variables(task: Task) -> Iterator[Pod]:
    for name, value in task["env"].items():
        yield {"name": name, "value": value}
    for name, secret in task["secrets"].items():
        reference = {"name": secret["secret"], "key": secret["key"]}
        yield {"name": name, "valueFrom": {"secretKeyRef": reference}}
