"""The command line's teams of an environment are the ones that Helm renders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobyard_cli.platform.environments import load_environment
from jobyard_cli.platform.teams import merged

from tests.support.paths import ROOT

Object = dict[str, Any]
RenderChart = Callable[..., list[Object]]
COMMON: Object = {"allowedNodeGroups": ["gpu"], "priorityBand": {"min": 1, "max": 9}}
OTHERS: dict[str, Object] = {
    "everywhere": {"quota": {"pods": 7, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi", "gpu": 2}},
    "dev-only": {
        "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi", "gpu": 2},
        "egress": [{"ports": [{"protocol": "TCP", "port": 5432}]}],
        "revision": "v1",
        "environments": ["dev"],
    },
    "different": {
        "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi"},
        "egress": [{"ports": [{"protocol": "TCP", "port": 5432}]}],
    },
}
OVERRIDES: dict[tuple[str, str], Object] = {
    ("dev", "dev-only"): {"quota": {"pods": 2, "gpu": 0}, "egress": [], "revision": "main"},
    ("dev", "different"): {"egress": [{"ports": [{"protocol": "TCP", "port": 9042}]}]},
    ("prod", "different"): {"quota": {"memory": "9Gi", "gpu": 1}, "revision": "v1.4.0"},
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
        whole = {"repo": f"https://git.example.com/{team}.git", **COMMON, **values}
        (tmp_path / "values" / "teams" / f"{team}.yaml").write_text(yaml.safe_dump(whole))
    for (environment, team), values in OVERRIDES.items():
        file = tmp_path / "values" / "overrides" / environment / f"{team}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(values))
    return tmp_path


def value_files(repo: Path, environment: str, team: str) -> list[str]:
    """Those that the ApplicationSet names, as far as they exist."""
    values = repo / "values"
    files = [
        values / "node-groups.yaml",
        values / "environments" / f"{environment}.yaml",
        values / "teams" / f"{team}.yaml",
        values / "overrides" / environment / f"{team}.yaml",
    ]
    return [str(file) for file in files if file.exists()]


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
    rendered = [
        render_chart("bounds", value_files(repo, environment, team), {"team": team}) for team in (*OTHERS, "risk")
    ]
    objects = [one for of_team in rendered for one in of_team]
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


NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.sampled_from(["", "x", "1", "no", "8Gi"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**31), 2**31), TEXTS)
PLAIN = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
TREES = st.recursive(PLAIN, lambda below: st.dictionaries(NAMES, below, max_size=3), max_leaves=12)
VALUES = st.dictionaries(NAMES, TREES, max_size=4)


@pytest.fixture(scope="module")
def empty_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart without values of its own, which prints those that it is given."""
    chart = tmp_path_factory.mktemp("merge") / "values"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: values, version: 0.1.0}\n")
    (chart / "templates" / "values.yaml").write_text("{{ .Values | toJson }}\n")
    return chart


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(VALUES, VALUES), min_size=20, max_size=40))
def test_python_merges_values_as_helm_does(
    helm: Callable[..., Any], empty_chart: Path, pairs: list[tuple[Object, Object]]
) -> None:
    """Many pairs in one call, each below a name of its own."""
    files = [empty_chart.parent / f"{name}.yaml" for name in ("below", "above")]
    for index, file in enumerate(files):
        file.write_text(yaml.safe_dump({f"case{number}": pair[index] for number, pair in enumerate(pairs)}))
    rendered = helm("template", str(empty_chart), "-f", str(files[0]), "-f", str(files[1]))
    assert rendered.returncode == 0, rendered.stderr
    assert yaml.safe_load(rendered.stdout) == {
        f"case{number}": merged(below, above) for number, (below, above) in enumerate(pairs)
    }
