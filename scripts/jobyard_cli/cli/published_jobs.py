"""`jobyard catalogue`: what all teams have released, for their checks to know each other's jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.team import PlatformRepo
from jobyard_cli.errors import JobyardError


class WhichListError(JobyardError):
    """Neither an environment nor a bucket was named, or what is to be pushed has no environment."""


def catalogue(
    environment: Annotated[
        str, typer.Option("--environment", help="Name of a file of values/environments: its bucket, its teams.")
    ] = "",
    bucket: Annotated[
        str | None, typer.Option(help="Airflow's bucket.", show_default="the one in the environment's file")
    ] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Put the list on the branch `published-jobs` of the remote `origin`.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="An S3 server other than AWS.")] = None,
    repo: PlatformRepo = Path(),
) -> None:
    """List the jobs that all teams have released in an environment: a team's check then knows the jobs of others.

    A release or a job that can't be read is left out, and named on standard error; the exit code is 0 all the same, as
    one team's release must not keep the list from the others.
    """
    from datetime import UTC, datetime

    from jobyard_cli.aws import clients as aws
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.published import list_text
    from jobyard_cli.release.catalogue import released_jobs
    from jobyard_cli.release.push_list import push_list

    if not environment and (push or not bucket):
        raise WhichListError(
            "name the environment with --environment; --bucket alone lists a bucket, and pushes nothing"
        )
    chosen = environments.load_environment(repo, environment) if environment else None
    source = bucket or (environments.bucket(chosen) if chosen else "")
    client = aws.s3(endpoint_url, chosen.values.get("region") if chosen else None)
    found = released_jobs(client, source, chosen.teams.keys() if chosen else None)
    for problem in found.problems:
        print(f"warning: {problem}", file=sys.stderr)
    text = list_text(environment, found.jobs, datetime.now(UTC))
    if push:
        commit = push_list(repo, environment, text)
        print(f"{len(found.jobs)} jobs of {environment} are on the branch published-jobs, in commit {commit[:12]}")
    if output is not None:
        output.write_text(text, encoding="utf-8")
    elif not push:
        print(text, end="")
