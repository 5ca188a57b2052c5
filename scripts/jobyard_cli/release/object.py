"""The one object that is a team's release, as S3 has it: its note, its content, its versions, and putting it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from jobyard.contract import release_path
from jobyard.entries import Release as Content

from jobyard_cli.aws.errors import CHANGED, code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

_READS = 5
"""botocore repeats a request, but not the reading of an answer that breaks off."""
NO_VERSION = "null"
"""The version of an object where versioning is off, or was when it was put."""


@dataclass(frozen=True)
class Release:
    """A release in the bucket; without a note, only the time at which it was put is known."""

    etag: str
    version: str
    time: datetime
    digest: str = ""
    commit: str = ""
    jobs: int | None = None
    by: str = ""
    """Who or what put it."""
    put: str = ""
    """Made for one put alone, so that who put it knows it again."""


@dataclass(frozen=True)
class Put:
    """What S3 says of an object that it took."""

    etag: str
    versioned: bool


def note_of(content: Content, by: str, put: str) -> dict[str, str]:
    """Return a release's note, its metadata in S3, so that nobody need read all of it; S3 accepts only ASCII.

    Raises:
        KeyError: it is not a release.
        TypeError: likewise.
    """
    return {
        "digest": content["digest"],
        "commit": content["commit"],
        "jobs": str(len(content["jobs"])),
        "by": quote(by, safe=" @.+-"),
        "put": put,
    }


class ReleaseObject:
    """`dags/<team>/jobs.json` of a bucket; errors are botocore's own."""

    def __init__(self, client: S3Client, bucket: str, team: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = f"dags/{release_path(team)}"
        self.address = f"s3://{bucket}/{self._key}"

    def newest(self) -> Release | None:
        """Return the current release, by its note; a release without one is read."""
        answer = self._head()
        if answer is None:
            return None
        note = answer["Metadata"]
        if "digest" not in note:
            note = _note_in(self.read())
        return _release(answer["ETag"], answer.get("VersionId", ""), answer["LastModified"], note)

    def _head(self) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            if code(error) in ("404", "NoSuchKey") or (code(error) == "403" and self._is_listed_as_missing()):
                return None
            # An answer to HEAD has no body, so it says no more than 403: ask again to hear why.
            self._client.get_object(Bucket=self._bucket, Key=self._key)
            raise

    def _is_listed_as_missing(self) -> bool:
        """Whether a list says that it is not there: who may list this key alone gets 403 for what is missing."""
        from botocore.exceptions import ClientError

        try:
            return "Contents" not in self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1)
        except ClientError:
            return False

    def read(self, version: str = "") -> bytes:
        """Return all of its content; empty if it was deleted meanwhile."""
        from botocore.exceptions import BotoCoreError, ClientError

        for left in reversed(range(_READS)):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key, **_version_argument(version))
                return answer["Body"].read()
            except BotoCoreError:
                if not left:
                    raise
            except ClientError as error:
                if code(error) != "NoSuchKey":
                    raise
                break
        return b""

    def versions(self) -> Iterator[Release]:
        """Yield all releases, the newest first."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=self._key)
        for page in pages:
            for version in page.get("Versions", []):
                if version["Key"] == self._key:
                    yield self._described(version)

    def _described(self, version: ObjectVersionTypeDef) -> Release:
        version_id = version["VersionId"]
        if version_id == NO_VERSION and version["IsLatest"]:
            # Without versioning there is one alone, which goes by no version everywhere.
            version_id = ""
        answer = self._client.head_object(Bucket=self._bucket, Key=self._key, **_version_argument(version_id))
        return _release(version["ETag"], version_id, version["LastModified"], answer["Metadata"])

    def put(self, body: bytes, note: Mapping[str, str], replaced: Release | None) -> Put | None:
        """Replace the current release; return None if another one was put meanwhile."""
        from botocore.exceptions import ClientError

        condition: Any = {"IfMatch": replaced.etag} if replaced else {"IfNoneMatch": "*"}
        kind = "application/json"
        try:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=body, ContentType=kind, Metadata=note, **condition
            )
        except ClientError as error:
            if code(error) in CHANGED:
                return None
            raise
        return Put(answer["ETag"], answer.get("VersionId", NO_VERSION) != NO_VERSION)


def _version_argument(version: str) -> Any:
    """The argument of botocore's calls that names a version; none for the current one."""
    if version:
        return {"VersionId": version}
    return {}


def _note_in(body: bytes) -> dict[str, str]:
    """Return the note of a release that was put without one; nothing if it is not a release, so that it is replaced."""
    try:
        content = json.loads(body)
        return {"digest": str(content.get("digest")), "commit": str(content.get("commit", ""))}
    except (ValueError, AttributeError):
        return {}


def _release(etag: str, version: str, time: datetime, note: Mapping[str, str]) -> Release:
    return Release(
        etag=etag,
        version=version,
        time=time,
        digest=note.get("digest", ""),
        commit=note.get("commit", ""),
        jobs=int(note["jobs"]) if "jobs" in note else None,
        by=unquote(note.get("by", "")),
        put=note.get("put", ""),
    )
