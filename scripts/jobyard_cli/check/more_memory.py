"""Check `on_oom`: that a pod can get the memory that it says, and that it gets there in a few steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobyard.entries import OnOom
from jobyard.limits import MEMORY_STEPS
from jobyard.memory import next_memory
from jobyard.quantities import parse_quantity

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.machines import available, exceeds, other_groups
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, setting_of, source_of, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.growth import parse_growth
from jobyard_cli.release.job_defaults import RESOURCES
from jobyard_cli.team.repo import TeamRepo


@dataclass(frozen=True)
class _Growth:
    """A task's `on_oom` and where the job says so; `start` is the memory that first grows, the one of field `kind`."""

    path: KeyPath
    node_group: str
    kind: str
    start: str
    memory: str
    at_most: str
    compiled: OnOom


def check_more_memory(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each `on_oom` that asks for what no pod can have, that adds nothing, or too little."""
    for growth in _growths(document):
        for problem in _problems(growth, repo):
            yield document.finding((*growth.path, "at_most"), problem, "resources")
        if _is_slow(growth):
            message = (
                f"'memory' must grow from {growth.start} to at_most, {growth.at_most}, in at most {MEMORY_STEPS} pods;"
                f" got {growth.memory}"
            )
            yield document.finding((*growth.path, "memory"), message, "resources")


def doubt_more_memory(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each `on_oom` whose memory the team's quota allows in some environments only."""
    for growth in _growths(document):
        refusing = _refusing(growth, repo)
        if refusing and len(refusing) < len(repo.memory_quotas):
            message = f"'at_most' should be at most the team's memory quota, {_listed(refusing)}; got {growth.at_most}"
            yield document.warning((*growth.path, "at_most"), message, "resources")


def _growths(document: Document) -> Iterator[_Growth]:
    """Yield those of sound values; the schema reports the others."""
    defaults = defaults_of(document)
    for name, task in tasks_of(document).items():
        resources = mapping(setting_of(task, defaults, "resources"))
        stated = mapping(resources.get("on_oom"))
        if not is_pod(task) or not stated:
            continue
        # The container is killed at the limit, which is the request unless it is set.
        kind = "memory_limit" if "memory_limit" in resources else "memory"
        start = str(resources.get(kind, RESOURCES["memory"]))
        try:
            parse_quantity(start)
            compiled = parse_growth(stated)
        except ValueError:
            continue
        path = (*source_of(name, task, "resources"), "resources", "on_oom")
        group = str(setting_of(task, defaults, "node_group") or "default")
        yield _Growth(path, group, kind, start, stated["memory"], stated["at_most"], compiled)


def _problems(growth: _Growth, repo: TeamRepo) -> Iterator[str]:
    at_most = growth.at_most
    if not exceeds(at_most, growth.start):
        yield f"'at_most' must be more than '{growth.kind}', {growth.start}; got {at_most}"
    most = available(repo, growth.node_group, "memory")
    if growth.node_group in repo.node_groups and exceeds(at_most, most):
        yield (
            f"'at_most' must be at most the memory that a pod gets on a node of group '{growth.node_group}', {most}; "
            f"got {at_most}{other_groups(repo, 'memory', at_most)}"
        )
    refusing = _refusing(growth, repo)
    if refusing and len(refusing) == len(repo.memory_quotas):
        yield f"'at_most' must be at most the team's memory quota, {_listed(refusing)}; got {at_most}"


def _refusing(growth: _Growth, repo: TeamRepo) -> dict[str, Any]:
    """Return the quotas of memory that are less, by environment."""
    quotas = repo.memory_quotas.items()
    return {environment: quota for environment, quota in quotas if exceeds(growth.at_most, quota)}


def _listed(quotas: Mapping[str, Any]) -> str:
    """Return `16Gi in dev, 64Gi in prod`."""
    return ", ".join(f"{quota} in {environment}" for environment, quota in quotas.items())


def _is_slow(growth: _Growth) -> bool:
    memory = growth.start
    for _ in range(MEMORY_STEPS):
        memory = next_memory(memory, growth.compiled) or memory
    return exceeds(growth.at_most, memory)
