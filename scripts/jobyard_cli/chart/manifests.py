"""The objects that a team's chart makes of its values, in one environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobyard_cli.chart.helm import render
from jobyard_cli.errors import JobyardError

CHART = "charts/team"
VALUES = ("values/node-groups.yaml", "values/team.yaml")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"^---\n", re.MULTILINE)
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
        """`ServiceAccount team-risk/jobs`."""
        metadata = self.content.get("metadata") or {}
        place = [str(part) for part in (metadata.get("namespace"), metadata.get("name")) if part]
        return f"{self.content.get('kind')} {'/'.join(place)}"


def value_files(repo: Path, environment: str) -> list[Path]:
    """The files of values that Argo CD reads, in its order; an environment without a file of its own adds none."""
    own = f"values/environments/{environment}.yaml"
    return [repo / name for name in (*VALUES, own) if (repo / name).is_file()]


def manifests(repo: Path, environment: str = "") -> list[Manifest]:
    """All objects of the team's chart.

    Raises:
        MissingChartError: the repository has no chart.
        RenderError: Helm refuses the values.
    """
    if not (repo / CHART / "Chart.yaml").is_file():
        raise MissingChartError(repo)
    text = render(repo / CHART, value_files(repo, environment))
    return [_manifest(part) for part in _SEPARATOR.split(text) if part.strip()]


def _manifest(text: str) -> Manifest:
    source = _SOURCE.search(text)
    # A safe loader.
    content = yaml.load(text, Loader=_Loader)  # noqa: S506
    return Manifest(f"{CHART}/{source[1]}" if source else CHART, content if isinstance(content, dict) else {}, text)
