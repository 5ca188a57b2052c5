"""Puts the platform's own files into Airflow's bucket, so that a copy made at any time has a whole library.

A version of the library is a folder that never changes; the object `versions.json` names the whole ones, so it is put
after them, and `jobyard/__init__.py` chooses among those that have been copied. What has one name in all versions comes
next, as each of it fits any of them; then the loaders, and after them how many of them each team has. What nothing
needs any longer is deleted last. Nothing else in the bucket is touched: a team's release is the team's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from jobyard.contract import LOADERS_FILE, loader_of

from jobyard_cli.aws.errors import CHANGED, StoreError, code, store_errors
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.files import PlatformFiles
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.platform.loader_counts import dumped, files_needed, handed_over, parsed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "dags/"
INDEX = "jobyard/versions.json"
LIBRARY = "jobyard/"
KEPT = 5
"""As many versions are in the index: one that is not copied yet leaves the choice of those before."""
_SETTLED = timedelta(days=1)
"""What is in no index stays as long: it may be somebody's who is about to name it, or a long task's."""
_TRIES = 5


class OlderPlatformError(JobyardError):
    """The bucket has the platform's files of a later commit; they were left as they are."""

    def __init__(self, bucket: str, theirs: str, ours: str) -> None:
        super().__init__(
            f"s3://{bucket}/{PREFIX}{INDEX} is from commit {theirs[:12]}, which is newer than {ours[:12]}, checked out "
            "here; nothing was published. To go back, revert the commits and publish the result"
        )


class _RacedError(Exception):
    """Somebody else changed the same object meanwhile."""


@dataclass(frozen=True)
class _Entry:
    """An object of the bucket."""

    etag: str
    time: datetime


class _Condition(TypedDict, total=False):
    """On which S3 puts an object: it is as it was, or not there."""

    IfMatch: str
    IfNoneMatch: str


class _Version(TypedDict):
    """A version of the library: its folder, and its files with their sizes in bytes."""

    folder: str
    files: dict[str, int]


class _Index(TypedDict, total=False):
    """`versions.json`, as `dags/jobyard/__init__.py` reads it; the newest version first."""

    commit: str
    versions: list[_Version]


@dataclass
class Published:
    """Names below `dags/` of what was put and deleted, in that order, and how many files were unchanged."""

    put: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0


def publish(
    client: S3Client,
    bucket: str,
    files: PlatformFiles,
    commit: str = "",
    is_later: Callable[[str, str], bool] = lambda _theirs, _ours: False,
    now: datetime | None = None,
) -> Published:
    """Put what differs, then delete what the platform put earlier and no longer has.

    `is_later` says whether the commit in the bucket is later than the one to publish.

    Raises:
        OlderPlatformError: the bucket has a later commit's files.
        StoreError: the bucket refuses, is not there, or does not answer, or others keep putting at the same time.
    """
    done = Published()
    with store_errors(f"s3://{bucket}/{PREFIX}"):
        for _ in range(_TRIES):
            with suppress(_RacedError):
                _Publication(client, bucket, files, commit, done).run(is_later, now or datetime.now(UTC))
                return done
    raise StoreError(
        f"s3://{bucket}/{PREFIX}: another publisher wrote the platform's files at the same time; run this again"
    )


