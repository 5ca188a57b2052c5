"""The list of all teams' jobs, which lets a team's check know the jobs of others: read from their releases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RELEASE = re.compile(r"dags/([a-z0-9-]+)/jobs\.json")
_HEAD = "# The jobs that teams have released. Written by `jobyard catalogue`.\n"


class UnreadableReleases(JobyardError):
    """The bucket, or a release in it, can't be read."""


def published_jobs(client: S3Client, bucket: str) -> str:
    """The content of values/published-jobs.yaml: for each `<team>.<job>` its schedule, timezone and owner.

    Raises:
        UnreadableReleases: the bucket refuses, is not there, or does not answer; an object in it is no release.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        jobs = dict(sorted(_jobs(client, bucket)))
    except (BotoCoreError, ClientError) as error:
        raise UnreadableReleases(f"s3://{bucket}/dags/: {error}") from error
    return _HEAD + yaml.safe_dump({"jobs": jobs}, sort_keys=False, allow_unicode=True)


def _jobs(client: S3Client, bucket: str) -> Iterator[tuple[str, dict[str, Any]]]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="dags/")
    for key in (entry["Key"] for page in pages for entry in page.get("Contents", [])):
        if found := _RELEASE.fullmatch(key):
            yield from _of_team(
                found[1], f"s3://{bucket}/{key}", client.get_object(Bucket=bucket, Key=key)["Body"].read()
            )


def _of_team(team: str, address: str, release: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for name, job in json.loads(release)["jobs"].items():
            yield f"{team}.{name}", {key: job[key] for key in ("schedule", "timezone", "owner")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableReleases(f"{address}: is no release: {type(error).__name__}: {error}") from error
