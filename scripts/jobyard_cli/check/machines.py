"""Requests that no machine of the node group can hold, and limits below what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.quantities import disk_of, parse_quantity
from jobyard_cli.release.job_defaults import LEAST, MEMORY_RATIO, RESOURCES
from jobyard_cli.team.repo import TeamRepo

ASKED = ("cpu", "memory", "gpu")
ALLOCATABLE = {"scratch": "ephemeralStorage"}
"""What the catalogue calls a thing that a job calls otherwise."""


def check_machines(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each task whose pod could never be placed."""
    defaults = defaults_of(document)
    for name, task in tasks_of(document).items():
        if is_pod(task):
            own = "resources" in task
            where: KeyPath = ("tasks", name, "resources") if own else ("defaults", "resources")
            resources = mapping(task.get("resources") if own else defaults.get("resources"))
            group = task.get("node_group", defaults.get("node_group"))
            yield from _requests(document, repo, where, {kind: resources.get(kind) for kind in ASKED}, group)
            yield from _limits(document, where, resources)
            yield from _least(document, where, resources)
            within: KeyPath = ("tasks", name) if "scratch" in task else ("defaults",)
            yield from _requests(
                document, repo, within, {"scratch": task.get("scratch", defaults.get("scratch"))}, group
            )


def _requests(
    document: Document, repo: TeamRepo, where: KeyPath, asks: Mapping[str, Any], group_name: Any
) -> Iterator[Finding]:
    name = "default" if group_name is None else group_name
    group = repo.node_groups.get(name) if isinstance(name, str) else None
    if group is None:
        return
    allocatable = mapping(group.get("allocatable"))
    for kind, asked in asks.items():
        offered = allocatable.get(ALLOCATABLE.get(kind, kind), 0)
        if asked is not None and _is_more(_whole(kind, asked), offered):
            message = _too_much(repo, str(name), kind, asked, offered)
            yield document.finding((*where, kind), message, "resources")


def _whole(kind: str, asked: Any) -> Any:
    """What the pod asks for: beside its scratch space there is room for logs."""
    try:
        return disk_of(asked) if kind == "scratch" else asked
    except ValueError:
        return asked


def _is_more(one: Any, other: Any) -> bool:
    """Whether a quantity is more than another; what is no quantity is the schema's to report."""
    try:
        return parse_quantity(one) > parse_quantity(other)
    except ValueError:
        return False


def _too_much(repo: TeamRepo, group: str, kind: str, asked: Any, offered: Any) -> str:
    large = [
        other
        for other in repo.allowed_node_groups
        if not _is_more(
            _whole(kind, asked),
            mapping(repo.node_groups.get(other, {}).get("allocatable")).get(ALLOCATABLE.get(kind, kind), 0),
        )
    ]
    instead = f"; {' and '.join(large)} can" if large else ""
    if kind == "gpu" and not offered:
        return f"node group '{group}' has no GPU{instead.replace('can', 'has')}"
    return f"no node of group '{group}' can hold {kind} {asked} (a pod gets at most {offered}){instead}"


def _limits(document: Document, where: KeyPath, resources: dict[str, Any]) -> Iterator[Finding]:
    for kind in ("cpu", "memory"):
        limit, asked = resources.get(f"{kind}_limit"), resources.get(kind, RESOURCES[kind])
        if limit is not None and _is_more(asked, limit):
            message = f"'{kind}_limit' {limit} is less than the {kind} asked for, {asked}"
            yield document.finding((*where, f"{kind}_limit"), message, "resources")
    limit, asked = resources.get("memory_limit"), resources.get("memory", RESOURCES["memory"])
    if limit is not None and _is_more(limit, _times(MEMORY_RATIO, asked)):
        message = f"'memory_limit' {limit} is more than {MEMORY_RATIO} times the memory asked for, {asked}"
        yield document.finding((*where, "memory_limit"), message, "resources")


def _least(document: Document, where: KeyPath, resources: dict[str, Any]) -> Iterator[Finding]:
    for kind, least in LEAST.items():
        if kind in resources and _is_more(least, resources[kind]):
            message = f"'{kind}' {resources[kind]} is less than a container may ask for, {least}"
            yield document.finding((*where, kind), message, "resources")


def _times(number: int, quantity: Any) -> str:
    """So many times a quantity; what is no quantity stays as it is."""
    try:
        return str(parse_quantity(quantity) * number)
    except ValueError:
        return str(quantity)
