"""The alerts and Grafana's dashboard: Prometheus' own tool parses and tries them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_cli.cli.steps import Steps
from jobyard_local import machine

from tests.support.dashboard import FILE, expressions, metrics
from tests.support.paths import ROOT

Object = dict[str, Any]
RenderChart = Callable[..., list[Object]]

EXAMPLES = Path(__file__).with_name("alerts_test.yaml")
ALERTS = ROOT / "charts" / "platform" / "files" / "alerts.yaml"
METRICS = {"prometheusUrl": "http://prometheus:9090", "grafana": True}
COLUMNS = 24
"""The width of Grafana's grid."""


@pytest.fixture(scope="module")
def promtool(shown: Callable[[], AbstractContextManager[Steps]]) -> Callable[..., str]:
    """Run promtool; what it says if it fails, fails the test."""
    with shown() as steps, steps.step("Prometheus") as report:
        machine.install({"prometheus": "promtool"}, report)

    def run(*arguments: str | Path) -> str:
        ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def rendered(render_chart: RenderChart) -> dict[str, Object]:
    """What the chart makes for Grafana and Prometheus, by kind."""
    objects = render_chart(
        "platform", ["values/node-groups.yaml"], {"environment": {"name": "prod", "metrics": METRICS}}
    )
    return {one["kind"]: one for one in objects if one["kind"] in ("ConfigMap", "PrometheusRule")}


def test_prometheus_takes_the_rules_as_the_chart_makes_them(
    promtool: Callable[..., str], rendered: dict[str, Object], tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rendered["PrometheusRule"]["spec"]))
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", "--lint-fatal", file)


def test_each_alert_fires_when_it_should_and_then_alone(promtool: Callable[..., str]) -> None:
    assert "SUCCESS" in promtool("test", "rules", EXAMPLES)


def test_each_alert_has_an_example() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    cases = [case for test in yaml.safe_load(EXAMPLES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == {rule["alert"] for rule in rules}


def test_the_config_map_has_the_dashboard_as_it_is(rendered: dict[str, Object]) -> None:
    [text] = rendered["ConfigMap"]["data"].values()
    assert json.loads(text) == json.loads(FILE.read_text())


def test_prometheus_parses_the_query_of_every_panel(promtool: Callable[..., str], tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


def test_the_panels_are_whole_and_none_lies_on_another() -> None:
    panels = json.loads(FILE.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= COLUMNS
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_query_is_bounded_to_the_chosen_teams_or_shows_nodes() -> None:
    panels = json.loads(FILE.read_text())["panels"]
    queries = {panel["title"]: target["expr"] for panel in panels for target in panel["targets"]}
    unbounded = {title for title, query in queries.items() if 'namespace=~"$team"' not in query}
    assert unbounded == {title for title in queries if title.startswith(("Nodes", "Idle"))}


def test_they_use_metrics_of_cadvisor_and_kube_state_metrics_alone() -> None:
    assert all(re.match("(container|kube_(pod|node))_", metric) for metric in metrics())
