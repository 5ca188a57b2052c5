"""The jobs of all teams, read from their releases, for the list that lets a team's check know the jobs of others."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RELEASE = re.compile(r"dags/([a-z0-9-]+)/jobs\.json")


class UnreadableReleases(JobyardError):
    """The bucket, or a release in it, can't be read."""


def released_jobs(client: S3Client, bucket: str, teams: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
    """For each `<team>.<job>` its schedule, timezone and owner, and the jobs that it waits for; of all teams, or some.

    Raises:
        UnreadableReleases: the bucket refuses, is not there, or does not answer; an object in it is no release.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return dict(sorted(_jobs(client, bucket, teams)))
    except (BotoCoreError, ClientError) as error:
        raise UnreadableReleases(f"s3://{bucket}/dags/: {error}") from error


def _jobs(client: S3Client, bucket: str, teams: Collection[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="dags/")
    for key in (entry["Key"] for page in pages for entry in page.get("Contents", [])):
        found = _RELEASE.fullmatch(key)
        if found and (teams is None or found[1] in teams):
            yield from _of_team(
                found[1], f"s3://{bucket}/{key}", client.get_object(Bucket=bucket, Key=key)["Body"].read()
            )


def _of_team(team: str, address: str, release: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for name, job in json.loads(release)["jobs"].items():
            waits = [wait["job"] for wait in job.get("wait_for", [])]
            told = {key: job[key] for key in ("schedule", "timezone", "owner")}
            yield f"{team}.{name}", {**told, "wait_for": waits} if waits else told
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableReleases(f"{address}: is no release: {type(error).__name__}: {error}") from error
