"""The command line's teams of an environment are the ones that Helm renders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_cli.platform.environments import load_environment

from tests.support.paths import ROOT

Object = dict[str, Any]
RenderChart = Callable[..., list[Object]]
FILES = ("values/node-groups.yaml", "values/environments/{}.yaml", "values/teams/risk.yaml")
OTHERS: dict[str, Object] = {
    "everywhere": {"quota": {"pods": 7, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi", "gpu": 2}},
    "dev-only": {
        "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi", "gpu": 2},
        "egress": [{"ports": [{"protocol": "TCP", "port": 5432}]}],
        "revision": "v1",
        "environments": {"dev": {"quota": {"pods": 2, "gpu": 0}, "egress": [], "revision": "main"}},
    },
    "different": {
        "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi"},
        "egress": [{"ports": [{"protocol": "TCP", "port": 5432}]}],
        "environments": {
            "dev": {"egress": [{"ports": [{"protocol": "TCP", "port": 9042}]}]},
            "prod": {"quota": {"memory": "9Gi", "gpu": 1}, "revision": "v1.4.0"},
        },
    },
}
"""What teams besides risk have: nothing different, emptied values, other values in each environment."""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """The platform's values with these teams in them."""
    shutil.copytree(ROOT / "values", tmp_path / "values")
    for chart in ("bounds", "platform"):
        (tmp_path / "charts" / chart).mkdir(parents=True)
        shutil.copy(ROOT / "charts" / chart / "values.schema.json", tmp_path / "charts" / chart)
    for team, values in OTHERS.items():
        common = {
            "repo": f"https://git.example.com/{team}.git",
            "allowedNodeGroups": ["gpu"],
            "priorityBand": {"min": 1, "max": 9},
        }
        file = tmp_path / "values" / "teams" / f"{team}.yaml"
        file.write_text(yaml.safe_dump({"teams": {team: {**common, **values}}}))
    return tmp_path


def hard(quota: Object) -> Object:
    """What the ResourceQuota of a team with these bounds says of them."""
    storage = quota["ephemeralStorage"]
    return {
        "pods": str(quota["pods"]),
        "requests.cpu": quota["cpu"],
        "requests.memory": quota["memory"],
        "requests.ephemeral-storage": storage,
        "requests.nvidia.com/gpu": str(quota.get("gpu", 0)),
    }


@pytest.mark.parametrize(
    ("environment", "inside"),
    [("dev", {"dev-only", "different", "everywhere", "risk"}), ("prod", {"different", "everywhere", "risk"})],
)
def test_helm_and_the_command_line_agree_on_an_environments_teams(
    render_chart: RenderChart, repo: Path, environment: str, inside: set[str]
) -> None:
    files = [*(ROOT / name.format(environment) for name in FILES)]
    files += [repo / "values" / "teams" / f"{team}.yaml" for team in OTHERS]
    objects = render_chart("bounds", [str(file) for file in files])
    teams = load_environment(repo, environment).teams
    assert set(teams) == inside
    assert rendered_quotas(objects) == {team: hard(values["quota"]) for team, values in teams.items()}
    assert rendered_revisions(objects) == {team: values.get("revision", "main") for team, values in teams.items()}
    assert {team: extra_ports(objects, team) for team in teams} == {
        team: {rule["ports"][0]["port"] for rule in values.get("egress", [])} for team, values in teams.items()
    }


def rendered_quotas(objects: list[Object]) -> dict[str, Object]:
    """What each team's quotas bound of what its file says, by team."""
    found: dict[str, Object] = {}
    for one in objects:
        if one["kind"] == "ResourceQuota":
            known = {name: value for name, value in one["spec"]["hard"].items() if name in QUOTA}
            found.setdefault(one["metadata"]["labels"]["jobyard.dev/team"], {}).update(known)
    return {team: {name: str(value) for name, value in quota.items()} for team, quota in found.items()}


QUOTA = ("pods", "requests.cpu", "requests.memory", "requests.ephemeral-storage", "requests.nvidia.com/gpu")


def rendered_revisions(objects: list[Object]) -> dict[str, str]:
    return {
        one["metadata"]["labels"]["jobyard.dev/team"]: one["spec"]["source"]["targetRevision"]
        for one in objects
        if one["kind"] == "Application"
    }


def extra_ports(objects: list[Object], team: str) -> set[int]:
    """Ports that a team's pods may connect to and not every team's."""
    rules = [
        rule
        for one in objects
        if one["kind"] == "NetworkPolicy" and one["metadata"]["namespace"] == f"team-{team}"
        for rule in one["spec"].get("egress", [])
    ]
    return {port["port"] for rule in rules for port in rule["ports"]} - {53, 443}
