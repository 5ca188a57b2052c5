"""The local platform's stand-in for a git host's webhook: what Argo CD looks at after a push of the platform."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobyard_local import argocd
from jobyard_local.services import GitRepository

PATHS = (
    ".;/charts/team/templates/_jobyard.tpl;/values/node-groups.yaml;/values/environments/local.yaml"
    ";/values/teams/{team}.yaml;/values/overrides/local/{team}.yaml"
)
TEAMS = ["care", "risk"]


class FakeKubectl:
    """Notes what is annotated in a cluster with two teams' Applications, and one that follows another repository."""

    def __init__(self) -> None:
        self.annotated: dict[str, list[str]] = {}

    def __call__(self, *arguments: str) -> str:
        kind = arguments.index("--namespace") + 2
        self.annotated[arguments[kind]] = list(arguments[kind + 1 : -1])
        return ""

    def json(self, *_: str) -> Any:
        team = {"metadata": {"name": "team-risk", "annotations": {}}, "spec": {"source": {"path": "charts/team"}}}
        return {"items": [*map(bounds, TEAMS), team]}


def bounds(team: str) -> dict[str, Any]:
    key = "argocd.argoproj.io/manifest-generate-paths"
    metadata = {"name": f"bounds-{team}", "annotations": {key: PATHS.format(team=team)}}
    return {"metadata": metadata, "spec": {"source": {"path": "charts/bounds"}}}


@pytest.mark.parametrize(
    ("changed", "refreshed"),
    [
        ("values/teams/new.yaml", []),
        ("values/teams/risk.yaml", ["risk"]),
        ("values/overrides/local/care.yaml", ["care"]),
        ("values/teams/risk.yaml.orig", []),
        ("charts/bounds/templates/namespaces.yaml", TEAMS),
        ("charts/bounds-of-others/values.yaml", []),
        ("charts/team/templates/_jobyard.tpl", TEAMS),
        ("charts/team/templates/roles.yaml", []),
        ("values/environments/local.yaml", TEAMS),
    ],
)
def test_only_teams_that_a_push_touches_are_looked_at(changed: str, refreshed: list[str]) -> None:
    kubectl: Any = FakeKubectl()
    argocd.announce(kubectl, ["README.md", changed])
    assert kubectl.annotated.pop("applicationsets.argoproj.io") == ["teams"]
    assert kubectl.annotated.pop("applications.argoproj.io", []) == [f"bounds-{team}" for team in refreshed]


def test_a_push_says_which_files_it_changed(tmp_path: Path) -> None:
    layout: Any = SimpleNamespace(state=tmp_path)
    repository = GitRepository(layout, "platform")
    repository.create()
    first = repository.replace({"a.yaml": "1", "values/b.yaml": "1"}, "First", tmp_path / "scratch")
    second = repository.replace({"values/b.yaml": "2", "c.yaml": "1"}, "Second", tmp_path / "scratch")
    assert repository.changed(first) == ["a.yaml", "values/b.yaml"]
    assert repository.changed(second) == ["a.yaml", "c.yaml", "values/b.yaml"]
