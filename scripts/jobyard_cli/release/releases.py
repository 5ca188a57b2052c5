"""A team's releases in Airflow's bucket: one object, replaced with a condition, whose earlier versions are kept."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobyard_cli.aws.errors import StoreError as StoreError
from jobyard_cli.aws.errors import told
from jobyard_cli.errors import JobyardError
from jobyard_cli.release.object import Release as Release
from jobyard_cli.release.object import ReleaseObject, note_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEWEST = 20
"""As many releases are listed, and looked through to go back to one."""
_TRIES = 40
"""One that comes second tries again: of so many syncs at once the last one still gets in."""
_LONGEST_PAUSE = 1.0


class OlderReleaseError(JobyardError):
    """The bucket has a release of a later commit; it was left as it is."""

    def __init__(self, address: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"{address} is of commit {theirs[:12]}, which is later than {ours[:12]}, checked out here; "
            f"it was left as it is. To go back on purpose: jobyard sync --rollback {ours[:12]}"
        )


class UnknownReleaseError(JobyardError):
    """There is no such release to go back to."""


@dataclass(frozen=True)
class Published:
    """Where a release is; `changed` is false where the bucket had these jobs already."""

    address: str
    changed: bool
    etag: str = ""
    versioned: bool = True
    """False where the bucket keeps no earlier versions, so that nothing can be gone back to."""
    before: Mapping[str, str] | None = None
    """Of each job that was there before its digest, where the release was changed and somebody wants to know."""


@dataclass(frozen=True)
class RolledBack:
    """A release that was put again: when and what it was, and its content."""

    release: Release
    content: Mapping[str, Any]
    published: Published


def publish(
    client: S3Client,
    bucket: str,
    release: bytes,
    by: str = "",
    is_later: Callable[[str, str], bool] = lambda _theirs, _ours: False,
    compare: bool = False,
) -> Published:
    """Put a release where Airflow reads it: one object, replaced only if nobody else replaced it meanwhile.

    Where the bucket has these jobs already, of an earlier commit, this commit is noted: else a pipeline of a commit
    between the two, come late, would go over it. `is_later` tells whether a commit that is released is later than the
    one that is to be. It takes one request where there is nothing to put, else two, and three to `compare` with what
    was there before.

    Raises:
        OlderReleaseError: what is there is of a later commit, and of other jobs.
        StoreError: the bucket refuses the write, is not there, or does not answer.
    """
    content = json.loads(release)
    place, note = ReleaseObject(client, bucket, content["team"]), note_of(content, by, uuid4().hex)
    before: Mapping[str, str] | None = None
    changed = False
    with told(place.address) as address:
        for attempt in range(_TRIES):
            there = place.newest()
            same = there is not None and there.digest == content["digest"]
            later = there is not None and bool(there.commit) and is_later(there.commit, content["commit"])
            if there and same and (later or there.commit == content["commit"]):
                # Of a put whose answer was lost no more is known than that the object is ours.
                ours = there.put == note["put"]
                return Published(address, ours and changed, there.etag, bool(there.version), before if ours else None)
            if there and later:
                raise OlderReleaseError(address, there.commit, content["commit"])
            changed = not same
            if compare and changed:
                before = _job_digests(place.read()) if there else {}
            if put := place.put(release, note, there):
                return Published(address, changed, put.etag, put.versioned, before)
            _pause(attempt)
    raise StoreError(f"{address}: another release went in at the same time, {_TRIES} times over; run this again")


def releases(client: S3Client, bucket: str, team: str) -> list[Release]:
    """The newest releases of a team, the one that Airflow has first.

    Raises:
        StoreError: the bucket refuses, is not there, or does not answer.
    """
    place = ReleaseObject(client, bucket, team)
    with told(place.address):
        return list(islice(place.versions(), NEWEST))


def roll_back(client: S3Client, bucket: str, team: str, commit: str = "", by: str = "") -> RolledBack:
    """Put an earlier release again: the newest of a commit, or the newest with other jobs than there are now.

    Nothing is put where the commit's release is the newest already, as after one that was interrupted.

    Raises:
        UnknownReleaseError: there is none.
        StoreError: the bucket refuses, is not there, or does not answer, or another release went in meanwhile.
    """
    found = releases(client, bucket, team)
    place = ReleaseObject(client, bucket, team)
    with told(place.address) as address:
        if commit and found and found[0].commit.startswith(commit):
            content, _ = _content(place, found[0])
            return RolledBack(found[0], content, Published(address, False, found[0].etag))
        earlier = [one for one in found[1:] if one.digest != found[0].digest and one.commit.startswith(commit)]
        if not earlier:
            raise UnknownReleaseError(_nothing(team, commit, found))
        content, body = _content(place, earlier[0])
        before = _job_digests(place.read(found[0].version))
        published = _put_again(place, body, note_of(content, by, uuid4().hex), found[0], before)
    return RolledBack(earlier[0], content, published)


def _put_again(
    place: ReleaseObject, body: bytes, note: dict[str, str], there: Release, before: Mapping[str, str]
) -> Published:
    if put := place.put(body, note, there):
        return Published(place.address, True, put.etag, put.versioned, before)
    newest = place.newest()
    if newest and newest.put == note["put"]:
        return Published(place.address, True, newest.etag, bool(newest.version), before)
    raise StoreError(f"{place.address}: another release went in at the same time; look at `jobyard releases`")


def _content(place: ReleaseObject, release: Release) -> tuple[dict[str, Any], bytes]:
    body = place.read(release.version)
    try:
        content: dict[str, Any] = json.loads(body)
        note_of(content, "", "")
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownReleaseError(
            f"{place.address}: what was put {release.time:%Y-%m-%d %H:%M:%S}Z is no release"
        ) from error
    return content, body


def _job_digests(body: bytes) -> dict[str, str]:
    """Job to digest; nothing of what is no release."""
    try:
        return {str(name): str(job.get("digest")) for name, job in json.loads(body)["jobs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _nothing(team: str, commit: str, found: list[Release]) -> str:
    if not found:
        return f"team {team} has released nothing yet"
    there = ", ".join(dict.fromkeys(one.commit[:12] or "unknown" for one in found))
    what = f"no earlier release of commit {commit}" if commit else "no earlier release with other jobs"
    why = "" if found[0].version else "; the bucket is not versioned, so it keeps none"
    return f"there is {what} among the newest {len(found)} of team {team} (commits: {there}){why}"


def _pause(attempt: int) -> None:
    """A random while, longer from try to try, so that those who came at once come apart."""
    # No secret depends on it.
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * 2**attempt)))  # noqa: S311
