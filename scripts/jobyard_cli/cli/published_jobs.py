"""`jobyard published-jobs`: what all teams have released, so that their checks know each other's jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import Bucket, EndpointUrl, OptionalEnvironmentName, Output, PlatformRepository, write
from jobyard_cli.errors import UsageError


def published_jobs(
    environment: OptionalEnvironmentName = None,
    bucket: Bucket = None,
    push: Annotated[
        bool, typer.Option("--push", help="Commit the list to the branch `published-jobs` and push it to `origin`.")
    ] = False,
    output: Output = None,
    endpoint_url: EndpointUrl = None,
    repo: PlatformRepository = Path(),
) -> None:
    """List the jobs that all teams have released in an environment, for the teams' checks.

    A release or a job that can't be read is left out and named on standard error. The exit code is 0 all the same, so
    that one team's release does not keep the list from the others.
    """
    from datetime import UTC, datetime

    from jobyard_cli.aws import clients as aws
    from jobyard_cli.platform import environments
    from jobyard_cli.platform.published import list_text
    from jobyard_cli.release.catalogue import released_jobs
    from jobyard_cli.release.push_list import push_list

    name = environment or ""
    if not name and (push or not bucket):
        raise UsageError("name the environment with --environment; --bucket alone lists a bucket, and pushes nothing")
    chosen = environments.load_environment(repo, name) if name else None
    source = bucket or (environments.bucket(chosen) if chosen else "")
    client = aws.s3(endpoint_url, chosen.values.get("region") if chosen else None)
    found = released_jobs(client, source, chosen.teams.keys() if chosen else None)
    for problem in found.problems:
        print(f"warning: {problem}", file=sys.stderr)
    text = list_text(name, found.jobs, datetime.now(UTC))
    if push:
        commit = push_list(repo, name, text)
        print(f"{len(found.jobs)} jobs of {name} are on the branch published-jobs, in commit {commit[:12]}")
    if output is not None or not push:
        write(text, output)
