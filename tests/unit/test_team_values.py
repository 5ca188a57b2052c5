"""What the check says of the team's own values, before the jobs that use them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.check.report import lines
from jobyard_cli.check.run import check_repo

from tests.conftest import TEAM
from tests.support.paths import ROOT

SCHEMA = "charts/team/values.schema.json"
JOB = """\
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score: {image: xgboost, pool: warehouse, priority: high, secrets: {PASSWORD: database/password}}
"""
WRONG = {
    "allowedNodeGroups: 5": "2:20: 'allowedNodeGroups' must be a list, not a whole number",
    "allowedNodeGroups: {default: true}": "2:20: 'allowedNodeGroups' must be a list, not a mapping",
    "serviceAccounts: jobs": "2:18: 'serviceAccounts' must be a mapping, not a string",
    "priorities: [normal]": "2:13: 'priorities' must be a mapping, not a list",
    "priorities: {normal: high}": "2:22: 'normal' must be a whole number, not a string",
    "pools: 5": "2:8: 'pools' must be a mapping, not a whole number",
    "assets: 5": "2:9: 'assets' must be a list, not a whole number",
    "images: 5": "2:9: 'images' must be a list, not a whole number",
    "secrets: 5": "2:10: 'secrets' must be a list, not a whole number",
}


@pytest.fixture
def with_chart(team_repo: Path, add_job: Callable[..., Path]) -> Path:
    """The team's repository, with the schema of its chart and a job."""
    (team_repo / SCHEMA).parent.mkdir(parents=True)
    shutil.copyfile(ROOT / SCHEMA, team_repo / SCHEMA)
    add_job("score", JOB)
    return team_repo


def state(repo: Path, line: str) -> None:
    """Have the line, as the second, in place of what the team's values say of that key."""
    key = line.partition(":")[0]
    first, *others = [old for old in TEAM.splitlines() if not old.startswith(f"{key}:")]
    (repo / "values/team.yaml").write_text("\n".join([first, line, *others]) + "\n")


def found(repo: Path) -> list[str]:
    return [str(finding) for finding in check_repo(repo).findings]


@pytest.mark.parametrize("line", WRONG)
def test_a_value_of_another_type_is_found_alone(with_chart: Path, line: str) -> None:
    state(with_chart, line)
    assert found(with_chart) == [f"values/team.yaml:{WRONG[line]}"]


@pytest.mark.parametrize("line", WRONG)
def test_nor_does_it_end_the_check_of_a_repository_without_the_schema(with_chart: Path, line: str) -> None:
    (with_chart / SCHEMA).unlink()
    state(with_chart, line)
    check_repo(with_chart)


def test_a_key_that_the_chart_does_not_know_hides_no_mistake_in_a_job(
    with_chart: Path, add_job: Callable[..., Path]
) -> None:
    add_job("score", JOB.replace("warehouse", "warehose"))
    state(with_chart, "secret: [database]")
    assert found(with_chart) == [
        "dags/score/job.yaml:4:33: unknown pool 'warehose' (did you mean 'warehouse'? team risk has: warehouse)",
        "values/team.yaml:2:1: unknown key 'secret' (did you mean 'secrets'?)",
    ]


def test_values_of_one_environment_are_checked_too(with_chart: Path) -> None:
    file = with_chart / "values/environments/prod.yaml"
    file.parent.mkdir()
    file.write_text("# Nothing yet.\n")
    assert found(with_chart) == []
    # Merged over the team's own, which has the priorities that there must be.
    file.write_text("priorities: {urgent: 4000}\n")
    assert found(with_chart) == []
    file.write_text("priorities: {urgent: 4000}\nviewerGroups: risk\n")
    assert found(with_chart) == ["values/environments/prod.yaml:2:15: 'viewerGroups' must be a list, not a string"]
    file.write_text("- viewerGroups\n")
    assert found(with_chart) == ["values/environments/prod.yaml:1:1: the file must be a mapping of the chart's values"]


def test_mistakes_in_both_files_are_reported_at_once_each_in_its_own_with_its_line(with_chart: Path) -> None:
    file = with_chart / "values/environments/prod.yaml"
    file.parent.mkdir()
    file.write_text("viewerGroups: risk\nsecret: [database]\n")
    state(with_chart, "priorities: {normal: high}")
    checked = check_repo(with_chart)
    assert [str(finding) for finding in checked.findings] == [
        "values/environments/prod.yaml:1:15: 'viewerGroups' must be a list, not a string",
        "values/environments/prod.yaml:2:1: unknown key 'secret' (did you mean 'secrets'?)",
        "values/team.yaml:2:22: 'normal' must be a whole number, not a string",
    ]
    assert "     1 | viewerGroups: risk" in list(lines(checked, snippets=True))


def test_a_key_without_a_value_is_not_set_as_to_helm(with_chart: Path) -> None:
    state(with_chart, "secrets:")
    assert found(with_chart) == []


def test_a_secret_of_a_team_that_names_none_is_an_administrators(with_chart: Path) -> None:
    assert check_repo(with_chart).reported == []


def test_a_secret_that_the_team_does_not_name_is_warned_of_in_the_defaults_too(
    with_chart: Path, add_job: Callable[..., Path]
) -> None:
    state(with_chart, "secrets: [database]")
    assert check_repo(with_chart).reported == []
    add_job("score", JOB.replace("tasks:", "defaults: {secrets: {TOKEN: api/token}}\ntasks:"))
    assert [str(warning) for warning in check_repo(with_chart).reported] == [
        "dags/score/job.yaml:3:29: warning: unknown secret 'api' (values/team.yaml has: database)"
    ]
