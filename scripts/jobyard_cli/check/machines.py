"""Check that a node of the node group can hold each pod, and that limits fit requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard.quantities import parse_quantity

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, setting_of, source_of, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.quantities import disk_of
from jobyard_cli.release.job_defaults import LEAST, MEMORY_RATIO, RESOURCES
from jobyard_cli.team.repo import TeamRepo

REQUESTS = ("cpu", "memory", "gpu")
ALLOCATABLE = {"scratch": "ephemeralStorage"}
"""Names of resources in the catalogue that differ from those in job.yaml."""


def check_machines(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each task whose pod could never be scheduled."""
    defaults = defaults_of(document)
    for name, task in tasks_of(document).items():
        if not is_pod(task):
            continue
        group = task.get("node_group", defaults.get("node_group"))
        path = source_of(name, task, "resources")
        resources = mapping(setting_of(task, defaults, "resources"))
        requests = {kind: resources.get(kind) for kind in REQUESTS}
        yield from _requests(document, repo, (*path, "resources"), requests, group)
        yield from _limits(document, (*path, "resources"), resources)
        yield from _minimums(document, (*path, "resources"), resources)
        scratch = {"scratch": setting_of(task, defaults, "scratch")}
        yield from _requests(document, repo, source_of(name, task, "scratch"), scratch, group)


def _requests(
    document: Document, repo: TeamRepo, path: KeyPath, requests: Mapping[str, Any], group: Any
) -> Iterator[Finding]:
    name = "default" if group is None else group
    if not isinstance(name, str) or name not in repo.node_groups:
        return
    for kind, request in requests.items():
        if request is not None and exceeds(_with_logs(kind, request), available(repo, name, kind)):
            message = _too_large(repo, name, kind, request)
            yield document.finding((*path, kind), message, "resources")


def available(repo: TeamRepo, group: str, kind: str) -> Any:
    """Return how much of a resource a pod can get on a node of the group."""
    allocatable = mapping(repo.node_groups.get(group, {}).get("allocatable"))
    return allocatable.get(ALLOCATABLE.get(kind, kind), 0)


def other_groups(repo: TeamRepo, kind: str, quantity: Any) -> str:
    """Return `; use high-cpu or high-memory`, those of the team's groups that can hold it; "" if none can."""
    fitting = [name for name in repo.allowed_node_groups if not exceeds(quantity, available(repo, name, kind))]
    if not fitting:
        return ""
    return f"; use {' or '.join(fitting)}"


def _with_logs(kind: str, request: Any) -> Any:
    """Return what the pod requests: scratch space, and disk space for logs beside it."""
    try:
        return disk_of(request) if kind == "scratch" else request
    except ValueError:
        return request


def exceeds(quantity: Any, bound: Any) -> bool:
    """Return whether a quantity is larger than another; the schema reports malformed ones."""
    try:
        return parse_quantity(quantity) > parse_quantity(bound)
    except ValueError:
        return False


def _too_large(repo: TeamRepo, group: str, kind: str, request: Any) -> str:
    most = available(repo, group, kind)
    problem = f"no node of group '{group}' can hold {kind} {request} (a pod gets at most {most})"
    if kind == "gpu" and not most:
        problem = f"node group '{group}' has no GPU"
    return problem + other_groups(repo, kind, _with_logs(kind, request))


def _limits(document: Document, path: KeyPath, resources: dict[str, Any]) -> Iterator[Finding]:
    for kind in ("cpu", "memory"):
        limit = resources.get(f"{kind}_limit")
        request = resources.get(kind, RESOURCES[kind])
        if limit is None:
            continue
        if exceeds(request, limit):
            message = f"'{kind}_limit' must be at least the {kind} request, {request}; got {limit}"
            yield document.finding((*path, f"{kind}_limit"), message, "resources")
        elif kind == "memory" and exceeds(limit, _times(MEMORY_RATIO, request)):
            message = f"'memory_limit' must be at most {MEMORY_RATIO} times the memory request, {request}; got {limit}"
            yield document.finding((*path, "memory_limit"), message, "resources")


def _minimums(document: Document, path: KeyPath, resources: dict[str, Any]) -> Iterator[Finding]:
    for kind, minimum in LEAST.items():
        if kind in resources and exceeds(minimum, resources[kind]):
            message = f"'{kind}' must be at least {minimum}; got {resources[kind]}"
            yield document.finding((*path, kind), message, "resources")


def _times(factor: int, quantity: Any) -> str:
    """Return a multiple of a quantity; a malformed one is returned as it is."""
    try:
        return str(parse_quantity(quantity) * factor)
    except ValueError:
        return str(quantity)
