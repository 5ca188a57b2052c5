"""The release that is in an environment's bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobyard_cli.aws.errors import BUCKET_HINTS, refused
from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class UnreadableReleaseError(JobyardError):
    """The release in a bucket can't be read."""


def released(client: S3Client, bucket: str, team: str) -> dict[str, Any] | None:
    """The team's release, or None where there is none.

    Raises:
        UnreadableReleaseError: the bucket refuses, is not there, or does not answer, or what is there is no release.
    """
    key = f"dags/{team}/jobs.json"
    address = f"s3://{bucket}/{key}"
    with refused(address, UnreadableReleaseError, hints=BUCKET_HINTS):
        try:
            content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
    return _release(content, address, team)


def _release(content: bytes, address: str, team: str) -> dict[str, Any]:
    try:
        release = json.loads(content)
        if release["team"] != team:
            raise UnreadableReleaseError(f"{address}: is a release of team {release['team']!r}, not of {team!r}")
        for job in release["jobs"].values():
            job["tasks"].values()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableReleaseError(f"{address}: is no release: {type(error).__name__}: {error}") from error
    return dict(release)
