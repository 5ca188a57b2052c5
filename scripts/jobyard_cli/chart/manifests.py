"""The objects that a team's chart makes of its values, in one environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobyard_cli.chart.helm import render
from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import load
from jobyard_cli.team.repo import TEAM_VALUES

CHART = "charts/team"
VALUES = ("values/node-groups.yaml", TEAM_VALUES)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"^---\n", re.MULTILINE)
_TEAM = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_SOURCE = re.compile(r"# Source: team/(\S+)")


class MissingChartError(JobyardError):
    """The repository lacks the team's chart."""

    def __init__(self, repo: Path) -> None:
        super().__init__(f"{repo} has no {CHART}, the chart that Argo CD syncs for a team")


@dataclass(frozen=True)
class Manifest:
    """An object, and the template that made it."""

    template: str
    content: dict[str, Any]
    text: str

    @property
    def name(self) -> str:
        """Return kind, namespace and name: `ServiceAccount team-risk/jobs`."""
        metadata = self.content.get("metadata") or {}
        path = [str(part) for part in (metadata.get("namespace"), metadata.get("name")) if part]
        return f"{self.content.get('kind')} {'/'.join(path)}"


def has_chart(repo: Path) -> bool:
    """Return whether a repository has the team's chart."""
    return (repo / CHART / "Chart.yaml").is_file()


def _value_files(repo: Path, environment: str) -> Iterator[Path]:
    """The value files that Argo CD reads and the repository has, in Argo CD's order."""
    for name in (*VALUES, f"values/environments/{environment}.yaml"):
        if (repo / name).is_file():
            yield repo / name


def manifests(repo: Path, environment: str = "") -> list[Manifest]:
    """Return all objects of the team's chart.

    Raises:
        MissingChartError: the repository has no chart.
        RenderError: Helm refuses the values.
    """
    if not has_chart(repo):
        raise MissingChartError(repo)
    text = render(repo / CHART, _value_files(repo, environment), _application(repo))
    return [_manifest(part) for part in _SEPARATOR.split(text) if part.strip()]


def _application(repo: Path) -> str:
    """Name of the team's Application, which Argo CD gives the release; empty if the team's name is not valid."""
    file = repo / TEAM_VALUES
    if not file.is_file():
        return ""
    values = load(file, TEAM_VALUES).data
    if not isinstance(values, dict):
        return ""
    team = values.get("team")
    if not isinstance(team, str) or not _TEAM.fullmatch(team):
        return ""
    return f"team-{team}"


def _manifest(text: str) -> Manifest:
    template = CHART
    if source := _SOURCE.search(text):
        template = f"{CHART}/{source[1]}"
    # A safe loader.
    content = yaml.load(text, Loader=_Loader)  # noqa: S506
    if not isinstance(content, dict):
        content = {}
    return Manifest(template, content, text)
