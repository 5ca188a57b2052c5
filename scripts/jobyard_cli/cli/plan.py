"""`jobyard plan` and `jobyard render`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.errors import JobyardError
from jobyard_cli.team.repo import TeamRepo

if TYPE_CHECKING:
    from jobyard_cli.plan.base import Base
    from jobyard_cli.plan.make import Platform
    from jobyard_cli.plan.model import Plan

Repo = Annotated[
    Path | None,
    typer.Option("--repo", help="Top folder of the team's repository.", show_default="the one we are in"),
]
PlatformFolder = Annotated[
    Path | None,
    typer.Option(
        "--platform", help="Work tree of the platform's repository.", show_default="its current branch, fetched"
    ),
]


class TwoBasesError(JobyardError):
    """Two things to compare with were named."""


class PlanFormat(StrEnum):
    """How a plan is told: to a person, as a comment of a merge request, to a program."""

    text = "text"
    markdown = "markdown"
    json = "json"


def plan(
    base: Annotated[
        str, typer.Option(help="Commit to compare with.", show_default="the newest in common with the default branch")
    ] = "",
    environment: Annotated[
        str, typer.Option(help="Compare with what is released in this environment.", show_default="none")
    ] = "",
    platform: PlatformFolder = None,
    output: Annotated[PlanFormat, typer.Option("--format", help="For a person, a comment, or a program.")] = (
        PlanFormat.text
    ),
    bucket: Annotated[
        str | None, typer.Option(help="Airflow's bucket.", show_default="the one in the environment's file")
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="An S3 server other than AWS.")] = None,
    repo: Repo = None,
) -> None:
    """Say what would change: jobs, pods, the chart's objects, and what to think of before merging.

    Exit code: 0 whether something changes or not, 1 where the jobs are not valid or there is nothing to compare with.
    """
    from datetime import UTC, datetime

    from jobyard_cli.plan.make import find_platform, make_plan, valid_repo

    if base and environment:
        raise TwoBasesError("give --base or --environment, not both: a plan compares with one of them")
    root = repo.absolute() if repo else TeamRepo.find(Path())
    checked = valid_repo(root, platform)
    there = find_platform(root, platform)
    with _base(checked.repo, base, environment, there, bucket, endpoint_url) as chosen:
        _tell(make_plan(checked, chosen, there, datetime.now(UTC), environment), output)


@contextmanager
def _base(
    repo: TeamRepo, ref: str, environment: str, platform: Platform, bucket: str | None, endpoint_url: str | None
) -> Iterator[Base]:
    from jobyard_cli.aws import clients as aws
    from jobyard_cli.plan.base import commit_base, environment_base

    if not environment:
        with commit_base(repo.root, ref) as base:
            yield base
        return
    client, name = aws.s3(endpoint_url), bucket or _bucket(platform, environment)
    with environment_base(repo.root, client, name, repo.team, environment) as base:
        yield base


def _bucket(platform: Platform, environment: str) -> str:
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.checkout import MissingPlatformError

    if platform.repo is None:
        raise MissingPlatformError(f"{platform.why}; or name the bucket with --bucket")
    return environments.bucket(environments.load_environment(platform.repo, environment))


def _tell(made: Plan, output: PlanFormat) -> None:
    from jobyard_cli.plan import markdown, text

    match output:
        case PlanFormat.json:
            print(text.as_json(made))
        case PlanFormat.markdown:
            print(markdown.markdown(made), end="")
        case _:
            _show(text.lines(made))


def _show(lines: Iterator[str]) -> None:
    """Lines in colours where a person looks on."""
    if not sys.stdout.isatty():
        for line in lines:
            print(line)
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(line, style=_style(line))


def _style(line: str) -> str:
    mark = line.strip().removeprefix("| ")[:2]
    return {"+ ": "green", "- ": "red", "~ ": "yellow", "> ": "cyan", "! ": "bold yellow"}.get(mark, "")


def render(
    environment: Annotated[
        str, typer.Option(help="With the values of this environment over the team's.", show_default="none")
    ] = "",
    platform: PlatformFolder = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print one line and no manifests.")] = False,
    repo: Repo = None,
) -> None:
    """Render the team's chart, and check each object against Kubernetes' schemas and the team's bounds.

    Exit code: 0 without a problem, 1 with one.
    """
    from jobyard_cli.chart.check import check_manifests, known_bounds
    from jobyard_cli.chart.manifests import manifests

    root = repo.absolute() if repo else TeamRepo.find(Path())
    team = TeamRepo.load(root).team
    made = manifests(root, environment)
    bounds = known_bounds(root, team, environment, platform)
    findings = check_manifests(made, team, bounds)
    if not quiet:
        print("".join(f"---\n{manifest.text}" for manifest in made), end="")
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        raise typer.Exit(1)
    if quiet:
        print(f"{len(made)} objects, no problems{f' ({bounds.why})' if bounds.why else ''}")
