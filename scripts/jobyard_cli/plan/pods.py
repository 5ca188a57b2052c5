"""The pod that a task becomes, as a document: what `dags/jobyard/pod.py` has Airflow make, told without Airflow.

tests/airflow/test_planned_jobs.py compares the two on every supported Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.release.job_defaults import DISK

SCRATCH = "/scratch"
OUTPUT = "/airflow/xcom/return.json"
# Longer ones are not moved to another node.
LONG_SECONDS = 600
LONGEST_TASK = 7 * 24 * 60 * 60
DISK_KIND = "ephemeral-storage"
DO_NOT_DISRUPT = {"karpenter.sh/do-not-disrupt": "true"}


def pod(platform: Mapping[str, Any], team: str, job: str, name: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """The pod of a compiled task, without what is empty, what Airflow adds for itself, and the random part of its name.

    `platform` is what `platform_data` makes; with no environment's name in it, the labels that depend on one are left
    out. Templates are as they are written, and an image has its short name.
    """
    timeout, longest = task["timeout"], platform.get("longest_task", LONGEST_TASK)
    group = platform["node_groups"].get(task["node_group"], {})
    spec = {
        "serviceAccountName": task["service_account"],
        "automountServiceAccountToken": False,
        "priorityClassName": task["priority_class"],
        "nodeSelector": group.get("node_selector"),
        "tolerations": group.get("tolerations"),
        "activeDeadlineSeconds": min(timeout or longest, longest),
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(task)],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": task["scratch"]}}] if task["scratch"] else None,
    }
    metadata = {
        "namespace": f"team-{team}",
        "labels": _labels(platform, team, job, name),
        "annotations": DO_NOT_DISRUPT if timeout is None or timeout > LONG_SECONDS else None,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _filled(metadata), "spec": _filled(spec)}


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _labels(platform: Mapping[str, Any], team: str, job: str, name: str) -> dict[str, str]:
    labels = {"jobyard.dev/team": team, "jobyard.dev/job": job, "jobyard.dev/task": name}
    if not platform["environment"]:
        return labels
    cost_center = platform["cost_centers"].get(team, team)
    return {
        **labels,
        "jobyard.dev/environment": platform["environment"],
        "jobyard.dev/cost-center": cost_center,
    }


def _container(task: Mapping[str, Any]) -> dict[str, Any]:
    return _filled(
        {
            "name": "base",
            "image": task["image"],
            "command": task["command"],
            "args": task["args"],
            "env": [*_variables(task["env"]), *map(_secret, task["secrets"].items())],
            "resources": with_disk(task["resources"]),
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}] if task["scratch"] else None,
            "terminationMessagePath": OUTPUT,
        }
    )


def with_disk(resources: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The resources with a request and a limit of disk, also of a release of before disks were bounded."""
    disk = resources["requests"].get(DISK_KIND, DISK)
    return {
        "requests": {**resources["requests"], DISK_KIND: disk},
        "limits": {DISK_KIND: disk, **resources["limits"]},
    }


def _variables(env: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in env.items()]


def _secret(entry: tuple[str, Mapping[str, str]]) -> dict[str, Any]:
    name, place = entry
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": place["secret"], "key": place["key"]}}}