class _Publication:
    """One try, from what is in the bucket at its beginning."""

    def __init__(self, client: S3Client, bucket: str, files: PlatformFiles, commit: str, done: Published) -> None:
        self.client, self.bucket, self.files, self.commit, self.done = client, bucket, files, commit, done
        self.objects = _listed(client, bucket)
        self.index_etag, self.index = self._read_index()

    def run(self, is_later: Callable[[str, str], bool], now: datetime) -> None:
        theirs = str(self.index.get("commit", ""))
        if theirs and is_later(theirs, self.commit):
            raise OlderPlatformError(self.bucket, theirs, self.commit)
        self.done.unchanged = 0
        for name, content in self.files.version.items():
            # The folder's name follows from what is in it, so another publisher would put the same.
            self._put(f"{LIBRARY}{self.files.folder}/{name}", content, {})
        index = self._new_index()
        etag = self._put_index(index)
        for name, content in self.files.shared.items():
            self._put(name, content, _unless_changed(self.objects.get(name)))
        for name, content in self.files.loaders.items():
            # A loader too is the same from every publisher.
            self._put(name, content, {})
        needed = self._put_counts(now)
        self._delete_left_over(index, needed, now)
        self._refuse_overtaken(etag)

    def _put(self, name: str, content: bytes, condition: _Condition) -> None:
        """Put the file unless the bucket has it."""
        if name in self.objects and self._has(name, content):
            self.done.unchanged += 1
        else:
            self._put_object(name, content, condition)

    def _has(self, name: str, content: bytes) -> bool:
        """Whether the bucket has this content; where KMS encrypts it, S3's own digest is not the content's."""
        if self.objects[name].etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
            return True
        note = self.client.head_object(Bucket=self.bucket, Key=PREFIX + name)["Metadata"]
        return note.get("sha256") == _sha256(content)

    def _put_object(self, name: str, content: bytes, condition: _Condition) -> str:
        """The object's new ETag.

        Raises:
            _Raced: it was not as the condition says.
        """
        from botocore.exceptions import ClientError

        note = {"sha256": _sha256(content)}
        try:
            answer = self.client.put_object(
                Bucket=self.bucket, Key=PREFIX + name, Body=content, Metadata=note, **condition
            )
        except ClientError as error:
            if code(error) in CHANGED:
                raise _RacedError from error
            raise
        self.done.put.append(name)
        return answer["ETag"].strip('"')

    def _read_index(self) -> tuple[str, _Index]:
        """The bucket's index, and its ETag; an empty one where it is none of ours."""
        if INDEX not in self.objects:
            return "", {}
        answer = self.client.get_object(Bucket=self.bucket, Key=PREFIX + INDEX)
        try:
            index: _Index = json.loads(answer["Body"].read())
            for version in index["versions"]:
                _ = version["folder"], version["files"]
        except (ValueError, TypeError, KeyError):
            index = {}
        return answer["ETag"].strip('"'), index

    def _new_index(self) -> _Index:
        sizes = {name: len(content) for name, content in self.files.version.items()}
        versions = [_Version(folder=self.files.folder, files=sizes)]
        for version in self.index.get("versions", []):
            if version["folder"] != self.files.folder:
                versions.append(version)
        return {"commit": self.commit, "versions": versions[:KEPT]}

    def _put_index(self, index: _Index) -> str:
        """Name the version; from here on an older publisher refuses. The index's ETag."""
        if index == self.index:
            self.done.unchanged += 1
            return self.index_etag
        previous = self.objects.get(INDEX) and _Entry(self.index_etag, self.objects[INDEX].time)
        return self._put_object(INDEX, json.dumps(index, sort_keys=True, indent=1).encode(), _unless_changed(previous))

    def _put_counts(self, now: datetime) -> set[str]:
        """Say how many loaders each team has; return the names of what that needs in the bucket."""
        there = LOADERS_FILE in self.objects
        body = self.client.get_object(Bucket=self.bucket, Key=PREFIX + LOADERS_FILE)["Body"].read() if there else b""
        counts = handed_over(parsed(body), self.files.counts, now)
        # What no team needs is said as well, where it was there before; a day later it is left over.
        if counts["teams"] or there:
            self._put(LOADERS_FILE, dumped(counts), _unless_changed(self.objects.get(LOADERS_FILE)))
        return {LOADERS_FILE, *files_needed(counts)} if counts["teams"] else set()

    def _delete_left_over(self, index: _Index, needed: set[str], now: datetime) -> None:
        folders = {str(version["folder"]) for version in index["versions"]}
        fixed = self.files.shared.keys() | self.files.loaders.keys() | needed
        for name in sorted(self.objects.keys() - fixed):
            if self._is_left_over(name, folders, now):
                self.client.delete_object(Bucket=self.bucket, Key=PREFIX + name)
                self.done.deleted.append(name)

    def _is_left_over(self, name: str, folders: set[str], now: datetime) -> bool:
        """Whether the platform put this earlier, and it belongs to no version that is kept and to no team."""
        if name.startswith(LIBRARY):
            folder = name.removeprefix(LIBRARY).split("/")[0]
            return name != INDEX and folder not in folders and now - self.objects[name].time > _SETTLED
        is_loader = "/" not in name and name.endswith(".py")
        return is_loader and self._has(name, loader_source(loader_of(name)[0]).encode())

    def _refuse_overtaken(self, etag: str) -> None:
        """Refuse if another publisher wrote meanwhile, as the bucket may then hold files of both."""
        if not self.done.put and not self.done.deleted:
            return
        answer = self.client.head_object(Bucket=self.bucket, Key=PREFIX + INDEX)
        if answer["ETag"].strip('"') != etag:
            raise StoreError(
                f"s3://{self.bucket}/{PREFIX}: another commit was published at the same time; "
                "run this again to publish the newer one"
            )


def _unless_changed(entry: _Entry | None) -> _Condition:
    if entry is None:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": f'"{entry.etag}"'}


def _listed(client: S3Client, bucket: str) -> dict[str, _Entry]:
    """Each object below `dags/`, by its name there."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    entries = {}
    for page in pages:
        for item in page.get("Contents", []):
            entries[item["Key"].removeprefix(PREFIX)] = _Entry(item["ETag"].strip('"'), item["LastModified"])
    return entries


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
