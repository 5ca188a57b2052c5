"""`jobyard plan`: what merging or releasing would change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import Bucket, EndpointUrl, PlatformWorkTree, TeamRepository, exclusive, team_root

if TYPE_CHECKING:
    from jobyard_cli.plan.base import Base
    from jobyard_cli.plan.make import Platform
    from jobyard_cli.plan.model import Plan
    from jobyard_cli.team.repo import TeamRepo
    from jobyard_cli.usage.address import Address
    from jobyard_cli.usage.advice import Advice


class PlanFormat(StrEnum):
    """For a person, for a comment on a merge request, or for a program."""

    text = "text"
    markdown = "markdown"
    json = "json"


def plan(
    base: Annotated[
        str,
        typer.Option(help="Commit to compare with.", show_default="the merge base with the default branch"),
    ] = "",
    environment: Annotated[
        str, typer.Option(help="Compare with the release of this environment.", show_default="none")
    ] = "",
    platform: PlatformWorkTree = None,
    output: Annotated[PlanFormat, typer.Option("--format", help="Output format.")] = PlanFormat.text,
    bucket: Bucket = None,
    endpoint_url: EndpointUrl = None,
    repo: TeamRepository = None,
) -> None:
    """Show what would change: jobs, pods, objects of the chart, and what to consider before merging.

    Exit codes: 0 whether anything changes or not, 1 the jobs are not valid or there is nothing to compare with, 2 the
    command itself is wrong.
    """
    from datetime import UTC, datetime

    from jobyard_cli.plan.make import find_platform, make_plan, valid_repo

    exclusive(given={"--base": base, "--environment": environment}, why="a plan compares with one of them")
    root = team_root(repo)
    checked = valid_repo(root, platform)
    there = find_platform(root, platform)
    with _base(checked.repo, base, environment, there, bucket, endpoint_url) as chosen:
        read = partial(_read_advice, endpoint_url)
        _tell(make_plan(checked, chosen, there, datetime.now(UTC), environment, read), output)


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


def _read_advice(endpoint_url: str | None, address: Address, team: str) -> Advice:
    """The newest advice as JSON, which needs no extra; asked for once."""
    from jobyard_cli.aws import clients as aws
    from jobyard_cli.plan.usage import SECONDS
    from jobyard_cli.usage.read import in_bucket, newest_advice

    read, where = in_bucket(aws.hasty_s3(endpoint_url, address.region, SECONDS), address)
    return newest_advice(read, team, where, formats=["json"])


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
