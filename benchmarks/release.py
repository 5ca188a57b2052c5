"""Publishing many jobs, beside `aws s3 sync --delete` of the same jobs as files: wall time and requests."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import boto3
from check import seconds
from jobs import make_repo
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir
from jobyard_local import tools
from jobyard_local.services import REGION
from measure import Target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

JOBS = 1_000
ROUNDS = 5
OURS, PEERS, MARKS = "airflow", "files", "marks"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_REGION": REGION}
REQUEST = re.compile(r" s3_\w+ ")
QUICKER = Target("at most", 1)
TARGETS = {"nothing": Target("at most", 2, " requests"), "one job": Target("at most", 3, " requests")}
TARGETS["every job"] = TARGETS["one job"]


@dataclass(frozen=True)
class Server:
    """A real S3 server, which notes each request."""

    url: str
    log: Path

    @property
    def client(self) -> S3Client:
        return boto3.client("s3", endpoint_url=self.url)

    def requests(self) -> int:
        """How many it has answered; it notes one a moment later, so the last is one that is made here."""
        mark = str(time.monotonic_ns())
        self.client.put_object(Bucket=MARKS, Key=mark)
        while mark not in (text := self.log.read_text()):
            time.sleep(0.01)
        return len(REQUEST.findall(text)) - text.count(f" /{MARKS}/")


@dataclass(frozen=True)
class Measured:
    """Of one side: seconds of each round, and the most requests of any."""

    seconds: list[float]
    requests: int


def section() -> str:
    """Measure, and return the result as Markdown."""
    programs = Path(sys.executable).parent
    os.environ.update(KEYS)
    with tempfile.TemporaryDirectory() as scratch, _server(Path(scratch) / "s3") as server:
        repo = Path(scratch) / "repo"
        files = make_repo(repo, JOBS)
        options = ["--bucket", OURS, "--endpoint-url", server.url, "--no-wait"]
        ours = [str(programs / "jobyard"), "sync", *options]
        peer = [str(programs / "aws"), "--endpoint-url", server.url, "s3", "sync", "--delete", "--only-show-errors"]
        peer = [*peer, "dags", f"s3://{PEERS}/dags"]
        changes = {"nothing": [], "one job": files[:1], "every job": files}
        found = {what: _both(server, repo, ours, peer, changed) for what, changed in changes.items()}
    rows = [row for what, sides in found.items() for row in _rows(what, *sides)]
    verdicts = [_slower(what, *sides) for what, sides in found.items()]
    verdicts += [f"{what} changed: {TARGETS[what].verdict(ours.requests)}" for what, (ours, _) in found.items()]
    return "\n".join(
        [
            f"## The release of {JOBS:,} jobs of four tasks\n",
            "Wall time in seconds of the whole process, and the requests that the S3 server (versitygw, on this",
            "machine) answered. `jobyard sync --no-wait` also checks all jobs and compiles them, in each round;",
            f"`aws s3 sync --delete` compares and copies the files of `dags/`. awscli {version('awscli')}\n",
            f"| {ROUNDS} rounds: changed | | median | least | most | requests |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            *(f"{verdict}\n" for verdict in verdicts),
        ]
    )


def _rows(what: str, ours: Measured, peer: Measured) -> Iterator[str]:
    for name, side in {"jobyard sync": ours, "aws s3 sync": peer}.items():
        times = " | ".join(f"{value:.2f}" for value in (median(side.seconds), min(side.seconds), max(side.seconds)))
        yield f"| {what} | {name} | {times} | {side.requests} |"


def _slower(what: str, ours: Measured, peer: Measured) -> str:
    ratio = median(ours.seconds) / median(peer.seconds)
    return f"{what} changed: jobyard sync takes {ratio:.2f} times as long as aws s3 sync. {QUICKER.verdict(ratio)}"


def _both(
    server: Server, repo: Path, ours: list[str], peer: list[str], changed: list[Path]
) -> tuple[Measured, Measured]:
    """Both sides in turn, each time with the same files changed since the last."""
    counted = []
    for number in range(ROUNDS + 1):
        for file in changed:
            file.write_text(f"{file.read_text()}# {number}\n")
        counted.append([_one(server, side, repo) for side in (ours, peer)])
    sides = zip(*counted[1:], strict=True)
    one, other = (Measured([time for time, _ in side], max(requests for _, requests in side)) for side in sides)
    return one, other


def _one(server: Server, side: list[str], repo: Path) -> tuple[float, int]:
    before = server.requests()
    took = seconds(side, repo)
    made = server.requests() - before
    assert made, "a side that asks the server nothing is not measured"
    return took, made


def _programs() -> Path:
    with Steps(new_console()) as steps, steps.step("the S3 server, from source") as step:
        return tools.ensure(cache_dir(), step)


@contextmanager
def _server(folder: Path) -> Iterator[Server]:
    """The server with two buckets; it keeps versions, as Airflow's bucket has to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    objects, versions = folder / "objects", folder / "versions"
    for one in (objects, versions):
        one.mkdir(parents=True)
    server = Server(f"http://{address}", folder / "access.log")
    server.log.touch()
    program = _programs() / "versitygw"
    options = [f"--port={address}", f"--region={REGION}", f"--access-log={server.log}"]
    root = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    command = [str(program), *options, f"--versioning-dir={versions}", str(objects)]
    with subprocess.Popen(
        command, env={**os.environ, **root}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            _wait(address)
            for bucket in (OURS, PEERS, MARKS):
                server.client.create_bucket(Bucket=bucket)
                server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            yield server
        finally:
            running.terminate()


def _wait(address: str) -> None:
    host, port = address.split(":")
    for _ in range(100):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no S3 server at {address}")
