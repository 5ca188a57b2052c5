"""docs/iam.md says what the roles have, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.iam.git_hosts import AUDIENCES
from jobyard_cli.iam.role import Role
from jobyard_cli.iam.roles import all_roles
from jobyard_cli.platform.environments import Environment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "iam.md").read_text()
VALUES: dict[str, Any] = {
    "account": "<account>",
    "region": "eu-central-1",
    "bucket": "<bucket>",
    "airflow": "<airflow>",
    "cluster": {"name": "<cluster>"},
    "variablesPrefix": "<variablesPrefix>",
    "dataBucket": "<dataBucket>",
}
TEAM = {"repo": "https://git.example.com/risk/jobs.git", "iamRoles": {"serviceAccounts": ["<jobs>"]}}
SECTIONS = {
    "Airflow": "jobyard-mwaa",
    "Platform's pipeline": "jobyard-platform-ci",
    "Platform's scheduled pipeline": "jobyard-platform-catalogue",
    "Team's pipeline": "jobyard-<team>-ci",
    "Team's merge requests": "jobyard-<team>-plan",
    "Launcher": "jobyard-<team>",
    "Jobs": "<jobs>",
}
METRICS = {"bucket": "<metrics bucket>", "prefix": "<prefix>", "prometheusWorkspace": "<workspace>"}
SECTIONS_WITH_METRICS = {
    "Platform's own job": "jobyard-platform-metrics",
    "Platform's pipeline, with metrics": "jobyard-platform-ci",
    "Team's merge requests, with metrics": "jobyard-<team>-plan",
}
"""Each has what its role has besides, in an environment with metrics."""
SECTIONS_WITH_SECRETS = {"External Secrets operator": "jobyard-secrets", "Team's secrets": "jobyard-<team>-secrets"}
Right = tuple[str, list[str], list[str]]


@pytest.fixture(scope="module")
def written() -> dict[str, Role]:
    """The roles of an environment that has a placeholder for each value."""
    environment = Environment("<environment>", VALUES, {"<team>": TEAM})
    other = Environment("<other>", {**VALUES, "account": "<other account>"}, {"<team>": TEAM})
    address = "https://git.example.com/platform/jobyard.git"
    return {role.name: role for role in all_roles(environment, address, others=[other]).roles}


@pytest.fixture(scope="module")
def with_metrics() -> dict[str, Role]:
    """The roles of such an environment with metrics; its other environment has them too."""
    own = {"iamRoles": {"launcher": "jobyard-platform", "serviceAccounts": ["jobyard-platform-metrics"]}}
    values = {**VALUES, "metrics": METRICS}
    environment = Environment("<environment>", values, {"<team>": TEAM}, platform_team=own)
    other = replace(environment, values={**values, "account": "<other account>"})
    address = "https://git.example.com/platform/jobyard.git"
    return {role.name: role for role in all_roles(environment, address, others=[other]).roles}


@pytest.fixture(scope="module")
def with_secrets() -> dict[str, Role]:
    """The roles of such an environment with the External Secrets operator."""
    environment = Environment("<environment>", {**VALUES, "externalSecrets": True}, {"<team>": TEAM})
    return {role.name: role for role in all_roles(environment, "https://git.example.com/platform/jobyard.git").roles}


def told(section: str) -> list[Right]:
    """The rights in a section's table."""
    text = PAGE.partition(f"\n### {section}\n")[2].partition("\n#")[0]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and not line.startswith("| right")]
    return [(cells[0].removeprefix("| "), _code(cells[1]), _code(cells[2])) for cells in rows]


def _code(cell: str) -> list[str]:
    found = re.findall(r"`([^`]+)`", cell)
    return [f"not {one}" for one in found] if cell.startswith("not ") else found


def had(statement: Mapping[str, Any]) -> Right:
    """A statement as the page tells it."""
    name = statement["Sid"] if statement["Effect"] == "Allow" else f"never: {statement['Sid']}"
    arns = statement.get("Resource") or [f"not {arn}" for arn in statement["NotResource"]]
    negated = ["not " if arn.startswith("not ") else "" for arn in arns]
    return name, statement["Action"], [start + arn.split(":", 5)[-1] for start, arn in zip(negated, arns, strict=True)]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_tells_all_rights_of_its_role(written: dict[str, Role], section: str) -> None:
    assert told(section) == [had(statement) for statement in written[SECTIONS[section]].statements]


@pytest.mark.parametrize("section", SECTIONS_WITH_METRICS)
def test_a_section_tells_what_a_role_has_besides_with_metrics(
    written: dict[str, Role], with_metrics: dict[str, Role], section: str
) -> None:
    name = SECTIONS_WITH_METRICS[section]
    without = [had(statement) for statement in written[name].statements] if name in written else []
    rights = [had(statement) for statement in with_metrics[name].statements]
    assert told(section) == [right for right in rights if right not in without]
    assert [right[0] for right in without if right not in rights] == (
        ["never: NoRelease"] if name == "jobyard-platform-ci" else []
    )


@pytest.mark.parametrize("section", SECTIONS_WITH_SECRETS)
def test_a_section_tells_all_rights_of_a_role_for_secrets(with_secrets: dict[str, Role], section: str) -> None:
    statements = with_secrets[SECTIONS_WITH_SECRETS[section]].statements
    assert told(section) == [had(statement) for statement in statements]


def test_every_role_has_a_section(
    written: dict[str, Role], with_metrics: dict[str, Role], with_secrets: dict[str, Role]
) -> None:
    assert sorted(SECTIONS.values()) == sorted(written)
    assert set(with_secrets) - set(written) == set(SECTIONS_WITH_SECRETS.values())
    assert set(with_metrics) - set(written) == {"jobyard-platform-metrics", "jobyard-platform"}
    assert re.findall(r"^### (.*)$", PAGE, re.M) == [*SECTIONS, *SECTIONS_WITH_METRICS, *SECTIONS_WITH_SECRETS]


def test_the_page_tells_what_a_token_is_for() -> None:
    for ci, audience in AUDIENCES.items():
        assert f"| `{ci}` | `{audience}` |" in PAGE
