"""What all teams have released, as far as their jobs have to know each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobyard.contract import RELEASE_FILE
from jobyard.entries import Job
from jobyard.job_rules import NAME
from jobyard.limits import RELEASE_BYTES
from jobyard.reading import parse
from jobyard.rules import MisfitError
from jobyard.validation import check_job

from jobyard_cli.aws.errors import BUCKET_HINTS, refused
from jobyard_cli.check.parts import mapping
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.published import KnownJob

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RELEASE = re.compile(rf"dags/([a-z0-9-]+)/{re.escape(RELEASE_FILE)}")


class UnreadableReleasesError(JobyardError):
    """The bucket can't be read."""


@dataclass
class Catalogue:
    """The jobs by `<team>.<job>`, each with schedule, timezone, owner and the jobs that it waits for."""

    jobs: dict[str, KnownJob] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """A line for each release or job that is left out, as Airflow can't run it either."""


def released_jobs(client: S3Client, bucket: str, teams: Collection[str] | None = None) -> Catalogue:
    """Return the jobs that all teams, or some, have released to a bucket. An unreadable release hides no other.

    Raises:
        UnreadableReleasesError: the bucket refuses, is not there, or does not answer.
    """
    catalogue = Catalogue()
    with refused(f"s3://{bucket}/dags/", UnreadableReleasesError, hints=BUCKET_HINTS):
        for team, key in _releases(client, bucket, teams):
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            # Of a release that is too large, no more than shows that it is.
            _add(catalogue, team, f"s3://{bucket}/{key}", body.read(RELEASE_BYTES + 1))
    catalogue.jobs = dict(sorted(catalogue.jobs.items()))
    return catalogue


def _releases(client: S3Client, bucket: str, teams: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """Each team that has a release, and the release's key."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="dags/")
    for page in pages:
        for entry in page.get("Contents", []):
            match = _RELEASE.fullmatch(entry["Key"])
            if match and (teams is None or match[1] in teams):
                yield match[1], entry["Key"]


def _add(catalogue: Catalogue, team: str, address: str, content: bytes) -> None:
    try:
        release = parse(content)
    except ValueError as error:
        catalogue.problems.append(f"{address}: can't be read: {error}")
        return
    jobs = mapping(release).get("jobs")
    if not isinstance(jobs, dict):
        catalogue.problems.append(f"{address}: is not a release: it has no object 'jobs'")
        return
    for name, job in jobs.items():
        try:
            NAME(name)
            check_job(job)
        except MisfitError as misfit:
            catalogue.problems.append(f"{address}: job {name[:50]!r} is left out: {misfit}")
        else:
            catalogue.jobs[f"{team}.{name}"] = _known_job(job)


def _known_job(job: Job) -> KnownJob:
    known = KnownJob(schedule=job["schedule"], timezone=job["timezone"], owner=job["owner"])
    if waits := [wait["job"] for wait in job.get("wait_for", [])]:
        known["wait_for"] = waits
    return known
