"""A team's releases in Airflow's bucket: one object, replaced with a condition, whose earlier versions are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEWEST = 20
"""As many releases are listed, and looked through to go back to one."""
_TRIES = 5


class PublishFailed(JobyardError):
    """The bucket did not take the release, or can't be read."""


class Older(JobyardError):
    """The bucket has a release of a later commit; it was left as it is."""

    def __init__(self, address: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"{address} is of commit {theirs[:12]}, which is later than {ours[:12]}, checked out here; "
            f"it was left as it is. To go back on purpose: jobyard rollback {ours[:12]}"
        )


class NoSuchRelease(JobyardError):
    """There is no such release to go back to."""


@dataclass(frozen=True)
class Release:
    """A release in the bucket; of one that says nothing of itself, no more is known than when it was put."""

    etag: str
    version: str
    time: datetime
    digest: str = ""
    commit: str = ""
    jobs: int | None = None
    by: str = ""
    """Who or what put it."""


@dataclass(frozen=True)
class Published:
    """Where a release is; `changed` is false where the bucket had these jobs already."""

    address: str
    changed: bool


def publish(
    client: S3Client,
    bucket: str,
    release: bytes,
    by: str = "",
    is_later: Callable[[str, str], bool] = lambda _theirs, _ours: False,
) -> Published:
    """Put a release where Airflow reads it: one object, replaced only if nobody else replaced it meanwhile.

    `is_later` tells whether a commit that is released is later than the one that is to be.

    Raises:
        Older: what is there is of a later commit.
        PublishFailed: the bucket refuses the write, is not there, or does not answer.
    """
    content = json.loads(release)
    key, note = _key(content["team"]), _note(content, by)
    with _told(bucket, key) as address:
        for _ in range(_TRIES):
            there = _current(client, bucket, key)
            if there and there.digest == content["digest"]:
                return Published(address, changed=False)
            if there and there.commit and is_later(there.commit, content["commit"]):
                raise Older(address, there.commit, content["commit"])
            if _put(client, bucket, key, release, note, there):
                return Published(address, changed=True)
    raise PublishFailed(f"{address}: another release went in at the same time, {_TRIES} times over; run this again")


def releases(client: S3Client, bucket: str, team: str) -> list[Release]:
    """The newest releases of a team, the one that Airflow has first.

    Raises:
        PublishFailed: the bucket refuses, is not there, or does not answer.
    """
    key = _key(team)
    with _told(bucket, key):
        return [_described(client, bucket, key, version) for version in islice(_versions(client, bucket, key), NEWEST)]


def roll_back(client: S3Client, bucket: str, team: str, commit: str = "", by: str = "") -> Release:
    """Put an earlier release again: the newest of a commit, or the newest with other jobs than there are now.

    Raises:
        NoSuchRelease: there is none.
        PublishFailed: the bucket refuses, is not there, or does not answer, or another release went in meanwhile.
    """
    found = releases(client, bucket, team)
    key = _key(team)
    earlier = [one for one in found[1:] if one.digest != found[0].digest and one.commit.startswith(commit)]
    if not earlier:
        raise NoSuchRelease(_nothing(team, commit, found))
    with _told(bucket, key) as address:
        body = client.get_object(Bucket=bucket, Key=key, VersionId=earlier[0].version)["Body"].read()
        try:
            note = _note(json.loads(body), by)
        except (ValueError, KeyError, TypeError) as error:
            raise NoSuchRelease(
                f"{address}: what was put {earlier[0].time:%Y-%m-%d %H:%M:%S}Z is no release"
            ) from error
        if not _put(client, bucket, key, body, note, found[0]):
            raise PublishFailed(f"{address}: another release went in at the same time; look at `jobyard releases`")
    return earlier[0]


def _nothing(team: str, commit: str, found: list[Release]) -> str:
    if not found:
        return f"team {team} has released nothing yet"
    there = ", ".join(dict.fromkeys(one.commit[:12] or "unknown" for one in found))
    what = f"no earlier release of commit {commit}" if commit else "no earlier release with other jobs"
    return f"there is {what} among the newest {len(found)} of team {team} (commits: {there})"


def _key(team: str) -> str:
    return f"dags/{team}/jobs.json"


@contextmanager
def _told(bucket: str, key: str) -> Iterator[str]:
    """The object's address; what goes wrong with it is told with it."""
    from botocore.exceptions import BotoCoreError, ClientError

    address = f"s3://{bucket}/{key}"
    try:
        yield address
    except ClientError as error:
        problem = error.response["Error"]
        raise PublishFailed(f"{address}: {problem.get('Code')}: {problem.get('Message', 'no reason given')}") from error
    except BotoCoreError as error:
        raise PublishFailed(f"{address}: {error}") from error


def _note(content: dict[str, Any], by: str) -> dict[str, str]:
    """What a release says of itself beside its content, so that nobody need read all of it; S3 takes ASCII alone."""
    return {
        "digest": content["digest"],
        "commit": content["commit"],
        "jobs": str(len(content["jobs"])),
        "by": quote(by, safe=" @.+-"),
    }


def _current(client: S3Client, bucket: str, key: str) -> Release | None:
    """The release that is there."""
    from botocore.exceptions import ClientError

    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"].get("Code") == "NoSuchKey":
            return None
        raise
    try:
        content = json.loads(answer["Body"].read())
        digest, commit = str(content.get("digest")), str(content.get("commit", ""))
    except (ValueError, AttributeError):
        digest = commit = ""  # not a release: it is replaced
    return Release(answer["ETag"], answer.get("VersionId", ""), answer["LastModified"], digest, commit)


def _versions(client: S3Client, bucket: str, key: str) -> Iterator[dict[str, Any]]:
    """The object's versions, the newest first."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        yield from (dict(version) for version in page.get("Versions", []) if version["Key"] == key)


def _described(client: S3Client, bucket: str, key: str, version: dict[str, Any]) -> Release:
    answer = client.head_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    note = answer["Metadata"]
    return Release(
        etag=version["ETag"],
        version=version["VersionId"],
        time=version["LastModified"],
        digest=note.get("digest", ""),
        commit=note.get("commit", ""),
        jobs=int(note["jobs"]) if "jobs" in note else None,
        by=unquote(note.get("by", "")),
    )


def _put(client: S3Client, bucket: str, key: str, body: bytes, note: dict[str, str], there: Release | None) -> bool:
    """Whether the object was still as it was read, and is now this release."""
    from botocore.exceptions import ClientError

    condition: dict[str, Any] = {"IfMatch": there.etag} if there else {"IfNoneMatch": "*"}
    try:
        client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", Metadata=note, **condition)
    except ClientError as error:
        if error.response["Error"].get("Code") in ("PreconditionFailed", "ConditionalRequestConflict"):
            return False
        raise
    return True
