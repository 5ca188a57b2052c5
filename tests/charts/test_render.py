"""What the charts render: valid for Kubernetes, as it was reviewed, and refused when the values are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.golden import assert_golden
from tests.support.paths import ROOT

Object = dict[str, Any]
Render = Callable[..., list[Object]]
RenderText = Callable[..., CompletedProcess[str]]

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ("1.32", "1.37")
"""Oldest (`kubeVersion` of the charts) and newest Kubernetes that the rendered objects must be valid for."""
NODE_GROUPS = "values/node-groups.yaml"
DEV = "values/environments/dev.yaml"
PROD = "values/environments/prod.yaml"
PLATFORM_TEAM = "values/platform-team.yaml"
RISK = "values/teams/risk.yaml"
RISK_IN_DEV = "values/overrides/dev/risk.yaml"
TEAM = {
    "team": "risk",
    "allowedNodeGroups": ["default", "high-cpu", "high-memory"],
    "serviceAccounts": {"jobs": {"roleArn": ""}},
    "priorities": {"low": 1000, "normal": 2000, "high": 3000},
    "viewerGroups": ["jobyard:risk:viewers"],
}
BOOTSTRAP = {"repo": "https://git.example.com/platform/jobyard.git", "environment": "prod"}
PLATFORM = {"repo": BOOTSTRAP["repo"]}
OWN: Object = {
    **PLATFORM,
    "team": "platform",
    "ofPlatform": True,
    "environment": {"metrics": {"prometheusUrl": "http://prometheus.monitoring:9090"}},
}
QUEUES = {"queueing": "kueue", "reclaim": "preempt"}
SHARES: Object = {
    "weight": 2,
    "nodeGroups": {
        "default": {"borrow": {"cpu": "0", "memory": "0"}, "lend": {"cpu": "4", "memory": "16Gi"}},
        "high-memory": {"cpu": "32", "memory": "128Gi"},
    },
}
EXAMPLES: dict[str, tuple[str, list[str], Object]] = {
    "bootstrap": ("bootstrap", [], BOOTSTRAP),
    "platform": ("platform", [NODE_GROUPS, PROD], PLATFORM),
    "platform-dev": ("platform", [NODE_GROUPS, DEV], PLATFORM),
    "bounds": ("bounds", [NODE_GROUPS, PROD, RISK], {"team": "risk"}),
    "bounds-dev": ("bounds", [NODE_GROUPS, DEV, RISK, RISK_IN_DEV], {"team": "risk"}),
    "bounds-platform": ("bounds", [NODE_GROUPS, PROD, PLATFORM_TEAM], OWN),
    "team": ("team", [NODE_GROUPS], TEAM),
    "platform-queues": ("platform", [NODE_GROUPS, PROD], {**PLATFORM, "environment": QUEUES}),
    "bounds-queues": ("bounds", [NODE_GROUPS, PROD, RISK], {"team": "risk", "environment": QUEUES, "queue": SHARES}),
}
"""Name of each example -> its chart, value files and values. Every file of values/ is in one."""
STANDARD_LABELS = (
    "helm.sh/chart",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
)
CHART_VERSION = "0.1.0"
POLICIES = (
    "config-maps",
    "namespaces",
    "pod-deletions",
    "pods",
    "priorities",
    "priority-classes",
    "role-bindings",
    "service-accounts",
    "synced-accounts",
)


@pytest.mark.golden
@pytest.mark.parametrize("example", EXAMPLES)
def test_golden(render_text: RenderText, example: str) -> None:
    rendered = render_text(*EXAMPLES[example])
    assert rendered.returncode == 0, rendered.stderr
    assert_golden(GOLDEN / f"{example}.yaml", rendered.stdout)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_object_is_valid(render_chart: Render, example: str, version: str) -> None:
    objects = render_chart(*EXAMPLES[example])
    # Argo CD's, Karpenter's and Kueue's kinds are checked by the API server, in the tests that ask one.
    others = ("argoproj.io/", "karpenter.", "kueue.x-k8s.io/")
    known = [one for one in objects if not one["apiVersion"].startswith(others)]
    assert known
    for one in known:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_lint(helm: Callable[..., CompletedProcess[str]], example: str) -> None:
    chart, files, values = EXAMPLES[example]
    chosen = [argument for file in files for argument in ("-f", file)]
    linted = helm("lint", "--strict", f"charts/{chart}", *chosen, "-f", "-", stdin=yaml.safe_dump(values))
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_object_says_whose_it_is(render_chart: Render, example: str) -> None:
    objects = render_chart(*EXAMPLES[example])
    assert objects
    for one in objects:
        labels = one["metadata"]["labels"]
        chart = EXAMPLES[example][0]
        assert {name: value for name, value in labels.items() if name in STANDARD_LABELS} == {
            "helm.sh/chart": f"{chart}-{CHART_VERSION}",
            "app.kubernetes.io/name": chart,
            "app.kubernetes.io/instance": "release-name",
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/part-of": "jobyard",
        }
        assert labels.get("jobyard.dev/team") == EXAMPLES[example][2].get("team")


@pytest.mark.parametrize("chart", ["bootstrap", "bounds", "platform", "team"])
def test_every_chart_says_who_keeps_it_and_for_which_kubernetes(chart: str) -> None:
    described = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())
    assert described["kubeVersion"] == f">={VERSIONS[0]}.0-0"
    assert described["home"].startswith("https://")
    assert described["sources"]
    assert [set(one) for one in described["maintainers"]] == [{"name", "url"}]


def test_the_charts_share_one_file_of_helpers() -> None:
    """It is a file in the team's chart, which goes where no other chart does, and a link in the others."""
    shared = ROOT / "charts" / "team" / "templates" / "_jobyard.tpl"
    assert not shared.is_symlink()
    others = [ROOT / "charts" / chart / "templates" / shared.name for chart in ("bootstrap", "bounds", "platform")]
    assert all(one.is_symlink() and one.resolve() == shared for one in others)


