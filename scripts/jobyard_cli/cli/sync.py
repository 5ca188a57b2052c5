"""`jobyard sync` and `jobyard releases`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.errors import JobyardError
from jobyard_cli.team.repo import TeamRepo

if TYPE_CHECKING:
    from jobyard_cli.platform.environments import Environment
    from jobyard_cli.sync.run import Synced

EnvironmentOption = Annotated[
    str | None,
    typer.Option("--environment", help="Name of a file of values/environments in the platform's repository."),
]
Platform = Annotated[
    Path | None,
    typer.Option(help="Work tree of the platform's repository.", show_default="its current branch, fetched"),
]
Bucket = Annotated[
    str | None,
    typer.Option(help="Airflow's bucket.", show_default="the one in the environment's file, or $JOBYARD_BUCKET"),
]
EndpointUrl = Annotated[str | None, typer.Option(help="An S3 server other than AWS.")]
Repo = Annotated[
    Path | None, typer.Option(help="Top folder of the team's repository.", show_default="the one we are in")
]
By = Annotated[
    str,
    typer.Option(
        envvar=["GITLAB_USER_LOGIN", "GITHUB_ACTOR", "USER"], help="Who does it, for `jobyard releases` to show."
    ),
]


class CommitWithoutRollbackError(JobyardError):
    """A commit was given, and not said what for."""

    def __init__(self, commit: str) -> None:
        super().__init__(f"'{commit}': a commit is what --rollback goes back to; what is checked out is what is synced")


class ImagesWithRollbackError(JobyardError):
    """Images were given to a rollback."""

    def __init__(self) -> None:
        super().__init__("--images and --rollback: an earlier release has its own images")


def sync(
    environment: EnvironmentOption = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put an earlier release again: COMMIT's, or the newest with other jobs.")
    ] = False,
    commit: Annotated[str, typer.Argument(metavar="[COMMIT]", help="With --rollback: what to go back to.")] = "",
    images: Annotated[
        Path | None, typer.Option(help="JSON file of the jobs' images: name to address by digest.")
    ] = None,
    platform: Platform = None,
    bucket: Bucket = None,
    endpoint_url: EndpointUrl = None,
    airflow_url: Annotated[
        str | None, typer.Option(help="An Airflow that is not MWAA's.", show_default="what the environment's file says")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until Airflow has the release.", min=0)] = 600,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask Airflow for nothing.")] = False,
    by: By = "",
    repo: Repo = None,
) -> None:
    """Release all jobs: check and compile them, put them where Airflow reads them, and wait until Airflow has them.

    Exit code: 0 when Airflow has them, or has a later release meanwhile; 1 when not.
    """
    from jobyard_cli.sync.run import go_back
    from jobyard_cli.sync.target import Given, find_target

    if commit and not rollback:
        raise CommitWithoutRollbackError(commit)
    if images and rollback:
        raise ImagesWithRollbackError
    root = repo.absolute() if repo else TeamRepo.find(Path())
    given = Given(bucket or _bucket(environment), endpoint_url, airflow_url, not no_wait)
    # A mistake in the jobs is told before anybody is asked for anything.
    release = None if rollback else _release(root, images)
    target = find_target(TeamRepo.load(root).team, _environment(root, environment, platform), given)
    if release is None:
        _tell(go_back(target, commit, by, timeout, _say), target.bucket)
    else:
        from jobyard_cli.sync.run import sync as run
        from jobyard_cli.system.git import is_later

        _tell(run(target, release, by, partial(is_later, root), timeout, _say), target.bucket)


def releases(
    environment: EnvironmentOption = None,
    platform: Platform = None,
    bucket: Bucket = None,
    endpoint_url: EndpointUrl = None,
    repo: Repo = None,
) -> None:
    """List the team's newest releases: when, commit, number of jobs, who. Airflow has the first."""
    from jobyard_cli.release.releases import releases as listed
    from jobyard_cli.sync.target import Given, find_target

    root = repo.absolute() if repo else TeamRepo.find(Path())
    given = Given(bucket or _bucket(environment), endpoint_url, wait=False)
    target = find_target(TeamRepo.load(root).team, _environment(root, environment, platform), given)
    for one in listed(target.s3, target.bucket, target.team):
        jobs = "?" if one.jobs is None else str(one.jobs)
        print(f"{one.time:%Y-%m-%d %H:%M:%S}Z  {one.commit[:12] or '?':12}  {jobs:>4} jobs  {one.by or '?'}")


def _release(root: Path, images: Path | None) -> bytes:
    from jobyard_cli.images.addresses_file import read_images
    from jobyard_cli.release.compile import compile_release
    from jobyard_cli.system.git import commit

    return compile_release(root, commit(root), read_images(images) if images else None)


def _environment(root: Path, name: str | None, platform: Path | None) -> Environment | None:
    from jobyard_cli.cli.platform_repo import platform_tree
    from jobyard_cli.platform.environments import load_environment

    return load_environment(platform_tree(root, platform), name) if name else None


def _bucket(environment: str | None) -> str | None:
    """The pipeline's own bucket; an environment that is named has its own."""
    return None if environment else os.environ.get("JOBYARD_BUCKET")


def _say(line: str) -> None:
    # A pipeline's log shows it as it happens.
    print(line, flush=True)


def _tell(synced: Synced, bucket: str) -> None:
    from jobyard_cli.sync.run import BucketNotVersionedError

    if waited := synced.waited:
        for dag in waited.stopped:
            _say(f"{dag} is not in the release: its DAG was paused, and goes; its history stays")
        for dag in waited.unpaused:
            _say(
                f"{dag} is not in the release: its DAG goes, and its history stays; it is not paused, as this role may "
                "not do that: a job that comes back under this name runs at once"
            )
        if waited.superseded:
            _say("another release went in meanwhile: this one is waited for no longer")
        else:
            count = "1 job" if synced.jobs == 1 else f"{synced.jobs} jobs"
            _say(f"Airflow has the release: {count}, after {waited.seconds:.0f} s")
        for dag in waited.paused:
            _say(f"{dag} is paused in Airflow: no run of it starts by itself until somebody switches it on there")
    elif synced.images and not synced.told_images:
        _say("the release has images, which Airflow was not told, as --no-wait asks it for nothing")
    if not synced.published.versioned:
        raise BucketNotVersionedError(bucket)
