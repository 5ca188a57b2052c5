"""A real S3 server (versitygw) alone, stand-ins beside it, and processes that run the command against them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.local.layout import Layout
from jobyard_cli.local.machine import free_port
from jobyard_cli.local.processes import Supervisor
from jobyard_cli.local.services import REGION, Credentials, s3_client, s3_process

from tests.sync.faulty_proxy import FaultyProxy
from tests.sync.running import Forked
from tests.sync.stand_in_airflow import StandInAirflow

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
        """What is there of team risk."""
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


@pytest.fixture(scope="session")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """versitygw, with versions, on a port of its own."""
    state = tmp_path_factory.mktemp("s3")
    layout = Layout(state, programs, {"s3": free_port(17170, [])}, "127.0.0.1")
    root = Credentials.ensure(state / "root")
    supervisor = Supervisor(state)
    supervisor.start(s3_process(layout, root))
    keys = {"AWS_ACCESS_KEY_ID": root.access_key, "AWS_SECRET_ACCESS_KEY": root.secret_key, "AWS_REGION": REGION}
    yield Server(layout.s3_url, s3_client(layout, root), keys)
    supervisor.stop(supervisor.names(), grace=0)


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """Where processes that run the command come from."""
    running = Forked(tmp_path_factory.mktemp("runs"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def airflow(server: Server) -> Iterator[StandInAirflow]:
    """Has what is in the bucket at once."""
    running = StandInAirflow(server.client)
    yield running
    running.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    """In front of the S3 server."""
    running = FaultyProxy(server.url)
    yield running
    running.close()


def git(repo: Path, *arguments: str) -> str:
    """One git command, as somebody."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(repo), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def commit_job(team_repo: Path, add_job: Callable[..., Path]) -> Callable[[str], str]:
    """Give the job `score` another description in the team's repository, and commit that."""
    git(team_repo, "init", "--quiet", "--initial-branch=main")

    def commit(description: str) -> str:
        file = add_job("score")
        file.write_text(f"{file.read_text()}description: {description}\n")
        git(team_repo, "add", "--all")
        git(team_repo, "commit", "--quiet", "--message", description)
        return git(team_repo, "rev-parse", "HEAD")

    return commit
