"""The S3 server that tests look into."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobyard_local.layout import Layout
from jobyard_local.processes import Supervisor
from jobyard_local.services import REGION, Credentials, s3_client, s3_process

from tests.support.ports import free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "dags/risk/jobs.json"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """The S3 server."""

    url: str
    client: S3Client
    environment: dict[str, str]

    def bucket(self, versioned: bool = True) -> str:
        """A new bucket, with an object of another team's."""
        name = f"airflow-{next(_NUMBERS)}"
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.client.put_object(Bucket=name, Key="dags/care/jobs.json", Body=b"{}")
        return name

    def released(self, bucket: str) -> bytes:
        """Return the content of team risk's release."""
        return self.client.get_object(Bucket=bucket, Key=KEY)["Body"].read()

    def versions(self, bucket: str) -> list[bytes]:
        """Every release there was, the newest first."""
        listed = self.client.list_object_versions(Bucket=bucket, Prefix=KEY).get("Versions", [])
        ids = [version["VersionId"] for version in listed]
        return [self.client.get_object(Bucket=bucket, Key=KEY, VersionId=one)["Body"].read() for one in ids]

    def others(self, bucket: str) -> dict[str, str]:
        """All else in the bucket: key to ETag."""
        listed = self.client.list_object_versions(Bucket=bucket)
        assert "DeleteMarkers" not in listed
        return {one["Key"] + one["VersionId"]: one["ETag"] for one in listed["Versions"] if one["Key"] != KEY}


@contextmanager
def s3_server(programs: Path, state: Path) -> Iterator[Server]:
    """Run versitygw on a port of its own; `programs` is the folder that it is in."""
    layout = Layout(state, programs, {"s3": free_ports(1)[0]}, "127.0.0.1")
    root = Credentials.ensure(state / "root")
    supervisor = Supervisor(state)
    supervisor.start(s3_process(layout, root))
    keys = {"AWS_ACCESS_KEY_ID": root.access_key, "AWS_SECRET_ACCESS_KEY": root.secret_key, "AWS_REGION": REGION}
    try:
        yield Server(layout.s3_url, s3_client(layout, root), keys)
    finally:
        supervisor.stop(supervisor.names(), grace=0)
