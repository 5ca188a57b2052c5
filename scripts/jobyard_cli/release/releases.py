"""A team's releases in Airflow's bucket: one object, replaced with a condition, whose earlier versions are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from jobyard.entries import Release as Content
from tenacity import Retrying, retry_if_result, stop_after_attempt

from jobyard_cli.aws.errors import StoreError as StoreError
from jobyard_cli.aws.errors import store_errors
from jobyard_cli.errors import JobyardError
from jobyard_cli.release.file import NO_RELEASE, ReleaseFile, job_digests, parsed
from jobyard_cli.release.object import Release as Release
from jobyard_cli.release.object import ReleaseObject, note_of
from jobyard_cli.system.waiting import random_pauses

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEWEST = 20
"""As many releases are listed, and looked through to go back to one."""
_TRIES = 40
"""One that comes second tries again: of so many syncs at once the last one still gets in."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


class OlderReleaseError(JobyardError):
    """The bucket has a release of a later commit; it was left as it is."""

    def __init__(self, address: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"{address} is from commit {theirs[:12]}, which is newer than {ours[:12]}, checked out here; "
            f"nothing was published. To go back: jobyard sync --rollback {ours[:12]}"
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
    content: Content
    published: Published


IsLater = Callable[[str, str], bool]
"""Whether a commit that is released is later than the one that is to be."""


def publish(
    client: S3Client,
    bucket: str,
    release: ReleaseFile,
    by: str = "",
    is_later: IsLater = lambda _theirs, _ours: False,
    compare: bool = False,
) -> Published:
    """Put a release where Airflow reads it: one object, replaced only if nobody else replaced it meanwhile.

    Where the bucket has these jobs already, of an earlier commit, this commit is noted: else a pipeline of a commit
    between the two, running late, would overwrite it. It takes one request where there is nothing to put, else two, and
    three to `compare` with what was there before.

    Raises:
        OlderReleaseError: the bucket has a later commit's release, with other jobs.
        StoreError: the bucket refuses the write, is not there, or does not answer.
    """
    target = ReleaseObject(client, bucket, release.content["team"])
    publication = _Publication(target, release, note_of(release.content, by, uuid4().hex), is_later, compare)
    tries = Retrying(
        retry=retry_if_result(lambda published: published is None),
        wait=random_pauses(_FIRST_PAUSE, _LONGEST_PAUSE),
        stop=stop_after_attempt(_TRIES),
        retry_error_callback=lambda _: None,
    )
    with store_errors(target.address):
        published = tries(publication.attempt)
    if published is None:
        raise StoreError(
            f"{target.address}: another release was published at the same time, {_TRIES} times over; run this again"
        )
    return published


@dataclass
class _Publication:
    """A release on its way into the bucket, and what the attempts so far have found there."""

    target: ReleaseObject
    release: ReleaseFile
    note: Mapping[str, str]
    is_later: IsLater
    compare: bool
    changed: bool = field(default=False, init=False)
    before: Mapping[str, str] | None = field(default=None, init=False)

    def attempt(self) -> Published | None:
        """Put the release unless it is there; None where another one went in at the same time."""
        newest = self.target.newest()
        if newest is None:
            return self._put(None)
        commit = self.release.content["commit"]
        is_later = bool(newest.commit) and self.is_later(newest.commit, commit)
        if newest.digest != self.release.content["digest"]:
            if is_later:
                raise OlderReleaseError(self.target.address, newest.commit, commit)
        elif is_later or newest.commit == commit:
            return self._already_put(newest)
        return self._put(newest)

    def _already_put(self, newest: Release) -> Published:
        """Return what is known of the current release, which may be of an attempt whose answer was lost."""
        published = Published(self.target.address, False, newest.etag, versioned=bool(newest.version))
        if newest.put != self.note["put"]:
            return published
        return replace(published, changed=self.changed, before=self.before)

    def _put(self, newest: Release | None) -> Published | None:
        self.changed = newest is None or newest.digest != self.release.content["digest"]
        if self.compare and self.changed:
            self.before = job_digests(self.target.read()) if newest else {}
        put = self.target.put(self.release.body, self.note, newest)
        if put is None:
            return None
        return Published(self.target.address, self.changed, put.etag, put.versioned, self.before)


def releases(client: S3Client, bucket: str, team: str) -> list[Release]:
    """Return the newest releases of a team, the one that Airflow has first.

    Raises:
        StoreError: the bucket refuses, is not there, or does not answer.
    """
    target = ReleaseObject(client, bucket, team)
    with store_errors(target.address):
        return list(islice(target.versions(), NEWEST))


def roll_back(client: S3Client, bucket: str, team: str, commit: str = "", by: str = "") -> RolledBack:
    """Put an earlier release again: the newest of a commit, or the newest with other jobs than there are now.

    Nothing is put where the commit's release is the newest already, as after one that was interrupted.

    Raises:
        UnknownReleaseError: it does not exist.
        StoreError: the bucket refuses, is not there, or does not answer, or another release went in meanwhile.
    """
    listed = releases(client, bucket, team)
    target = ReleaseObject(client, bucket, team)
    with store_errors(target.address) as address:
        if commit and listed and listed[0].commit.startswith(commit):
            file = _read(target, listed[0])
            return RolledBack(listed[0], file.content, Published(address, False, listed[0].etag))
        earlier = _earlier(listed, commit)
        if earlier is None:
            raise UnknownReleaseError(_no_earlier_release(team, commit, listed))
        file = _read(target, earlier)
        before = job_digests(target.read(listed[0].version))
        published = _put_again(target, file, by, listed[0], before)
    return RolledBack(earlier, file.content, published)


def _earlier(listed: list[Release], commit: str) -> Release | None:
    """The newest release of the commit, or of any, with other jobs than the newest of all."""
    for release in listed[1:]:
        if release.digest != listed[0].digest and release.commit.startswith(commit):
            return release
    return None


def _put_again(
    target: ReleaseObject, file: ReleaseFile, by: str, replaced: Release, before: Mapping[str, str]
) -> Published:
    note = note_of(file.content, by, uuid4().hex)
    if put := target.put(file.body, note, replaced):
        return Published(target.address, True, put.etag, put.versioned, before)
    newest = target.newest()
    if newest and newest.put == note["put"]:
        return Published(target.address, True, newest.etag, bool(newest.version), before)
    raise StoreError(f"{target.address}: another release was published at the same time; look at `jobyard releases`")


def _read(target: ReleaseObject, release: Release) -> ReleaseFile:
    try:
        file = parsed(target.read(release.version))
        note_of(file.content, "", "")
    except NO_RELEASE as error:
        raise UnknownReleaseError(
            f"{target.address}: what was put {release.time:%Y-%m-%d %H:%M:%S}Z is not a release"
        ) from error
    return file


def _no_earlier_release(team: str, commit: str, listed: list[Release]) -> str:
    if not listed:
        return f"team {team} has released nothing yet"
    missing = "no earlier release with other jobs"
    if commit:
        missing = f"no earlier release of commit {commit}"
    commits = ", ".join(dict.fromkeys(release.commit[:12] or "unknown" for release in listed))
    message = f"there is {missing} among the newest {len(listed)} of team {team} (commits: {commits})"
    if not listed[0].version:
        message += "; the bucket is not versioned, so it keeps none"
    return message
