"""A folder that stands for the data bucket: an S3 server on loopback with its files, which get back what is written.

The server is moto's. The same code sees the same s3:// addresses; AWS_ENDPOINT_URL_S3 says where they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jobyard_cli.errors import MissingExtraError
from jobyard_cli.running.errors import DataFolderError
from jobyard_cli.system.programs import Report

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DEFAULT_BUCKET = "jobyard-data"
"""What `jobyard_data_bucket` is where nothing says otherwise."""
LOOPBACK = "127.0.0.1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "jobyard", "AWS_SECRET_ACCESS_KEY": "jobyard"}
REGION = "us-east-1"
IGNORED = frozenset({".git", ".gitignore", ".DS_Store", ".jobyard"})


class DataFolder:
    """One bucket, whose objects are a folder's files."""

    def __init__(self, folder: Path, bucket: str, port: int) -> None:
        self.folder = folder
        self.bucket = bucket
        self.port = port
        self._client = _client(self.endpoint(LOOPBACK))
        self._known: dict[str, str] = {}

    def endpoint(self, host: str) -> str:
        """The server's URL, for a program to which this machine is `host`."""
        return f"http://{host}:{self.port}"

    def environment(self, host: str) -> dict[str, str]:
        """The variables by which a program finds the bucket here, without any rights of the person's."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint(host),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **CREDENTIALS,
        }

    def load(self, report: Report) -> None:
        """Put the folder's files into the bucket."""
        self._client.create_bucket(Bucket=self.bucket)
        for key, file in self._files():
            report(key)
            self._client.upload_file(str(file), self.bucket, key)
        self._known = self._objects()

    def save(self) -> list[str]:
        """Write objects that have changed to the folder, and remove the files of those that are gone; the keys.

        Raises:
            DataFolderError: an object's key can't be a file's path.
        """
        objects = self._objects()
        changed = sorted(key for key, tag in objects.items() if self._known.get(key) != tag)
        gone = sorted(self._known.keys() - objects.keys())
        for key in changed:
            self._write(key)
        for key in gone:
            (self.folder / key).unlink(missing_ok=True)
        self._known = objects
        return [*changed, *gone]

    def _write(self, key: str) -> None:
        if key.endswith("/"):
            return
        path = PurePosixPath(key)
        if path.is_absolute() or ".." in path.parts or str(path) != key:
            raise DataFolderError(f"the object s3://{self.bucket}/{key} can't be a file in {self.folder}")
        file = self.folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(self.bucket, key, str(file))
        except OSError as error:
            raise DataFolderError(f"s3://{self.bucket}/{key} can't be written to {file}: {error}") from error

    def _files(self) -> Iterator[tuple[str, Path]]:
        for file in sorted(self.folder.rglob("*")):
            parts = file.relative_to(self.folder).parts
            if file.is_file() and not IGNORED & set(parts):
                yield "/".join(parts), file

    def _objects(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for item in page.get("Contents", []):
                found[item["Key"]] = f"{item['ETag']} {item['LastModified'].isoformat()}"
        return found


@contextmanager
def served(folder: Path, bucket: str) -> Iterator[DataFolder]:
    """Serve the folder as that bucket while inside, on loopback alone.

    Raises:
        MissingExtraError: moto is not installed.
    """
    try:
        from moto.server import ThreadedMotoServer
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "run") from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server: Any = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        yield DataFolder(folder, bucket, server.get_host_and_port()[1])
    finally:
        server.stop()


def own_credentials(environment: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """The person's own AWS credentials as variables, whatever they are from; and whether there are any."""
    import boto3
    from botocore.exceptions import BotoCoreError

    kept = {name: environment[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if name in environment}
    try:
        session = boto3.Session()
        credentials = session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    except BotoCoreError:
        return kept, False
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        return kept, False
    kept |= {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
    if frozen.token:
        kept["AWS_SESSION_TOKEN"] = frozen.token
    if region := session.region_name:
        kept |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return kept, True


def _client(endpoint: str) -> S3Client:
    import boto3
    from botocore.session import Session

    # The person's profile, which may not exist here, has no say in it.
    alone: dict[str, Any] = {"profile": (None, None, None, None)}
    return boto3.Session(botocore_session=Session(session_vars=alone)).client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
