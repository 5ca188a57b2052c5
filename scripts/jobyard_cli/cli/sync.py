"""`jobyard sync`: a release on its way to Airflow."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import (
    AirflowUrl,
    Bucket,
    EndpointUrl,
    OptionalEnvironmentName,
    PlatformWorkTree,
    TeamRepository,
    exclusive,
    pipeline_bucket,
    team_environment,
    team_root,
)
from jobyard_cli.errors import UsageError

if TYPE_CHECKING:
    from jobyard_cli.release.file import ReleaseFile
    from jobyard_cli.sync.run import Synced

By = Annotated[
    str,
    typer.Option(
        "--by",
        envvar=["GITLAB_USER_LOGIN", "GITHUB_ACTOR", "USER"],
        help="Who releases, for `jobyard releases` to show.",
    ),
]


def sync(
    environment: OptionalEnvironmentName = None,
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback", help="Restore an earlier release: the newest of COMMIT, or the newest with other jobs."
        ),
    ] = False,
    commit: Annotated[str, typer.Argument(metavar="COMMIT", help="With --rollback: commit to roll back to.")] = "",
    images: Annotated[
        Path | None,
        typer.Option(help="JSON file with the address of each image, by digest: `jobyard images` writes it."),
    ] = None,
    platform: PlatformWorkTree = None,
    bucket: Bucket = None,
    endpoint_url: EndpointUrl = None,
    airflow_url: AirflowUrl = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="How long to wait until Airflow has the release.", show_default="600", min=0
        ),
    ] = 600.0,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not call Airflow's API, and do not wait.")] = False,
    by: By = "",
    repo: TeamRepository = None,
) -> None:
    """Release all jobs: check, compile and publish them, and wait until Airflow has them.

    Without --environment, the bucket is --bucket or $JOBYARD_BUCKET.

    Exit codes: 0 Airflow has this release or a later one, 1 it does not, 2 the command itself is wrong.
    """
    if commit and not rollback:
        raise UsageError(f"commit '{commit}' needs --rollback: a sync releases the commit that is checked out")
    exclusive(given={"--images": images, "--rollback": rollback}, why="an earlier release has its own images")
    root = team_root(repo)
    # A mistake in the jobs is reported before any service is called.
    release = None if rollback else _release(root, images)
    from jobyard_cli.sync.run import go_back
    from jobyard_cli.sync.target import Given, find_target
    from jobyard_cli.team.repo import TeamRepo

    team = release.content["team"] if release else TeamRepo.load(root).team
    given = Given(bucket or pipeline_bucket(environment), endpoint_url, airflow_url, not no_wait)
    target = find_target(team, team_environment(root, environment, platform), given)
    if release is None:
        _tell(go_back(target, commit, by, timeout, _say), target.bucket)
    else:
        from jobyard_cli.sync.run import sync as run
        from jobyard_cli.system.git import is_later

        _tell(run(target, release, by, partial(is_later, root), timeout, _say), target.bucket)


def _release(root: Path, images: Path | None) -> ReleaseFile:
    from jobyard_cli.images.addresses_file import read_images
    from jobyard_cli.release.compile import compile_release
    from jobyard_cli.system.git import commit

    addresses = read_images(images) if images else None
    return compile_release(root, commit(root), addresses, meanwhile=_prepare)


def _prepare() -> None:
    """Load what comes after the check."""
    from jobyard_cli.aws.clients import prepare_s3

    import_module("jobyard_cli.sync.run")
    import_module("jobyard_cli.sync.target")
    prepare_s3()


def _say(line: str) -> None:
    # A pipeline's log shows it as it happens.
    print(line, flush=True)


def _tell(synced: Synced, bucket: str) -> None:
    from jobyard_cli.sync.run import BucketNotVersionedError

    if waited := synced.waited:
        for dag in waited.stopped:
            _say(f"{dag} is not in the release: its DAG was paused and will disappear; its history is kept")
        for dag in waited.unpaused:
            _say(
                f"{dag} is not in the release: its DAG will disappear, and its history is kept; it is not paused, as "
                "this role lacks the permission: a new job of this name would run at once"
            )
        if waited.superseded:
            _say("another release was published meanwhile: no longer waiting for this one")
        else:
            count = "1 job" if synced.jobs == 1 else f"{synced.jobs} jobs"
            _say(f"Airflow has the release: {count}, after {waited.seconds:.0f} s")
        for dag in waited.paused:
            _say(f"{dag} is paused in Airflow: it has no scheduled runs until someone unpauses it there")
    elif synced.images and not synced.told_images:
        _say("Airflow does not have the release's images yet, as --no-wait does not call its API")
    if not synced.published.versioned:
        raise BucketNotVersionedError(bucket)
