"""Objects by name, in a folder or below a prefix of an S3 bucket; both have a put that only the first of two makes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jobyard_metrics.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
"""How S3 says that a conditional put came too late."""
MISSING = ("NoSuchKey", "404")
REFUSED = ("AccessDenied", "403")
"""S3's answer for a missing object too, unless the caller may list the whole bucket."""
_DELETED_AT_ONCE = 1000
_LOCK = ".lock"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Stored:
    """An object's content; `etag` changes with it."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Listed:
    """An object in a list; `modified` is seconds after 1970 began, by the store's own clock."""

    name: str
    modified: float


class ObjectStore(Protocol):
    """Objects by names with '/'; a name never begins with '/' nor has '..' in it."""

    address: str

    def folders(self) -> list[str]:
        """Return the first parts of all names that have several, sorted.

        Raises:
            StoreError: it can't be read.
        """
        ...

    def get(self, name: str) -> Stored | None:
        """Return an object, or None if it does not exist.

        Raises:
            StoreError: it can't be read.
        """
        ...

    def list(self, prefix: str) -> list[Listed]:
        """Return the objects whose names begin with `prefix`, sorted by name.

        Raises:
            StoreError: it can't be read.
        """
        ...

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        """Create or replace an object; its type follows from its name unless it is given.

        Raises:
            StoreError: it can't be written.
        """
        ...

    def put_if(self, name: str, body: bytes, etag: str | None) -> bool:
        """Replace the object with this etag, or create it where None; return False if it is another by now.

        Raises:
            StoreError: it can't be written.
        """
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, whether they exist or not.

        Raises:
            StoreError: it refused.
        """
        ...


class FolderStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.address = str(root)

    def folders(self) -> list[str]:
        """Return the names of the folders inside, as `ObjectStore` defines it."""
        with _as_store_error(self.address):
            return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())

    def get(self, name: str) -> Stored | None:
        """Return an object, as `ObjectStore` defines it."""
        with _as_store_error(self.address):
            try:
                body = self._path(name).read_bytes()
            except FileNotFoundError:
                return None
        return Stored(body, hashlib.sha256(body).hexdigest())

    def list(self, prefix: str) -> list[Listed]:
        """Return objects, as `ObjectStore` defines it."""
        folder = self._path(prefix.rpartition("/")[0])
        with _as_store_error(self.address):
            files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
            found = [Listed(path.relative_to(self._root).as_posix(), path.stat().st_mtime) for path in files]
        return sorted((one for one in found if one.name.startswith(prefix)), key=lambda one: one.name)

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        """Put an object, as `ObjectStore` defines it: a reader sees all of it, or the one before."""
        path = self._path(name)
        with _as_store_error(self.address):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(prefix=".", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(body)
                # Readable by a web server, as files usually are.
                Path(partial).chmod(0o644)
                Path(partial).replace(path)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise

    def put_if(self, name: str, body: bytes, etag: str | None) -> bool:
        """Put an object, as `ObjectStore` defines it."""
        with self._locked():
            current = self.get(name)
            if (current.etag if current else None) != etag:
                return False
            self.put(name, body)
            return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, as `ObjectStore` defines it."""
        with _as_store_error(self.address):
            for name in names:
                self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise StoreError(f"the name of an object must be below {self.address}; got {name[:100]!r}")
        return self._root / name

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, also of another process."""
        with _as_store_error(self.address):
            self._root.mkdir(parents=True, exist_ok=True)
            lock = (self._root / _LOCK).open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class S3Store:
    """The objects of a bucket below a prefix."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        """Take boto3's client for S3; `prefix` may be empty."""
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.address = f"s3://{bucket}/{self._prefix}"

    def folders(self) -> list[str]:
        """Return the first parts of names, as `ObjectStore` defines it."""
        names = []
        with _as_store_error(self.address):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            for page in pages:
                names += [one.get("Prefix", "") for one in page.get("CommonPrefixes", [])]
        return sorted(name.removeprefix(self._prefix).rstrip("/") for name in names)

    def get(self, name: str) -> Stored | None:
        """Return an object, as `ObjectStore` defines it."""
        from botocore.exceptions import ClientError

        with _as_store_error(self.address):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
            except ClientError as error:
                if _code(error) in MISSING or (_code(error) in REFUSED and not self.list(name)):
                    return None
                raise
            return Stored(answer["Body"].read(), answer["ETag"])

    def list(self, prefix: str) -> list[Listed]:
        """Return objects, as `ObjectStore` defines it."""
        found = []
        with _as_store_error(self.address):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._key(prefix)
            )
            for page in pages:
                for one in page.get("Contents", []):
                    name = one.get("Key", "").removeprefix(self._prefix)
                    found.append(Listed(name, one["LastModified"].timestamp()))
        return sorted(found, key=lambda one: one.name)

    def put(self, name: str, body: bytes, *, content_type: str = "") -> None:
        """Put an object, as `ObjectStore` defines it."""
        with _as_store_error(self.address):
            self._put(name, body, content_type)

    def put_if(self, name: str, body: bytes, etag: str | None) -> bool:
        """Put an object, as `ObjectStore` defines it."""
        from botocore.exceptions import ClientError

        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with _as_store_error(self.address):
            try:
                self._put(name, body, "", **condition)
            except ClientError as error:
                # To the condition that the object exists, S3 answers 404 where it was deleted.
                if _code(error) in (*CHANGED, *MISSING):
                    return False
                raise
        return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, as `ObjectStore` defines it."""
        left = [*names]
        while left:
            batch, left = left[:_DELETED_AT_ONCE], left[_DELETED_AT_ONCE:]
            objects = [{"Key": self._key(name)} for name in batch]
            with _as_store_error(self.address):
                answer = self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": objects, "Quiet": True},  # type: ignore[typeddict-item]
                )
            if refused := answer.get("Errors"):
                raise StoreError(f"{self.address} refused to delete {len(refused)} objects: {refused[0]}")

    def _put(self, name: str, body: bytes, content_type: str, **condition: Any) -> None:
        kind = content_type or KINDS.get(Path(name).suffix, "application/octet-stream")
        self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=body, ContentType=kind, **condition)

    def _key(self, name: str) -> str:
        return self._prefix + name


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _as_store_error(address: str) -> Iterator[None]:
    """Turn what the file system and boto3 raise into one kind of error."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (OSError, BotoCoreError, ClientError) as error:
        raise StoreError(f"{address}: {error}") from error
