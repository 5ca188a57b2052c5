"""The release that is in an environment's bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard.contract import release_path
from jobyard.entries import Release

from jobyard_cli.aws.errors import BUCKET_HINTS, refused
from jobyard_cli.errors import JobyardError
from jobyard_cli.release.file import NO_RELEASE, parsed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class UnreadableReleaseError(JobyardError):
    """The release in a bucket can't be read."""


def released(client: S3Client, bucket: str, team: str) -> Release | None:
    """Return the team's release, or None if it has not released yet.

    Raises:
        UnreadableReleaseError: the bucket refuses, is not there, or does not answer, or its content is not a release.
    """
    key = f"dags/{release_path(team)}"
    address = f"s3://{bucket}/{key}"
    with refused(address, UnreadableReleaseError, hints=BUCKET_HINTS):
        try:
            content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
    return _release(content, address, team)


def _release(body: bytes, address: str, team: str) -> Release:
    try:
        release = parsed(body).content
        if release["team"] != team:
            raise UnreadableReleaseError(f"{address}: is a release of team {release['team']!r}, not of {team!r}")
        for job in release["jobs"].values():
            job["tasks"].values()
    except NO_RELEASE as error:
        raise UnreadableReleaseError(f"{address}: not a release: {type(error).__name__}: {error}") from error
    return release
