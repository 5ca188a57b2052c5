"""What the DAG builder needs to know of the platform, from the catalogue of node groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCHEMA_VERSION = 1


def platform_data(
    node_groups: Mapping[str, Any],
    environment: str,
    *,
    task_types: Mapping[str, Any],
    teams: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of `dags/jobyard/platform.json`: for each node group what a pod needs to land there, and the rest.

    `startup_timeout` is in seconds, from no node at all to a running pod. `limits` are the environment's, as
    `pod_limits` makes them; without them the library has its own, and leaves images to the API server.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "kubeconfig": "kubeconfig.yaml",
        "node_groups": {name: _placement(group) for name, group in node_groups.items()},
        "task_types": {name: _task_type(entry) for name, entry in task_types.items()},
        "cost_centers": {name: str(team["costCenter"]) for name, team in teams.items() if "costCenter" in team},
        **(limits or {}),
    }


def _task_type(entry: Mapping[str, Any]) -> dict[str, Any]:
    arguments = sorted(entry.get("with", {}).get("properties", {}))
    return {"operator": entry["operator"], "arguments": arguments, "fixed": entry.get("fixed", {})}


def _placement(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "node_selector": {**group["labels"], "kubernetes.io/arch": group["architecture"]},
        "tolerations": [{**taint, "operator": "Equal"} for taint in group["taints"]],
        "startup_timeout": group["startupTimeout"],
    }
