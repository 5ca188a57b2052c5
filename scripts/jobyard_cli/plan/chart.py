"""What is different between the objects of the team's chart, then and now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobyard_cli.chart.helm import RenderError
from jobyard_cli.chart.manifests import CHART, VALUES, manifests
from jobyard_cli.errors import JobyardError
from jobyard_cli.plan.differences import difference
from jobyard_cli.plan.model import ObjectChange, kind_of_change


class BaseRenderError(JobyardError):
    """Helm refuses the values that a plan compares with."""


ENVIRONMENTS = "values/environments"
Objects = Mapping[str, Mapping[str, object]]
"""The content of each, by its name."""
CHART_LABEL = "helm.sh/chart"
"""Label with the chart's name and version."""
Change = tuple[str, str, tuple[str, ...]]
"""Name, kind and difference."""
OTHERS = ""
"""Stands for the environments for which the team has no values of their own."""


def environments_with_values(*repos: Path | None) -> list[str]:
    """Return the names of the environments for which one of the repositories has values; None has none."""
    names: set[str] = set()
    for repo in repos:
        if repo is not None:
            names.update(file.stem for file in (repo / ENVIRONMENTS).glob("*.yaml"))
    return sorted(names)


def chart_changes(before: Path | None, after: Path, environments: Iterable[str]) -> list[ObjectChange]:
    """Return each object that differs; a change that is the same in several environments is listed once.

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
    changes: dict[Change, list[str]] = {}
    for environment, old_objects, new_objects in zip(names, old, new, strict=True):
        for change in _changes(old_objects, new_objects):
            changes.setdefault(change, []).append(environment or "all others")
    return list(_merged(changes, len(names)))


def _merged(changes: Mapping[Change, list[str]], number_of_environments: int) -> Iterator[ObjectChange]:
    """Each change with its environments, by name; with none where it is the same in all."""
    for (name, kind, lines), environments in sorted(changes.items()):
        if len(environments) == number_of_environments:
            yield ObjectChange(name, kind, difference=list(lines))
        else:
            yield ObjectChange(name, kind, environments, list(lines))


def _changes(before: Objects, after: Objects) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        old = before.get(name)
        new = after.get(name)
        if lines := difference(old, new):
            yield name, kind_of_change(old, new), tuple(lines)


def _old_objects(repo: Path | None, environment: str) -> Objects:
    try:
        return _objects(repo, environment)
    except RenderError as error:
        raise BaseRenderError(f"no objects are compared, as the base's chart can't be rendered: {error}") from error


def _objects(repo: Path | None, environment: str) -> Objects:
    if repo is None:
        return {}
    return {manifest.name: _without_version(manifest.content) for manifest in manifests(repo, environment)}


def _without_version(content: Mapping[str, object]) -> Mapping[str, object]:
    """The object without the chart's version: with it, an upgrade would list every object for this label alone."""
    metadata = content.get("metadata")
    if not isinstance(metadata, dict):
        return content
    labels = metadata.get("labels")
    if not isinstance(labels, dict) or CHART_LABEL not in labels:
        return content
    other_labels = dict(labels)
    del other_labels[CHART_LABEL]
    return {**content, "metadata": {**metadata, "labels": other_labels}}


def _files(repo: Path) -> dict[str, bytes]:
    """Content by path of all that the chart is made of: where it is the same, so are the objects."""
    contents: dict[str, bytes] = {}
    for file in _paths(repo):
        if file.is_file():
            contents[file.relative_to(repo).as_posix()] = file.read_bytes()
    return contents


def _paths(repo: Path) -> Iterator[Path]:
    yield from (repo / CHART).rglob("*")
    yield from (repo / ENVIRONMENTS).glob("*.yaml")
    for name in VALUES:
        yield repo / name
