"""Which role a pipeline takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobyard_cli.cli.pipeline_role import pipeline_role
from jobyard_cli.iam.pipeline_role import MissingAccountError, Right, role_name, variables
from jobyard_cli.platform.environments import Environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("region", "right", "arn"),
    [
        ("eu-central-1", Right.ci, "arn:aws:iam::444455556666:role/jobyard-risk-ci"),
        ("eu-central-1", Right.plan, "arn:aws:iam::444455556666:role/jobyard-risk-plan"),
        ("us-gov-west-1", Right.ci, "arn:aws-us-gov:iam::444455556666:role/jobyard-risk-ci"),
        ("eu-central-1", Right.platform, "arn:aws:iam::444455556666:role/jobyard-platform-ci"),
        ("cn-north-1", Right.ci, "arn:aws-cn:iam::444455556666:role/jobyard-risk-ci"),
    ],
)
def test_the_role_is_the_teams_in_the_environments_account(region: str, right: Right, arn: str) -> None:
    found = variables(Environment("dev", {"account": "444455556666", "region": region}, {}), role_name(right, "risk"))
    assert (found["AWS_ROLE_ARN"], found["AWS_REGION"]) == (arn, region)


def test_an_environment_that_is_nowhere_is_told() -> None:
    with pytest.raises(MissingAccountError, match=r"values/environments/dev\.yaml needs `account` and `region`"):
        variables(Environment("dev", {"region": "eu-central-1"}, {}), "jobyard-risk-ci")


def test_the_command_prints_what_a_shell_and_github_can_read(
    team_repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline_role("dev", Right.ci, ROOT, team_repo)
    assert capsys.readouterr().out.splitlines() == [
        "AWS_REGION=eu-central-1",
        "AWS_ROLE_ARN=arn:aws:iam::444455556666:role/jobyard-risk-ci",
        "AWS_ROLE_SESSION_NAME=jobyard-risk-ci",
    ]


def test_the_platforms_pipeline_asks_in_its_own_repository(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline_role("prod", Right.platform, None, ROOT)
    assert capsys.readouterr().out.splitlines() == [
        "AWS_REGION=eu-central-1",
        "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/jobyard-platform-ci",
        "AWS_ROLE_SESSION_NAME=jobyard-platform-ci",
    ]
