"""What the chart makes of a team's `queue` is what the plan and the check reckon with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jobyard.quantities import parse_quantity
from jobyard_cli.platform.queues import KINDS, borrowed_amounts, own_amounts

from tests.charts.conftest import CATALOGUE
from tests.charts.test_render import NODE_GROUPS, PROD, RISK
from tests.support.paths import ROOT

Object = dict[str, Any]
RESOURCES = {"ephemeralStorage": "ephemeral-storage", "gpu": "nvidia.com/gpu"}
TEAM = yaml.safe_load((ROOT / RISK).read_text())
CASES: dict[str, Object] = {
    "nothing of its own": {},
    "all groups": {"allowedNodeGroups": sorted(CATALOGUE)},
    "GPUs": {"allowedNodeGroups": ["gpu", "default"], "quota": {**TEAM["quota"], "gpu": 9}},
    "parts of cores": {"quota": {**TEAM["quota"], "cpu": "750m", "memory": "1536Mi"}},
    "large amounts": {"quota": {"pods": 5000, "cpu": "4000", "memory": "3000Gi", "ephemeralStorage": "9Ti"}},
    "some of a group": {
        "queue": {
            "weight": 0.25,
            "nodeGroups": {
                "default": {"cpu": "250m", "memory": "0", "borrow": {"cpu": "0", "memory": "2048Mi"}},
                "high-cpu": {"cpu": "16", "ephemeralStorage": "1Gi", "lend": {"cpu": "0"}},
            },
        }
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_share_is_the_same_in_both(render_chart: Callable[..., list[Object]], name: str) -> None:
    values = {**TEAM, **CASES[name]}
    queues = {"team": "risk", "environment": {"queueing": "kueue"}, **CASES[name]}
    rendered = render_chart("bounds", [NODE_GROUPS, PROD, RISK], queues)
    [queue] = [one for one in rendered if one["kind"] == "ClusterQueue"]
    [group] = queue["spec"]["resourceGroups"]
    assert [flavor["name"] for flavor in group["flavors"]] == sorted(values["allowedNodeGroups"])
    for flavor in group["flavors"]:
        made = {one["name"]: one for one in flavor["resources"]}
        assert list(made) == group["coveredResources"]
        own = own_amounts(values, flavor["name"], CATALOGUE[flavor["name"]])
        assert own == {kind: parse_quantity(made[RESOURCES.get(kind, kind)]["nominalQuota"]) for kind in KINDS}
        limits = {kind: made[RESOURCES.get(kind, kind)].get("borrowingLimit") for kind in KINDS}
        bounded = {kind: parse_quantity(limit) for kind, limit in limits.items() if limit is not None}
        assert borrowed_amounts(values, flavor["name"]) == bounded
