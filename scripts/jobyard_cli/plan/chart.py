"""What is different between the objects of the team's chart, then and now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jobyard_cli.chart.helm import RenderError
from jobyard_cli.chart.manifests import CHART, VALUES, manifests
from jobyard_cli.errors import JobyardError
from jobyard_cli.plan.differences import difference
from jobyard_cli.plan.model import ADDED, CHANGED, REMOVED, ObjectChange


class BaseRenderError(JobyardError):
    """Helm refuses the values that a plan compares with."""


ENVIRONMENTS = "values/environments"
Objects = dict[str, dict[str, Any]]
Change = tuple[str, str, tuple[str, ...]]
"""Name, kind and difference."""


OTHERS = ""
"""Stands for the environments for which the team has no values of their own."""


def environments_with_values(*repos: Path) -> list[str]:
    """Names of the environments for which a team's repository has values."""
    return sorted({file.stem for repo in repos for file in (repo / ENVIRONMENTS).glob("*.yaml")})


def chart_changes(before: Path | None, after: Path, environments: Iterable[str]) -> list[ObjectChange]:
    """Each object that is not as it was; a change that is the same in several environments is told once.

    Raises:
        RenderError: Helm refuses the values that are there now.
        BaseRenderError: Helm refuses those that were there.
        MissingChartError: one of the two has no chart.
    """
    if before is not None and _files(before) == _files(after):
        return []
    names = list(environments)
    with ThreadPoolExecutor() as pool:
        old = list(pool.map(lambda name: _old_objects(before, name), names))
        new = list(pool.map(lambda name: _objects(after, name), names))
    found: dict[Change, list[str]] = {}
    for name, one, other in zip(names, old, new, strict=True):
        for change in _changes(one, other):
            found.setdefault(change, []).append(name)
    return [
        ObjectChange(name, kind, [] if here == names else [one or "all others" for one in here], list(lines))
        for (name, kind, lines), here in sorted(found.items())
    ]


def _changes(before: Objects, after: Objects) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if lines := difference(one, other):
            yield name, ADDED if one is None else REMOVED if other is None else CHANGED, tuple(lines)


def _old_objects(repo: Path | None, environment: str) -> Objects:
    try:
        return _objects(repo, environment)
    except RenderError as error:
        raise BaseRenderError(f"no objects are compared, as the base's chart can't be rendered: {error}") from error


def _objects(repo: Path | None, environment: str) -> Objects:
    if repo is None:
        return {}
    return {manifest.name: manifest.content for manifest in manifests(repo, environment)}


def _files(repo: Path) -> dict[str, bytes]:
    """All that the chart is made of: where it is the same, so are the objects."""
    files = [*(repo / CHART).rglob("*"), *(repo / name for name in VALUES), *(repo / ENVIRONMENTS).glob("*.yaml")]
    return {file.relative_to(repo).as_posix(): file.read_bytes() for file in files if file.is_file()}
