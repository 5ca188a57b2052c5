"""Publishes the release of the platform's own jobs, as `jobyard sync` does a team's, without waiting for Airflow."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard.contract import namespace

from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.teams import PLATFORM_TEAM
from jobyard_cli.release.file import ReleaseFile
from jobyard_cli.release.releases import IsLater, publish
from jobyard_cli.sync.target import Given, find_target
from jobyard_cli.sync.variables import converge

BY = "jobyard publish-platform"
FIRST = (
    "note: this is the first release of the platform's own jobs; until Argo CD has synced the Application "
    f"`platform-team`, which makes the namespace {namespace(PLATFORM_TEAM)}, their runs fail with 403 and are retried"
)
"""Whether the namespace exists is not known here: publishing needs no access to the cluster."""


def publish_own(environment: Environment, release: ReleaseFile, given: Given, is_later: IsLater) -> Iterator[str]:
    """Put the release, then its images into the team's Variable; yield a line on each.

    Raises:
        MissingTargetError: nothing says which bucket or which Airflow.
        OlderReleaseError: the bucket has the release of a later commit.
        StoreError: the bucket refuses or does not answer.
        SetVariableError: the Variable with the images could not be written.
    """
    target = find_target(PLATFORM_TEAM, environment, given)
    published = publish(target.s3, target.bucket, release, BY, is_later, compare=True)
    yield f"{published.address}: {'released' if published.changed else 'unchanged'}"
    if published.changed and not published.before:
        yield FIRST
    images = release.content["images"]
    if images and target.variable and converge(target.variable, target.released, published.etag, images):
        yield f"{target.variable.address}: set"
