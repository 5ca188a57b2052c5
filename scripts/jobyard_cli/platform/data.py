"""What the DAG builder needs to know of the platform, from the values of one environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from jobyard.platform_entries import (
    SCHEMA_VERSION,
    NodeGroupEntry,
    PlatformFile,
    PodLimits,
    TaskTypeEntry,
    TeamEntry,
    Toleration,
)

from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.teams import PLATFORM_TEAM

AREAS = ("feature-store", "models", "notebooks", "predictions")
"""Parts of a data bucket in which each team may write below its own name, as the jobs' roles have it."""
ANY_PRIORITY: Mapping[str, int] = {"min": 1, "max": 1_000_000_000}


def platform_data(
    node_groups: Mapping[str, Written],
    environment: str,
    *,
    task_types: Mapping[str, Written],
    teams: Mapping[str, Written],
    limits: PodLimits | None = None,
    roles: bool = False,
    data_buckets: Iterable[str] = (),
    variables: Iterable[str] = (),
) -> PlatformFile:
    """Return the content of `dags/jobyard/platform.json`: what a pod needs for each node group, and the rest.

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
        "node_groups": _placements(node_groups),
        "task_types": _task_types(task_types),
        "cost_centers": _cost_centers(teams),
        **(limits or PodLimits()),
        "teams": {name: _team(name, team, buckets, roles) for name, team in teams.items()},
        "variables": sorted(variables),
    }


def _cost_centers(teams: Mapping[str, Written]) -> dict[str, str]:
    """Return the cost center of each team that has one."""
    cost_centers = {}
    for name, team in teams.items():
        if "costCenter" in team:
            cost_centers[name] = str(team["costCenter"])
    return cost_centers


def _assets(name: str, team: Written, buckets: list[str]) -> Iterator[str]:
    """Yield the beginning of each asset's address that is the team's."""
    yield f"x-{name}://"
    for bucket in buckets:
        for area in AREAS:
            yield f"s3://{bucket}/{area}/{name}/"
    yield from team.get("assets", [])


def _team(name: str, team: Written, buckets: list[str], roles: bool) -> TeamEntry:
    band = team.get("priorityBand", ANY_PRIORITY)
    entry = TeamEntry(
        assets=list(_assets(name, team, buckets)),
        pools=sorted(team.get("pools", {})),
        priority_band=[band["min"], band["max"]],
    )
    # Nobody has the platform's job alone to look at: it is for those who see every DAG.
    if roles and name != PLATFORM_TEAM:
        entry["role"] = name
    return entry


def _task_types(catalogue: Mapping[str, Written]) -> dict[str, TaskTypeEntry]:
    entries = {}
    for name, task_type in catalogue.items():
        arguments = sorted(task_type.get("with", {}).get("properties", {}))
        fixed = task_type.get("fixed", {})
        entries[name] = TaskTypeEntry(operator=task_type["operator"], arguments=arguments, fixed=fixed)
    return entries


def _placements(catalogue: Mapping[str, Written]) -> dict[str, NodeGroupEntry]:
    entries = {}
    for name, group in catalogue.items():
        entries[name] = NodeGroupEntry(
            node_selector={**group["labels"], "kubernetes.io/arch": group["architecture"]},
            tolerations=[_toleration(taint) for taint in group["taints"]],
            startup_timeout=group["startupTimeout"],
        )
    return entries


def _toleration(taint: Written) -> Toleration:
    # The library refuses one with other keys.
    return cast(Toleration, {**taint, "operator": "Equal"})
