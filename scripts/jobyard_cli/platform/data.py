"""What the DAG builder needs to know of the platform, from the values of one environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SCHEMA_VERSION = 1
AREAS = ("feature-store", "models", "predictions")
"""Parts of a data bucket in which each team may write below its own name, as the jobs' roles have it."""
ANY_PRIORITY = {"min": 1, "max": 1_000_000_000}


def platform_data(
    node_groups: Mapping[str, Any],
    environment: str,
    *,
    task_types: Mapping[str, Any],
    teams: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    roles: bool = False,
    data_buckets: Iterable[str] = (),
    variables: Iterable[str] = (),
) -> dict[str, Any]:
    """The content of `dags/jobyard/platform.json`: for each node group what a pod needs to land there, and the rest.

    `limits` are the environment's, as `pod_limits` makes them; without them the library has its own, and leaves images
    to the API server. `roles` says whether each team has one in Airflow, `data_buckets` are those of every environment,
    `variables` the Airflow Variables that every team may read. `startup_timeout` is in seconds, from no node at all to
    a running pod.
    """
    buckets = sorted(data_buckets)
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "kubeconfig": "kubeconfig.yaml",
        "node_groups": {name: _placement(group) for name, group in node_groups.items()},
        "task_types": {name: _task_type(entry) for name, entry in task_types.items()},
        "cost_centers": {name: str(team["costCenter"]) for name, team in teams.items() if "costCenter" in team},
        **(limits or {}),
        "teams": {name: _team(name, team, buckets, roles) for name, team in teams.items()},
        "variables": sorted(variables),
    }


def _team(name: str, team: Mapping[str, Any], buckets: list[str], roles: bool) -> dict[str, Any]:
    band = team.get("priorityBand", ANY_PRIORITY)
    own = [f"s3://{bucket}/{area}/{name}/" for bucket in buckets for area in AREAS]
    return {
        "assets": [f"x-{name}://", *own, *team.get("assets", [])],
        "pools": sorted(team.get("pools", {})),
        "priority_band": [band["min"], band["max"]],
        **({"role": name} if roles else {}),
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