def test_the_platforms_bounds_fit_the_examples_of_both_charts(render_chart: Render) -> None:
    bounds = yaml.safe_load((ROOT / RISK).read_text())
    classes = [one for one in render_chart(*EXAMPLES["team"]) if one["kind"] == "PriorityClass"]
    assert classes
    (namespace,) = [one for one in render_chart(*EXAMPLES["bounds"]) if one["kind"] == "Namespace"]
    given = namespace["metadata"]["annotations"]["jobyard.dev/priority-classes"].split("\n")
    assert {one["metadata"]["name"] for one in classes} <= set(given)
    assert set(TEAM["allowedNodeGroups"]) <= set(bounds["allowedNodeGroups"])


def test_what_all_teams_share_is_all_that_the_platforms_chart_has(render_chart: Render) -> None:
    assert {(one["kind"], one["metadata"]["name"]) for one in render_chart("platform")} == {
        ("Namespace", "jobyard-teams"),
        ("ApplicationSet", "teams"),
        *(("ClusterRole", f"jobyard-{role}") for role in ("launcher", "viewer", "team-sync", "team-priorities")),
        *(("ValidatingAdmissionPolicy", f"jobyard-{policy}") for policy in POLICIES),
        *(("ValidatingAdmissionPolicyBinding", f"jobyard-{policy}") for policy in POLICIES),
    }


def test_a_team_that_is_not_in_the_environment_has_nothing_there(render_chart: Render) -> None:
    assert render_chart("bounds", [NODE_GROUPS, RISK], {"team": "risk", "environment": {"name": "staging"}}) == []


def test_every_file_of_values_is_in_an_example() -> None:
    there = {
        str(path.relative_to(ROOT))
        for folder in ("environments", "teams", "overrides")
        for path in (ROOT / "values" / folder).rglob("*.yaml")
    }
    there.add(PLATFORM_TEAM)
    assert there == {file for _, files, _ in EXAMPLES.values() for file in files} - {NODE_GROUPS}
