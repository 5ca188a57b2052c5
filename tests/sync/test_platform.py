"""The platform's files are published again and again, while somebody copies the bucket and imports what he has."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.platform.files import PlatformFiles
from jobyard_cli.platform.publish import KEPT, publish

from tests.sync.servers import Server
from tests.unit.test_platform_publish import a_library, copied, names, read

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

VERSIONS = 30
PARSES = 60


class Copier(threading.Thread):
    """Copies `dags/` as MWAA does: file by file, here in any order, and not at once."""

    def __init__(self, client: S3Client, bucket: str, target: Path) -> None:
        super().__init__()
        self.client, self.bucket, self.target = client, bucket, target
        self.rounds, self.ended = 0, threading.Event()
        self.random = random.Random(bucket)
        self.known: dict[str, str] = {}

    def run(self) -> None:
        while not self.ended.is_set():
            self.copy()
            self.rounds += 1

    def copy(self) -> None:
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix="dags/").get("Contents", [])
        found = {entry["Key"].removeprefix("dags/"): entry["ETag"] for entry in listed}
        changed = [name for name, etag in found.items() if self.known.get(name) != etag]
        for name in self.random.sample(changed, len(changed)):
            body = self.client.get_object(Bucket=self.bucket, Key=f"dags/{name}")["Body"].read()
            path = self.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            partial.write_bytes(body)
            partial.rename(path)
            time.sleep(self.random.uniform(0, 0.02))
        for name in self.known.keys() - found.keys():
            (self.target / name).unlink()
        self.known = found


def test_who_copies_all_the_time_always_imports_a_whole_library(server: Server, tmp_path: Path) -> None:
    bucket = server.bucket()
    publish(server.client, bucket, a_library("0", "risk"))
    copier = Copier(server.client, bucket, tmp_path)
    copier.copy()
    copier.start()
    read_versions: list[str] = []

    def publish_all() -> None:
        for number in range(1, VERSIONS):
            publish(server.client, bucket, a_library(str(number), "risk", *(["care"] if number % 2 else [])))
            # A later version follows when somebody has looked at this one, in whatever state it then was.
            seen = len(read_versions)
            while len(read_versions) < seen + PARSES // VERSIONS and not copier.ended.is_set():
                time.sleep(0.01)

    publisher = threading.Thread(target=publish_all)
    publisher.start()
    try:
        while publisher.is_alive() or len(read_versions) < PARSES:
            read_versions.append(read(tmp_path))
    finally:
        copier.ended.set()
        publisher.join()
        copier.join()
    copier.copy()
    read_versions.append(read(tmp_path))
    failures = [version for version in read_versions if not version.isdigit()]
    assert (len(read_versions) > PARSES, failures) == (True, [])
    # It never goes back, has met most of what was put, and is at the last in the end.
    numbers = [int(version) for version in read_versions]
    assert numbers == sorted(numbers)
    assert numbers[-1] == VERSIONS - 1
    assert len(set(numbers)) > KEPT


def dies_before_request(client: S3Client, bucket: str, number: int, files: PlatformFiles) -> bool:
    """Publish with a client that ends before a request, as a killed process would; whether there was such a request."""
    sent: list[str] = []

    def count(model: Any, **_: Any) -> None:
        sent.append(model.name)
        if len(sent) == number:
            raise KeyboardInterrupt

    client.meta.events.register("before-call.s3", count)
    try:
        publish(client, bucket, files)
    except KeyboardInterrupt:
        return True
    finally:
        client.meta.events.unregister("before-call.s3", count)
    return False


def test_killed_between_any_two_requests_it_leaves_a_whole_library_and_goes_on(server: Server, tmp_path: Path) -> None:
    client, new = server.client, a_library("2", "risk", "new", kubeconfig="kind: Other")
    seen: list[str] = []
    while True:
        bucket, number = server.bucket(), len(seen) + 1
        publish(client, bucket, a_library("1", "risk", "care"))
        if not dies_before_request(client, bucket, number, new):
            break
        seen.append(read(copied(client, tmp_path / str(number), bucket)))
        publish(client, bucket, new)
        assert read(copied(client, tmp_path / f"{number}-again", bucket)) == "2"
        assert {"risk.py", "new.py", "care/jobs.json"} <= names(client, bucket)
        assert "care.py" not in names(client, bucket)
    # List, get the index; put two modules, the index, the kubeconfig, a loader; delete a loader; look at the index.
    assert len(seen) > 8
    assert (set(seen), seen) == ({"1", "2"}, sorted(seen))
