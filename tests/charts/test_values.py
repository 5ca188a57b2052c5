"""Values that the charts refuse, and what Helm then says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

Object = dict[str, Any]
RenderText = Callable[..., CompletedProcess[str]]

TEAM: Object = {
    "team": "risk",
    "allowedNodeGroups": ["default"],
    "serviceAccounts": {"jobs": {}},
    "priorities": {"normal": 2000},
    "viewerGroups": [],
    "nodeGroups": {"default": {"architecture": "amd64", "labels": {}, "taints": []}},
}
BOUNDS: Object = {
    "team": "risk",
    "repo": "https://git.example.com/risk/risk-jobs.git",
    "allowedNodeGroups": ["default"],
    "priorityBand": {"min": 1000, "max": 9999},
    "quota": {"pods": 5, "cpu": "4", "memory": "8Gi", "ephemeralStorage": "10Gi"},
}
PLATFORM: Object = {
    "environment": {"name": "prod"},
    "nodeGroups": yaml.safe_load((ROOT / "values" / "node-groups.yaml").read_text())["nodeGroups"],
}


def changed(values: Object, path: str, value: object) -> Object:
    """Return a copy of the values with the one at a dotted path set, or removed (...)."""
    copied = copy.deepcopy(values)
    *parents, last = path.split(".")
    place = copied
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copied


LABEL = "^[a-z]([a-z0-9-]*[a-z0-9])?$"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("team", ..., f"team: Does not match pattern '{LABEL}'"),
        ("team", "Risk_ML", f"team: Does not match pattern '{LABEL}'"),
        ("team", "a" * 41, "team: String length must be less than or equal to 40"),
        ("allowedNodeGroups", [], "allowedNodeGroups: Array must have at least 1 items"),
        (
            "allowedNodeGroups",
            ["default", "default"],
            "allowedNodeGroups: array items[0,1] must be unique",
        ),
        (
            "allowedNodeGroups",
            ["default", "high-mem"],
            "allowedNodeGroups: unknown node group 'high-mem' (the catalogue has: default)",
        ),
        (
            "nodeGroups",
            {},
            "unknown node group 'default' (the catalogue has: nothing; give -f values/node-groups.yaml)",
        ),
        (
            "nodeGroups.default.architecture",
            "x86",
            "nodeGroups.default.architecture must be one of the following",
        ),
        ("nodeGroups.default.taints", [{"key": "a"}], "nodeGroups.default.taints.0: value is required"),
        ("serviceAccounts", {"reports": {}}, "serviceAccounts: jobs is required"),
        (
            "serviceAccounts.jobs.roleArn",
            "risk-jobs",
            "serviceAccounts.jobs.roleArn: Does not match pattern '^(arn:aws",
        ),
        ("serviceAccounts.jobs.role", "x", "serviceAccounts.jobs: Additional property role is not allowed"),
        ("priorities", {"high": 3000}, "priorities: normal is required"),
        ("priorities.normal", "2000", "priorities.normal: Invalid type. Expected: integer, given: string"),
        ("priorities.normal", 0, "priorities.normal: Must be greater than or equal to 1"),
        ("priorities.normal", 2000000000, "priorities.normal: Must be less than or equal to 1e+09"),
        ("priorities.Top", 1, 'priorities: Property name of "Top" does not match'),
        ("quota", {}, "(root): Additional property quota is not allowed"),
        ("standalone", "yes", "standalone: Invalid type. Expected: boolean, given: string"),
        ("bounds", {"quota": {"pods": 1.5}}, "bounds.quota.pods: Invalid type. Expected: integer, given: number"),
        ("bounds", {"quotas": {}}, "bounds: Additional property quotas is not allowed"),
    ],
)
def test_the_teams_chart_refuses(render_text: RenderText, path: str, value: object, message: str) -> None:
    answer = render_text("team", values=changed(TEAM, path, value))
    assert answer.returncode != 0
    assert message in answer.stderr


def test_the_teams_values_that_the_others_change_are_right(render_text: RenderText) -> None:
    assert render_text("team", values=TEAM).returncode == 0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("repo", ..., "(root): repo is required"),
        ("repo", "*", "repo: Does not match pattern"),
        ("allowedNodeGroups", [], "allowedNodeGroups: Array must have at least 1 items"),
        ("priorityBand", {"min": 2, "max": 1}, "priorityBand: min 2 is above max 1"),
        ("priorityBand.max", 1000000001, "priorityBand.max: Must be less than or equal to 1e+09"),
        ("priorities", {"top": 10000}, "priorities.top: 10000 is outside priorityBand, 1000 to 9999"),
        ("priorities", {}, "priorities: Must have at least 1 properties"),
        ("priorities", {"Top": 1000}, 'priorities: Property name of "Top" does not match'),
        (
            "priorities",
            {f"level{number}": 1000 for number in range(21)},
            "priorities: Must have at most 20 properties",
        ),
        ("quota", ..., "(root): quota is required"),
        ("quota.pods", 0, "quota.pods: Must be greater than or equal to 1"),
        ("quota.cpu", "4000m", "quota.cpu: Does not match pattern"),
        ("quota.cpu", 4, "quota.cpu: Invalid type. Expected: string, given: integer"),
        ("quota.memory", "8", "quota.memory: Does not match pattern"),
        ("quota.gpus", 1, "quota: Additional property gpus is not allowed"),
        ("role", "admin", "(root): Additional property role is not allowed"),
        (
            "allowedNodeGroups",
            ["default", "tpu"],
            "allowedNodeGroups: unknown node group 'tpu' (the catalogue has: ",
        ),
        ("viewerGroups", ["system:masters"], "viewerGroups.0: Must not validate the schema (not)"),
        (
            "iamRoles",
            {"serviceAccounts": ["arn:aws:iam::1:role/x"]},
            "iamRoles.serviceAccounts.0: Does not match",
        ),
        ("environments", [], "environments: Array must have at least 1 items"),
        ("environments", {"prod": {}}, "environments: Invalid type. Expected: array, given: object"),
        ("environments", ["Prod"], "environments.0: Does not match pattern"),
        ("team", "Risk", "team: Does not match pattern"),
        ("team", ..., "team: Does not match pattern"),
        ("team", "airflow", "team: 'airflow' is reserved for the platform"),
        ("team", "kube-risk", "team: 'kube-risk' is reserved for the platform"),
        ("teams", {"risk": {}}, "(root): Additional property teams is not allowed"),
        ("teem", {}, "(root): Additional property teem is not allowed"),
        ("clusterServer", "in-cluster", "clusterServer: Does not match pattern '^https://'"),
    ],
)
def test_the_bounds_chart_refuses(render_text: RenderText, path: str, value: object, message: str) -> None:
    answer = render_text("bounds", values={**PLATFORM, **changed(BOUNDS, path, value)})
    assert answer.returncode != 0
    assert message in answer.stderr


def test_the_bounds_that_the_others_change_are_right(render_text: RenderText) -> None:
    assert render_text("bounds", values={**PLATFORM, **BOUNDS}).returncode == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"teams": {}}, "(root): Additional property teams is not allowed"),
        ({"environment": {"name": "Prod"}}, "environment.name: Does not match pattern"),
        ({"environment": {"name": "prod", "account": 1}}, "environment.account: Invalid type. Expected: string"),
        ({"environment": {"name": "prod", "cluster": {}}}, "environment.cluster: name is required"),
        ({"environment": {"name": "prod", "region": "Frankfurt"}}, "environment.region: Does not match pattern"),
        ({"environment": {"name": "prod", "metrics": {}}}, "environment.metrics: prometheusUrl is required"),
        (
            {"environment": {"name": "prod", "metrics": {"prometheusUrl": "prometheus:9090"}}},
            "environment.metrics.prometheusUrl: Does not match pattern",
        ),
    ],
)
def test_the_platforms_chart_refuses(render_text: RenderText, values: Object, message: str) -> None:
    answer = render_text("platform", values=values)
    assert answer.returncode != 0
    assert message in answer.stderr


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"environment": "prod"}, "repo: String length must be greater than or equal to 1"),
        ({"repo": "https://git.example.com/jobyard.git"}, "environment: Does not match pattern"),
        ({"repo": "https://git.example.com/jobyard.git", "environment": "prod", "team": "x"}, "property team is not"),
    ],
)
def test_the_bootstrap_chart_refuses(render_text: RenderText, values: Object, message: str) -> None:
    answer = render_text("bootstrap", values=values)
    assert answer.returncode != 0
    assert message in answer.stderr
