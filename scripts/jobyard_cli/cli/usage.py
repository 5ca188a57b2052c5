"""`jobyard usage`: what tasks requested and used, and what would fit."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import (
    EndpointUrl,
    OptionalEnvironmentName,
    PlatformWorkTree,
    TeamRepository,
    exclusive,
    require_folder,
    team_environment,
    team_root,
)
from jobyard_cli.errors import UsageError

if TYPE_CHECKING:
    from jobyard_cli.platform.environments import Environment
    from jobyard_cli.usage.read import Read


class UsageFormat(StrEnum):
    """For a person, or for a program."""

    text = "text"
    json = "json"


def usage(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job to show.", show_default="all of the team")] = "",
    environment: OptionalEnvironmentName = None,
    local: Annotated[
        Path | None,
        typer.Option("--from", help="Local copy of an environment's metrics, as `aws s3 sync` makes it."),
    ] = None,
    others: Annotated[
        bool, typer.Option("--others", help="Show what KRR and the Vertical Pod Autoscaler would request, too.")
    ] = False,
    output: Annotated[UsageFormat, typer.Option("--format", help="Output format.")] = UsageFormat.text,
    platform: PlatformWorkTree = None,
    endpoint_url: EndpointUrl = None,
    repo: TeamRepository = None,
) -> None:
    """Show what each task requested and used in its last runs, what would fit, and what that saves.

    Exit codes: 0 the table is shown, 1 there is nothing to show or it can't be read, 2 the command itself is wrong.
    """
    from datetime import UTC, datetime

    from jobyard_cli.team.repo import TeamRepo
    from jobyard_cli.usage import report
    from jobyard_cli.usage.read import in_folder, newest_advice

    exclusive(given={"--environment": environment, "--from": local}, why="the usage is of one of them")
    if local is not None:
        require_folder("--from", local)
    root = team_root(repo)
    team = TeamRepo.load(root)
    if local is not None:
        read, where = in_folder(local)
    else:
        read, where = _in_bucket(team.team, team_environment(root, environment, platform), endpoint_url)
    jobs = [file.parent.name for file in team.job_files]
    advice = newest_advice(read, team.team, where)
    found = report.usage(advice, team.team, environment or where, jobs, job, datetime.now(UTC))
    if output is UsageFormat.json:
        print(report.as_json(found, others))
        return
    for line in report.lines(found, others):
        print(line)


def _in_bucket(team: str, environment: Environment | None, endpoint_url: str | None) -> tuple[Read, str]:
    from jobyard_cli.aws import clients as aws
    from jobyard_cli.usage.address import metrics_address
    from jobyard_cli.usage.read import in_bucket

    if environment is None:
        raise UsageError("give --environment, or a local copy of its metrics with --from")
    if team in environment.elsewhere:
        file = f"values/teams/{team}.yaml in the platform's repository"
        raise UsageError(f"team {team} is not in environment {environment.name}: add it under `environments` of {file}")
    address = metrics_address(environment.name, environment.values)
    return in_bucket(aws.s3(endpoint_url, address.region), address)
